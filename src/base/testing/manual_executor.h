// A deterministic executor for tests: time stands still until a test moves it, and callbacks run only when a test runs
// them. Two runs of the same test see the same order of callbacks, unless threads of their own (the pool of a file
// store) post to it.
//
// Thread rule: post() from any thread, everything else from the thread of the test.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "base/executor.h"
#include "base/task.h"

namespace zef::testing {

// What run_until does when nothing is ready and only timers are left.
enum class IdleTime {
  jumps,   // virtual time jumps to the next timer at once
  stands,  // time stands still; wait for a post from another thread
};

class ManualExecutor final : public Executor {
 public:
  explicit ManualExecutor(WallTime wall = WallTime{std::chrono::hours(24 * 365 * 50)}) : wall_(wall) {}

  void post(Callback callback) override {
    const std::lock_guard lock(mutex_);
    ready_.push_back(std::move(callback));
    // Under the lock: a thread that posts last may find the executor gone as soon as the lock is free.
    posted_.notify_one();
  }
  TimerId after(Duration delay, Callback callback) override {
    const auto id = static_cast<TimerId>(++last_timer_);
    const MonotonicTime when = now_ + (delay > Duration::zero() ? delay : Duration::zero());
    timers_.emplace(std::pair(when, id), std::move(callback));
    when_of_.emplace(id, when);
    return id;
  }
  void cancel(TimerId timer) override {
    const auto found = when_of_.find(timer);
    if (found == when_of_.end()) return;
    auto dropped = timers_.extract(std::pair(found->second, timer));
    when_of_.erase(found);
  }
  [[nodiscard]] MonotonicTime now() const override { return now_; }
  [[nodiscard]] WallTime wall_now() const override { return wall_ + now_.time_since_epoch(); }

  // Moves the wall clock only, forwards or backwards.
  void jump_wall(Duration by) { wall_ += by; }

  // Runs what was posted, and what that posts, until nothing is ready. Time stands still. How many callbacks ran.
  std::size_t run_until_idle() {
    std::size_t count = 0;
    while (run_one()) ++count;
    return count;
  }
  void run() { run_until_idle(); }

  // Moves time forwards, stopping at each timer on the way; runs everything that becomes ready.
  void advance(Duration by) {
    const MonotonicTime target = now_ + by;
    run_until_idle();
    while (!timers_.empty() && timers_.begin()->first.first <= target) {
      fire_next_timer();
      run_until_idle();
    }
    now_ = target;
  }

  // Jumps to the next timer and runs it with all that follows; false if there is no timer.
  bool advance_to_next_timer() {
    run_until_idle();
    if (timers_.empty()) return false;
    fire_next_timer();
    run_until_idle();
    return true;
  }

  [[nodiscard]] std::size_t pending_timers() const { return timers_.size(); }

  // Runs callbacks, waits for posts of other threads and, with IdleTime::jumps, lets time pass, until `done` says so.
  // A test that would wait for more than `real_limit` of true time is stuck: the process ends with a message.
  template <class Done>
  void run_while_not(Done done, IdleTime idle = IdleTime::jumps,
                     std::chrono::seconds real_limit = std::chrono::seconds(120)) {
    const auto give_up = std::chrono::steady_clock::now() + real_limit;
    while (!done()) {
      if (run_one()) continue;
      if (idle == IdleTime::jumps && !timers_.empty()) {
        fire_next_timer();
        continue;
      }
      std::unique_lock lock(mutex_);
      const bool woken = posted_.wait_until(lock, give_up, [this] { return !ready_.empty(); });
      ZEF_CHECK(woken && "run_until: the task waits for something that never comes");
    }
  }

  // Runs a task to its end and returns its result.
  template <class T>
  T run_until(Task<T> task, IdleTime idle = IdleTime::jumps) {
    using Value = std::conditional_t<std::is_void_v<T>, bool, T>;
    std::optional<Value> out;
    TaskScope scope;
    scope.spawn(keep_result(std::move(task), out));
    run_while_not([&out] { return out.has_value(); }, idle);
    if constexpr (!std::is_void_v<T>) return std::move(*out);
  }

 private:
  template <class T, class Value>
  static Task<void> keep_result(Task<T> task, std::optional<Value>& out) {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(task);
      out.emplace(true);
    } else {
      out.emplace(co_await std::move(task));
    }
  }

  bool run_one() {
    std::unique_lock lock(mutex_);
    if (ready_.empty()) return false;
    Callback callback = std::move(ready_.front());
    ready_.pop_front();
    lock.unlock();
    callback();
    return true;
  }
  void fire_next_timer() {
    auto next = timers_.extract(timers_.begin());
    const auto [when, id] = next.key();
    when_of_.erase(id);
    if (when > now_) now_ = when;
    post(std::move(next.mapped()));
  }

  WallTime wall_;
  MonotonicTime now_{};
  std::uint64_t last_timer_ = 0;
  std::map<std::pair<MonotonicTime, TimerId>, Callback> timers_;  // equal times fire in the order of after()
  std::map<TimerId, MonotonicTime> when_of_;

  std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<Callback> ready_;
};

}  // namespace zef::testing
