#include "controller/controller.h"

#include <gtest/gtest.h>

#include "base/testing/manual_executor.h"
#include "base/testing/seeded_rng.h"
#include "controller/testing/fake_cluster.h"
#include "store/memory_store.h"

namespace zef::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::FakeCluster;
using zef::testing::ManualExecutor;
using zef::testing::SeededRng;

ControllerOptions options_of(std::string name) {
  ControllerOptions options;
  options.law.max = 16;
  options.lease.name = std::move(name);
  return options;
}

class ControllerTest : public ::testing::Test {
 protected:
  ManualExecutor executor;
  std::shared_ptr<store::MemoryState> bucket = std::make_shared<store::MemoryState>();
  std::unique_ptr<store::ObjectStore> store = store::make_memory_store(executor, bucket);
  SeededRng rng{1};
  FakeCluster cluster{executor};
  Controller controller{executor, rng, *store, cluster, cluster, options_of("first")};

  // Until something holds; how long that took.
  template <class Holds>
  Duration time_until(Holds holds, Duration limit = minutes(10)) {
    const MonotonicTime begin = executor.now();
    while (!holds()) {
      EXPECT_LT(executor.now() - begin, limit);
      if (executor.now() - begin >= limit) break;
      executor.advance(milliseconds(100));
    }
    return executor.now() - begin;
  }
  [[nodiscard]] double load_share(int ordinal) {
    return static_cast<double>(cluster.shards_of(cluster.worker_of(ordinal)->id)) / FakeCluster::shard_count;
  }
};

TEST_F(ControllerTest, leaves_a_healthy_validator_alone) {
  cluster.begin(3);
  cluster.set_load(2.0);
  controller.start();
  executor.advance(minutes(9));
  EXPECT_TRUE(controller.status().leads);
  EXPECT_EQ(controller.status().leader, "first");
  EXPECT_EQ(controller.status().because, "as it should be");
  EXPECT_EQ(cluster.count(), 3);
  EXPECT_EQ(cluster.moves_done, 0);
  EXPECT_EQ(cluster.refused, 0);
}

TEST_F(ControllerTest, shards_of_a_killed_worker_have_owners_within_five_seconds) {
  cluster.begin(3);
  cluster.set_load(2.0);
  controller.start();
  executor.advance(seconds(10));
  cluster.kill(1);
  EXPECT_FALSE(cluster.all_owned_by_living());
  EXPECT_LE(time_until([this] { return cluster.all_owned_by_living(); }), seconds(5));
  executor.advance(minutes(1));
  EXPECT_TRUE(controller.status().suspects.empty());
  EXPECT_EQ(controller.status().orphans, 0U);
  EXPECT_GT(load_share(1), 0.2);  // the one that came in its place has its share
  EXPECT_EQ(cluster.count(), 3);
}

TEST_F(ControllerTest, a_worker_that_died_before_the_controller_began_is_rescued_too) {
  cluster.begin(3);
  cluster.kill(2);
  controller.start();
  EXPECT_LE(time_until([this] { return cluster.all_owned_by_living(); }), seconds(6));
}

TEST_F(ControllerTest, all_workers_but_one_may_die_at_once) {
  cluster.begin(4);
  controller.start();
  executor.advance(seconds(10));
  for (const int ordinal : {0, 1, 3}) cluster.kill(ordinal);
  EXPECT_LE(time_until([this] { return cluster.all_owned_by_living(); }), seconds(5));
}

TEST_F(ControllerTest, when_all_die_those_that_start_next_take_over) {
  cluster.begin(3);
  controller.start();
  executor.advance(seconds(10));
  for (const int ordinal : {0, 1, 2}) cluster.kill(ordinal);
  EXPECT_LE(time_until([this] { return cluster.all_owned_by_living(); }), seconds(8));
}

TEST_F(ControllerTest, a_rescuer_that_dies_is_followed_by_another) {
  cluster.begin(3);
  controller.start();
  executor.advance(seconds(10));
  cluster.kill(0);
  time_until([this] { return controller.status().orphans != 0; });
  cluster.kill(1);
  EXPECT_LE(time_until([this] { return cluster.all_owned_by_living(); }), seconds(8));
}

TEST_F(ControllerTest, shards_of_nobody_get_owners) {
  cluster.begin(2);
  const_cast<ShardOwners&>(cluster.shard_owners())[5] = WorkerId{};
  controller.start();
  EXPECT_LE(time_until([this] { return cluster.all_owned_by_living(); }), seconds(2));
}

TEST_F(ControllerTest, follows_eight_times_the_load_up_and_down_again) {
  cluster.begin(1);
  cluster.set_load(1.0);
  controller.start();
  executor.advance(minutes(2));
  EXPECT_EQ(cluster.count(), 1);
  cluster.set_load(8.0);
  // 15 s until the law believes it, then 30 s between steps: 1, 2, 4, 7.
  EXPECT_LE(time_until([this] { return cluster.count() == 7; }), minutes(2));
  time_until([this] { return controller.status().moves.empty() && load_share(6) > 0.09; });
  for (int i = 0; i < 7; ++i) EXPECT_LE(load_share(i), 1.25 / 7 + 0.02);
  EXPECT_LE(cluster.most_moves_at_once, 2);
  executor.advance(minutes(5));
  EXPECT_EQ(cluster.count(), 7);

  cluster.set_load(0.5);
  EXPECT_LE(time_until([this] { return cluster.count() == 1; }, minutes(60)), minutes(40));
  executor.advance(minutes(5));
  EXPECT_EQ(cluster.count(), 1);
  EXPECT_EQ(cluster.retired, 6);
  EXPECT_FALSE(cluster.lost);
  EXPECT_TRUE(cluster.all_owned_by_living());
  EXPECT_EQ(cluster.refused, 0);
}

