#include "codec/bcs.h"

namespace zef::codec {

std::string_view to_string(DecodeError error) {
  switch (error) {
    case DecodeError::truncated: return "the bytes end inside a value";
    case DecodeError::trailing_bytes: return "bytes are left after the value";
    case DecodeError::non_canonical: return "a value is not in its canonical form";
    case DecodeError::too_long: return "a sequence is longer than its type or the input allows";
    case DecodeError::unknown_variant: return "a variant has an unknown index";
    case DecodeError::out_of_range: return "a value is outside the range of its type";
  }
  return "unknown decode error";
}

std::uint32_t Reader::uleb() {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    const auto byte = fixed<std::uint8_t>();
    if (error_) return 0;
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      if (byte == 0 && shift > 0) break;  // a shorter form exists
      if (value > 0xffffffff) break;
      return static_cast<std::uint32_t>(value);
    }
  }
  fail(DecodeError::non_canonical);
  return 0;
}

std::size_t Reader::length(std::size_t limit) {
  const std::size_t value = uleb();
  if (error_) return 0;
  if (value > limit || value > sequence_length_max) {
    fail(DecodeError::too_long);
    return 0;
  }
  if (value > rest_.size()) {
    fail(DecodeError::truncated);
    return 0;
  }
  return value;
}

}  // namespace zef::codec
