#include "sim/schedule.h"

#include <algorithm>
#include <utility>

namespace zef::sim {

// ---- SimExecutor

void SimExecutor::post(Callback callback) {
  if (alive_) schedule_.ready_.push_back({this, std::move(callback)});
}
void SimExecutor::at_turn_end(Callback callback) {
  if (alive_) schedule_.turn_ends_.push_back({this, std::move(callback)});
}
TimerId SimExecutor::after(Duration delay, Callback callback) {
  if (!alive_) return TimerId::none;
  return schedule_.add_timer(*this, schedule_.now_ + std::max(delay, Duration::zero()), std::move(callback));
}
void SimExecutor::cancel(TimerId timer) {
  const auto number = static_cast<std::uint64_t>(timer);
  const auto slot = static_cast<std::uint32_t>(number >> 32);
  if (number == 0 || slot >= schedule_.slots_.size()) return;
  Schedule::Slot& found = schedule_.slots_[slot];
  if (found.generation != static_cast<std::uint32_t>(number)) return;
  ++found.generation;  // what waits in the heap finds nobody
  Callback dropped = std::exchange(found.item.callback, nullptr);
}
MonotonicTime SimExecutor::now() const { return schedule_.now_; }
WallTime SimExecutor::wall_now() const {
  return WallTime{std::chrono::hours(24 * 365 * 50)} + schedule_.now_.time_since_epoch() + wall_offset_;
}
void SimExecutor::stand_still(Duration time) { still_until_ = std::max(still_until_, schedule_.now_ + time); }

// ---- Schedule

void Schedule::clear() {
  for (const auto& process : processes_) process->kill();
  // What is destroyed may destroy more, but nothing can be added.
  while (!ready_.empty() || !turn_ends_.empty() || !slots_.empty()) {
    const auto ready = std::exchange(ready_, {});
    const auto turn_ends = std::exchange(turn_ends_, {});
    const auto slots = std::exchange(slots_, {});
  }
  due_.clear();
  free_slots_.clear();
}

SimExecutor& Schedule::make_process() { return *processes_.emplace_back(std::make_unique<SimExecutor>(*this)); }

TimerId Schedule::add_timer(SimExecutor& process, MonotonicTime when, Callback callback) {
  std::uint32_t slot = 0;
  if (free_slots_.empty()) {
    slot = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back().generation = 1;  // never 0: TimerId::none
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  slots_[slot].item = {&process, std::move(callback)};
  due_.push_back({when, ++order_, slot});
  std::ranges::push_heap(due_, std::greater<>());
  return static_cast<TimerId>(static_cast<std::uint64_t>(slot) << 32 | slots_[slot].generation);
}

void Schedule::run(Item item) {
  if (!item.process->alive_) return;
  if (item.process->still_until_ > now_) {
    add_timer(*item.process, item.process->still_until_, std::move(item.callback));
    return;
  }
  item.callback();
}

void Schedule::fire(std::uint32_t slot) {
  Item item = std::exchange(slots_[slot].item, {});
  ++slots_[slot].generation;
  if (slots_[slot].generation == 0) slots_[slot].generation = 1;
  free_slots_.push_back(slot);
  if (item.callback) run(std::move(item));  // else it was cancelled
}

bool Schedule::step() {
  ++steps_;
  if (!ready_.empty()) {
    Item next = std::move(ready_.front());
    ready_.pop_front();
    run(std::move(next));
    return true;
  }
  if (due_.empty() || (due_.front().when > now_ && !turn_ends_.empty())) {
    if (turn_ends_.empty()) return false;
    Item next = std::move(turn_ends_.front());
    turn_ends_.pop_front();
    run(std::move(next));
    return true;
  }
  const Due next = due_.front();
  std::ranges::pop_heap(due_, std::greater<>());
  due_.pop_back();
  if (next.when > now_) now_ = next.when;
  fire(next.slot);
  return true;
}

}  // namespace zef::sim
