// The controllers of one simulated validator: real ones, each a process of its own that finds the workers by their
// heads and talks to them over the network, with periods as short as runs are. What the driver was told outlives them:
// it is the validator's number of worker slots. Whoever injects faults crashes and stalls them; all may lead at once.
//
// Thread rule: the simulation's thread.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "controller/law.h"
#include "sim/bucket.h"
#include "sim/network.h"

namespace zef::sim {

// The slots of workers, for the driver.
struct WorkerSlots {
  std::function<int()> count;      // to be run
  std::function<void(int)> raise;  // runs so many, more than count()
  std::function<void()> end_last;  // the one of the highest number ends, and one less is run
};

class Controllers {
 public:
  struct World {
    Schedule& schedule;
    Network& network;
    Bucket& bucket;
  };
  static constexpr Duration suspect_after = std::chrono::seconds(1);
  enum class Command { rescue, move, retire };

  // One controller for each site.
  Controllers(World world, SimRng rng, WorkerSlots slots, std::vector<Site> sites, int workers_min, int workers_max);
  Controllers(const Controllers&) = delete;
  Controllers& operator=(const Controllers&) = delete;
  ~Controllers();

  void start();
  [[nodiscard]] std::size_t size() const { return sites_.size(); }
  // The process ends, and another one starts after that time.
  void crash(std::size_t which, Duration down, bool power);
  void stall(std::size_t which, Duration time);
  // Called when one of them begins to do something.
  void on_command(std::function<void(std::size_t which, Command)> callback) { on_command_ = std::move(callback); }

 private:
  class Driver;
  class Watched;
  struct Process;
  void start(std::size_t which);

  World world_;
  SimRng rng_;
  SimExecutor& supervisor_;
  WorkerSlots slots_;
  std::vector<Site> sites_;
  controller::LawOptions law_;
  std::function<void(std::size_t, Command)> on_command_;
  std::vector<std::unique_ptr<Process>> processes_;
};

}  // namespace zef::sim
