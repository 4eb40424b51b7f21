#include "cli/bench_load.h"

#include <gtest/gtest.h>

#include "base/parallel.h"
#include "base/testing/manual_executor.h"

namespace zef::cli {
namespace {

using namespace std::chrono_literals;

TEST(Latencies, are_zero_without_any) { EXPECT_EQ(Latencies().quantile(0.5), Duration::zero()); }

TEST(Latencies, take_the_nearest_rank) {
  Latencies latencies;
  for (int i = 100; i >= 1; --i) latencies.add(std::chrono::milliseconds(i));
  EXPECT_EQ(latencies.quantile(0.5), 50ms);
  EXPECT_EQ(latencies.quantile(0.99), 99ms);
  EXPECT_EQ(latencies.quantile(1), 100ms);
  EXPECT_EQ(latencies.quantile(0.0001), 1ms);
}

struct Count {
  Executor& executor;
  std::size_t running = 0;
  std::size_t most = 0;
  std::vector<std::size_t> ended{};
};
Task<void> count_one(Count& count, std::size_t i) {
  count.most = std::max(count.most, ++count.running);
  co_await sleep_for(count.executor, 1ms * static_cast<int>(i % 3));
  --count.running;
  count.ended.push_back(i);
}
Task<bool> count_all(Count& count, std::size_t items, std::size_t width) {
  co_await in_parallel(count.executor, items, width, [&count](std::size_t i) { return count_one(count, i); });
  co_return true;
}

TEST(InParallel, runs_each_item_once_and_never_too_many) {
  zef::testing::ManualExecutor executor;
  Count count{executor};
  EXPECT_TRUE(executor.run_until(count_all(count, 20, 4)));
  EXPECT_EQ(count.most, 4U);
  std::ranges::sort(count.ended);
  ASSERT_EQ(count.ended.size(), 20U);
  for (std::size_t i = 0; i < 20; ++i) EXPECT_EQ(count.ended[i], i);
}

TEST(InParallel, ends_at_once_without_items) {
  zef::testing::ManualExecutor executor;
  Count count{executor};
  EXPECT_TRUE(executor.run_until(count_all(count, 0, 4)));
  EXPECT_EQ(count.most, 0U);
}

}  // namespace
}  // namespace zef::cli
