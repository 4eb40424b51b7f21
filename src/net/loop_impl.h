// Inside of the loop, for the Asio transport. Thread rule: see loop.h.
#pragma once

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "net/asio.h"
#include "net/loop.h"

namespace zef::net {

// Something that has work to do after a turn: a connection with frames to write or reading to arm again.
class TurnWork {
 public:
  virtual ~TurnWork() = default;
  virtual void turn_ended() = 0;
};

struct Loop::Impl {
  struct Signals {
    Signals(asio::io_context& context, std::move_only_function<void(int)> call)
        : set(context), callback(std::move(call)) {}
    asio::signal_set set;
    std::move_only_function<void(int)> callback;
  };

  static constexpr std::size_t read_bytes_max = 256U << 10;   // of one connection in one turn
  static constexpr std::size_t record_bytes_max = 16U << 10;  // of TLS
  static constexpr std::size_t handlers_per_turn_max = 4096;
  static constexpr std::size_t end_rounds_max = 8;  // at_turn_end callbacks that ask for at_turn_end again

  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  std::atomic<bool> stopped = false;

  // Posts: kept here and not in Asio, so that the loop can destroy them while it is still whole.
  std::mutex posts_mutex;
  std::deque<Callback> posts;
  void run_posts();

  std::vector<Callback> turn_end;
  std::vector<std::shared_ptr<TurnWork>> turn_work;

  // Timers: one Asio timer waits for the first deadline. Cancelling leaves it as it is: an early wake-up is harmless.
  std::set<std::pair<MonotonicTime, TimerId>> deadlines;
  std::unordered_map<TimerId, std::pair<MonotonicTime, Callback>> timers;
  std::uint64_t last_timer = 0;
  asio::steady_timer timer{io};
  MonotonicTime armed_for = MonotonicTime::max();
  void arm_timer();
  void fire_timers();

  std::deque<Signals> signals;  // a deque: sets do not move
  static void await_signal(Signals& entry);

  // Reused by all connections: nobody keeps bytes in them after its read handler.
  Bytes read_buffer = Bytes(read_bytes_max);
  Bytes plain_buffer = Bytes(record_bytes_max);

  bool turning = false;
  bool turn(std::optional<Duration> wait_max);
  std::size_t run_ready();
  void end_turn();
  [[nodiscard]] bool has_end_work() const { return !turn_end.empty() || !turn_work.empty(); }
};

}  // namespace zef::net
