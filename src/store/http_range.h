// Ranges of objects as HTTP says them. Pure; any thread.
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <string>

#include "store/object_store.h"

namespace zef::store {

// Servers count in 63 bits.
inline constexpr std::uint64_t range_end_max = std::uint64_t{1} << 62;

// HTTP has no way to ask for nothing, and servers none to understand what they cannot count.
[[nodiscard]] inline bool is_beyond_servers(const Range& range) {
  return range.length == 0 || range.from >= range_end_max;
}

// "bytes=2-4": both ends are part of it.
[[nodiscard]] inline std::string range_header(const Range& range) {
  const std::uint64_t length = std::min(range.length, range_end_max - range.from);
  return fmt::format("bytes={}-{}", range.from, range.from + length - 1);
}

// For servers that ignore ranges and send everything.
inline void cut_to_range(const Range& range, Bytes& bytes) {
  const auto from = std::min<std::uint64_t>(range.from, bytes.size());
  const auto length = std::min<std::uint64_t>(range.length, bytes.size() - from);
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(from));
  bytes.resize(length);
}

}  // namespace zef::store
