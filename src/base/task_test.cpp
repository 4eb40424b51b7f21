#include "base/task.h"

#include <gtest/gtest.h>

#include <string>

#include "base/testing/manual_executor.h"

namespace zef {
namespace {

using testing::ManualExecutor;

Task<int> forty_two() { co_return 42; }
Task<std::string> decimal() { co_return std::to_string(co_await forty_two()); }
Task<> store_into(std::string& out) { out = co_await decimal(); }
Task<> set_after(Executor& executor, Duration delay, int& out) {
  co_await sleep_for(executor, delay);
  ++out;
}
Task<> wait_into(Event& event, Duration limit, int& out) { out = co_await event.wait_for(limit) ? 1 : 2; }

TEST(Task, awaits_through_several_levels) {
  TaskScope scope;
  std::string out;
  scope.spawn(store_into(out));
  EXPECT_EQ(out, "42");
  EXPECT_EQ(scope.running(), 0U);
}

TEST(Task, resumes_when_its_time_has_come) {
  ManualExecutor executor;
  TaskScope scope;
  int fired = 0;
  scope.spawn(set_after(executor, std::chrono::seconds(1), fired));
  executor.advance(std::chrono::milliseconds(999));
  EXPECT_EQ(fired, 0);
  executor.advance(std::chrono::milliseconds(1));
  EXPECT_EQ(fired, 1);
  EXPECT_EQ(scope.running(), 0U);
}

TEST(Task, a_dropped_scope_is_not_resumed_by_late_callbacks) {
  ManualExecutor executor;
  int fired = 0;
  {
    TaskScope scope;
    scope.spawn(set_after(executor, std::chrono::seconds(1), fired));
  }
  executor.advance(std::chrono::seconds(2));
  EXPECT_EQ(fired, 0);
}

TEST(Event, tells_whether_it_was_set_in_time) {
  ManualExecutor executor;
  TaskScope scope;
  Event event(executor);
  int early = 0;
  int late = 0;
  scope.spawn(wait_into(event, std::chrono::seconds(1), late));
  executor.advance(std::chrono::seconds(1));
  EXPECT_EQ(late, 2);
  scope.spawn(wait_into(event, std::chrono::seconds(1), early));
  event.set();
  executor.run();
  EXPECT_EQ(early, 1);
  executor.advance(std::chrono::seconds(5));
  EXPECT_EQ(early, 1);
}

}  // namespace
}  // namespace zef
