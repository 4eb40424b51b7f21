// The event loop: one thread, sockets, timers, posts and signals.
//
// A turn waits until something is ready, then runs everything that is ready (each socket is read at most once, so a
// busy one cannot starve the others), then the at_turn_end callbacks, then writes what connections have queued: all
// frames sent in a turn leave in one write per connection, those sent at its end included.
//
// Thread rule: run(), turn() and all callbacks on one thread, the loop's; post() and stop() from any. The loop outlives
// everything made from it (transports, connections, listeners). A callback that throws ends the process.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/executor.h"

namespace zef::net {

class Loop final : public Executor {
 public:
  Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop() override;  // destroys what was posted or waits, without calling it

  // Turns until stop(). May be called again.
  void run();
  // Makes run() return after the turn under way; before run(), it makes the next run() return at once.
  void stop();
  // One turn; waits for at most `wait_max` (for ever if absent). False if nothing was ready in that time.
  bool turn(std::optional<Duration> wait_max = std::nullopt);

  void post(Callback callback) override;
  void at_turn_end(Callback callback) override;
  TimerId after(Duration delay, Callback callback) override;
  void cancel(TimerId timer) override;
  [[nodiscard]] MonotonicTime now() const override;
  [[nodiscard]] WallTime wall_now() const override;

  // Calls back, on the loop, each time the process receives one of these signals, for as long as the loop lives.
  void on_signals(const std::vector<int>& signals, std::move_only_function<void(int signal)> callback);

  struct Impl;  // net/loop_impl.h, for this room only
  [[nodiscard]] Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace zef::net
