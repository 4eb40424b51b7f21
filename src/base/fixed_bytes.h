// Byte strings of a fixed length with a type of their own: hashes, keys, signatures, worker ids.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstring>
#include <functional>
#include <optional>
#include <string>

#include "base/bytes.h"

namespace zef {

template <class Tag, std::size_t N>
struct FixedBytes {
  static constexpr std::size_t size = N;
  std::array<std::uint8_t, N> bytes{};

  [[nodiscard]] ByteView view() const { return bytes; }
  [[nodiscard]] std::string hex() const { return to_hex(bytes); }

  // Nothing unless the view has exactly N bytes.
  static std::optional<FixedBytes> from(ByteView view) {
    if (view.size() != N) return std::nullopt;
    FixedBytes result;
    std::copy(view.begin(), view.end(), result.bytes.begin());
    return result;
  }
  static std::optional<FixedBytes> parse_hex(std::string_view text) {
    const auto raw = zef::from_hex(text);
    return raw ? from(*raw) : std::nullopt;
  }

  friend auto operator<=>(const FixedBytes&, const FixedBytes&) = default;
};

}  // namespace zef

// For hash tables. The bytes are hashes or keys already, so their beginning is as good as any.
template <class Tag, std::size_t N>
struct std::hash<zef::FixedBytes<Tag, N>> {
  std::size_t operator()(const zef::FixedBytes<Tag, N>& value) const {
    static_assert(N >= sizeof(std::size_t));
    std::size_t first;
    std::memcpy(&first, value.bytes.data(), sizeof first);
    return first;
  }
};
