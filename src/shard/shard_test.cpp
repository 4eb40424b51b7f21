// Reads of a shard, and what its digests cover.
#include "shard/shard.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "shard/testing/local_validator.h"
#include "shard/testing/matchers.h"

namespace zef::shard::testing {
namespace {

using namespace protocol::testing;

TEST(ShardReads, known_account_is_shown_and_an_unknown_one_is_not) {
  const TestNetwork net;
  LocalValidator validator(net);
  const AccountState state = validator.account(net.uid(3)).value();
  EXPECT_EQ(state.account, net.uid(3));
  EXPECT_EQ(state.owner, net.account_key(3).public_key());
  EXPECT_EQ(state.balance, 1'000'000);
  EXPECT_EQ(state.next, SequenceNumber(0));
  EXPECT_EQ(state.head, Hash{net.id().bytes});  // a genesis account's chain begins at the network itself
  EXPECT_FALSE(state.closed);
  EXPECT_FALSE(state.pending.has_value());

  const Uid unknown = net.uid(3).child(SequenceNumber(0));
  EXPECT_FALSE(validator.account(unknown).has_value());
  EXPECT_FALSE(validator.shard_with(unknown).account_digest(unknown).has_value());
}

TEST(ShardReads, genesis_accounts_are_dealt_to_their_shards_each_once) {
  const TestNetwork net({.accounts = 500});
  const auto by_shard = genesis_by_shard(net.genesis());
  ASSERT_EQ(by_shard.size(), shard_count);
  std::size_t count = 0;
  for (std::size_t shard = 0; shard < by_shard.size(); ++shard) {
    EXPECT_TRUE(std::ranges::is_sorted(by_shard[shard]));
    for (const std::uint64_t index : by_shard[shard]) EXPECT_EQ(shard_of(Uid::genesis(index)).value(), shard);
    count += by_shard[shard].size();
  }
  EXPECT_EQ(count, 500);
  LocalValidator validator(net);
  EXPECT_EQ(validator.totals().accounts, 500);
  EXPECT_EQ(validator.totals().balances, supply_of(net.genesis()));
}

TEST(ShardDigest, tells_states_apart_that_differ_in_anything_that_records_determine) {
  const TestNetwork net({.fees = test_fees});
  LocalValidator validator(net);
  Chain alice(net, 0);
  const Uid bob = net.uid(1);
  const ShardId home = shard_of(alice.account());
  std::set<Hash> seen;
  const auto moved = [&] { return seen.insert(validator.shard(home).digest()).second; };
  EXPECT_TRUE(moved());
  const Request request = alice.next(pay(bob, 10));
  Chain fork(net, 0);
  ASSERT_TRUE(voted(validator.order(request, alice.key().public_key())));
  EXPECT_TRUE(moved());  // pending
  ASSERT_TRUE(executed(validator.execute(request)));
  EXPECT_TRUE(moved());  // account, outbox, totals
  validator.acknowledge(home, shard_of(bob), 1);
  EXPECT_TRUE(moved());  // outbox
  validator.queue_fee_totals();
  EXPECT_TRUE(moved());  // what of the fees was sent
  validator.deliver(home, home, 1, /*acknowledged=*/false);
  EXPECT_TRUE(moved());  // mark, highest fee total
  ASSERT_TRUE(conflict(validator.execute(fork.next(skip())), SequenceNumber(0)));
  EXPECT_TRUE(moved());  // evidence
}

TEST(ShardDigest, of_an_account_does_not_depend_on_the_order_of_its_credits) {
  const TestNetwork net;
  LocalValidator one(net);
  LocalValidator other(net);
  const Request from_0 = Chain(net, 0).peek(pay(net.uid(2), 10));
  const Request from_1 = Chain(net, 1).peek(pay(net.uid(2), 20));
  for (const Request& request : {from_0, from_1}) {
    ASSERT_TRUE(executed(one.execute(request)));
    one.settle();
  }
  for (const Request& request : {from_1, from_0}) {
    ASSERT_TRUE(executed(other.execute(request)));
    other.settle();
  }
  EXPECT_EQ(one.account_digests(), other.account_digests());
  // The same balance by one credit instead of two is another state.
  LocalValidator third(net);
  ASSERT_TRUE(executed(third.execute(Chain(net, 0).peek(pay(net.uid(2), 30)))));
  third.settle();
  EXPECT_EQ(third.account(net.uid(2))->balance, one.account(net.uid(2))->balance);
  EXPECT_NE(third.account_digests().at(net.uid(2)), one.account_digests().at(net.uid(2)));
}

}  // namespace
}  // namespace zef::shard::testing
