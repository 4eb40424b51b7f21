#include "controller/law.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace zef::controller {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr double cores_each = 2;

LawInput input(MonotonicTime now, int workers, double load) {
  return {.now = now, .set = workers, .fresh = workers, .load = load, .cores = cores_each * workers};
}

// The law every 5 s over workers that obey it, each after `start_time`.
class Loop {
 public:
  explicit Loop(int workers, LawOptions options = {}, Duration start_time = seconds(8))
      : options_(options), start_time_(start_time), set_(workers) {
    for (int i = 0; i < workers; ++i) ready_at_.push_back(now_);
  }

  // Runs for a while under this load, or as much of it as the workers that are there can do.
  void run(Duration time, double load, double backlog = 0) {
    for (const MonotonicTime end = now_ + time; now_ < end; now_ += seconds(5)) {
      const int fresh =
          static_cast<int>(std::ranges::count_if(ready_at_, [this](MonotonicTime ready) { return ready <= now_; }));
      LawInput measured = input(now_, fresh, std::min(load, cores_each * fresh));
      measured.set = set_;
      measured.backlog = backlog;
      const int wanted = decide(options_, history_, measured).wanted;
      if (wanted == set_) continue;
      steps_.push_back({now_, set_, wanted});
      set_ = wanted;
      while (static_cast<int>(ready_at_.size()) < wanted) ready_at_.push_back(now_ + start_time_);
      ready_at_.resize(static_cast<std::size_t>(wanted));
    }
  }

  struct Step {
    MonotonicTime when;
    int from;
    int to;
  };
  [[nodiscard]] int workers() const { return set_; }
  [[nodiscard]] const std::vector<Step>& steps() const { return steps_; }

 private:
  LawOptions options_;
  Duration start_time_;
  LawHistory history_;
  MonotonicTime now_{minutes(100)};
  int set_;
  std::vector<MonotonicTime> ready_at_;
  std::vector<Step> steps_;
};

TEST(Law, grows_after_fifteen_busy_seconds_to_the_target) {
  Loop loop(2);
  loop.run(seconds(15), 3.0);  // 75 %
  EXPECT_EQ(loop.workers(), 2);
  loop.run(seconds(5), 3.0);
  EXPECT_EQ(loop.workers(), 3);  // 50 %: the least number at or below 60 %
}

TEST(Law, a_short_burst_changes_nothing) {
  Loop loop(2);
  for (int i = 0; i < 20; ++i) {
    loop.run(seconds(10), 4.0);
    loop.run(seconds(5), 1.0);
  }
  EXPECT_EQ(loop.workers(), 2);
}

TEST(Law, doubles_at_most_and_waits_between_steps) {
  Loop loop(1, {.max = 16});
  loop.run(minutes(5), 12.0);
  ASSERT_EQ(loop.steps().size(), 4U);
  EXPECT_EQ(loop.steps()[0].to, 2);
  EXPECT_EQ(loop.steps()[1].to, 4);
  EXPECT_EQ(loop.steps()[2].to, 7);  // saturated: 8 cores / 1.2
  EXPECT_EQ(loop.workers(), 10);
  for (std::size_t i = 1; i < loop.steps().size(); ++i)
    EXPECT_GE(loop.steps()[i].when - loop.steps()[i - 1].when, seconds(30));
}

TEST(Law, a_log_that_falls_behind_gets_another_worker_once_all_are_there) {
  Loop loop(2, {}, seconds(60));
  loop.run(seconds(10), 0.5, 2.5);
  EXPECT_EQ(loop.workers(), 3);
  loop.run(seconds(45), 0.5, 2.5);
  EXPECT_EQ(loop.workers(), 3);  // the third is starting
  loop.run(seconds(20), 0.5, 2.5);
  EXPECT_EQ(loop.workers(), 4);
}

TEST(Law, shrinks_one_by_one_by_the_highest_load_of_ten_minutes) {
  Loop loop(4);
  loop.run(seconds(10), 3.1);
  loop.run(minutes(10) - seconds(10), 0.1);
  EXPECT_EQ(loop.workers(), 4);  // the peak is still in the window
  loop.run(seconds(15), 0.1);
  EXPECT_EQ(loop.workers(), 3);
  loop.run(seconds(115), 0.1);
  EXPECT_EQ(loop.workers(), 3);
  loop.run(seconds(10), 0.1);
  EXPECT_EQ(loop.workers(), 2);
  loop.run(minutes(10), 0.1);
  EXPECT_EQ(loop.workers(), 1);
}

