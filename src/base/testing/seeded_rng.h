// Reproducible randomness for tests: the same seed gives the same bytes on every machine (splitmix64). Not for secrets.
#pragma once

#include <cstdint>
#include <span>

#include "base/executor.h"

namespace zef::testing {

class SeededRng final : public Rng {
 public:
  explicit SeededRng(std::uint64_t seed) : state_(seed) {}

  void fill(std::span<std::uint8_t> out) override {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (i % 8 == 0) word = next_word();
      out[i] = static_cast<std::uint8_t>(word >> (i % 8 * 8));
    }
  }

 private:
  std::uint64_t next_word() {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }
  std::uint64_t state_;
};

}  // namespace zef::testing
