// Real workers on an in-memory bucket and network, seen and told what to do through the fleet; and a whole controller
// on top of it.
#include "controller/fleet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/testing/test_validator.h"

namespace zef::controller {
namespace {

using protocol::shard_count;
using protocol::testing::TestNetwork;
using std::chrono::seconds;
using ::testing::HasSubstr;
using worker::testing::TestValidator;

// Says that the named workers run, and starts none: the test does.
class NamedDriver final : public Driver {
 public:
  int count = 2;
  Task<Result<int>> current() override { co_return count; }
  Task<Result<void>> set(int wanted) override {
    count = wanted;
    co_return Result<void>{};
  }
  Task<Result<void>> retire(std::string) override {
    --count;
    co_return Result<void>{};
  }
};

class FleetTest : public ::testing::Test {
 protected:
  FleetTest() { validator_.start_all(); }

  WorkerId id(const std::string& name) { return validator_.find(name)->id(); }
  std::size_t owned(const WorkerId& worker) {
    std::size_t count = 0;
    for (const ledger::ShardEntry& entry : validator_.map().entries) count += entry.owner == worker;
    return count;
  }
  template <class T>
  T run(Task<T> task) {
    return validator_.executor().run_until(std::move(task));
  }

  TestNetwork net_{{.accounts = 8}};
  TestValidator validator_{net_, {"w0", "w1"}};
  zef::testing::SeededRng rng_{11};
  std::unique_ptr<store::ObjectStore> store_ = store::make_memory_store(validator_.executor(), validator_.bucket());
  std::unique_ptr<net::Transport> transport_ = validator_.transport().transport();
  Fleet fleet_{validator_.executor(), rng_, *store_, *transport_};
};

TEST_F(FleetTest, finds_workers_and_hears_their_reports) {
  fleet_.start();
  validator_.executor().advance(seconds(5));
  const auto reports = fleet_.reports();
  ASSERT_EQ(reports.size(), 2U);
  for (const WorkerReport& report : reports) {
    EXPECT_EQ(report.shards.size(), shard_count / 2);
    EXPECT_GT(report.counter, 1U);
    EXPECT_FALSE(report.draining);
  }
  EXPECT_EQ(run(fleet_.owners()).value().size(), shard_count);
}

TEST_F(FleetTest, queries_count_as_load_where_they_are_scarcer_than_the_processor) {
  validator_.crash("w0");
  validator_.options().cores = 2;
  validator_.options().queries_max = 100;
  validator_.start("w0");
  fleet_.start();
  validator_.executor().advance(seconds(3));
  const auto load_of = [&](const std::string& name) {
    double load = 0;
    for (const WorkerReport& report : fleet_.reports())
      if (report.name == name)
        for (const ShardLoad& shard : report.shards) load += shard.load;
    return load;
  };
  EXPECT_EQ(load_of("w0"), 0);
  double highest = 0;
  for (int i = 0; i < 40; ++i) {
    for (std::uint64_t account = 0; account < 8; ++account)
      (void)validator_.ask(protocol::QueryAccount{net_.uid(account), {}});
    validator_.executor().advance(std::chrono::milliseconds(400));
    for (const FleetMember& member : fleet_.members()) {  // the processor of a simulated worker is never busy
      const double expected = member.head.name == "w0" ? 2 * member.answered / 100 : 0;
      EXPECT_NEAR(load_of(member.head.name), expected, 1e-9);
      highest = std::max(highest, expected);
    }
  }
  EXPECT_GT(highest, 0.1);
}

TEST_F(FleetTest, a_worker_that_owns_nothing_is_found_and_one_that_ended_is_forgotten) {
  fleet_.start();
  ASSERT_TRUE(validator_.try_start("w2").has_value());
  validator_.executor().advance(seconds(5));
  EXPECT_EQ(fleet_.members().size(), 3U);
  ASSERT_TRUE(run(validator_.find("w2")->drain()).has_value());
  validator_.executor().advance(seconds(5));
  EXPECT_EQ(fleet_.members().size(), 2U);
}

TEST_F(FleetTest, moves_that_are_asked_for_in_one_turn_go_together) {
  ASSERT_TRUE(run(fleet_.look()).has_value());
  TaskScope scope;
  int done = 0;
  const auto move = [](Fleet& fleet, Move what, int& count) -> Task<> {
    count += (co_await fleet.move(what)).has_value();
  };
  for (std::uint16_t i = 0; i < 20; ++i) scope.spawn(move(fleet_, {ShardId(i), id("w0"), id("w1")}, done));
  for (int i = 0; i < 200 && done < 20; ++i) validator_.executor().advance(std::chrono::milliseconds(100));
  EXPECT_EQ(done, 20);
  EXPECT_EQ(owned(id("w1")), shard_count / 2 + 20);
}

TEST_F(FleetTest, a_move_from_who_does_not_have_the_shard_fails) {
  ASSERT_TRUE(run(fleet_.look()).has_value());
  const auto moved = run(fleet_.move({ShardId(0), id("w1"), id("w0")}));
  EXPECT_TRUE(moved.has_value());  // it stands where it should
  const auto unknown = run(fleet_.move({ShardId(0), WorkerId{}, id("w0")}));
  ASSERT_FALSE(unknown.has_value());
  EXPECT_THAT(unknown.error().message, HasSubstr("nothing is known of worker"));
}

TEST_F(FleetTest, who_retires_takes_nothing_until_it_stays_after_all) {
  ASSERT_TRUE(run(fleet_.look()).has_value());
  ASSERT_TRUE(run(fleet_.retire(id("w1"), true)).has_value());
  ASSERT_TRUE(run(fleet_.look()).has_value());
  for (const WorkerReport& report : fleet_.reports()) {
    EXPECT_EQ(report.draining, report.name == "w1");
    EXPECT_EQ(report.retiring, report.name == "w1");
  }
  const MonotonicTime asked = validator_.executor().now();
  EXPECT_EQ(run(fleet_.give(id("w0"), id("w1"), {ShardId(0)})).value(), 0U);
  EXPECT_LT(validator_.executor().now() - asked, seconds(5)) << "its shards could not leave while it is waited for";
  ASSERT_TRUE(run(fleet_.retire(id("w1"), false)).has_value());
  EXPECT_EQ(run(fleet_.give(id("w0"), id("w1"), {ShardId(0)})).value(), 1U);
}

TEST_F(FleetTest, a_rescue_seals_the_victim_and_its_heir_serves_soon) {
  ASSERT_TRUE(run(fleet_.look()).has_value());
  const WorkerId victim = id("w1");
  validator_.crash("w1");
  std::vector<ShardId> shards;
  for (std::size_t i = shard_count / 2; i < shard_count; ++i) shards.emplace_back(static_cast<std::uint16_t>(i));
  ASSERT_TRUE(run(fleet_.rescue({victim, id("w0"), shards})).has_value());
  validator_.executor().advance(std::chrono::milliseconds(500));
  EXPECT_EQ(validator_.find("w0")->shard_count(), shard_count);
  EXPECT_TRUE(run(fleet_.rescue({victim, id("w0"), shards})).has_value());  // another controller was faster
}

// ---- with a whole controller ----

class ControlledTest : public FleetTest {
 protected:
  static ControllerOptions options() {
    ControllerOptions out;
    out.lease.name = "test";
    out.placement.moves_per_worker = 64;
    return out;
  }
  void control() {
    fleet_.start();
    controller_.emplace(validator_.executor(), rng_, *store_, fleet_, driver_, options());
    controller_->start();
  }
  NamedDriver driver_;
  std::optional<Controller> controller_;
};

TEST_F(ControlledTest, the_shards_of_a_worker_that_dies_are_served_again_within_seconds) {
  control();
  validator_.executor().advance(seconds(10));
  ASSERT_TRUE(controller_->status().leads);
  validator_.crash("w1");
  validator_.executor().advance(seconds(5));  // 3 of them make it suspect
  EXPECT_EQ(validator_.find("w0")->shard_count(), shard_count);
}

TEST_F(ControlledTest, a_new_worker_gets_its_part_and_a_retiring_one_is_emptied) {
  control();
  validator_.executor().advance(seconds(5));
  ASSERT_TRUE(validator_.try_start("w2").has_value());
  validator_.executor().advance(seconds(60));
  // What more than 1.25 times the mean goes to it, and nothing else moves.
  EXPECT_NEAR(static_cast<double>(validator_.find("w2")->shard_count()), shard_count * 0.17, shard_count * 0.03);
  ASSERT_TRUE(run(fleet_.retire(id("w2"), true)).has_value());
  validator_.executor().advance(seconds(60));
  EXPECT_EQ(validator_.find("w2")->shard_count(), 0U);
  EXPECT_EQ(validator_.find("w0")->shard_count() + validator_.find("w1")->shard_count(), shard_count);
}

}  // namespace
}  // namespace zef::controller
