// Coroutines for flows (takeover, quorum driver, retries, ...): Task<T>, and the few things to wait for.
//
//   Task<Result<Head>> read_head(...) { const auto got = co_await store.get(key); ... co_return head; }
//   scope.spawn(run());           // a root task: starts at once, owned by the scope
//
// Rules. A task starts when it is awaited (or spawned) and runs on the thread that resumes it; every flow stays on its
// executor's thread. Tasks do not throw: an exception that reaches a task's edge ends the process. Destroying a
// TaskScope destroys its unfinished tasks where they stand, and callbacks that arrive later find nobody (see
// from_callback), so a whole process can be dropped at any moment. Parameters of coroutines are taken by value or
// refer to something that outlives the scope; never write a capturing lambda coroutine.
#pragma once

#include <coroutine>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/executor.h"

namespace zef {

template <class T>
class Task;

namespace detail {

struct TaskPromiseBase {
  std::coroutine_handle<> continuation = std::noop_coroutine();

  struct Final {
    static bool await_ready() noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> done) noexcept {
      return done.promise().continuation;
    }
    static void await_resume() noexcept {}
  };
  static std::suspend_always initial_suspend() noexcept { return {}; }
  static Final final_suspend() noexcept { return {}; }
  [[noreturn]] static void unhandled_exception() noexcept { std::terminate(); }
};

template <class T>
struct TaskPromise : TaskPromiseBase {
  std::optional<T> value;
  Task<T> get_return_object();
  template <class U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
};

template <>
struct TaskPromise<void> : TaskPromiseBase {
  Task<void> get_return_object();
  static void return_void() noexcept {}
};

}  // namespace detail

template <class T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::TaskPromise<T>;

  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  auto operator co_await() && noexcept {
    struct Awaiter {
      std::coroutine_handle<promise_type> handle;
      [[nodiscard]] bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> caller) noexcept {
        handle.promise().continuation = caller;
        return handle;
      }
      T await_resume() {
        if constexpr (!std::is_void_v<T>) return std::move(*handle.promise().value);
      }
    };
    ZEF_CHECK(handle_);
    return Awaiter{handle_};
  }

 private:
  std::coroutine_handle<promise_type> handle_;
};

template <class T>
Task<T> detail::TaskPromise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}
inline Task<void> detail::TaskPromise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}

// Owns root tasks. Not thread-safe: one executor, one thread.
class TaskScope {
 public:
  TaskScope() = default;
  TaskScope(const TaskScope&) = delete;
  TaskScope& operator=(const TaskScope&) = delete;
  ~TaskScope() { clear(); }

  // Starts the task at once, on this thread, up to its first wait.
  void spawn(Task<void> task) { run(std::move(task), roots_); }
  [[nodiscard]] std::size_t running() const { return roots_.size(); }
  // Destroys all unfinished tasks where they stand. Must not be called from inside one of them.
  void clear() {
    while (!roots_.empty()) {
      const auto handle = std::coroutine_handle<>::from_address(*roots_.begin());
      roots_.erase(roots_.begin());
      handle.destroy();
    }
  }

 private:
  using Roots = std::unordered_set<void*>;
  struct Root {
    struct promise_type {
      Roots* roots;
      promise_type(Task<void>&, Roots& owner) : roots(&owner) {}
      Root get_return_object() noexcept { return {}; }
      std::suspend_never initial_suspend() noexcept {
        roots->insert(std::coroutine_handle<promise_type>::from_promise(*this).address());
        return {};
      }
      std::suspend_never final_suspend() noexcept {
        roots->erase(std::coroutine_handle<promise_type>::from_promise(*this).address());
        return {};
      }
      static void return_void() noexcept {}
      [[noreturn]] static void unhandled_exception() noexcept { std::terminate(); }
    };
  };
  static Root run(Task<void> task, Roots& /*owner*/) { co_await std::move(task); }

  Roots roots_;
};

// Waits for a callback: `start` receives a move-only function that takes the result, to be called at most once and on
// the executor's thread. A result that arrives after the waiting task was destroyed is dropped.
template <class T, class Start>
[[nodiscard]] auto from_callback(Start start) {
  struct State {
    std::optional<T> value;
    std::coroutine_handle<> waiter;
  };
  struct Awaiter {
    Start start;
    std::shared_ptr<State> state = std::make_shared<State>();

    explicit Awaiter(Start s) : start(std::move(s)) {}
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;
    ~Awaiter() { state->waiter = nullptr; }

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> caller) {
      const std::shared_ptr<State> shared = state;  // `this` may be gone once start() has resumed somebody
      start([shared](T result) {
        shared->value.emplace(std::move(result));
        if (const auto waiter = std::exchange(shared->waiter, nullptr)) waiter.resume();
      });
      if (shared->value) return false;  // it was called at once: go on without suspending
      shared->waiter = caller;
      return true;
    }
    T await_resume() {
      ZEF_CHECK(state->value);
      return std::move(*state->value);
    }
  };
  return Awaiter(std::move(start));
}

// Waits for the given time on the executor's monotonic clock.
inline Task<void> sleep_for(Executor& executor, Duration delay) {
  struct Nothing {};
  co_await from_callback<Nothing>([&executor, delay](auto done) {
    executor.after(delay, [done = std::move(done)]() mutable { done(Nothing{}); });
  });
}

// One-thread event: wait() returns at once when set, else when set() is called. reset() arms it again. Waiters resume
// on the executor, in order, never inside set().
class Event {
 public:
  explicit Event(Executor& executor) : executor_(executor) {}
  [[nodiscard]] bool is_set() const { return set_; }
  void reset() { set_ = false; }
  void set() {
    set_ = true;
    for (auto& waiter : std::exchange(waiters_, {}))
      executor_.post([waiter = std::move(waiter)]() mutable { waiter(Unit{}); });
  }
  Task<void> wait() {
    if (set_) co_return;
    co_await from_callback<Unit>([this](auto done) { waiters_.push_back(std::move(done)); });
  }
  // Waits until set, or for `limit`; whether it was set.
  Task<bool> wait_for(Duration limit) {
    if (set_) co_return true;
    auto pending = std::make_shared<std::move_only_function<void(Unit)>>();
    TimerId timer = TimerId::none;
    co_await from_callback<Unit>([this, limit, pending, &timer](auto done) {
      *pending = std::move(done);
      const auto once = [pending] {
        if (auto call = std::exchange(*pending, nullptr)) call(Unit{});
      };
      waiters_.push_back([once](Unit) { once(); });
      timer = executor_.after(limit, once);
    });
    executor_.cancel(timer);
    co_return set_;
  }

 private:
  struct Unit {};
  Executor& executor_;
  bool set_ = false;
  std::vector<std::move_only_function<void(Unit)>> waiters_;
};

}  // namespace zef
