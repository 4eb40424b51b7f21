// Changes of owner at run time: only of the unchanged entry, and told apart by the entry alone.
#include "ledger/ownership.h"

#include <gtest/gtest.h>

#include "base/testing/manual_executor.h"
#include "base/testing/seeded_rng.h"
#include "ledger/objects.h"
#include "ledger/testing/worker_life.h"
#include "store/faulty_store.h"
#include "store/memory_store.h"

namespace zef::ledger {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::acknowledged;
using testing::is_prefix;
using testing::WorkerLife;
using zef::testing::ManualExecutor;
using zef::testing::SeededRng;

struct Ownership : ::testing::Test {
  Ownership() { begin_anew(); }
  void begin_anew() {
    state = std::make_shared<store::MemoryState>();
    store = store::make_memory_store(executor, state);
    StoreIdentity identity;
    identity.network.bytes.fill(1);
    const auto made = executor.run_until(initialise_store(*store, rng, identity, {"w0", "w1"}));
    ZEF_CHECK(made.has_value());
  }
  std::unique_ptr<WorkerLife> live(const std::string& name, std::vector<std::uint16_t> shards = {0, 100, 700}) {
    auto out = std::make_unique<WorkerLife>(executor, *store, rng,
                                            WorkerLife::Plan{.name = name, .shards = std::move(shards)});
    out->start();
    executor.run_while_not([&] { return out->ended.has_value(); });
    return out;
  }
  ShardEntry entry(std::uint16_t shard) {
    auto read = executor.run_until(read_entries(executor, *store, {protocol::ShardId(shard)}));
    ZEF_CHECK(read.has_value());
    return read->front().entry;
  }
  Result<OwnerChanges> change(store::ObjectStore& through, std::vector<OwnerChange> changes) {
    return executor.run_until(change_owners(executor, through, rng, std::move(changes)));
  }
  WorkerId some_id() { return random_id<WorkerId>(rng); }

