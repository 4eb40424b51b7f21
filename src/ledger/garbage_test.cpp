// Garbage: what goes, what stays, and that nothing that was ever confirmed gets lost with it.
#include "ledger/garbage.h"

#include <gtest/gtest.h>

#include "base/testing/manual_executor.h"
#include "base/testing/seeded_rng.h"
#include "crypto/sha256.h"
#include "ledger/objects.h"
#include "ledger/testing/crashing_store.h"
#include "ledger/testing/worker_life.h"
#include "store/faulty_store.h"
#include "store/memory_store.h"

namespace zef::ledger {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::acknowledged;
using testing::CrashingStore;
using testing::is_prefix;
using testing::WorkerLife;

WorkerId worker(std::uint8_t fill) {
  WorkerId id;
  id.bytes.fill(fill);
  return id;
}

class World {
 public:
  explicit World(std::uint64_t seed = 1) : rng(seed) {
    ZEF_CHECK(executor.run_until(initialise_store(*store, rng, StoreIdentity{}, {"w0"})).has_value());
  }
  std::unique_ptr<WorkerLife> life(store::ObjectStore& through, WorkerLife::Plan plan) {
    return std::make_unique<WorkerLife>(executor, through, rng, std::move(plan));
  }
  std::unique_ptr<WorkerLife> live(WorkerLife::Plan plan) {
    auto out = life(*store, std::move(plan));
    out->start();
    executor.run_while_not([&] { return out->ended.has_value(); });
    ZEF_CHECK(out->ended.has_value());
    return out;
  }
  [[nodiscard]] std::size_t count(const std::string& prefix) const {
    return state->list(prefix, "", 10'000).value().size();
  }
  [[nodiscard]] std::size_t slots_of(const WorkerId& id) const { return count("workers/" + id.hex() + "/log/"); }
  WorkerHead head(const WorkerId& id) { return executor.run_until(read_head(*store, id)).value().value; }
  // What is left of their lineage begins at slot 190.
  void cut_all_but(const std::vector<std::uint16_t>& shards, const WorkerId& self, std::uint64_t epoch) {
    for (std::size_t group = 0; group < group_count; ++group) {
      std::vector<Publication> cut;
      for (std::size_t i = 0; i < 64; ++i)
        if (const auto id = static_cast<std::uint16_t>(group * 64 + i); std::ranges::find(shards, id) == shards.end())
          cut.push_back({protocol::ShardId(id), epoch, {190, 0}, {}});
      ZEF_CHECK(executor.run_until(publish_checkpoint(executor, *store, rng, self, group, cut)).has_value());
    }
  }
  GarbageCollector collector(const WorkerId& self, Duration grace) {
    return {{executor, *store, rng, self, [](ByteView) { return true; }}, grace};
  }
  // Whether every record that was confirmed to it is still found by its place.
  ::testing::AssertionResult past_of(const WorkerLife& life) {
    SegmentCache cache(*store, 1U << 20);
    for (const auto& [place, record] : life.places) {
      const auto body = executor.run_until(cache.record_body(place));
      if (!body) return ::testing::AssertionFailure() << body.error().message;
      if (as_text(*body) != record) return ::testing::AssertionFailure() << "another record at slot " << place.slot;
    }
    return ::testing::AssertionSuccess();
  }

  zef::testing::ManualExecutor executor;
  zef::testing::SeededRng rng;
  std::shared_ptr<store::MemoryState> state = std::make_shared<store::MemoryState>();
  std::unique_ptr<store::ObjectStore> store = store::make_memory_store(executor, state);
};

const WorkerLife::Plan steady{.shards = {0, 1}, .rounds = 200, .checkpoint_every = 10, .collect = true};

TEST(Archive, holds_what_is_kept_at_its_place) {
  const Archive archive{130, {{128, 0, protocol::ShardId(1), 2, to_bytes("a")}, {129, 7, protocol::ShardId(3), 2, {}}}};
  const Bytes bytes = encode_archive(worker(1), 2, archive);
  const auto decoded = decode_archive(worker(1), 2, bytes);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->end, 130U);
  EXPECT_EQ(decoded->records, archive.records);
  EXPECT_EQ(crypto::sha256(bytes).hex().substr(0, 16), "c8f19b4be6aff057");  // keeps its format
  EXPECT_FALSE(decode_archive(worker(2), 2, bytes).has_value());
  EXPECT_FALSE(decode_archive(worker(1), 1, bytes).has_value());
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    Bytes damaged = bytes;
    damaged[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    EXPECT_FALSE(decode_archive(worker(1), 2, damaged).has_value()) << "bit " << bit;
  }
}

TEST(Garbage, a_live_log_is_trimmed_behind_its_checkpoints) {
  World world;
  const auto life = world.live(steady);
  ASSERT_TRUE(life->ended->has_value()) << life->ended->error().message;
  EXPECT_EQ(world.head(life->id).trim, 128U);
  EXPECT_LT(world.slots_of(life->id), 80U);
  EXPECT_EQ(world.count("archive/"), 2U);
  EXPECT_LE(world.count("checkpoints/"), 8U);  // the chains that the map names, and what is too new to judge
  EXPECT_TRUE(world.past_of(*life));
  const auto next = world.live({.shards = {0, 1}, .rounds = 0});
  EXPECT_EQ(next->recovered, life->confirmed);
}

TEST(Garbage, nothing_goes_before_the_grace_period_is_over) {
  World world;
  WorkerLife::Plan plan = steady;
  plan.collect = false;
  const auto life = world.live(plan);
  world.cut_all_but(plan.shards, life->id, 1);
  GarbageCollector collector = world.collector(life->id, hours(1));
  const std::size_t slots = world.slots_of(life->id);
  const std::size_t checkpoints = world.count("checkpoints/");
  for (int pass = 0; pass < 5; ++pass) {
    ASSERT_TRUE(world.executor.run_until(collector.collect(life->log()->slots_confirmed())).has_value());
    world.executor.advance(minutes(11));
    EXPECT_EQ(world.slots_of(life->id), slots);
    EXPECT_EQ(world.count("checkpoints/"), checkpoints);
  }
  world.executor.advance(minutes(11));
  ASSERT_TRUE(world.executor.run_until(collector.collect(life->log()->slots_confirmed())).has_value());
  EXPECT_LT(world.slots_of(life->id), slots);
  EXPECT_LT(world.count("checkpoints/"), checkpoints);
  EXPECT_TRUE(world.past_of(*life));
}

TEST(Garbage, a_log_without_checkpoints_stays) {
  World world;
  const auto life = world.live({.shards = {0, 1}, .rounds = 100});
  GarbageCollector collector = world.collector(life->id, Duration::zero());
  for (int pass = 0; pass < 3; ++pass)
    ASSERT_TRUE(world.executor.run_until(collector.collect(life->log()->slots_confirmed())).has_value());
  EXPECT_EQ(world.slots_of(life->id), 100U);
  EXPECT_EQ(world.head(life->id).trim, 0U);
}

TEST(Garbage, of_a_sealed_log_the_seal_and_the_head_stay) {
  World world;
  const auto first = world.live({.shards = {0, 1}, .rounds = 10});
  WorkerLife::Plan plan = steady;
  plan.collect = false;
  const auto second = world.live(plan);
  GarbageCollector collector = world.collector(second->id, Duration::zero());
  const auto pass = [&] {
    ASSERT_TRUE(world.executor.run_until(collector.collect(second->log()->slots_confirmed())).has_value());
  };
  // All other shards still name the first log.
  pass();
  pass();
  EXPECT_EQ(world.slots_of(first->id), 11U);
  world.cut_all_but({0, 1}, second->id, 2);
  pass();
  pass();
  EXPECT_EQ(world.slots_of(first->id), 1U);
  EXPECT_EQ(world.head(first->id).trim, 10U);
  EXPECT_TRUE(world.past_of(*first));
  const auto third = world.live({.shards = {0, 1}, .rounds = 0});
  EXPECT_EQ(third->recovered, acknowledged(*second));
}

TEST(Garbage, a_worker_that_was_sealed_deletes_nothing) {
  World world;
  WorkerLife::Plan plan = steady;
  plan.collect = false;
  const auto zombie = world.live(plan);
  GarbageCollector collector = world.collector(zombie->id, Duration::zero());
  const auto next = world.live({.rounds = 0});
  // It looks at a map in which it is still named, by the lineage that it left.
  const std::size_t slots = world.slots_of(zombie->id);
  const auto collected = world.executor.run_until(collector.collect(zombie->log()->slots_confirmed()));
  ASSERT_FALSE(collected.has_value());
  EXPECT_EQ(collected.error().kind, ErrorKind::fenced);
  EXPECT_EQ(world.slots_of(zombie->id), slots);
}

// Killed at any request of checkpoints and passes: nothing confirmed is lost, neither to the successor nor to readers.
TEST(Garbage, killed_at_any_request_loses_nothing) {
  const WorkerLife::Plan plan{.shards = {0}, .rounds = 70, .checkpoint_every = 23, .collect = true};
  std::uint64_t requests = 0;
  {
    World world;
    CrashingStore counting(*world.store, UINT64_MAX, true);
    auto life = world.life(counting, plan);
    life->start();
    world.executor.run_while_not([&] { return life->ended.has_value(); });
    ASSERT_TRUE(life->ended->has_value());
    ASSERT_EQ(life->collected.archives, 1U);
    requests = counting.requests();
  }
  for (std::uint64_t at = 0; at<requests; at += at> requests * 2 / 3 ? 1 : 7) {
    World world;
    CrashingStore crashing(*world.store, at, at % 2 == 0);
    auto life = world.life(crashing, plan);
    life->start();
    world.executor.run_until_idle();
    life->kill();
    const auto next = world.live({.shards = {0}, .rounds = 30, .checkpoint_every = 10, .collect = true});
    ASSERT_TRUE(next->ended->has_value()) << "at " << at << ": " << next->ended->error().message;
    EXPECT_TRUE(is_prefix(acknowledged(*life), next->recovered)) << "at " << at;
    EXPECT_TRUE(world.past_of(*life)) << "at " << at;
    EXPECT_TRUE(world.past_of(*next)) << "at " << at;
  }
}

TEST(Garbage, a_chain_of_killed_workers_loses_nothing_on_a_faulty_store) {
  std::uint64_t archives = 0;
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    World world(seed);
    zef::testing::SeededRng faults(seed + 1);
    store::FaultyStore faulty(*world.store, world.executor, faults,
                              {.lost_before = 10,
                               .lost_after = 10,
                               .late = 10,
                               .unavailable = 10,
                               .delay_max = milliseconds(5),
                               .late_max = seconds(2)});
    std::vector<std::unique_ptr<WorkerLife>> lives;
    for (int generation = 0; generation < 5; ++generation) {
      lives.push_back(world.life(faulty, {.shards = {0, 1},
                                          .rounds = 150,
                                          .checkpoint_every = 1 + static_cast<int>(faults.below(20)),
                                          .collect = true}));
      lives.back()->start();
      world.executor.advance(milliseconds(faults.below(20'000)));
      if (faults.below(3) > 0) lives.back()->kill();  // else it lives on as a zombie
    }
    world.executor.advance(seconds(60));
    const auto last = world.live({.shards = {0, 1}, .rounds = 0});
    ASSERT_TRUE(last->ended->has_value()) << "seed " << seed << ": " << last->ended->error().message;
    for (const auto& life : lives) {
      EXPECT_TRUE(is_prefix(acknowledged(*life), last->recovered)) << "seed " << seed;
      EXPECT_TRUE(world.past_of(*life)) << "seed " << seed;
      archives += life->collected.archives;
    }
    for (auto& life : lives) life->kill();
  }
  EXPECT_GT(archives, 4U);
}

}  // namespace
}  // namespace zef::ledger
