// Takeover: what a successor finds and takes, and that nothing which was confirmed to anyone is lost or forked,
// wherever processes are killed and however two of them race.
#include "ledger/takeover.h"

#include <gtest/gtest.h>

#include <set>

#include "base/testing/manual_executor.h"
#include "base/testing/seeded_rng.h"
#include "ledger/objects.h"
#include "ledger/seal.h"
#include "ledger/testing/crashing_store.h"
#include "ledger/testing/worker_life.h"
#include "store/faulty_store.h"
#include "store/memory_store.h"
#include "store/retrying_store.h"
#include "store/testing/forwarding_store.h"

namespace zef::ledger {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::acknowledged;
using testing::CrashingStore;
using testing::is_prefix;
using testing::ShardHistory;
using testing::WorkerLife;
using zef::testing::ManualExecutor;
using zef::testing::SeededRng;

StoreIdentity identity(std::uint8_t fill = 1) {
  StoreIdentity out;
  out.network.bytes.fill(fill);
  return out;
}

// A bucket with an initialised map.
class World {
 public:
  explicit World(std::uint64_t seed = 1, std::vector<std::string> names = {"w0", "w1"}) : rng(seed) {
    const auto made = executor.run_until(initialise_store(*store, rng, identity(), std::move(names)));
    ZEF_CHECK(made.has_value());
  }

  std::unique_ptr<WorkerLife> life(store::ObjectStore& through, WorkerLife::Plan plan = {}) {
    return std::make_unique<WorkerLife>(executor, through, rng, std::move(plan));
  }
  std::unique_ptr<WorkerLife> life(WorkerLife::Plan plan = {}) { return life(*store, std::move(plan)); }

  // A whole life without faults; dies without sealing itself.
  std::unique_ptr<WorkerLife> live(WorkerLife::Plan plan = {}) {
    auto out = life(std::move(plan));
    out->start();
    executor.run_while_not([&] { return out->ended.has_value(); });
    return out;
  }
  MapSnapshot map() {
    auto read = executor.run_until(read_map(executor, *store));
    ZEF_CHECK(read.has_value());
    return std::move(*read);
  }
  WorkerHead head(const WorkerId& worker) {
    auto read = executor.run_until(read_head(*store, worker));
    ZEF_CHECK(read.has_value());
    return read->value;
  }
  Bytes object(const std::string& key) { return state->get(key, std::nullopt).value().value().bytes; }

