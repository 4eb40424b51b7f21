// Randomness from the operating system. Safe from any thread.
#pragma once

#include "base/executor.h"

namespace zef::net {

class SystemRng final : public Rng {
 public:
  void fill(std::span<std::uint8_t> out) override;
};

}  // namespace zef::net
