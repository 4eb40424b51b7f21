#include "store/keys.h"

#include <fmt/core.h>

#include <algorithm>

#include "store/errors.h"

namespace zef::store {
namespace {

// Keys come from our own code, but a bad one may hold anything: keep the message short and printable.
std::string shown(std::string_view key) {
  std::string text(key.substr(0, 80));
  std::ranges::replace_if(text, [](char c) { return c < ' ' || c > '~'; }, '?');
  return key.size() > 80 ? text + "..." : text;
}

StoreError invalid(std::string_view key, std::string_view why) {
  return {StoreErrorKind::invalid, fmt::format("key \"{}\": {}", shown(key), why)};
}

std::optional<StoreError> check(std::string_view key, bool whole) {
  if (key.size() > key_size_max) return invalid(key, "longer than 512 bytes");
  if (!std::ranges::all_of(key, [](char c) { return c == '/' || is_key_character(c); }))
    return invalid(key, "only letters, digits, '.', '_', '-' and '/' are allowed");
  for (std::string_view rest = key;;) {
    const std::size_t slash = rest.find('/');
    const bool last = slash == std::string_view::npos;
    const std::string_view part = rest.substr(0, slash);
    if (part.size() > key_part_size_max) return invalid(key, "a part is longer than 255 bytes");
    if (whole || !last) {
      if (part.empty()) return invalid(key, "empty, or a part is empty");
      if (part == "." || part == "..") return invalid(key, "a part is \".\" or \"..\"");
    }
    if (last) return std::nullopt;
    rest.remove_prefix(slash + 1);
  }
}

}  // namespace

bool is_key_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

std::optional<StoreError> check_key(std::string_view key) { return check(key, true); }
std::optional<StoreError> check_key_prefix(std::string_view prefix) { return check(prefix, false); }

}  // namespace zef::store