  ManualExecutor executor;
  SeededRng rng;
  std::shared_ptr<store::MemoryState> state = std::make_shared<store::MemoryState>();
  std::unique_ptr<store::ObjectStore> store = store::make_memory_store(executor, state);
};

constexpr std::size_t shards_of_w0 = 512;  // of two names

TEST(BeginWorker, takes_the_shards_of_its_name_from_nobody) {
  World world;
  const auto life = world.live();
  ASSERT_TRUE(life->ended->has_value()) << life->ended->error().message;
  EXPECT_EQ(life->owned.size(), shards_of_w0);
  EXPECT_EQ(life->replayed, 0U);
  const MapSnapshot map = world.map();
  for (std::size_t shard = 0; shard < map.entries.size(); ++shard) {
    const ShardEntry& entry = map.entries[shard];
    if (shard < shards_of_w0) {
      EXPECT_EQ(entry.owner, life->id);
      EXPECT_EQ(entry.epoch, 1U);
      EXPECT_EQ(entry.lineage, (std::vector<LineageEntry>{{life->id, 1, 0, std::nullopt}}));
      EXPECT_EQ(life->owned[shard].entry, entry);
    } else {
      EXPECT_EQ(entry.owner, WorkerId{});
      EXPECT_EQ(entry.epoch, 0U);
    }
  }
  ASSERT_EQ(map.workers.size(), 1U);
  EXPECT_EQ(map.workers[0].client_address, "client:1");
}

TEST(BeginWorker, finds_all_that_its_predecessors_confirmed) {
  World world;
  const auto first = world.live();
  const auto second = world.live();
  const auto third = world.live();
  ASSERT_TRUE(third->ended->has_value());
  EXPECT_EQ(second->recovered, first->confirmed);
  EXPECT_EQ(third->recovered, acknowledged(*second));
  EXPECT_EQ(third->replayed, 12U);  // 2 lives, 3 rounds, 2 of the shards are w0's
  const ShardEntry entry = third->owned[100].entry;
  EXPECT_EQ(entry.epoch, 3U);
  EXPECT_EQ(entry.lineage,
            (std::vector<LineageEntry>{
                {first->id, 1, 0, Slot{3}}, {second->id, 2, 0, Slot{3}}, {third->id, 3, 0, std::nullopt}}));
  EXPECT_EQ(std::get<Sealed>(world.head(first->id).state).at, 3U);
}

TEST(BeginWorker, leaves_other_names_alone) {
  World world;
  const auto other = world.live({.name = "w1"});
  const auto life = world.live();
  ASSERT_TRUE(life->ended->has_value());
  EXPECT_TRUE(std::holds_alternative<Active>(world.head(other->id).state));
  EXPECT_EQ(world.map().entries[700].owner, other->id);
  EXPECT_EQ(world.live({.name = "w1"})->recovered, other->confirmed);
}

TEST(BeginWorker, drops_the_lineage_of_a_predecessor_that_wrote_nothing) {
  World world;
  const auto first = world.live({.rounds = 0});
  const auto second = world.live();
  EXPECT_EQ(second->owned[0].entry.lineage, (std::vector<LineageEntry>{{second->id, 2, 0, std::nullopt}}));
  EXPECT_EQ(std::get<Sealed>(world.head(first->id).state).at, 0U);
}

TEST(BeginWorker, a_name_without_shards_begins_with_none) {
  World world;
  const auto life = world.live({.name = "w7"});
  ASSERT_TRUE(life->ended->has_value());
  EXPECT_TRUE(life->owned.empty());
  EXPECT_TRUE(std::holds_alternative<Active>(world.head(life->id).state));
}

TEST(BeginWorker, refuses_a_store_that_was_not_initialised) {
  ManualExecutor executor;
  SeededRng rng(1);
  const auto store = store::make_memory_store(executor);
  WorkerLife life(executor, *store, rng, {});
  life.start();
  executor.run_until_idle();
  EXPECT_EQ(life.ended->error().kind, ErrorKind::not_found);
}

TEST(BeginWorker, a_predecessor_without_a_head_is_corruption_and_changes_nothing) {
  World world;
  const auto first = world.live();
  (void)world.state->del(head_key(first->id));
  const Bytes group = world.object(group_key(0));
  const auto second = world.live();
  EXPECT_EQ(second->ended->error().kind, ErrorKind::corrupt);
  EXPECT_NE(second->ended->error().message.find(head_key(first->id)), std::string::npos);
  EXPECT_EQ(world.object(group_key(0)), group);
}

TEST(BeginWorker, a_lost_slot_of_a_log_that_was_not_sealed_is_corruption_and_nothing_is_changed) {
  World world;
  const auto first = world.live({.rounds = 12});
  for (const Slot lost : {Slot{0}, Slot{3}}) {
    const Bytes kept = world.object(slot_key(first->id, lost));
    ASSERT_TRUE(world.state->del(slot_key(first->id, lost)));
    const auto second = world.live();
    EXPECT_EQ(second->ended->error().kind, ErrorKind::corrupt);
    EXPECT_NE(second->ended->error().message.find(slot_key(first->id, lost)), std::string::npos);
    EXPECT_EQ(world.map().entries[0].owner, first->id);
    // Restored, it goes on.
    ASSERT_TRUE(world.state->put_if_absent(slot_key(first->id, lost), store::content(kept)));
  }
  const auto third = world.live();
  EXPECT_TRUE(third->ended->has_value());
  EXPECT_TRUE(is_prefix(first->confirmed, third->recovered));
}

TEST(BeginWorker, a_damaged_map_is_corruption_that_names_the_object) {
  World world;
  Bytes bytes = world.object(group_key(3));
  bytes.resize(bytes.size() / 2);
  world.state->damage(group_key(3), bytes);
  const auto life = world.live();
  EXPECT_EQ(life->ended->error().kind, ErrorKind::corrupt);
  EXPECT_NE(life->ended->error().message.find("shards/03"), std::string::npos) << life->ended->error().message;
}

TEST(BeginWorker, a_zombie_is_fenced_and_never_confirms) {
  World world;
  auto zombie = world.life({.rounds = 100, .pause = milliseconds(10)});
  zombie->start();
  world.executor.advance(milliseconds(35));
  ASSERT_TRUE(zombie->began && !zombie->ended);
  const auto successor = world.live();
  ASSERT_TRUE(successor->ended->has_value());
  world.executor.advance(seconds(60));
  EXPECT_EQ(zombie->fenced, 1);
  EXPECT_FALSE(zombie->confirmed_after_fence);
  ASSERT_TRUE(zombie->ended.has_value());
  EXPECT_EQ(zombie->ended->error().kind, ErrorKind::fenced);
  EXPECT_FALSE(zombie->confirmed.empty());
  EXPECT_TRUE(is_prefix(zombie->confirmed, successor->recovered));
  EXPECT_EQ(world.live()->recovered, acknowledged(*successor));
}

// Two predecessors: one was killed in the middle of its own takeover, when some groups named it and others did not.
TEST(BeginWorker, takes_over_from_two_predecessors) {
  bool found = false;
  for (std::uint64_t requests = 20; !found && requests < 100; ++requests) {
    World world;
    const auto first = world.live();
    CrashingStore crashing(*world.store, requests, true);
    auto second = world.life(crashing);
    second->start();
    world.executor.run_until_idle();
    ASSERT_TRUE(crashing.crashed());
    second->kill();
    std::set<WorkerId> owners;
    const MapSnapshot map = world.map();
    for (std::size_t shard = 0; shard < shards_of_w0; ++shard) owners.insert(map.entries[shard].owner);
    if (owners != std::set<WorkerId>{first->id, second->id}) continue;
    found = true;
    const auto third = world.live();
    ASSERT_TRUE(third->ended->has_value());
    EXPECT_EQ(third->recovered, first->confirmed);
    for (const OwnedShard& owned : third->owned) EXPECT_EQ(owned.entry.owner, third->id);
  }
  EXPECT_TRUE(found);
}

// Kills the second of three workers at every one of its requests to the store, in both ways.
TEST(Takeover, killed_at_any_request_loses_nothing) {
  for (const bool applied : {false, true}) {
    bool finished = false;
    for (std::uint64_t at = 0; !finished; ++at) {
      ASSERT_LT(at, 1000U);
      World world(at);
      const auto first = world.live();
      CrashingStore crashing(*world.store, at, applied);
      auto second = world.life(crashing);
      second->start();
      world.executor.advance(seconds(10));
      finished = second->ended.has_value();
      EXPECT_EQ(finished, !crashing.crashed());
      second->kill();
      const auto third = world.live();
      ASSERT_TRUE(third->ended->has_value()) << "at " << at << ": " << third->ended->error().message;
      EXPECT_TRUE(is_prefix(first->confirmed, third->recovered)) << "at " << at;
      EXPECT_TRUE(is_prefix(acknowledged(*second), third->recovered)) << "at " << at;
      EXPECT_EQ(third->owned.size(), shards_of_w0);
      const MapSnapshot map = world.map();
      ASSERT_EQ(map.workers.size(), 1U) << "one owner";
      EXPECT_EQ(map.workers[0].worker, third->id);
      EXPECT_TRUE(std::holds_alternative<Active>(map.workers[0].state));
    }
  }
}

// A chain of workers, each killed at a random request, through a store with every fault.
TEST(Takeover, a_chain_of_killed_workers_loses_nothing_on_a_faulty_store) {
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    World world(seed);
    SeededRng faults(seed + 1000000);
    store::FaultyStore faulty(*world.store, world.executor, faults,
                              {.lost_before = 30,
                               .lost_after = 30,
                               .late = 30,
                               .throttled = 30,
                               .unavailable = 30,
                               .delay_max = milliseconds(20),
                               .late_max = seconds(2)});
    store::RetryingStore retrying(faulty, world.executor, faults);
    const bool raw = seed % 2 == 0;
    store::ObjectStore& through = raw ? static_cast<store::ObjectStore&>(faulty) : retrying;
    std::vector<std::unique_ptr<WorkerLife>> lives;
    std::vector<std::unique_ptr<CrashingStore>> stores;
    for (int generation = 0; generation < 5; ++generation) {
      stores.push_back(std::make_unique<CrashingStore>(through, faults.below(120), faults.below(2) == 0));
      lives.push_back(world.life(*stores.back(), {.options = {.flush_bytes = 50}}));
      lives.back()->start();
      world.executor.advance(milliseconds(faults.below(5000)));
      if (faults.below(2) == 0) lives.back()->kill();  // else it lives on as a zombie
    }
    world.executor.advance(seconds(60));
    const auto last = world.live();
    ASSERT_TRUE(last->ended->has_value()) << "seed " << seed << ": " << last->ended->error().message;
    for (const auto& life : lives) {
      EXPECT_TRUE(is_prefix(acknowledged(*life), last->recovered)) << "seed " << seed;
      EXPECT_FALSE(life->confirmed_after_fence);
    }
    world.executor.advance(seconds(60));
    for (auto& life : lives) life->kill();
  }
}

