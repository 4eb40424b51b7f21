// Runs a flow on an event loop from outside of it: how a command enters the world of tasks.
#pragma once

#include <optional>
#include <utility>

#include "base/task.h"
#include "net/loop.h"

namespace zef::cli {

namespace detail {
template <class T>
Task<void> keep_result(Task<T> task, std::optional<T>& result) {
  result.emplace(co_await std::move(task));
}
}  // namespace detail

// Turns the loop until the task has ended. Not from inside the loop.
template <class T>
[[nodiscard]] T run_flow(net::Loop& loop, Task<T> task) {
  std::optional<T> result;
  TaskScope scope;
  scope.spawn(detail::keep_result(std::move(task), result));
  while (!result) loop.turn();
  return std::move(*result);
}

}  // namespace zef::cli
