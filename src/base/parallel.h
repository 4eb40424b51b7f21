// Runs the same flow for many items, a bounded number at a time. Thread rule: the executor's thread.
#pragma once

#include <algorithm>
#include <functional>

#include "base/task.h"

namespace zef {

// Makes the flow of item `i`. It may capture; the coroutine that it calls must not be a capturing lambda.
using ItemFlow = std::function<Task<void>(std::size_t)>;

namespace detail {

struct Lanes {
  explicit Lanes(Executor& executor) : done(executor) {}
  std::size_t count = 0;
  std::size_t next = 0;
  std::size_t running = 0;
  ItemFlow flow;
  Event done;
};

inline Task<void> run_lane(Lanes& lanes) {
  while (lanes.next < lanes.count) co_await lanes.flow(lanes.next++);
  if (--lanes.running == 0) lanes.done.set();
}

}  // namespace detail

// Items 0 to count-1, in this order, at most `width` at once; returns when all have ended.
inline Task<void> in_parallel(Executor& executor, std::size_t count, std::size_t width, ItemFlow flow) {
  if (count == 0) co_return;
  detail::Lanes lanes(executor);
  lanes.count = count;
  lanes.running = std::max<std::size_t>(std::min(count, width), 1);
  lanes.flow = std::move(flow);
  TaskScope scope;
  for (std::size_t lane = lanes.running; lane > 0; --lane) scope.spawn(detail::run_lane(lanes));
  co_await lanes.done.wait();  // resumed by a post: the last lane has ended by then
}

}  // namespace zef
