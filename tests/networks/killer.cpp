#include "killer.h"

#include <csignal>

#include "base/parallel.h"

namespace zef::networks {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t moment_max_ms = 500;        // after the beginning of an attack
constexpr std::uint64_t start_moment_max_ms = 200;  // after the beginning of a process
constexpr std::uint64_t stopped_max_ms = 7000;      // a worker that is silent for 3 s is taken for dead
constexpr Duration restart_time_max = 20s;
constexpr Duration poll_period = 2ms;

}  // namespace

Killer::Plan Killer::make_plan() {
  Plan plan{.attack = Attack::worker,
            .validator = rng_.below(rig_.network->size()),
            .worker = rng_.below(rig_.network->settings().workers),
            .after = std::chrono::milliseconds(rng_.below(moment_max_ms)),
            .again_after = std::chrono::milliseconds(rng_.below(start_moment_max_ms)),
            .stopped_for = std::chrono::milliseconds(rng_.below(stopped_max_ms))};
  const std::uint64_t dice = rng_.below(100);
  if (dice >= 30) plan.attack = Attack::balancer;
  if (dice >= 45) plan.attack = Attack::controller;
  if (dice >= 55) plan.attack = Attack::stop;
  if (dice >= 70) plan.attack = Attack::worker_twice;
  if (dice >= 80) plan.attack = Attack::workers_of_a_validator;
  if (dice >= 92) plan.attack = Attack::whole_validator;
  return plan;
}

Task<void> Killer::attack() {
  std::vector<Plan> plans;
  for (std::uint64_t i = 1 + rng_.below(3); i > 0; --i) plans.push_back(make_plan());
  co_await in_parallel(rig_.loop, plans.size(), plans.size(), [&](std::size_t i) { return carry_out(plans[i]); });
}

Task<void> Killer::carry_out(Plan plan) {
  co_await sleep_for(rig_.loop, plan.after);
  switch (plan.attack) {
    case Attack::worker: kill_worker(plan.validator, plan.worker); break;
    case Attack::balancer: kill_balancer(plan.validator); break;
    case Attack::controller: kill_controller(plan.validator); break;
    case Attack::stop: co_await stop_for_a_while(plan); break;
    case Attack::workers_of_a_validator:
    case Attack::whole_validator:
      for (std::size_t i = 0; i < rig_.network->settings().workers; ++i) kill_worker(plan.validator, i);
      if (plan.attack == Attack::whole_validator) {
        kill_balancer(plan.validator);
        kill_controller(plan.validator);
      }
      break;
    case Attack::worker_twice: co_await kill_while_it_starts(plan); break;
  }
}

Task<void> Killer::kill_while_it_starts(Plan plan) {
  const auto pid_now = [&] { return rig_.network->validators()[plan.validator].workers[plan.worker].pid; };
  const pid_t first = pid_now();
  kill_worker(plan.validator, plan.worker);
  const MonotonicTime give_up = rig_.loop.now() + restart_time_max;
  while ((pid_now() == first || pid_now() < 0) && rig_.loop.now() < give_up) co_await sleep_for(rig_.loop, poll_period);
  co_await sleep_for(rig_.loop, plan.again_after);  // the random moment of its start
  kill_worker(plan.validator, plan.worker);
}

// If it was taken for dead meanwhile, it finds itself sealed, ends, and another process takes its place.
Task<void> Killer::stop_for_a_while(Plan plan) {
  if (!rig_.network->kill_worker(plan.validator, plan.worker, SIGSTOP)) co_return;
  ++stopped_;
  co_await sleep_for(rig_.loop, plan.stopped_for);
  rig_.network->kill_worker(plan.validator, plan.worker, SIGCONT);
}

void Killer::kill_worker(std::size_t validator, std::size_t worker) {
  if (rig_.network->kill_worker(validator, worker, SIGKILL)) ++killed_;
}
void Killer::kill_balancer(std::size_t validator) {
  if (rig_.network->kill_balancer(validator, SIGKILL)) ++killed_;
}

void Killer::kill_controller(std::size_t validator) {
  if (rig_.network->kill_controller(validator, SIGKILL)) ++killed_;
}

}  // namespace zef::networks
