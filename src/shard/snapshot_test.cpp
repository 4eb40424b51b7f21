// Snapshots of shards: what is in them, and what is refused. That they are complete is a law of property_test.cpp.
#include "shard/snapshot.h"

#include <gtest/gtest.h>

#include "crypto/sha256.h"
#include "shard/testing/local_validator.h"
#include "shard/testing/matchers.h"

namespace zef::shard::testing {
namespace {

using namespace protocol::testing;

// Account [0] has paid and has a vote pending, its credits wait in the outbox.
class SnapshotTest : public ::testing::Test {
 protected:
  SnapshotTest() {
    must(executed(validator.execute(alice.next(pay(net.uid(1), 10)))));
    must(executed(validator.execute(alice.next(pay(net.uid(1), 20)))));
    Chain next = alice;
    must(voted(validator.order(next.next(pay(net.uid(1), 30)), alice.key().public_key())));
  }
  Shard& shard() { return validator.shard(home); }
  [[nodiscard]] Shard fresh() const { return {home, net.network()}; }
  ShardSnapshot whole() { return codec::decode<ShardSnapshot>(shard().take_whole().bytes).value(); }
  [[nodiscard]] bool refused(const ShardSnapshot& snapshot) const {
    Shard other = fresh();
    const Hash before = other.digest();
    const auto loaded = other.load(codec::encode(snapshot));
    return !loaded && loaded.error().kind == ErrorKind::corrupt && other.digest() == before;
  }
  template <class Change>
  bool refused_with(Change change) {
    ShardSnapshot snapshot = whole();
    change(snapshot);
    return refused(snapshot);
  }

  TestNetwork net{{.fees = test_fees}};
  LocalValidator validator{net};
  Chain alice{net, 0};
  const ShardId home = shard_of(net.uid(0));
};

TEST_F(SnapshotTest, whole_state_loads_and_goes_on) {
  Shard other = fresh();
  const Bytes bytes = shard().take_whole().bytes;
  ASSERT_TRUE(other.load(bytes).has_value());
  EXPECT_EQ(other.digest(), shard().digest());
  EXPECT_EQ(other.take_whole().bytes, bytes);
  EXPECT_FALSE(other.changed());
  EXPECT_EQ(other.outgoing(shard_of(net.uid(1)), 0, 9).size(), 2U);
  const Request request = alice.next(pay(net.uid(1), 30));
  const auto again =
      other.look_up(RequestOrder{.request = request, .owner = alice.key().public_key(), .signature = {}, .proof = {}});
  ASSERT_TRUE(again.has_value());  // the vote that was pending
  EXPECT_TRUE(std::holds_alternative<VoteToSign>(*again));
}

TEST_F(SnapshotTest, changes_hold_what_changed_and_no_more) {
  static_cast<void>(shard().take_whole());
  EXPECT_FALSE(shard().changed());
  must(executed(validator.execute(alice.next(pay(net.uid(2), 5)))));
  EXPECT_TRUE(shard().changed());
  const auto changes = codec::decode<ShardSnapshot>(shard().take_changes().bytes).value();
  EXPECT_FALSE(shard().changed());
  ASSERT_EQ(changes.accounts.size(), 1U);
  EXPECT_EQ(changes.accounts[0].executed_before, 2U);
  EXPECT_EQ(changes.accounts[0].fingerprints.size(), 1U);
  EXPECT_EQ(changes.outboxes.size(), 1U);
  EXPECT_TRUE(changes.marks.empty());
}

TEST_F(SnapshotTest, changes_need_the_state_that_they_follow) {
  const Bytes base = shard().take_whole().bytes;
  must(executed(validator.execute(alice.next(skip()))));
  const Bytes first = shard().take_changes().bytes;
  must(executed(validator.execute(alice.next(skip()))));
  const Bytes second = shard().take_changes().bytes;
  Shard other = fresh();
  EXPECT_FALSE(other.load(first).has_value());
  ASSERT_TRUE(other.load(base).has_value());
  EXPECT_FALSE(other.load(second).has_value());
  EXPECT_FALSE(other.load(base).has_value());
  ASSERT_TRUE(other.load(first).has_value());
  EXPECT_FALSE(other.load(first).has_value());
  ASSERT_TRUE(other.load(second).has_value());
  EXPECT_EQ(other.digest(), shard().digest());
}

TEST_F(SnapshotTest, what_cannot_be_is_refused_and_changes_nothing) {
  ASSERT_FALSE(refused(whole()));
  EXPECT_TRUE(refused_with([](auto& s) { s.version = 2; }));
  EXPECT_TRUE(refused_with([](auto& s) { s.network.bytes[0] ^= 1; }));
  EXPECT_TRUE(refused_with([](auto& s) { s.shard = ShardId(static_cast<std::uint16_t>(s.shard.value() ^ 1)); }));
  EXPECT_TRUE(refused_with([](auto& s) { s.totals.balances += 1; }));
  EXPECT_TRUE(refused_with([](auto& s) { s.totals.accounts += 1; }));
  EXPECT_TRUE(refused_with([](auto& s) { s.totals.effects_waiting += 1; }));
  EXPECT_TRUE(refused_with([](auto& s) { s.accounts.pop_back(); }));
  EXPECT_TRUE(refused_with([](auto& s) { s.accounts.push_back(s.accounts.back()); }));
  EXPECT_TRUE(refused_with([](auto& s) { s.accounts[0].balance += 1; }));
  EXPECT_TRUE(refused_with([](auto& s) { s.accounts[0].fingerprints.pop_back(); }));
  EXPECT_TRUE(refused_with([](auto& s) { s.accounts[0].executed_before = 1; }));
  EXPECT_TRUE(refused_with([](auto& s) { s.accounts[0].closed = true; }));
  EXPECT_TRUE(refused_with([](auto& s) { s.accounts[0].pending->sequence_number = SequenceNumber(9); }));
  EXPECT_TRUE(refused_with([](auto& s) { s.proofs.clear(); }));
  EXPECT_TRUE(refused_with(
      [](auto& s) { std::get<CertifiedEffect>(s.outboxes[0].effects[0]).sequence_number = SequenceNumber(7); }));
  EXPECT_TRUE(refused_with([](auto& s) { s.outboxes[0].first = UINT64_MAX; }));
  EXPECT_TRUE(refused_with([](auto& s) { s.marks = {{ShardId(2), 1}, {ShardId(1), 1}}; }));
  Bytes bytes = shard().take_whole().bytes;
  for (std::size_t length = 0; length < bytes.size(); ++length)
    ASSERT_FALSE(fresh().load(ByteView(bytes).first(length)).has_value());
  bytes.push_back(0);
  EXPECT_FALSE(fresh().load(bytes).has_value());
}

TEST_F(SnapshotTest, keeps_its_format) {
  // Stores hold snapshots of this format: when this changes, snapshot_version must, and old ones must still be read.
  EXPECT_EQ(crypto::sha256(shard().take_whole().bytes).hex().substr(0, 16), "2b517229d395cc28");
}

}  // namespace
}  // namespace zef::shard::testing