TEST_F(ControllerTest, the_first_new_worker_serves_soon_after_it_is_wanted) {
  cluster.begin(1);
  cluster.set_load(1.9);
  controller.start();
  time_until([this] { return cluster.count() == 2; });
  EXPECT_LE(time_until([this] { return load_share(1) > 0; }), cluster.start_time + seconds(3));
}

TEST_F(ControllerTest, a_worker_that_drains_by_itself_keeps_its_place) {
  cluster.begin(3);
  cluster.set_load(3.5);
  controller.start();
  executor.advance(seconds(10));
  cluster.worker_of(1)->retiring = true;  // not the last one: its process ends by itself and comes back
  time_until([this] { return load_share(1) == 0; });
  executor.advance(minutes(5));
  EXPECT_EQ(cluster.count(), 3);
  EXPECT_EQ(cluster.retired, 0);
}

TEST_F(ControllerTest, growing_keeps_a_worker_that_was_about_to_leave) {
  cluster.begin(2);
  cluster.set_load(0.1);
  controller.start();
  time_until([this] { return cluster.worker_of(1)->retiring; }, minutes(20));
  cluster.move_time = seconds(2);
  cluster.set_load(3.9);
  time_until([this] { return cluster.count() == 4; });
  EXPECT_FALSE(cluster.worker_of(1)->retiring);
  EXPECT_EQ(cluster.retired, 0);
}

TEST_F(ControllerTest, a_driver_that_does_not_answer_stops_nothing_else) {
  cluster.begin(2);
  cluster.driver_answers = false;
  controller.start();
  executor.advance(seconds(10));
  cluster.kill(0);
  EXPECT_LE(time_until([this] { return cluster.all_owned_by_living(); }), seconds(5));
}

TEST_F(ControllerTest, another_process_leads_when_the_first_is_gone) {
  cluster.begin(3);
  auto first = std::make_unique<Controller>(executor, rng, *store, cluster, cluster, options_of("one"));
  first->start();
  executor.advance(seconds(2));
  controller.start();
  executor.advance(seconds(10));
  EXPECT_FALSE(controller.status().leads);
  EXPECT_EQ(controller.status().leader, "one");
  first.reset();
  cluster.kill(0);
  EXPECT_LE(time_until([this] { return cluster.all_owned_by_living(); }), seconds(8));
  EXPECT_TRUE(controller.status().leads);
}

TEST_F(ControllerTest, one_that_stops_hands_over_at_once) {
  cluster.begin(2);
  controller.start();
  executor.advance(seconds(2));
  Controller second(executor, rng, *store, cluster, cluster, options_of("second"));
  second.start();
  executor.advance(seconds(2));
  executor.run_until(controller.stop());
  EXPECT_LE(time_until([&] { return second.status().leads; }), seconds(2));
}

// The leases are in two stores, so both are held: nothing worse happens than commands that are refused.
TEST_F(ControllerTest, two_that_lead_at_once_are_harmless) {
  const auto elsewhere = store::make_memory_store(executor);
  Controller second(executor, rng, *elsewhere, cluster, cluster, options_of("second"));
  cluster.begin(4);
  cluster.set_load(4.0);
  controller.start();
  executor.advance(milliseconds(170));
  second.start();
  executor.advance(seconds(20));
  EXPECT_TRUE(controller.status().leads && second.status().leads);
  cluster.kill(2);
  EXPECT_LE(time_until([this] { return cluster.all_owned_by_living(); }), seconds(6));
  cluster.set_load(12.0);
  time_until([this] { return cluster.count() >= 10; });
  executor.advance(minutes(3));
  EXPECT_EQ(cluster.count(), 10);
  cluster.set_load(0.5);
  time_until([this] { return cluster.count() == 1; }, minutes(120));
  executor.advance(minutes(5));
  EXPECT_EQ(cluster.count(), 1);
  EXPECT_FALSE(cluster.lost);
  EXPECT_TRUE(cluster.all_owned_by_living());
}

// Whatever dies, at whatever moment.
TEST_F(ControllerTest, every_shard_finds_an_owner_after_random_deaths) {
  cluster.begin(5);
  cluster.set_load(5.0);
  controller.start();
  SeededRng deaths(7);
  for (int round = 0; round < 100; ++round) {
    executor.advance(milliseconds(100 + deaths.below(8000)));
    const int ordinal = static_cast<int>(deaths.below(static_cast<std::uint64_t>(cluster.count())));
    if (deaths.below(3) == 0)
      cluster.worker_of(ordinal)->stopped = !cluster.worker_of(ordinal)->stopped;
    else
      cluster.kill(ordinal);
  }
  for (int i = 0; i < cluster.count(); ++i) cluster.worker_of(i)->stopped = false;
  time_until([this] { return cluster.all_owned_by_living(); }, seconds(20));
  executor.advance(minutes(2));
  EXPECT_TRUE(cluster.all_owned_by_living());
  EXPECT_EQ(controller.status().orphans, 0U);
  EXPECT_FALSE(cluster.lost);
}

}  // namespace
}  // namespace zef::controller
