#include "controller/lease.h"

#include <gtest/gtest.h>

#include "base/testing/manual_executor.h"
#include "base/testing/seeded_rng.h"
#include "store/memory_store.h"

namespace zef::controller {
namespace {

using std::chrono::seconds;
using zef::testing::ManualExecutor;
using zef::testing::SeededRng;

class LeaseTest : public ::testing::Test {
 protected:
  ManualExecutor executor;
  std::shared_ptr<store::MemoryState> bucket = std::make_shared<store::MemoryState>();
  std::unique_ptr<store::ObjectStore> store = store::make_memory_store(executor, bucket);
  SeededRng rng{1};
  Lease first{executor, rng, *store, {.name = "first"}};
  Lease second{executor, rng, *store, {.name = "second"}};

  void tick(Lease& lease) { executor.run_until(lease.tick()); }
};

TEST_F(LeaseTest, the_first_who_comes_holds_it_as_long_as_it_writes) {
  for (int i = 0; i < 60; ++i) {
    tick(first);
    tick(second);
    EXPECT_TRUE(first.held());
    EXPECT_FALSE(second.held());
    executor.advance(seconds(1));
  }
  EXPECT_EQ(second.holder_name(), "first");
}

TEST_F(LeaseTest, a_lease_that_stands_still_is_taken_after_its_holder_has_stopped_believing) {
  tick(first);
  tick(second);
  int waited = 0;
  while (!second.held()) {
    executor.advance(seconds(1));
    ++waited;
    tick(second);
    EXPECT_FALSE(first.held() && second.held());
    ASSERT_LE(waited, 10);
  }
  EXPECT_EQ(waited, 5);
  tick(first);  // it wakes up
  EXPECT_FALSE(first.held());
  EXPECT_TRUE(second.held());
}

TEST_F(LeaseTest, one_who_has_just_come_watches_for_as_long_as_anybody) {
  tick(first);
  executor.advance(seconds(100));  // nobody knows for how long it stood still
  tick(second);
  EXPECT_FALSE(second.held());
  executor.advance(seconds(5));
  tick(second);
  EXPECT_TRUE(second.held());
}

TEST_F(LeaseTest, a_jump_of_the_wall_clock_changes_nothing) {
  tick(first);
  tick(second);
  executor.jump_wall(std::chrono::hours(1000));
  tick(second);
  EXPECT_FALSE(second.held());
  EXPECT_TRUE(first.held());
}

TEST_F(LeaseTest, a_lease_given_up_is_free_at_once) {
  tick(first);
  executor.run_until(first.give_up());
  EXPECT_FALSE(first.held());
  tick(second);
  EXPECT_TRUE(second.held());
  tick(first);
  EXPECT_FALSE(first.held());
}

TEST_F(LeaseTest, giving_up_what_another_holds_takes_nothing_from_it) {
  tick(first);
  tick(second);
  executor.advance(seconds(5));
  tick(second);
  executor.run_until(first.give_up());
  tick(second);
  EXPECT_TRUE(second.held());
}

TEST_F(LeaseTest, of_two_who_take_it_at_once_one_gets_it) {
  TaskScope scope;
  scope.spawn(first.tick());
  scope.spawn(second.tick());
  executor.run_until_idle();
  EXPECT_NE(first.held(), second.held());
}

TEST_F(LeaseTest, without_the_store_the_holder_stops_believing) {
  tick(first);
  executor.advance(seconds(3));
  EXPECT_FALSE(first.held());
  tick(first);
  EXPECT_TRUE(first.held());
}

TEST_F(LeaseTest, damaged_bytes_are_nobodys_lease) {
  tick(first);
  bucket->damage("controller/lease", Bytes{1, 2, 3});
  tick(second);
  EXPECT_TRUE(second.held());
}

TEST_F(LeaseTest, an_old_holder_is_not_believed_after_a_restart) {
  tick(first);
  Lease again{executor, rng, *store, {.name = "first"}};
  tick(again);
  EXPECT_FALSE(again.held());
  EXPECT_TRUE(first.held());
}

}  // namespace
}  // namespace zef::controller
