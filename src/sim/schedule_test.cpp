#include "sim/schedule.h"

#include <gtest/gtest.h>

namespace zef::sim {
namespace {

using std::chrono::milliseconds;

TEST(Schedule, what_happens_at_one_moment_is_posts_then_timers_then_ends_of_turns) {
  Schedule schedule;
  SimExecutor& process = schedule.make_process();
  std::string order;
  process.after(milliseconds(5), [&] {
    order += "a";
    process.at_turn_end([&] { order += "e"; });
    process.post([&] { order += "p"; });
  });
  process.after(milliseconds(5), [&] { order += "b"; });
  process.after(milliseconds(6), [&] { order += "l"; });
  while (schedule.step()) {
  }
  EXPECT_EQ(order, "apbel");
  EXPECT_EQ(schedule.now().time_since_epoch(), milliseconds(6));
}

TEST(Schedule, cancelled_timers_do_not_fire_and_their_places_are_used_again) {
  Schedule schedule;
  SimExecutor& process = schedule.make_process();
  int fired = 0;
  const TimerId cancelled = process.after(milliseconds(1), [&] { fired += 100; });
  process.cancel(cancelled);
  process.cancel(cancelled);
  while (schedule.step()) {
  }
  process.after(milliseconds(1), [&] { ++fired; });
  process.cancel(cancelled);  // the old one's place is taken by another
  while (schedule.step()) {
  }
  EXPECT_EQ(fired, 1);
}

TEST(Schedule, a_killed_process_runs_nothing_and_lets_go_of_what_waits) {
  Schedule schedule;
  SimExecutor& process = schedule.make_process();
  const auto held = std::make_shared<int>(0);
  bool ran = false;
  process.post([&ran, held] { ran = true; });
  process.kill();
  while (schedule.step()) {
  }
  process.after(milliseconds(1), [&ran, held] { ran = true; });
  EXPECT_FALSE(ran);
  EXPECT_EQ(held.use_count(), 1);
}

TEST(Schedule, a_process_that_stands_still_runs_everything_later) {
  Schedule schedule;
  SimExecutor& process = schedule.make_process();
  SimExecutor& other = schedule.make_process();
  std::string order;
  process.post([&] { order += "1"; });
  process.post([&] { order += "2"; });
  other.after(milliseconds(3), [&] { order += "o"; });
  process.stand_still(milliseconds(10));
  while (schedule.step()) {
  }
  EXPECT_EQ(order, "o12");
}

TEST(Schedule, wall_clocks_jump_one_by_one) {
  Schedule schedule;
  SimExecutor& process = schedule.make_process();
  SimExecutor& other = schedule.make_process();
  process.jump_wall(std::chrono::hours(-1));
  EXPECT_EQ(other.wall_now() - process.wall_now(), std::chrono::hours(1));
  EXPECT_EQ(other.now(), process.now());
}

}  // namespace
}  // namespace zef::sim
