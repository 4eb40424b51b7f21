// Whoever breaks things that are nobody's fault: processes, machines, wires, storage, clocks. Every seed has a temper
// of its own: which kinds of trouble, and how often.
//
// Thread rule: the simulation's thread.
#pragma once

#include <memory>
#include <vector>

#include "sim/user.h"
#include "sim/validator.h"

namespace zef::sim {

class Nemesis {
 public:
  struct World {
    Schedule& schedule;
    Network& network;
    const std::vector<std::unique_ptr<Validator>>& validators;
    const std::vector<std::unique_ptr<User>>& users;
    Journal& journal;
  };
  Nemesis(World world, SimRng rng);
  Nemesis(const Nemesis&) = delete;
  Nemesis& operator=(const Nemesis&) = delete;

  // After the validators.
  void start();
  // Heals everything and breaks nothing any more. What is down comes back by itself.
  void stop();
  [[nodiscard]] std::uint64_t injected() const { return injected_; }

 private:
  Task<void> rage();
  void strike();
  void set_weather(bool calm);
  void crash_later(Validator& validator, std::size_t worker, Duration down);
  void part();
  [[nodiscard]] std::size_t another(std::size_t worker, const Validator& validator);
  void lose_worker_for_long(Validator& validator, std::size_t v, std::size_t worker);
  // Somebody dies or stands still some time later, in the middle of whatever a controller began.
  void disturb(Validator& validator, Duration at_most);

  World world_;
  SimRng rng_;
  SimExecutor& machine_;
  std::vector<std::uint64_t> weights_;  // of each kind of trouble
  std::uint64_t disturb_chance_ = 0;    // of a controller's command
  Duration pause_max_;
  std::uint64_t injected_ = 0;
  TaskScope scope_;
};

}  // namespace zef::sim
