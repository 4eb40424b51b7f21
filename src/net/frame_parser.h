// Cuts a stream of bytes into frames (u32 little-endian length, payload). Pure: no I/O, no clock.
//
// Usage: feed(chunk); call next() until it returns nothing; save(). A frame that lies wholly inside the chunk is not
// copied. Invariants: a length above frame_bytes_max is an error before any byte of the frame is kept, and for good;
// memory follows the bytes that arrived, never the length that a peer announced.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"

namespace zef::net {

inline constexpr std::size_t frame_header_bytes = 4;

// Appends one frame in wire form.
void append_frame(Bytes& out, ByteView payload);

class FrameParser {
 public:
  explicit FrameParser(std::uint32_t frame_bytes_max) : frame_bytes_max_(frame_bytes_max) {}

  // The chunk must stay valid until save(); feeding twice without a save() between is a bug.
  void feed(ByteView chunk);
  // The next frame's payload, valid until the next call of anything here; nothing when more bytes are needed; an
  // invalid_input error for ever once a frame was too long.
  [[nodiscard]] Result<std::optional<ByteView>> next();
  // Keeps what next() has not returned yet.
  void save();
  // Bytes that belong to frames not returned yet.
  [[nodiscard]] std::size_t pending_bytes() const { return kept_.size() - kept_at_ + chunk_.size(); }
  // Drops everything kept.
  void clear();

 private:
  // Makes sure that at least `bytes` unread bytes stand in kept_, taking them from the chunk.
  bool top_up(std::size_t bytes);
  [[nodiscard]] std::unexpected<Error> too_long(std::uint32_t length);

  std::uint32_t frame_bytes_max_;
  std::optional<std::uint32_t> too_long_;
  Bytes kept_;  // from earlier chunks
  std::size_t kept_at_ = 0;
  ByteView chunk_;
};

}  // namespace zef::net