  ManualExecutor executor;
  SeededRng rng{5};
  std::shared_ptr<store::MemoryState> state;
  std::unique_ptr<store::ObjectStore> store;
};

TEST_F(Ownership, a_change_closes_the_lineage_and_appends_the_next) {
  const auto giver = live("w0");
  const auto receiver = live("w1");
  const auto changed = change(*store, {{protocol::ShardId(0), giver->id, 1, receiver->id, 3, 2},
                                       {protocol::ShardId(100), giver->id, 1, giver->id, 3, 3}});
  ASSERT_TRUE(changed.has_value());
  EXPECT_EQ(changed->made.size(), 2U);
  EXPECT_TRUE(changed->lost.empty());
  EXPECT_EQ(entry(0).owner, receiver->id);
  EXPECT_EQ(entry(0).epoch, 2U);
  EXPECT_EQ(entry(0).lineage,
            (std::vector<LineageEntry>{{giver->id, 1, 0, Slot{3}}, {receiver->id, 2, 2, std::nullopt}}));
  EXPECT_EQ(entry(100).lineage,
            (std::vector<LineageEntry>{{giver->id, 1, 0, Slot{3}}, {giver->id, 2, 3, std::nullopt}}));
}

TEST_F(Ownership, an_entry_that_has_changed_is_left_alone) {
  const auto giver = live("w0");
  const auto receiver = live("w1");
  const OwnerChange cancel{protocol::ShardId(0), giver->id, 1, giver->id, 3, 3};
  const OwnerChange take{protocol::ShardId(0), giver->id, 1, receiver->id, 3, 0};
  ASSERT_TRUE(change(*store, {cancel}).has_value());
  const auto late = change(*store, {take});
  ASSERT_TRUE(late.has_value());
  EXPECT_TRUE(late->made.empty());
  ASSERT_EQ(late->lost.size(), 1U);
  EXPECT_EQ(late->lost[0].entry.owner, giver->id);
  EXPECT_EQ(entry(0).epoch, 2U);
}

TEST_F(Ownership, writes_without_an_answer_are_judged_by_the_entry) {
  const auto giver = live("w0");
  const auto receiver = live("w1");
  SeededRng faults(9);
  store::FaultyStore faulty(
      *store, executor, faults,
      {.lost_before = 100, .lost_after = 300, .late = 100, .delay_max = milliseconds(5), .late_max = milliseconds(50)});
  for (std::uint16_t shard = 0; shard < 200; ++shard) {
    const OwnerChange take{protocol::ShardId(shard), giver->id, 1, receiver->id, 3, 0};
    const OwnerChange cancel{protocol::ShardId(shard), giver->id, 1, giver->id, 3, 3};
    std::optional<Result<OwnerChanges>> taken;
    std::optional<Result<OwnerChanges>> cancelled;
    TaskScope scope;
    const auto keep = [](Task<Result<OwnerChanges>> task, std::optional<Result<OwnerChanges>>& out) -> Task<> {
      out.emplace(co_await std::move(task));
    };
    scope.spawn(keep(change_owners(executor, faulty, rng, {take}), taken));
    scope.spawn(keep(change_owners(executor, faulty, rng, {cancel}), cancelled));
    executor.advance(seconds(60));
    ASSERT_TRUE(taken && cancelled && taken->has_value() && cancelled->has_value()) << shard;
    EXPECT_EQ((*taken)->made.size() + (*cancelled)->made.size(), 1U) << shard;
    EXPECT_EQ(entry(shard).epoch, 2U) << shard;
    EXPECT_EQ(entry(shard).owner, (*taken)->made.empty() ? giver->id : receiver->id) << shard;
  }
}

TEST_F(Ownership, a_rescue_gives_everything_to_the_named_workers_and_loses_nothing) {
  const auto victim = live("w0");
  const auto other = live("w1");
  const auto third = live("w2");
  const auto rescued =
      executor.run_until(rescue(executor, *store, rng, some_id(), victim->id, [&](protocol::ShardId shard) {
        return shard.value() % 2 == 0 ? other->id : third->id;
      }));
  ASSERT_TRUE(rescued.has_value());
  EXPECT_EQ(rescued->size(), 512U);
  EXPECT_EQ(entry(0).owner, other->id);
  EXPECT_EQ(entry(1).owner, third->id);
  EXPECT_EQ(entry(100).lineage.front(), (LineageEntry{victim->id, 1, 0, Slot{3}}));
  std::vector<std::string> read;
  const auto count = executor.run_until(
      replay_lineage(executor, *store, *rescued, [&](protocol::ShardId shard, const ReadPlace&, ByteView body) {
        if (shard.value() == 100) read.emplace_back(as_text(body));
        return Result<void>{};
      }));
  ASSERT_TRUE(count.has_value());
  EXPECT_EQ(read, victim->confirmed.at(100));
  const auto again = executor.run_until(
      rescue(executor, *store, rng, some_id(), victim->id, [&](protocol::ShardId) { return other->id; }));
  ASSERT_TRUE(again.has_value());
  EXPECT_TRUE(again->empty());
}

TEST_F(Ownership, two_rescuers_give_each_shard_once) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    begin_anew();
    const auto victim = live("w0");
    const auto other = live("w1");
    SeededRng delays(seed);
    store::FaultyStore slow(*store, executor, delays, {.lost_after = 30, .delay_max = milliseconds(5)});
    std::size_t made = 0;
    int ended = 0;
    const auto count = [](Task<Result<std::vector<OwnedShard>>> task, std::size_t& sum, int& done) -> Task<> {
      const auto rescued = co_await std::move(task);
      if (rescued) sum += rescued->size();
      done += rescued ? 1 : 0;
    };
    TaskScope scope;
    for (int i = 0; i < 2; ++i)
      scope.spawn(
          count(rescue(executor, slow, rng, some_id(), victim->id, [&](protocol::ShardId) { return other->id; }), made,
                ended));
    executor.advance(seconds(120));
    EXPECT_EQ(ended, 2) << seed;
    EXPECT_EQ(made, 512U) << seed;
    EXPECT_EQ(entry(5).epoch, victim->owned.front().entry.epoch + 1);
  }
}

TEST_F(Ownership, a_successor_of_the_same_name_leaves_what_was_rescued_and_takes_what_a_sealed_worker_left) {
  const auto victim = live("w0");
  const auto other = live("w1");
  ASSERT_TRUE(executor.run_until(
      rescue(executor, *store, rng, some_id(), victim->id, [&](protocol::ShardId) { return other->id; })));
  const auto successor = live("w0");
  ASSERT_TRUE(successor->ended->has_value()) << successor->ended->error().message;
  EXPECT_TRUE(successor->owned.empty());
  EXPECT_EQ(entry(0).owner, other->id);
  ASSERT_TRUE(executor.run_until(seal_self(*store, rng, {other->id, "w1", "", ""})));
  const auto later = live("w0");
  EXPECT_EQ(later->owned.size(), 512U) << "what is assigned to its name";
  EXPECT_EQ(live("w1")->owned.size(), 512U);
}

TEST_F(Ownership, active_workers_are_found_though_they_own_nothing) {
  const auto first = live("w0");
  const auto idle = live("w7");
  ASSERT_TRUE(executor.run_until(seal_self(*store, rng, {first->id, "w0", "", ""})));
  std::set<WorkerId> sealed;
  for (int i = 0; i < 2; ++i) {  // the second time knowing who is sealed
    const auto active = executor.run_until(active_workers(*store, sealed));
    ASSERT_TRUE(active.has_value());
    ASSERT_EQ(active->size(), 1U);
    EXPECT_EQ(active->front().worker, idle->id);
    EXPECT_EQ(sealed, std::set<WorkerId>{first->id});
  }
}

}  // namespace
}  // namespace zef::ledger
