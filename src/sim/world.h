// One simulated network from its genesis to its end: validators, users, and whoever wants to break them, on one virtual
// clock and one seed. First everything goes on at once; then the faults stop, Byzantine participants go on, and every
// honest user has to finish; then everybody is brought up to date, and all honest validators have to be equal.
//
// Thread rule: one thread a world; worlds share nothing.
#pragma once

#include <memory>
#include <vector>

#include "sim/journal.h"
#include "sim/network.h"
#include "sim/user.h"
#include "sim/validator.h"

namespace zef::sim {

struct WorldOptions {
  std::uint64_t seed = 1;
  std::uint64_t operations = 400;
  std::size_t validators = 0;  // 0: 4 to 10, by the seed
  std::size_t users = 0;       // 0: by the number of operations
  // "": everything; "calm": no faults and nobody Byzantine; "beyond_f": more Byzantine validators than the committee
  // can bear: then only what each validator does by itself is checked.
  std::string scenario;
  bool traced = false;
};

struct WorldResult {
  std::uint64_t seed = 0;
  std::uint64_t operations = 0;  // executed by a quorum
  std::uint64_t faults = 0;      // injected
  std::uint64_t digest = 0;      // of the whole run
  std::uint64_t steps = 0;
  Duration virtual_time{};
  std::vector<Violation> violations;
  std::map<std::string, std::uint64_t> counters;
  std::vector<std::string> trace;  // with `traced` only: what led to the first violation, or the end of the run
};

[[nodiscard]] WorldResult run_world(const WorldOptions& options);

}  // namespace zef::sim
