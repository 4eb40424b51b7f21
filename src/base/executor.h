// Time, timers, deferred calls and randomness, as interfaces: the real ones stand in net/, the simulated ones in sim/.
// Everything that waits (ledger, worker, balancer, client, store wrappers) takes an Executor& and never asks the
// machine for the time or sleeps.
//
// Thread rule: all callbacks of one executor run on one thread, never inside the call that scheduled them. post() may
// be called from any thread; after(), cancel() and the clocks only from the executor's own thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>

namespace zef {

using Duration = std::chrono::nanoseconds;
// Monotonic; the origin means nothing.
using MonotonicTime = std::chrono::time_point<std::chrono::steady_clock, Duration>;
// For people and for request signing only; no rule depends on it, and it may jump.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

using Callback = std::move_only_function<void()>;
enum class TimerId : std::uint64_t { none = 0 };

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual MonotonicTime now() const = 0;
  [[nodiscard]] virtual WallTime wall_now() const = 0;
};

class Executor : public Clock {
 public:
  // Runs the callback soon, in the order of the posts. Safe from any thread.
  virtual void post(Callback callback) = 0;
  // Runs the callback once, after everything that is ready now (all sockets that have something to read, all posts):
  // the place to act on a whole batch. An executor without turns treats it as a post. Only from the executor's own
  // thread.
  virtual void at_turn_end(Callback callback) { post(std::move(callback)); }
  // Runs the callback once, not before `delay` has passed.
  virtual TimerId after(Duration delay, Callback callback) = 0;
  // Forgets a timer; the callback is destroyed without being called. Unknown or fired ids do nothing.
  virtual void cancel(TimerId timer) = 0;
};

class Rng {
 public:
  virtual ~Rng() = default;
  virtual void fill(std::span<std::uint8_t> out) = 0;

  [[nodiscard]] std::uint64_t next_u64() {
    std::uint8_t raw[8];
    fill(raw);
    std::uint64_t value = 0;
    for (const std::uint8_t byte : raw) value = value << 8 | byte;
    return value;
  }
  // Uniform enough for jitter and choices (not for secrets): 0 <= result < bound; bound > 0.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) { return next_u64() % bound; }
};

}  // namespace zef
