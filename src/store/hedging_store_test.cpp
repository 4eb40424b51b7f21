#include "store/hedging_store.h"

#include <gtest/gtest.h>

#include "base/testing/manual_executor.h"
#include "store/memory_store.h"

namespace zef::store {
namespace {

using namespace std::chrono_literals;

// A store whose next reads take the times that a test says.
class SlowReads final : public ObjectStore {
 public:
  SlowReads(Executor& executor, std::unique_ptr<ObjectStore> inner) : executor_(executor), inner_(std::move(inner)) {}

  Task<StoreResult<PutIfAbsent>> put_if_absent(std::string key, Content bytes) override {
    return inner_->put_if_absent(std::move(key), std::move(bytes));
  }
  Task<StoreResult<PutIfMatch>> put_if_match(std::string key, Content bytes, Tag tag) override {
    return inner_->put_if_match(std::move(key), std::move(bytes), std::move(tag));
  }
  Task<StoreResult<std::optional<Object>>> get(std::string key, std::optional<Range> range) override {
    ++reads;
    Duration delay = 10ms;
    if (!delays.empty()) {
      delay = delays.front();
      delays.erase(delays.begin());
    }
    co_await sleep_for(executor_, delay);
    if (failing) co_return std::unexpected(StoreError{StoreErrorKind::unavailable, "down"});
    co_return co_await inner_->get(std::move(key), range);
  }
  Task<StoreResult<std::monostate>> del(std::string key) override { return inner_->del(std::move(key)); }
  Task<StoreResult<std::vector<std::string>>> list(std::string prefix, std::string start_after,
                                                   std::size_t limit) override {
    return inner_->list(std::move(prefix), std::move(start_after), limit);
  }

  std::vector<Duration> delays;
  int reads = 0;
  bool failing = false;

 private:
  Executor& executor_;
  std::unique_ptr<ObjectStore> inner_;
};

class Hedging : public ::testing::Test {
 protected:
  Duration read() {
    const MonotonicTime start = executor_.now();
    outcome_ = executor_.run_until(store_.get("key"));
    return executor_.now() - start;
  }
  void learn() {
    for (std::size_t i = 0; i < HedgingStore::window; ++i) read();
  }

  zef::testing::ManualExecutor executor_;
  SlowReads slow_{executor_, make_memory_store(executor_)};
  HedgingStore store_{slow_, executor_};
  StoreResult<std::optional<Object>> outcome_;
};

TEST_F(Hedging, a_slow_read_is_answered_by_a_second_one) {
  learn();
  slow_.delays = {5s};
  EXPECT_EQ(read(), 20ms);
  EXPECT_TRUE(outcome_.has_value());
  EXPECT_EQ(store_.metrics().second_reads, 1U);
  EXPECT_EQ(store_.metrics().second_was_first, 1U);
}

TEST_F(Hedging, the_first_counts_when_it_is_earlier_after_all) {
  learn();
  slow_.delays = {15ms, 1s};
  EXPECT_EQ(read(), 15ms);
  EXPECT_EQ(store_.metrics().second_was_first, 0U);
}

TEST_F(Hedging, nothing_is_hedged_before_latencies_are_known) {
  slow_.delays = {5s};
  EXPECT_EQ(read(), 5s);
  EXPECT_EQ(store_.metrics().second_reads, 0U);
}

TEST_F(Hedging, a_store_that_is_slow_for_everybody_sees_little_more) {
  learn();
  const int before = slow_.reads;
  for (int i = 0; i < 100; ++i) {
    slow_.delays = {100ms, 100ms};
    read();
    slow_.delays.clear();
  }
  EXPECT_LE(slow_.reads - before, 100 + 12);
}

TEST_F(Hedging, an_error_waits_for_the_other_read) {
  learn();
  slow_.delays = {30ms, 200ms};
  slow_.failing = true;
  EXPECT_EQ(read(), 210ms);
  EXPECT_FALSE(outcome_.has_value());
}

}  // namespace
}  // namespace zef::store