// Two processes of one name at once, in many interleavings: whatever becomes of them, one history.
TEST(Takeover, two_that_race_never_fork) {
  int both_ended_badly = 0;
  constexpr int seeds = 300;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    World world(seed);
    SeededRng faults(seed + 1);
    const auto predecessor = world.live();
    const bool with_faults = seed % 3 == 0;
    store::FaultyStore faulty(*world.store, world.executor, faults,
                              with_faults ? store::FaultPlan{.lost_after = 50,
                                                             .late = 50,
                                                             .unavailable = 50,
                                                             .delay_max = milliseconds(10),
                                                             .late_max = milliseconds(100)}
                                          : store::FaultPlan{.delay_max = milliseconds(10)});
    auto one = world.life(faulty, {.pause = milliseconds(5)});
    auto two = world.life(faulty, {.pause = milliseconds(5)});
    one->start();
    world.executor.advance(milliseconds(faults.below(100)));
    two->start();
    world.executor.advance(seconds(120));
    ASSERT_TRUE(one->ended && two->ended) << "seed " << seed;
    const auto last = world.live();
    ASSERT_TRUE(last->ended->has_value()) << "seed " << seed;
    for (const WorkerLife* life : {predecessor.get(), one.get(), two.get()}) {
      EXPECT_TRUE(is_prefix(acknowledged(*life), last->recovered)) << "seed " << seed;
      EXPECT_FALSE(life->confirmed_after_fence);
    }
    for (const WorkerLife* life : {one.get(), two.get()}) {
      if (life->ended->has_value()) continue;
      EXPECT_TRUE(life->ended->error().kind == ErrorKind::fenced || life->ended->error().kind == ErrorKind::refused)
          << "seed " << seed << ": " << life->ended->error().message;
    }
    both_ended_badly += !one->ended->has_value() && !two->ended->has_value() ? 1 : 0;
  }
  EXPECT_LT(both_ended_badly, seeds / 10);
}

