// For tests that contradict on purpose, thousands of times: no lines in the log while this lives.
#pragma once

#include "base/log.h"

namespace zef::shard::testing {

class Quiet {
 public:
  Quiet() { log::set_level(static_cast<log::Level>(static_cast<int>(log::Level::error) + 1)); }
  ~Quiet() { log::set_level(log::Level::info); }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;
};

}  // namespace zef::shard::testing
