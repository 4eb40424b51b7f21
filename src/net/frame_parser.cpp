#include "net/frame_parser.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"

namespace zef::net {
namespace {

// A parser that once held a long frame does not keep its memory.
constexpr std::size_t idle_capacity_max = 16U << 10;

std::uint32_t read_length(const std::uint8_t* from) {
  return static_cast<std::uint32_t>(from[0]) | static_cast<std::uint32_t>(from[1]) << 8 |
         static_cast<std::uint32_t>(from[2]) << 16 | static_cast<std::uint32_t>(from[3]) << 24;
}

}  // namespace

void append_frame(Bytes& out, ByteView payload) {
  ZEF_CHECK(payload.size() <= UINT32_MAX);
  const auto length = static_cast<std::uint32_t>(payload.size());
  const std::uint8_t header[frame_header_bytes] = {
      static_cast<std::uint8_t>(length), static_cast<std::uint8_t>(length >> 8),
      static_cast<std::uint8_t>(length >> 16), static_cast<std::uint8_t>(length >> 24)};
  append(out, header);
  append(out, payload);
}

void FrameParser::feed(ByteView chunk) {
  ZEF_CHECK(chunk_.empty());
  chunk_ = chunk;
}

Result<std::optional<ByteView>> FrameParser::next() {
  if (too_long_) return too_long(*too_long_);
  if (kept_at_ == kept_.size()) {
    kept_at_ = 0;
    if (kept_.capacity() > idle_capacity_max)
      kept_ = Bytes();
    else
      kept_.clear();

    if (chunk_.size() < frame_header_bytes) return std::nullopt;
    const std::uint32_t length = read_length(chunk_.data());
    if (length > frame_bytes_max_) return too_long(length);
    if (chunk_.size() - frame_header_bytes < length) return std::nullopt;
    const ByteView frame = chunk_.subspan(frame_header_bytes, length);
    chunk_ = chunk_.subspan(frame_header_bytes + length);
    return frame;
  }
  if (!top_up(frame_header_bytes)) return std::nullopt;
  const std::uint32_t length = read_length(kept_.data() + kept_at_);
  if (length > frame_bytes_max_) return too_long(length);
  if (!top_up(frame_header_bytes + length)) return std::nullopt;
  const ByteView frame = ByteView(kept_).subspan(kept_at_ + frame_header_bytes, length);
  kept_at_ += frame_header_bytes + length;
  return frame;
}

void FrameParser::save() {
  if (too_long_) return clear();
  if (kept_at_ > 0) {
    kept_.erase(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(kept_at_));
    kept_at_ = 0;
  }
  append(kept_, chunk_);
  chunk_ = {};
}

void FrameParser::clear() {
  kept_ = Bytes();
  kept_at_ = 0;
  chunk_ = {};
}

bool FrameParser::top_up(std::size_t bytes) {
  const std::size_t have = kept_.size() - kept_at_;
  if (have < bytes) {
    const std::size_t take = std::min(bytes - have, chunk_.size());
    append(kept_, chunk_.first(take));
    chunk_ = chunk_.subspan(take);
  }
  return kept_.size() - kept_at_ >= bytes;
}

std::unexpected<Error> FrameParser::too_long(std::uint32_t length) {
  too_long_ = length;
  return fail(ErrorKind::invalid_input,
              fmt::format("a frame of {} bytes was announced, at most {} are allowed", length, frame_bytes_max_));
}

}  // namespace zef::net
