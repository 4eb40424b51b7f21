#include "base/testing/manual_executor.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "base/testing/seeded_rng.h"

namespace zef::testing {
namespace {

using std::chrono::milliseconds;

TEST(ManualExecutor, fires_timers_in_the_order_of_their_times) {
  ManualExecutor executor;
  std::vector<int> order;
  executor.after(milliseconds(20), [&] { order.push_back(2); });
  executor.after(milliseconds(10), [&] { order.push_back(1); });
  executor.after(milliseconds(20), [&] { order.push_back(3); });
  executor.advance(milliseconds(15));
  EXPECT_EQ(order, std::vector<int>{1});
  executor.advance(milliseconds(5));
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

TEST(ManualExecutor, advance_stops_at_timers_that_timers_start) {
  ManualExecutor executor;
  MonotonicTime seen{};
  executor.after(milliseconds(10), [&] { executor.after(milliseconds(10), [&] { seen = executor.now(); }); });
  executor.advance(milliseconds(100));
  EXPECT_EQ(seen.time_since_epoch(), milliseconds(20));
  EXPECT_EQ(executor.now().time_since_epoch(), milliseconds(100));
}

TEST(ManualExecutor, forgets_cancelled_timers) {
  ManualExecutor executor;
  bool fired = false;
  const TimerId timer = executor.after(milliseconds(1), [&] { fired = true; });
  executor.cancel(timer);
  executor.cancel(timer);
  executor.advance(milliseconds(5));
  EXPECT_FALSE(fired);
  EXPECT_EQ(executor.pending_timers(), 0U);
}

Task<int> from_another_thread(Executor& executor, std::thread& thread) {
  co_return co_await from_callback<int>([&executor, &thread](auto done) {
    thread = std::thread([&executor, done = std::move(done)]() mutable {
      executor.post([done = std::move(done)]() mutable { done(7); });
    });
  });
}

TEST(ManualExecutor, run_until_waits_for_posts_of_other_threads) {
  ManualExecutor executor;
  std::thread thread;
  EXPECT_EQ(executor.run_until(from_another_thread(executor, thread)), 7);
  thread.join();
}

TEST(ManualExecutor, run_until_lets_virtual_time_pass) {
  ManualExecutor executor;
  executor.run_until(sleep_for(executor, std::chrono::hours(24)));
  EXPECT_EQ(executor.now().time_since_epoch(), std::chrono::hours(24));
}

TEST(SeededRng, the_same_seed_gives_the_same_bytes) {
  SeededRng one(5);
  SeededRng same(5);
  SeededRng other(6);
  EXPECT_EQ(one.next_u64(), same.next_u64());
  EXPECT_NE(one.next_u64(), other.next_u64());
}

}  // namespace
}  // namespace zef::testing
