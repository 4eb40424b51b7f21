#include "net/loop.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "net/system_rng.h"
#include "net/testing/loop_runner.h"

namespace zef::net {
namespace {

using namespace std::chrono_literals;
using testing::turn_until;

TEST(Loop, posts_run_in_order_and_never_inside_the_post) {
  Loop loop;
  std::string order;
  loop.post([&] {
    order += 'a';
    loop.post([&] { order += 'c'; });
    order += 'b';
  });
  loop.post([&] { order += 'd'; });
  EXPECT_EQ(order, "");
  ASSERT_TRUE(turn_until(loop, [&] { return order.size() == 4; }));
  EXPECT_EQ(order, "abdc");
}

TEST(Loop, posts_of_other_threads_wake_it_and_all_arrive) {
  Loop loop;
  int count = 0;
  std::thread other([&] {
    for (int i = 0; i < 10000; ++i) loop.post([&] { ++count; });
    loop.post([&] { loop.stop(); });
  });
  loop.run();
  other.join();
  EXPECT_EQ(count, 10000);
}

TEST(Loop, timers_fire_in_the_order_of_their_deadlines_and_not_early) {
  Loop loop;
  std::string order;
  const auto start = loop.now();
  loop.after(20ms, [&] { order += 'c'; });
  loop.after(10ms, [&] { order += 'b'; });
  loop.after(0ms, [&] { order += 'a'; });
  loop.after(-5ms, [&] { order += 'a'; });
  loop.after(Duration::max(), [&] { order += 'x'; });
  ASSERT_TRUE(turn_until(loop, [&] { return order.size() == 4; }));
  EXPECT_EQ(order, "aabc");
  EXPECT_GE(loop.now() - start, 20ms);
}

TEST(Loop, a_cancelled_timer_is_destroyed_without_being_called) {
  Loop loop;
  auto held = std::make_shared<int>(0);
  bool called = false;
  const TimerId id = loop.after(1ms, [&, held] { called = true; });
  loop.cancel(id);
  EXPECT_EQ(held.use_count(), 1);
  loop.cancel(id);
  loop.cancel(TimerId::none);
  testing::turn_while_busy(loop, 5ms);
  EXPECT_FALSE(called);
}

TEST(Loop, a_timer_can_cancel_another_that_is_due) {
  Loop loop;
  TimerId second = TimerId::none;
  bool called = false;
  loop.after(0ms, [&] { loop.cancel(second); });
  second = loop.after(0ms, [&] { called = true; });
  testing::turn_while_busy(loop, 5ms);
  EXPECT_FALSE(called);
}

TEST(Loop, the_end_of_the_turn_comes_after_everything_that_is_ready) {
  Loop loop;
  std::string order;
  loop.post([&] {
    loop.at_turn_end([&] {
      order += 'e';
      loop.at_turn_end([&] { order += 'f'; });
    });
    loop.post([&] { order += 'c'; });
    order += 'a';
  });
  loop.post([&] { order += 'b'; });
  ASSERT_TRUE(loop.turn());
  EXPECT_EQ(order, "abcef");
}

TEST(Loop, ends_of_turns_that_ask_for_more_do_not_starve_posts) {
  Loop loop;
  bool done = false;
  std::function<void()> again = [&] {
    if (!done) loop.at_turn_end(again);
  };
  loop.at_turn_end(again);
  loop.post([&] { done = true; });
  EXPECT_TRUE(turn_until(loop, [&] { return done; }));
}

TEST(Loop, a_turn_without_anything_ready_says_so) {
  Loop loop;
  EXPECT_FALSE(loop.turn(0ms));
  EXPECT_FALSE(loop.turn(2ms));
}

TEST(Loop, stop_before_run_is_not_lost_and_run_can_be_repeated) {
  Loop loop;
  loop.stop();
  loop.run();
  bool ran = false;
  loop.post([&] {
    ran = true;
    loop.stop();
  });
  loop.run();
  EXPECT_TRUE(ran);
}

TEST(Loop, signals_arrive_each_time) {
  Loop loop;
  int count = 0;
  loop.on_signals({SIGUSR1, SIGUSR2}, [&](int signal) { count += signal == SIGUSR1 ? 1 : 10; });
  ASSERT_EQ(::kill(::getpid(), SIGUSR1), 0);
  ASSERT_TRUE(turn_until(loop, [&] { return count == 1; }));
  ASSERT_EQ(::kill(::getpid(), SIGUSR2), 0);
  ASSERT_TRUE(turn_until(loop, [&] { return count == 11; }));
  ASSERT_EQ(::kill(::getpid(), SIGUSR1), 0);
  ASSERT_TRUE(turn_until(loop, [&] { return count == 12; }));
}

TEST(Loop, destroying_it_destroys_what_waits_without_calling_it) {
  auto held = std::make_shared<int>(0);
  {
    Loop loop;
    struct Canceller {
      Loop* loop;
      TimerId id;
      std::shared_ptr<int> held;
      Canceller(Loop* l, TimerId i, std::shared_ptr<int> h) : loop(l), id(i), held(std::move(h)) {}
      Canceller(Canceller&& other) noexcept
          : loop(std::exchange(other.loop, nullptr)), id(other.id), held(other.held) {}
      ~Canceller() {
        if (loop) loop->cancel(id);
      }
    };
    const TimerId id = loop.after(1h, [held] { ++*held; });
    loop.post([held, c = Canceller(&loop, id, held)] { ++*held; });
    loop.after(1h, [held, c = Canceller(&loop, id, held)] { ++*held; });
    loop.at_turn_end([held, c = Canceller(&loop, id, held)] { ++*held; });
  }
  EXPECT_EQ(*held, 0);
  EXPECT_EQ(held.use_count(), 1);
}

TEST(Loop, sleeping_tasks_wake) {
  Loop loop;
  bool done = false;
  struct Flow {
    static Task<> run(Loop& l, bool& flag) {
      co_await sleep_for(l, 1ms);
      flag = true;
    }
  };
  TaskScope scope;
  scope.spawn(Flow::run(loop, done));
  EXPECT_TRUE(turn_until(loop, [&] { return done; }));
}

TEST(SystemRng, fills_everything_and_differs) {
  SystemRng rng;
  std::vector<std::uint8_t> a(1 << 20), b(1 << 20);
  rng.fill(a);
  rng.fill(b);
  EXPECT_NE(a, b);
  EXPECT_NE(rng.next_u64(), rng.next_u64());
  rng.fill({});
}

}  // namespace
}  // namespace zef::net