// The same with checkpoints: the successor loads them and replays what came later, at whatever request the worker dies.
TEST(Takeover, killed_at_any_request_with_checkpoints_loses_nothing) {
  for (const bool applied : {false, true}) {
    bool finished = false;
    for (std::uint64_t at = 0; !finished; ++at) {
      ASSERT_LT(at, 1000U);
      World world(at);
      const auto first = world.live({.rounds = 4, .checkpoint_every = 2});
      ASSERT_TRUE(first->ended->has_value()) << first->ended->error().message;
      ASSERT_EQ(first->checkpoints, 4);
      CrashingStore crashing(*world.store, at, applied);
      auto second = world.life(crashing, {.rounds = 4, .checkpoint_every = 1});
      second->start();
      world.executor.advance(seconds(10));
      finished = second->ended.has_value();
      second->kill();
      const auto third = world.live();
      ASSERT_TRUE(third->ended->has_value()) << "at " << at << ": " << third->ended->error().message;
      EXPECT_TRUE(is_prefix(second->recovered, first->confirmed)) << "at " << at;  // it may have been killed in replay
      EXPECT_TRUE(is_prefix(first->confirmed, third->recovered)) << "at " << at;
      EXPECT_TRUE(is_prefix(acknowledged(*second), third->recovered)) << "at " << at;
    }
  }
}

