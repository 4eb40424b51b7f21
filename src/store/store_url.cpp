#include "store/store_url.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/bytes.h"
#include "store/keys.h"

namespace zef::store {
namespace {

constexpr std::size_t prefix_size_max = 256;

std::unexpected<Error> bad(std::string_view what) {
  return fail(ErrorKind::invalid_input, fmt::format("store URL: {}", what));
}

Result<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const auto byte = from_hex(text.substr(i + 1, std::min<std::size_t>(2, text.size() - i - 1)));
    if (!byte || byte->size() != 1) return bad("'%' is not followed by two hexadecimal digits");
    out.push_back(static_cast<char>(byte->front()));
    i += 2;
  }
  if (std::ranges::any_of(out, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }))
    return bad("control characters are not taken");
  return out;
}

Result<void> parse_parameters(std::string_view query, std::span<const std::string_view> known, StoreUrl& out) {
  while (!query.empty()) {
    const std::string_view item = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), item.size() + 1));
    const auto equals = item.find('=');
    const std::string_view name = item.substr(0, equals);
    if (std::ranges::find(known, name) == known.end())
      return bad(fmt::format("there is no setting \"{}\"; there are: {}", name.substr(0, 40), fmt::join(known, ", ")));
    if (equals == std::string_view::npos || equals + 1 == item.size())
      return bad(fmt::format("the setting \"{}\" has no value", name));
    auto value = percent_decoded(item.substr(equals + 1));
    if (!value) return std::unexpected(std::move(value.error()));
    if (!out.parameters.emplace(name, std::move(*value)).second)
      return bad(fmt::format("the setting \"{}\" is there twice", name));
  }
  return {};
}

}  // namespace

std::string StoreUrl::value(std::string_view name) const {
  const auto found = parameters.find(name);
  return found == parameters.end() ? "" : found->second;
}

Result<StoreUrl> parse_store_url(std::string_view url, std::span<const std::string_view> known) {
  const auto scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos) return bad("it has the form scheme://bucket/prefix?setting=value");
  const std::string_view scheme = url.substr(0, scheme_end);
  const std::string_view rest = url.substr(scheme_end + 3);
  const std::string_view place = rest.substr(0, rest.find('?'));
  if (url.contains('@'))
    return bad("'@' is not taken: credentials never stand in a URL; they come from the environment or a file");
  StoreUrl out;
  out.bucket = place.substr(0, place.find('/'));
  if (out.bucket.empty() || !std::ranges::all_of(out.bucket, is_key_character) || out.bucket.starts_with('.'))
    return bad(fmt::format("it names no bucket; it has the form {}://bucket/prefix", scheme));
  if (place.contains('/')) out.prefix = place.substr(place.find('/') + 1);
  while (out.prefix.ends_with('/')) out.prefix.pop_back();
  if (!out.prefix.empty()) {
    if (const auto wrong = check_key(out.prefix)) return bad(fmt::format("the prefix: {}", wrong->message));
    if (out.prefix.size() > prefix_size_max) return bad("the prefix is longer than 256 bytes");
    out.prefix.push_back('/');
  }
  if (place.size() < rest.size())
    if (auto good = parse_parameters(rest.substr(place.size() + 1), known, out); !good)
      return std::unexpected(std::move(good.error()));
  return out;
}

Result<bool> choice(const StoreUrl& url, std::string_view name, std::string_view yes, std::string_view no,
                    bool otherwise) {
  const std::string value = url.value(name);
  if (value.empty()) return otherwise;
  if (value == yes) return true;
  if (value == no) return false;
  return bad(fmt::format("{} is {} or {}", name, yes, no));
}

Result<void> check_endpoint(std::string_view endpoint, bool path_allowed) {
  for (const std::string_view scheme : {std::string_view("http://"), std::string_view("https://")}) {
    if (!endpoint.starts_with(scheme)) continue;
    const std::string_view place = endpoint.substr(scheme.size());
    const std::string_view host = place.substr(0, place.find('/'));
    const auto of_host = [](char c) { return is_key_character(c) || c == ':' || c == '[' || c == ']'; };
    if (host.empty() || !std::ranges::all_of(host, of_host)) break;
    const std::string_view path = place.substr(host.size());
    if (!path.empty() && (!path_allowed || check_key(path.substr(1)))) break;
    return {};
  }
  return bad(fmt::format("endpoint is https://host or https://host:port{}, also with http",
                         path_allowed ? ", perhaps with a path," : ""));
}

}  // namespace zef::store
