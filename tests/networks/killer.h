// Kills processes of a network (SIGKILL, never SIGTERM), at random moments: single workers, balancers, controllers, all
// workers of a validator, all of its processes, and workers that are just starting again. And stops workers (SIGSTOP)
// for so long that others may take them for dead, before they go on (SIGCONT).
//
// Thread rule: the loop's thread.
#pragma once

#include <set>

#include "base/testing/seeded_rng.h"
#include "rig.h"

namespace zef::networks {

class Killer {
 public:
  Killer(Rig& rig, std::uint64_t seed) : rig_(rig), rng_(seed) {}

  // One to three attacks, each at its own moment; returns when all have happened.
  [[nodiscard]] Task<void> attack();

  [[nodiscard]] std::uint64_t killed() const { return killed_; }
  [[nodiscard]] std::uint64_t stopped() const { return stopped_; }

 private:
  enum class Attack { worker, balancer, controller, workers_of_a_validator, whole_validator, worker_twice, stop };
  struct Plan {
    Attack attack;
    std::size_t validator;
    std::size_t worker;
    Duration after;
    Duration again_after;
    Duration stopped_for;
  };
  [[nodiscard]] Plan make_plan();
  Task<void> carry_out(Plan plan);
  Task<void> kill_while_it_starts(Plan plan);
  Task<void> stop_for_a_while(Plan plan);
  void kill_worker(std::size_t validator, std::size_t worker);
  void kill_balancer(std::size_t validator);
  void kill_controller(std::size_t validator);

  Rig& rig_;
  zef::testing::SeededRng rng_;
  std::uint64_t killed_ = 0;
  std::uint64_t stopped_ = 0;
};

}  // namespace zef::networks