TEST(Takeover, a_chain_of_killed_workers_with_checkpoints_loses_nothing_on_a_faulty_store) {
  int checkpoints = 0;
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    World world(seed);
    SeededRng faults(seed + 2000000);
    store::FaultyStore faulty(*world.store, world.executor, faults,
                              {.lost_before = 20,
                               .lost_after = 20,
                               .late = 20,
                               .throttled = 20,
                               .unavailable = 20,
                               .delay_max = milliseconds(20),
                               .late_max = seconds(2)});
    std::vector<std::unique_ptr<WorkerLife>> lives;
    std::vector<std::unique_ptr<CrashingStore>> stores;
    for (int generation = 0; generation < 6; ++generation) {
      stores.push_back(std::make_unique<CrashingStore>(faulty, 40 + faults.below(200), faults.below(2) == 0));
      lives.push_back(
          world.life(*stores.back(), {.rounds = 10, .checkpoint_every = 1 + static_cast<int>(faults.below(3))}));
      lives.back()->start();
      world.executor.advance(milliseconds(faults.below(8000)));
      if (faults.below(2) == 0) lives.back()->kill();  // else it lives on as a zombie
    }
    world.executor.advance(seconds(60));
    const auto last = world.live();
    ASSERT_TRUE(last->ended->has_value()) << "seed " << seed << ": " << last->ended->error().message;
    for (const auto& life : lives) {
      EXPECT_TRUE(is_prefix(acknowledged(*life), last->recovered)) << "seed " << seed;
      checkpoints += life->checkpoints;
    }
    for (auto& life : lives) life->kill();
  }
  EXPECT_GT(checkpoints, 500);
}

TEST(Takeover, names_that_share_a_group_do_not_disturb_each_other) {
  const std::vector<std::string> names = {"a", "b", "c", "d", "e"};  // 205 shards each: groups are shared
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    World world(seed, names);
    SeededRng delays(seed);
    store::FaultyStore slow(*world.store, world.executor, delays, {.delay_max = milliseconds(5)});
    std::vector<std::unique_ptr<WorkerLife>> lives;
    for (const std::string& name : names) {
      lives.push_back(world.life(slow, {.name = name}));
      lives.back()->start();
    }
    world.executor.advance(seconds(30));
    std::size_t owned = 0;
    for (const auto& life : lives) {
      ASSERT_TRUE(life->ended && life->ended->has_value()) << life->ended->error().message;
      owned += life->owned.size();
    }
    EXPECT_EQ(owned, protocol::shard_count);
    EXPECT_EQ(world.map().workers.size(), names.size());
  }
}

