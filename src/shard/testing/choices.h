// Decisions read from bytes, so that a fuzzer or a property test steers a scenario and can shrink it. When the bytes
// are used up, every decision is the first alternative.
#pragma once

#include "base/bytes.h"

namespace zef::shard::testing {

class Choices {
 public:
  explicit Choices(ByteView bytes) : rest_(bytes) {}

  [[nodiscard]] bool left() const { return !rest_.empty(); }
  // 0 <= result < bound; bound > 0. One byte, so beyond 256 alternatives only the first 256 are chosen.
  [[nodiscard]] std::size_t below(std::size_t bound) {
    if (rest_.empty()) return 0;
    const std::size_t byte = rest_.front();
    rest_ = rest_.subspan(1);
    return byte % bound;
  }
  [[nodiscard]] bool one_in(std::size_t count) { return below(count) == count - 1; }

 private:
  ByteView rest_;
};

}  // namespace zef::shard::testing
