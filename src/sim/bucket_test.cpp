#include "sim/bucket.h"

#include <gtest/gtest.h>

namespace zef::sim {
namespace {

Task<void> put(store::ObjectStore& store, std::optional<store::StoreResult<store::PutIfAbsent>>& outcome) {
  outcome = co_await store.put_if_absent("key", store::content(to_bytes("bytes")));
}

bool there(Bucket& bucket) { return bucket.state().get("key", std::nullopt)->has_value(); }

TEST(Bucket, a_late_write_is_ambiguous_and_lands_although_its_process_is_gone) {
  Schedule schedule;
  Bucket bucket(schedule, SimRng(1));
  bucket.set_weather({.late = 1'000'000});
  SimExecutor& process = schedule.make_process();
  std::optional<store::StoreResult<store::PutIfAbsent>> outcome;
  {
    const auto store = bucket.open(process);
    TaskScope scope;
    scope.spawn(put(*store, outcome));
    ASSERT_TRUE(schedule.run_until([&] { return outcome.has_value(); }, std::chrono::seconds(1)));
    ASSERT_FALSE(outcome->has_value());
    EXPECT_EQ(outcome->error().kind, store::StoreErrorKind::ambiguous);
    process.kill();
  }
  EXPECT_FALSE(there(bucket));
  schedule.run_until([&] { return there(bucket); }, std::chrono::seconds(20));
  EXPECT_TRUE(there(bucket));
}

TEST(Bucket, a_request_on_its_way_takes_effect_without_its_process) {
  Schedule schedule;
  Bucket bucket(schedule, SimRng(1));
  SimExecutor& process = schedule.make_process();
  std::optional<store::StoreResult<store::PutIfAbsent>> outcome;
  {
    const auto store = bucket.open(process);
    TaskScope scope;
    scope.spawn(put(*store, outcome));
    process.kill();
  }
  while (schedule.step()) {
  }
  EXPECT_TRUE(there(bucket));
  EXPECT_FALSE(outcome.has_value());
}

TEST(Bucket, lost_requests_have_happened_or_not) {
  for (const bool after : {false, true}) {
    Schedule schedule;
    Bucket bucket(schedule, SimRng(1));
    bucket.set_weather(after ? BucketWeather{.lost_after = 1'000'000} : BucketWeather{.lost_before = 1'000'000});
    SimExecutor& process = schedule.make_process();
    const auto store = bucket.open(process);
    std::optional<store::StoreResult<store::PutIfAbsent>> outcome;
    TaskScope scope;
    scope.spawn(put(*store, outcome));
    while (schedule.step()) {
    }
    ASSERT_TRUE(outcome && !*outcome);
    EXPECT_EQ(there(bucket), after);
  }
}

}  // namespace
}  // namespace zef::sim
