// Checkpoints: the object, what the map may be told, and where replay begins.
#include "ledger/checkpoint.h"

#include <gtest/gtest.h>

#include "base/testing/manual_executor.h"
#include "base/testing/seeded_rng.h"
#include "crypto/sha256.h"
#include "ledger/objects.h"
#include "ledger/testing/worker_life.h"
#include "store/memory_store.h"

namespace zef::ledger {
namespace {

using protocol::ShardId;
using testing::WorkerLife;

WorkerId worker(std::uint8_t fill) {
  WorkerId id;
  id.bytes.fill(fill);
  return id;
}

Bytes example(std::size_t group = 1) {
  return encode_checkpoint(group, {worker(7), 3},
                           {{ShardId(64), 2, {5, 1}, true, pack(Bytes(1000, 'a')), pack(to_bytes("history"))},
                            {ShardId(70), 4, {5, 9}, false, pack(to_bytes("changes")), pack(Bytes{})}});
}

TEST(CheckpointObject, holds_the_parts_of_its_shards) {
  const auto decoded = Checkpoint::decode(1, {worker(7), 3}, example());
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->shards(), (std::vector{ShardId(64), ShardId(70)}));
  const auto whole = decoded->part(ShardId(64)).value();
  EXPECT_TRUE(whole.whole);
  EXPECT_EQ(whole.state, Bytes(1000, 'a'));
  EXPECT_EQ(as_text(whole.history), "history");
  const auto changes = decoded->part(ShardId(70)).value();
  EXPECT_FALSE(changes.whole);
  EXPECT_EQ(as_text(changes.state), "changes");
  EXPECT_EQ(decoded->part(ShardId(65)).error().kind, ErrorKind::corrupt);
}

TEST(CheckpointObject, is_refused_under_another_name) {
  EXPECT_FALSE(Checkpoint::decode(2, {worker(7), 3}, example()).has_value());
  EXPECT_FALSE(Checkpoint::decode(1, {worker(8), 3}, example()).has_value());
  EXPECT_FALSE(Checkpoint::decode(1, {worker(7), 4}, example()).has_value());
  EXPECT_FALSE(Checkpoint::decode(2, {worker(7), 3}, example(2)).has_value()) << "shards of another group";
}

TEST(CheckpointObject, every_flipped_bit_and_every_cut_is_found) {
  const Bytes bytes = example();
  const auto sound = [](Bytes object) {
    const auto decoded = Checkpoint::decode(1, {worker(7), 3}, std::move(object));
    return decoded && decoded->part(ShardId(64)) && decoded->part(ShardId(70));
  };
  ASSERT_TRUE(sound(bytes));
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    Bytes damaged = bytes;
    damaged[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    EXPECT_FALSE(sound(std::move(damaged))) << "bit " << bit;
  }
  for (std::size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(sound(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length)))) << length;
  Bytes longer = bytes;
  longer.push_back(0);
  EXPECT_FALSE(sound(std::move(longer)));
}

TEST(CheckpointObject, keeps_its_format) {
  EXPECT_EQ(crypto::sha256(example()).hex().substr(0, 16), "bf3fc40c6743fc15");
}

// One worker that owns everything, and its map.
class PublishTest : public ::testing::Test {
 protected:
  PublishTest() {
    StoreIdentity identity;
    ZEF_CHECK(executor.run_until(initialise_store(*store, rng, identity, {"w0"})).has_value());
  }
  std::unique_ptr<WorkerLife> live(WorkerLife::Plan plan = {}) {
    auto life = std::make_unique<WorkerLife>(executor, *store, rng, std::move(plan));
    life->start();
    executor.run_while_not([&] { return life->ended.has_value(); });
    EXPECT_TRUE(life->ended->has_value()) << life->ended->error().message;
    return life;
  }
  std::vector<ShardId> publish(const WorkerId& self, Publication publication) {
    return executor
        .run_until(publish_checkpoint(executor, *store, rng, self, group_of(publication.shard), {publication}))
        .value();
  }
  ShardEntry entry(std::uint16_t shard) { return executor.run_until(read_map(executor, *store))->entries[shard]; }

  zef::testing::ManualExecutor executor;
  zef::testing::SeededRng rng{1};
  std::shared_ptr<store::MemoryState> state = std::make_shared<store::MemoryState>();
  std::unique_ptr<store::ObjectStore> store = store::make_memory_store(executor, state);
};

