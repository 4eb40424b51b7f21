// The simulation's only source of chance: the same seed gives the same choices on every machine (splitmix64). Never for
// secrets.
#pragma once

#include "base/executor.h"

namespace zef::sim {

class SimRng final : public Rng {
 public:
  explicit SimRng(std::uint64_t seed) : state_(seed) {}

  void fill(std::span<std::uint8_t> out) override {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (i % 8 == 0) word = next();
      out[i] = static_cast<std::uint8_t>(word >> (i % 8 * 8));
    }
  }

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }
  // 0 <= result < bound; bound > 0.
  std::uint64_t pick(std::uint64_t bound) { return next() % bound; }
  std::uint64_t between(std::uint64_t from, std::uint64_t to) { return from + pick(to - from + 1); }
  Duration between(Duration from, Duration to) {
    return from + Duration(static_cast<Duration::rep>(pick(static_cast<std::uint64_t>((to - from).count()) + 1)));
  }
  // True in that many of a million cases.
  bool chance(std::uint64_t millionths) { return millionths > 0 && pick(1'000'000) < millionths; }
  // Another stream of its own, so that one participant's choices do not depend on how often another one chooses.
  SimRng fork() { return SimRng(next()); }

 private:
  std::uint64_t state_;
};

}  // namespace zef::sim
