// Runs many seeds in processes of their own, a few seeds each: a failed check of the code under test is a finding like
// any other, and all cores are used. A process goes on with the memory of the world before, whose pages are there.
//
// Thread rule: one thread; forks.
#pragma once

#include <functional>

#include "sim/world.h"

namespace zef::sim {

struct RunOptions {
  WorldOptions world;  // its seed is the first
  std::uint64_t seeds = 1;
  std::size_t jobs = 0;            // at a time; 0: as many as there are cores
  Duration time_max{};             // no new seed is begun after that; zero: no limit
  bool stop_at_violation = false;  // nothing is known of the seeds after the first that has one
};

struct RunSummary {
  std::uint64_t seeds = 0;
  std::uint64_t operations = 0;
  std::uint64_t faults = 0;
  std::uint64_t violations = 0;  // seeds with at least one
  double seconds = 0;            // of this machine
  double cpu_seconds = 0;
};

// `on_result` gets every seed's outcome, in the order of the seeds. A seed with a violation was run a second time with
// its trace, unless the run stops at it.
[[nodiscard]] RunSummary run_seeds(const RunOptions& options, const std::function<void(const WorldResult&)>& on_result);

}  // namespace zef::sim
