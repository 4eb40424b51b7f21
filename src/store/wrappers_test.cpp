// The memory store's own promises, metering, faults, prefixes, and URLs.

#include <gtest/gtest.h>

#include <future>
#include <memory>

#include "base/testing/manual_executor.h"
#include "base/testing/seeded_rng.h"
#include "base/testing/temp_folder.h"
#include "store/errors.h"
#include "store/faulty_store.h"
#include "store/memory_store.h"
#include "store/metered_store.h"
#include "store/open_store.h"
#include "store/prefixed_store.h"

namespace zef::store {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ManualExecutor;
using testing::SeededRng;

Content text(std::string_view s) { return content(to_bytes(s)); }

TEST(MemoryStore, handles_of_one_state_are_one_bucket) {
  const auto state = std::make_shared<MemoryState>();
  std::vector<std::future<bool>> writers;
  for (int i = 0; i < 32; ++i)
    writers.push_back(std::async(std::launch::async, [&state] {
      ManualExecutor executor;
      const auto store = make_memory_store(executor, state);
      return std::holds_alternative<Created>(executor.run_until(store->put_if_absent("key", text("x"))).value());
    }));
  int winners = 0;
  for (auto& writer : writers) winners += writer.get() ? 1 : 0;
  EXPECT_EQ(winners, 1);
  EXPECT_EQ(state->object_count(), 1U);
  EXPECT_EQ(state->byte_count(), 1U);
}

TEST(MemoryStore, a_request_that_is_never_awaited_has_no_effect) {
  ManualExecutor executor;
  const auto state = std::make_shared<MemoryState>();
  const auto store = make_memory_store(executor, state);
  {
    const auto forgotten = store->put_if_absent("key", text("x"));
  }
  EXPECT_EQ(state->object_count(), 0U);
}

Task<void> write_one(ObjectStore& store, bool& answered) {
  (void)co_await store.put_if_absent("key", text("x"));
  answered = true;
}

TEST(MemoryStore, answers_on_a_later_turn_unless_immediate) {
  ManualExecutor executor;
  const auto state = std::make_shared<MemoryState>();
  const auto later = make_memory_store(executor, state);
  const auto at_once = make_memory_store(executor, state, {.immediate = true});
  TaskScope scope;
  bool answered = false;
  scope.spawn(write_one(*later, answered));
  EXPECT_EQ(state->object_count(), 1U);
  EXPECT_FALSE(answered);
  executor.run_until_idle();
  EXPECT_TRUE(answered);
  answered = false;
  scope.spawn(write_one(*at_once, answered));
  EXPECT_TRUE(answered);
}

TEST(MemoryStore, drops_answers_when_it_goes) {
  ManualExecutor executor;
  auto store = make_memory_store(executor);
  TaskScope scope;
  bool answered = false;
  scope.spawn(write_one(*store, answered));
  store.reset();
  executor.run_until_idle();
  EXPECT_FALSE(answered);
}

TEST(MeteredStore, counts_by_class_with_failures) {
  ManualExecutor executor;
  SeededRng rng(1);
  FaultyStore faulty(make_memory_store(executor), executor, rng,
                     FaultPlan{.delay_min = milliseconds(10), .delay_max = milliseconds(10)});
  MeteredStore store(faulty, executor);
  const auto created = executor.run_until(store.put_if_absent("key", text("12345"))).value();
  const Tag tag = std::get<Created>(created).tag;
  (void)executor.run_until(store.put_if_absent("key", text("12345")));
  (void)executor.run_until(store.put_if_match("key", text("1234567"), tag));
  (void)executor.run_until(store.put_if_match("key", text("1"), tag));
  (void)executor.run_until(store.get("key"));
  (void)executor.run_until(store.get("absent"));
  (void)executor.run_until(store.list("", "", 10));
  faulty.fail_all(StoreError{StoreErrorKind::throttled, "slow down"});
  (void)executor.run_until(store.del("key"));
  faulty.fail_all(StoreError{StoreErrorKind::ambiguous, "no answer"});
  (void)executor.run_until(store.put_if_absent("other", text("123")));

  const StoreMetrics& m = store.metrics();
  EXPECT_EQ(m.put.requests, 5U);
  EXPECT_EQ(m.put.refused, 2U);
  EXPECT_EQ(m.put.failures, 1U);
  EXPECT_EQ(m.put.ambiguous, 1U);
  EXPECT_EQ(m.get.requests, 2U);
  EXPECT_EQ(m.get.failures, 0U);
  EXPECT_EQ(m.del.throttled, 1U);
  EXPECT_EQ(m.list.requests, 1U);
  EXPECT_EQ(m.bytes_written, 5U + 5 + 7 + 1 + 3);
  EXPECT_EQ(m.bytes_read, 7U);
  EXPECT_EQ(m.put.latency.count(), 5U);
  EXPECT_EQ(m.put.latency.total(), milliseconds(50));
  EXPECT_EQ(m.put.latency.max(), milliseconds(10));
}

TEST(LatencySummary, quantiles_are_upper_bounds_within_a_factor_of_two) {
  LatencySummary summary;
  EXPECT_EQ(summary.quantile(0.5), Duration::zero());
  for (int i = 1; i <= 1000; ++i) summary.add(std::chrono::microseconds(i));
  for (const double q : {0.01, 0.5, 0.9, 0.99, 1.0}) {
    EXPECT_GE(summary.quantile(q), std::chrono::microseconds(static_cast<int>(q * 1000)));
    EXPECT_LE(summary.quantile(q), std::chrono::microseconds(static_cast<int>(q * 2000)));
  }
  EXPECT_EQ(summary.quantile(1.0), std::chrono::microseconds(1000));
  summary.add(std::chrono::hours(10));
  EXPECT_EQ(summary.quantile(1.0), std::chrono::hours(10));
}

TEST(FaultyStore, loses_requests_and_answers) {
  ManualExecutor executor;
  SeededRng rng(1);
  const auto state = std::make_shared<MemoryState>();
  FaultyStore store(make_memory_store(executor, state), executor, rng);
  const auto kind = [&](FaultPlan plan, std::string key) {
    store.set_plan(plan);
    return executor.run_until(store.put_if_absent(std::move(key), text("x"))).error().kind;
  };
  EXPECT_EQ(kind({.lost_before = 1000}, "a"), StoreErrorKind::ambiguous);
  EXPECT_EQ(kind({.throttled = 1000}, "a"), StoreErrorKind::throttled);
  EXPECT_EQ(kind({.unavailable = 1000}, "a"), StoreErrorKind::unavailable);
  EXPECT_EQ(state->object_count(), 0U);
  EXPECT_EQ(kind({.lost_after = 1000}, "a"), StoreErrorKind::ambiguous);
  EXPECT_EQ(state->object_count(), 1U);
  EXPECT_EQ(store.faults(), 4U);
}

TEST(FaultyStore, applies_late_writes_after_the_error) {
  ManualExecutor executor;
  SeededRng rng(1);
  const auto state = std::make_shared<MemoryState>();
  auto store = std::make_unique<FaultyStore>(make_memory_store(executor, state), executor, rng,
                                             FaultPlan{.late = 1000, .late_min = seconds(5), .late_max = seconds(5)});
  EXPECT_EQ(executor.run_until(store->put_if_absent("a", text("x"))).error().kind, StoreErrorKind::ambiguous);
  EXPECT_EQ(state->object_count(), 0U);
  EXPECT_EQ(store->late_writes(), 1U);
  executor.advance(seconds(5));
  EXPECT_EQ(state->object_count(), 1U);
  EXPECT_EQ(store->late_writes(), 0U);
  (void)executor.run_until(store->put_if_absent("b", text("x")));
  store.reset();
  executor.advance(seconds(5));
  EXPECT_EQ(state->object_count(), 1U);
}

TEST(FaultyStore, flips_one_bit_of_a_read) {
  ManualExecutor executor;
  SeededRng rng(1);
  FaultyStore store(make_memory_store(executor), executor, rng, FaultPlan{.damaged_read = 1000});
  ASSERT_TRUE(executor.run_until(store.put_if_absent("a", content(Bytes(100, 0)))).has_value());
  const Bytes read = executor.run_until(store.get("a")).value()->bytes;
  int bits = 0;
  for (const std::uint8_t byte : read) bits += std::popcount(byte);
  EXPECT_EQ(bits, 1);
}

TEST(PrefixedStore, parts_do_not_see_each_other) {
  ManualExecutor executor;
  const auto state = std::make_shared<MemoryState>();
  PrefixedStore one(make_memory_store(executor, state), "one/");
  PrefixedStore two(make_memory_store(executor, state), "two/");
  ASSERT_TRUE(executor.run_until(one.put_if_absent("a/b", text("1"))).has_value());
  EXPECT_FALSE(executor.run_until(two.get("a/b")).value().has_value());
  EXPECT_TRUE(executor.run_until(two.list("", "", 10)).value().empty());
  EXPECT_EQ(executor.run_until(one.list("a", "", 10)).value(), std::vector<std::string>{"a/b"});
  EXPECT_EQ(state->list("", "", 10).value(), std::vector<std::string>{"one/a/b"});
  EXPECT_EQ(executor.run_until(one.get("")).error().kind, StoreErrorKind::invalid);
}

TEST(OpenStore, opens_files_and_memory) {
  const testing::TempFolder folder;
  ManualExecutor executor;
  const auto file = open_store(executor, "file://" + (folder / "bucket"));
  ASSERT_TRUE(file.has_value()) << file.error().message;
  ASSERT_TRUE(executor.run_until((*file)->put_if_absent("a", text("x"))).has_value());
  EXPECT_TRUE(std::filesystem::exists(folder / "bucket/a"));
  OpenOptions options;
  options.memory = std::make_shared<MemoryState>();
  const auto memory = open_store(executor, "memory:", options);
  ASSERT_TRUE(executor.run_until((*memory)->put_if_absent("a", text("x"))).has_value());
  EXPECT_EQ(options.memory->object_count(), 1U);
}

TEST(OpenStore, says_what_is_wrong_with_a_url) {
  ManualExecutor executor;
  const auto said = [&](std::string_view url) {
    const auto store = open_store(executor, url);
    EXPECT_FALSE(store.has_value()) << url;
    EXPECT_EQ(store.error().kind, ErrorKind::invalid_input);
    return store.error().message;
  };
  EXPECT_EQ(said("file://relative"),
            "store \"file://relative\": use an absolute path with three slashes, as in file:///var/lib/zef");
  EXPECT_TRUE(said("s3://bucket/prefix?speed=high").contains("no setting \"speed\""));
  EXPECT_TRUE(said("azure://c/p").contains("account="));
  EXPECT_TRUE(said("gcs://key:secret@bucket").contains("credentials never stand in a URL"));
  for (const std::string_view url : {"", "/var/lib/zef", "http://x", "memory", "file:", "file:/x", "file:///a?b"})
    EXPECT_NE(said(url).find("use "), std::string::npos) << url << said(url);
}

TEST(OpenStore, parts_keep_the_settings) {
  EXPECT_EQ(part_of_store("file:///base", "one"), "file:///base/one");
  EXPECT_EQ(part_of_store("file:///base/", "one"), "file:///base/one");
  EXPECT_EQ(part_of_store("s3://bucket?region=x", "one"), "s3://bucket/one?region=x");
  EXPECT_EQ(part_of_store("s3://bucket/a/?region=x&ca=/y", "one"), "s3://bucket/a/one?region=x&ca=/y");
}

TEST(Errors, keep_their_message_for_the_rooms_above) {
  EXPECT_EQ(to_error({StoreErrorKind::denied, "full"}).kind, ErrorKind::io);
  EXPECT_EQ(to_error({StoreErrorKind::ambiguous, "?"}).kind, ErrorKind::unavailable);
  EXPECT_EQ(to_error({StoreErrorKind::corrupt, "bad"}).message, "bad");
  EXPECT_EQ(name_of(StoreErrorKind::throttled), "throttled");
}

}  // namespace
}  // namespace zef::store
