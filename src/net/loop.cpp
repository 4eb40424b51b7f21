#include "net/loop.h"

#include <fmt/core.h>

#include <exception>

#include "base/check.h"
#include "base/log.h"
#include "net/loop_impl.h"

namespace zef::net {
namespace {

// The machine cannot even give an epoll descriptor: nothing to go on with.
template <class Make>
auto make_or_die(Make make) {
  try {
    return make();
  } catch (const std::exception& problem) {
    log::error("net", "the event loop cannot start: {}", problem.what());
    check_failed(__FILE__, __LINE__, "event loop");
  }
}

}  // namespace

Loop::Loop() : impl_(make_or_die([] { return std::make_unique<Impl>(); })) {}

Loop::~Loop() {
  // Callbacks may own things that cancel timers when destroyed: the loop must still be whole then.
  auto timers = std::exchange(impl_->timers, {});
  impl_->deadlines.clear();
  timers.clear();
  std::exchange(impl_->posts, {}).clear();
  std::exchange(impl_->turn_end, {}).clear();
  std::exchange(impl_->turn_work, {}).clear();
}

void Loop::run() {
  while (!impl_->stopped.exchange(false)) turn();
}

void Loop::stop() {
  impl_->stopped = true;
  post([] {});  // wakes the loop
}

bool Loop::turn(std::optional<Duration> wait_max) {
  ZEF_CHECK(!std::exchange(impl_->turning, true));  // callbacks do not turn the loop
  const bool something = impl_->turn(wait_max);
  impl_->turning = false;
  return something;
}

bool Loop::Impl::turn(std::optional<Duration> wait_max) {
  try {
    std::size_t handlers = 0;
    const bool end_work = has_end_work();
    if (!end_work) handlers = wait_max ? io.run_one_for(*wait_max) : io.run_one();
    handlers += run_ready();
    if (handlers == 0 && !end_work) return false;
    end_turn();
    return true;
  } catch (const std::exception& problem) {
    log::error("net", "an exception reached the event loop: {}", problem.what());
    check_failed(__FILE__, __LINE__, "no exception leaves a callback");
  }
}

std::size_t Loop::Impl::run_ready() {
  std::size_t handlers = 0;
  while (handlers < handlers_per_turn_max && io.poll_one() > 0) ++handlers;
  return handlers;
}

void Loop::Impl::end_turn() {
  for (std::size_t round = 0; round < end_rounds_max && !turn_end.empty(); ++round) {
    auto callbacks = std::exchange(turn_end, {});
    for (Callback& callback : callbacks) callback();
  }
  auto items = std::exchange(turn_work, {});
  for (const auto& item : items) item->turn_ended();
}

void Loop::post(Callback callback) {
  bool first = false;
  {
    const std::lock_guard lock(impl_->posts_mutex);
    first = impl_->posts.empty();
    impl_->posts.push_back(std::move(callback));
  }
  if (first) asio::post(impl_->io, [impl = impl_.get()] { impl->run_posts(); });
}

void Loop::Impl::run_posts() {
  std::deque<Callback> batch;
  {
    const std::lock_guard lock(posts_mutex);
    batch.swap(posts);
  }
  for (Callback& callback : batch) callback();
}

void Loop::at_turn_end(Callback callback) { impl_->turn_end.push_back(std::move(callback)); }

TimerId Loop::after(Duration delay, Callback callback) {
  const auto id = static_cast<TimerId>(++impl_->last_timer);
  const MonotonicTime start = now();
  const Duration longest = MonotonicTime::max() - start;
  const MonotonicTime deadline = start + std::clamp(delay, Duration::zero(), longest);
  impl_->timers.emplace(id, std::pair(deadline, std::move(callback)));
  impl_->deadlines.emplace(deadline, id);
  impl_->arm_timer();
  return id;
}

void Loop::cancel(TimerId timer) {
  const auto found = impl_->timers.find(timer);
  if (found == impl_->timers.end()) return;
  impl_->deadlines.erase({found->second.first, timer});
  // Destroyed last: the callback's destructor may come back here.
  const auto forgotten = impl_->timers.extract(found);
}

MonotonicTime Loop::now() const { return std::chrono::steady_clock::now(); }
WallTime Loop::wall_now() const { return std::chrono::system_clock::now(); }

void Loop::Impl::arm_timer() {
  if (deadlines.empty() || deadlines.begin()->first >= armed_for) return;
  armed_for = deadlines.begin()->first;
  // Cut: Asio's epoll reactor counts in microseconds and must not overflow.
  timer.expires_at(std::min(armed_for, MonotonicTime(std::chrono::steady_clock::now() + std::chrono::hours(24))));
  timer.async_wait([this](ErrorCode error) {
    if (!error) fire_timers();  // an error: armed again for an earlier deadline
  });
}

void Loop::Impl::fire_timers() {
  armed_for = MonotonicTime::max();
  const MonotonicTime now = std::chrono::steady_clock::now();
  while (!deadlines.empty() && deadlines.begin()->first <= now) {
    const TimerId id = deadlines.begin()->second;
    deadlines.erase(deadlines.begin());
    auto due = timers.extract(id);
    ZEF_CHECK(!due.empty());
    due.mapped().second();
  }
  arm_timer();
}

void Loop::on_signals(const std::vector<int>& signals, std::move_only_function<void(int)> callback) {
  Impl::Signals& entry = impl_->signals.emplace_back(impl_->io, std::move(callback));
  for (const int signal : signals) {
    ErrorCode error;
    entry.set.add(signal, error);
    ZEF_CHECK(!error);
  }
  Impl::await_signal(entry);
}

void Loop::Impl::await_signal(Signals& entry) {
  entry.set.async_wait([&entry](ErrorCode error, int signal) {
    if (error) return;
    await_signal(entry);
    entry.callback(signal);
  });
}

}  // namespace zef::net
