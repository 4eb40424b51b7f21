// Virtual time: one queue of everything that happens in a simulated network, and an Executor for each simulated process
// on it. Time jumps from one event to the next; nothing ever waits.
//
// Thread rule: one thread, the simulation's. Order of what happens at one moment: posts in their order, then timers
// that are due, then the ends of turns; so all that arrives at one moment is one turn of the process, as in the real
// loop. A process that was killed runs nothing any more: its callbacks are destroyed where they wait. One that stands
// still (a machine that swaps, a stopped container) runs everything later.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "base/check.h"
#include "base/executor.h"

namespace zef::sim {

class Schedule;

class SimExecutor final : public Executor {
 public:
  explicit SimExecutor(Schedule& schedule) : schedule_(schedule) {}
  SimExecutor(const SimExecutor&) = delete;
  SimExecutor& operator=(const SimExecutor&) = delete;

  void post(Callback callback) override;
  void at_turn_end(Callback callback) override;
  TimerId after(Duration delay, Callback callback) override;
  void cancel(TimerId timer) override;
  [[nodiscard]] MonotonicTime now() const override;
  [[nodiscard]] WallTime wall_now() const override;

  // Nothing of this process runs from now on.
  void kill() { alive_ = false; }
  [[nodiscard]] bool alive() const { return alive_; }
  // Everything waits until then.
  void stand_still(Duration time);
  void jump_wall(Duration by) { wall_offset_ += by; }

 private:
  friend class Schedule;
  Schedule& schedule_;
  bool alive_ = true;
  MonotonicTime still_until_{};
  Duration wall_offset_{};
};

class Schedule {
 public:
  Schedule() = default;
  Schedule(const Schedule&) = delete;
  Schedule& operator=(const Schedule&) = delete;
  ~Schedule() { clear(); }

  // The end: nothing runs any more, and all that waits is destroyed. Before anything is destroyed that waits refer to.
  void clear();
  // The executor lives as long as the schedule.
  [[nodiscard]] SimExecutor& make_process();
  [[nodiscard]] MonotonicTime now() const { return now_; }
  // Runs the next thing; false if there is none.
  bool step();
  // Until `done` holds or that much virtual time has passed; whether it holds.
  template <class Done>
  bool run_until(Done done, Duration limit) {
    const MonotonicTime end = now_ + limit;
    while (!done()) {
      if (now_ > end || !step()) return false;
    }
    return true;
  }
  [[nodiscard]] std::uint64_t steps() const { return steps_; }

 private:
  friend class SimExecutor;
  struct Item {
    SimExecutor* process = nullptr;
    Callback callback;
  };
  // A timer's place; reused, with another generation, when it has fired.
  struct Slot {
    Item item;
    std::uint32_t generation = 0;
  };
  struct Due {
    MonotonicTime when;
    std::uint64_t order = 0;
    std::uint32_t slot = 0;
    bool operator>(const Due& other) const { return when != other.when ? when > other.when : order > other.order; }
  };
  TimerId add_timer(SimExecutor& process, MonotonicTime when, Callback callback);
  void run(Item item);
  void fire(std::uint32_t slot);

  MonotonicTime now_{};
  std::uint64_t order_ = 0;
  std::uint64_t steps_ = 0;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::vector<Due> due_;  // a heap: earliest first
  std::deque<Item> ready_;
  std::deque<Item> turn_ends_;
  std::deque<std::unique_ptr<SimExecutor>> processes_;
};

}  // namespace zef::sim