TEST_F(PublishTest, names_the_checkpoint_and_cuts_the_lineage_at_once) {
  live();
  const auto second = live();
  ASSERT_EQ(entry(0).lineage.size(), 2U);
  EXPECT_EQ(publish(second->id, {ShardId(0), 2, {1, 4}, {{second->id, 0}}}).size(), 1U);
  EXPECT_EQ(entry(0).checkpoint, (ShardCheckpoint{2, 1, 4, {{second->id, 0}}}));
  EXPECT_EQ(entry(0).lineage, (std::vector<LineageEntry>{{second->id, 2, 1, std::nullopt}}));
  EXPECT_EQ(entry(100).lineage.size(), 2U) << "other entries stay";
}

TEST_F(PublishTest, is_for_the_owner_at_its_epoch_only) {
  const auto first = live();
  const auto second = live();
  const ShardEntry before = entry(0);
  EXPECT_TRUE(publish(first->id, {ShardId(0), 1, {2, 0}, {{first->id, 0}}}).empty());
  EXPECT_TRUE(publish(second->id, {ShardId(0), 1, {2, 0}, {{second->id, 0}}}).empty());
  EXPECT_EQ(entry(0), before);
}

TEST_F(PublishTest, never_goes_back) {
  const auto life = live();
  EXPECT_EQ(publish(life->id, {ShardId(0), 1, {2, 1}, {{life->id, 1}}}).size(), 1U);
  EXPECT_TRUE(publish(life->id, {ShardId(0), 1, {2, 0}, {{life->id, 0}}}).empty());
  EXPECT_TRUE(publish(life->id, {ShardId(0), 1, {2, 2}, {}}).empty()) << "there is a checkpoint";
  EXPECT_EQ(entry(0).checkpoint->objects.front().number, 1U);
  EXPECT_EQ(publish(life->id, {ShardId(0), 1, {2, 1}, {{life->id, 1}}}).size(), 1U) << "again is no harm";
}

TEST_F(PublishTest, a_shard_that_never_changed_needs_no_object) {
  live();
  const auto second = live();
  EXPECT_EQ(publish(second->id, {ShardId(5), 2, {2, 1}, {}}).size(), 1U);
  EXPECT_FALSE(entry(5).checkpoint.has_value());
  EXPECT_EQ(entry(5).lineage, (std::vector<LineageEntry>{{second->id, 2, 2, std::nullopt}}));
}

TEST_F(PublishTest, replay_begins_at_the_checkpoint) {
  const auto first = live({.rounds = 6, .checkpoint_every = 5});
  EXPECT_EQ(first->checkpoints, 6);
  const auto second = live({.rounds = 0});
  EXPECT_EQ(second->recovered, first->confirmed);
  EXPECT_EQ(second->replayed, 0U);  // the last round was saved
  const auto third = live({.rounds = 2, .checkpoint_every = 0});
  const auto fourth = live({.rounds = 0});
  EXPECT_EQ(fourth->replayed, 6U);  // 3 shards, 2 rounds
  EXPECT_EQ(fourth->recovered, testing::acknowledged(*third));
}

TEST_F(PublishTest, a_missing_or_damaged_checkpoint_is_corruption_that_names_it) {
  const auto first = live({.checkpoint_every = 1});
  const auto objects = entry(0).checkpoint->objects;
  const std::string key = checkpoint_key(0, objects.back().worker, objects.back().number);
  const Bytes kept = state->get(key, std::nullopt).value().value().bytes;
  Bytes damaged = kept;
  damaged.back() ^= 1;
  for (const bool missing : {true, false}) {
    if (missing) {
      ASSERT_TRUE(state->del(key));
    } else {
      ASSERT_TRUE(state->put_if_absent(key, store::content(damaged)));
    }
    WorkerLife life(executor, *store, rng, {});
    life.start();
    executor.run_while_not([&] { return life.ended.has_value(); });
    ASSERT_FALSE(life.ended->has_value());
    EXPECT_EQ(life.ended->error().kind, ErrorKind::corrupt);
    EXPECT_NE(life.ended->error().message.find(key), std::string::npos) << life.ended->error().message;
  }
  state->damage(key, kept);
  EXPECT_EQ(live()->recovered, first->confirmed);
}

}  // namespace
}  // namespace zef::ledger
