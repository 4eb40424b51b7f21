#include "ledger/shard_map.h"

#include <gtest/gtest.h>

#include "base/testing/manual_executor.h"
#include "base/testing/seeded_rng.h"
#include "ledger/objects.h"
#include "ledger/testing/crashing_store.h"
#include "store/memory_store.h"

namespace zef::ledger {
namespace {

using zef::testing::ManualExecutor;
using zef::testing::SeededRng;

StoreIdentity identity(std::uint8_t fill, std::uint16_t validator = 0) {
  StoreIdentity out;
  out.network.bytes.fill(fill);
  out.validator = protocol::ValidatorIndex(validator);
  return out;
}

class ShardMapTest : public ::testing::Test {
 protected:
  Result<void> initialise(const StoreIdentity& who, std::vector<std::string> names = {"w0", "w1", "w2"}) {
    return executor_.run_until(initialise_store(*store_, rng_, who, std::move(names)));
  }
  Result<void> check(const StoreIdentity& who) { return executor_.run_until(check_identity(*store_, who)); }
  std::optional<store::Object> object(const std::string& key) { return state_->get(key, std::nullopt).value(); }

  ManualExecutor executor_;
  SeededRng rng_{1};
  std::shared_ptr<store::MemoryState> state_ = std::make_shared<store::MemoryState>();
  std::unique_ptr<store::ObjectStore> store_ = store::make_memory_store(executor_, state_);
};

TEST_F(ShardMapTest, keys_are_as_documented) {
  WorkerId id;
  id.bytes.fill(0x5a);
  EXPECT_EQ(head_key(id), "workers/5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a/head");
  EXPECT_EQ(slot_key(id, 255), "workers/5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a/log/00000000000000ff");
  EXPECT_EQ(group_key(3), "shards/03");
  EXPECT_EQ(group_of(protocol::ShardId(0)), 0U);
  EXPECT_EQ(group_of(protocol::ShardId(63)), 0U);
  EXPECT_EQ(group_of(protocol::ShardId(64)), 1U);
  EXPECT_EQ(group_of(protocol::ShardId(1023)), 15U);
}

TEST_F(ShardMapTest, deals_contiguous_ranges_to_the_names) {
  ASSERT_TRUE(initialise(identity(1)).has_value());
  const auto map = executor_.run_until(read_map(executor_, *store_));
  ASSERT_TRUE(map.has_value());
  ASSERT_EQ(map->entries.size(), protocol::shard_count);
  EXPECT_TRUE(map->workers.empty());
  std::map<std::string, int> dealt;
  for (std::size_t shard = 0; shard < map->entries.size(); ++shard) {
    ++dealt[map->entries[shard].assigned_to];
    EXPECT_EQ(map->entries[shard].owner, WorkerId{});
    if (shard > 0) EXPECT_LE(map->entries[shard - 1].assigned_to, map->entries[shard].assigned_to);
  }
  EXPECT_EQ(dealt, (std::map<std::string, int>{{"w0", 342}, {"w1", 341}, {"w2", 341}}));
}

TEST_F(ShardMapTest, initialising_again_changes_nothing) {
  ASSERT_TRUE(initialise(identity(1)).has_value());
  const auto before = object(group_key(5));
  ASSERT_TRUE(initialise(identity(1), {"others"}).has_value());
  EXPECT_EQ(object(group_key(5))->bytes, before->bytes);
  EXPECT_EQ(object(group_key(5))->tag, before->tag);
  EXPECT_TRUE(check(identity(1)).has_value());
}

TEST_F(ShardMapTest, completes_what_was_killed_in_the_middle) {
  for (std::uint64_t at = 0; at < 40; ++at) {
    testing::CrashingStore crashing(*store_, at % 20, at >= 20);
    TaskScope scope;
    const auto forget = [](Task<Result<void>> task) -> Task<void> { (void)co_await std::move(task); };
    scope.spawn(forget(initialise_store(crashing, rng_, identity(1), {"w0"})));
    executor_.run_until_idle();
    scope.clear();
    ASSERT_TRUE(initialise(identity(1)).has_value());
    ASSERT_TRUE(executor_.run_until(read_map(executor_, *store_)).has_value());
    for (const auto& key : state_->list("", "", 1000).value()) (void)state_->del(key);
  }
}

TEST_F(ShardMapTest, refuses_a_foreign_store_and_leaves_it_alone) {
  ASSERT_TRUE(initialise(identity(1)).has_value());
  const std::size_t count = state_->object_count();
  for (const StoreIdentity& foreign : {identity(2), identity(1, 1)}) {
    for (const auto& result : {check(foreign), initialise(foreign)}) {
      EXPECT_EQ(result.error().kind, ErrorKind::refused);
      EXPECT_NE(result.error().message.find("belongs to validator 0 of network 0101"), std::string::npos);
    }
  }
  EXPECT_EQ(state_->object_count(), count);
  EXPECT_TRUE(check(identity(1)).has_value());
}

TEST_F(ShardMapTest, an_empty_store_has_no_identity) {
  for (const auto& checked : {check(identity(1)), executor_.run_until(check_initialised(*store_))}) {
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().kind, ErrorKind::refused);
    EXPECT_NE(checked.error().message.find("zef store init"), std::string::npos) << checked.error().message;
  }
}

TEST_F(ShardMapTest, refuses_to_deal_to_nobody) {
  EXPECT_EQ(initialise(identity(1), {}).error().kind, ErrorKind::invalid_input);
  EXPECT_EQ(state_->object_count(), 0U);
}

TEST_F(ShardMapTest, a_damaged_group_is_corruption_that_names_it) {
  ASSERT_TRUE(initialise(identity(1)).has_value());
  const Bytes good = object(group_key(2))->bytes;
  for (std::size_t size = 0; size < good.size(); size += 7) {
    state_->damage(group_key(2), to_bytes(ByteView(good).first(size)));
    const auto map = executor_.run_until(read_map(executor_, *store_));
    EXPECT_EQ(map.error().kind, ErrorKind::corrupt);
    EXPECT_TRUE(map.error().message.starts_with("shards/02: ")) << map.error().message;
  }
}

TEST_F(ShardMapTest, a_missing_group_is_not_found) {
  ASSERT_TRUE(initialise(identity(1)).has_value());
  (void)state_->del(group_key(15));
  EXPECT_EQ(executor_.run_until(read_map(executor_, *store_)).error().kind, ErrorKind::not_found);
}

TEST_F(ShardMapTest, entries_that_no_change_could_have_made_are_corruption) {
  ASSERT_TRUE(initialise(identity(1)).has_value());
  const ShardGroup good = codec::decode<ShardGroup>(object(group_key(0))->bytes).value();
  WorkerId a;
  a.bytes.fill(0xa);
  WorkerId b;
  b.bytes.fill(0xb);
  const auto fault = [&](ShardEntry entry) {
    ShardGroup bad = good;
    bad.entries[9] = std::move(entry);
    const auto decoded = decode_group(0, codec::encode(bad));
    return decoded ? std::string() : decoded.error().message;
  };
  const auto entry = [](WorkerId owner, std::uint64_t epoch, std::vector<LineageEntry> lineage) {
    return ShardEntry{owner, "w0", epoch, {}, std::move(lineage)};
  };
  EXPECT_EQ(fault(entry(a, 2, {{b, 1, 0, Slot{4}}, {a, 2, 0, std::nullopt}})), "");
  EXPECT_NE(fault(entry(a, 1, {})), "");
  EXPECT_NE(fault(entry(WorkerId{}, 1, {{a, 1, 0, std::nullopt}})), "");
  EXPECT_NE(fault(entry(b, 1, {{a, 1, 0, std::nullopt}})), "");
  EXPECT_NE(fault(entry(a, 2, {{a, 1, 0, std::nullopt}})), "");
  EXPECT_NE(fault(entry(a, 2, {{b, 1, 0, std::nullopt}, {a, 2, 0, std::nullopt}})), "");
  EXPECT_NE(fault(entry(a, 2, {{b, 2, 0, Slot{4}}, {a, 2, 0, std::nullopt}})), "");
  EXPECT_NE(fault(entry(a, 2, {{b, 1, 4, Slot{4}}, {a, 2, 0, std::nullopt}})), "");
  ShardGroup other = good;
  other.version = map_version + 1;
  const auto newer = decode_group(0, codec::encode(other));
  ASSERT_FALSE(newer.has_value());
  EXPECT_NE(newer.error().message.find(fmt::format("version {}", map_version + 1)), std::string::npos);
  EXPECT_FALSE(decode_group(1, codec::encode(good)).has_value());
}

}  // namespace
}  // namespace zef::ledger