// Slots behind a SEAL, written by a victim that had not found it yet, do not hide it, however long the log.
TEST(SealWorker, finds_a_foreign_seal_near_the_end_of_a_long_log) {
  for (const int rounds : {3, 60, 1500}) {
    World world;
    const auto life = world.live({.rounds = rounds});
    const Slot end = life->log()->slots_confirmed();
    ASSERT_GE(end, static_cast<Slot>(rounds));
    const auto put = [&](Slot slot, Bytes bytes) {
      ASSERT_TRUE(world.state->put_if_absent(slot_key(life->id, slot), store::content(std::move(bytes))));
    };
    WorkerId other;
    other.bytes.fill(9);
    put(end, encode_seal({life->id, other, end}));
    for (Slot late = end + 1; late < end + slots_in_flight_max; ++late)
      put(late, world.object(slot_key(life->id, end - 1)));
    CrashingStore counting(*world.store, 1'000'000, true);
    const auto sealed = world.executor.run_until(seal_worker({&world.executor, counting, world.rng, {}}, life->id));
    ASSERT_TRUE(sealed) << sealed.error().message;
    EXPECT_EQ(*sealed, end);
    EXPECT_LT(counting.requests(), 60U) << rounds;
    EXPECT_EQ(world.live()->recovered, life->confirmed);
  }
}

// A victim that lives after all: what it writes while its log is searched is no sign of a lost slot.
class WritingOn final : public store::testing::ForwardingStore {
 public:
  WritingOn(store::ObjectStore& inner, std::function<void()> at_second_list)
      : ForwardingStore(inner), at_second_list_(std::move(at_second_list)) {}
  Task<store::StoreResult<std::vector<std::string>>> list(std::string prefix, std::string start_after,
                                                          std::size_t limit) override {
    if (++lists_ == 2) at_second_list_();
    return ForwardingStore::list(std::move(prefix), std::move(start_after), limit);
  }

 private:
  std::function<void()> at_second_list_;
  int lists_ = 0;
};

TEST(SealWorker, what_its_victim_writes_meanwhile_is_no_lost_slot) {
  World world;
  const auto life = world.live({.rounds = 30});
  const Slot end = life->log()->slots_confirmed();
  std::map<std::string, Bytes> later;
  for (Slot slot = 12; slot < end; ++slot) {
    const std::string key = slot_key(life->id, slot);
    later.emplace(key, world.object(key));
    ASSERT_TRUE(world.state->del(key));
  }
  WritingOn living(*world.store, [&] {
    for (const auto& [key, bytes] : later) ASSERT_TRUE(world.state->put_if_absent(key, store::content(Bytes(bytes))));
  });
  const auto sealed = world.executor.run_until(seal_worker({&world.executor, living, world.rng, {}}, life->id));
  ASSERT_TRUE(sealed) << sealed.error().message;
  EXPECT_EQ(*sealed, end);
  EXPECT_EQ(world.live()->recovered, life->confirmed);
}

TEST(SealSelf, spares_the_successor_the_search) {
  World world;
  auto life = world.live();
  const Slot known = life->log()->slots_confirmed();
  ASSERT_TRUE(
      world.executor.run_until(seal_self(*world.store, world.rng, {life->id, "w0", "", ""}, known)).has_value());
  EXPECT_EQ(std::get<Sealed>(world.head(life->id).state).at, known);
  EXPECT_TRUE(
      world.executor.run_until(seal_self(*world.store, world.rng, {life->id, "w0", "", ""}, known)).has_value());
  EXPECT_EQ(world.live()->recovered, life->confirmed);
}

TEST(SealSelf, gives_up_at_trouble_and_the_successor_finishes) {
  World world;
  auto life = world.live();
  CrashingStore counting(*world.store, 1000, true);
  store::FaultyStore faulty(counting, world.executor, world.rng);
  faulty.fail_all(store::StoreError{store::StoreErrorKind::unavailable, "down"});
  const auto sealed = world.executor.run_until(seal_self(faulty, world.rng, {life->id, "w0", "", ""}));
  EXPECT_EQ(sealed.error().kind, ErrorKind::unavailable);
  EXPECT_EQ(world.live()->recovered, life->confirmed);
}

}  // namespace
}  // namespace zef::ledger