TEST(Law, a_new_controller_shrinks_nothing_before_it_has_seen_a_window) {
  Loop loop(4);
  loop.run(minutes(10) - seconds(5), 0.1);
  EXPECT_EQ(loop.workers(), 4);
}

TEST(Law, never_shrinks_while_something_moves_or_recovers) {
  const LawOptions options;
  LawHistory history;
  MonotonicTime now{};
  for (; now < MonotonicTime(minutes(20)); now += seconds(5)) {
    LawInput measured = input(now, 4, 0.1);
    measured.unsettled = true;
    ASSERT_EQ(decide(options, history, measured).wanted, 4);
  }
  EXPECT_EQ(decide(options, history, input(now, 4, 0.1)).wanted, 3);
}

TEST(Law, does_not_shrink_on_the_word_of_some) {
  const LawOptions options;
  LawHistory history;
  for (MonotonicTime now{}; now < MonotonicTime(minutes(20)); now += seconds(5)) {
    LawInput measured = input(now, 3, 0.1);
    measured.set = 4;  // one is silent
    ASSERT_EQ(decide(options, history, measured).wanted, 4);
  }
}

TEST(Law, without_a_fresh_report_nothing_changes) {
  const LawOptions options;
  LawHistory history;
  for (MonotonicTime now{}; now < MonotonicTime(minutes(20)); now += seconds(5))
    ASSERT_EQ(decide(options, history, {.now = now, .set = 4}).wanted, 4);
}

TEST(Law, keeps_between_least_and_most) {
  LawHistory history;
  const LawOptions options{.min = 3, .max = 4};
  EXPECT_EQ(decide(options, history, {.set = 0}).wanted, 3);
  EXPECT_EQ(decide(options, history, input({}, 6, 0)).wanted, 6);  // right after a step
  EXPECT_EQ(decide(options, history, input(MonotonicTime(minutes(3)), 6, 0)).wanted, 5);
  Loop loop(3, options);
  loop.run(minutes(5), 100);
  EXPECT_EQ(loop.workers(), 4);
  loop.run(minutes(30), 0);
  EXPECT_EQ(loop.workers(), 3);
}

TEST(Law, all_times_are_the_operators) {
  Loop loop(1, {.max = 16,
                .up_after = seconds(5),
                .cool_down = seconds(5),
                .down_window = seconds(20),
                .down_every = seconds(5)});
  loop.run(seconds(60), 9.0);
  EXPECT_EQ(loop.workers(), 7);
  loop.run(seconds(90), 0.0);
  EXPECT_EQ(loop.workers(), 1);
}

// ---- properties ----

LawOptions any_options() {
  LawOptions options;
  options.min = *rc::gen::inRange(1, 4);
  options.max = options.min + *rc::gen::inRange(0, 20);
  return options;
}

TEST(Law, never_turns_back_under_a_load_that_stands_still) {
  EXPECT_TRUE(rc::check("one direction only", [] {
    const LawOptions options = any_options();
    const double load = *rc::gen::inRange(0, 5000) / 100.0;
    Loop loop(*rc::gen::inRange(options.min, options.max + 1), options, seconds(*rc::gen::inRange(0, 60)));
    loop.run(minutes(120), load);
    // A load that no worker could do is measured wrongly at first; it only ever grows then.
    bool grew = false;
    bool shrank = false;
    for (const Loop::Step& step : loop.steps()) (step.to > step.from ? grew : shrank) = true;
    RC_ASSERT(!(grew && shrank));
    const double utilisation = load / (cores_each * loop.workers());
    RC_ASSERT(utilisation <= options.up_above || loop.workers() == options.max);
  }));
}

TEST(Law, keeps_its_bounds_under_any_load) {
  EXPECT_TRUE(rc::check("bounds of steps", [] {
    const LawOptions options = any_options();
    Loop loop(options.min, options);
    for (const int load : *rc::gen::container<std::vector<int>>(20, rc::gen::inRange(0, 6000)))
      loop.run(seconds(*rc::gen::inRange(5, 400)), load / 100.0, *rc::gen::inRange(0, 10) == 0 ? 3 : 0);
    const Loop::Step* before = nullptr;
    for (const Loop::Step& step : loop.steps()) {
      RC_ASSERT(step.to >= options.min && step.to <= options.max);
      RC_ASSERT(step.to <= step.from * options.up_factor_max);
      RC_ASSERT(step.to >= step.from - 1);
      if (before) RC_ASSERT(step.when - before->when >= options.cool_down);
      if (before && step.to < step.from) RC_ASSERT(step.when - before->when >= options.down_every);
      before = &step;
    }
  }));
}

}  // namespace
}  // namespace zef::controller
