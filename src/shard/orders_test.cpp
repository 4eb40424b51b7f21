// Rules R: a refusal is the right one, leaves no record and changes nothing; a vote is unique for its place.
#include <gtest/gtest.h>

#include "shard/shard.h"
#include "shard/testing/local_validator.h"
#include "shard/testing/matchers.h"

namespace zef::shard::testing {
namespace {

using namespace protocol::testing;

struct ShardOrder : ::testing::Test {
  TestNetwork net;
  LocalValidator validator{net};
  Chain alice{net, 0};
  Uid bob = net.uid(1);

  PublicKey key_of(const Chain& chain) const { return chain.key().public_key(); }
  Outcome order(const Request& request) { return validator.order(request, key_of(alice)); }
  AccountState state(const Uid& uid) { return validator.account(uid).value(); }

  // The order is refused in this way, and nothing moves.
  void expect_refused(const Request& request, const PublicKey& owner, const Refusal& expected) {
    static_cast<void>(validator.shard_with(request.account));  // digests are of the shards that exist
    const auto before = validator.digests();
    const Outcome outcome = validator.order(request, owner);
    EXPECT_TRUE(refused(outcome, expected)) << describe(expected);
    EXPECT_EQ(validator.digests(), before);
  }
  void expect_refused(const Request& request, const Refusal& expected) {
    expect_refused(request, key_of(alice), expected);
  }
};

TEST_F(ShardOrder, valid_request_is_voted_on_and_kept_as_pending) {
  const Request request = alice.peek(pay(bob, 10));
  const Outcome outcome = order(request);
  ASSERT_TRUE(voted(outcome));
  EXPECT_EQ(std::get<VoteToSign>(outcome.answer).value, value_of(request));
  EXPECT_EQ(std::get<VoteMade>(outcome.records[0]).request, request);
  EXPECT_EQ(state(alice.account()).pending, hash_of(net.id(), request));
  EXPECT_EQ(state(alice.account()).balance, 1'000'000);  // only an execution moves money
}

TEST_F(ShardOrder, same_request_again_gets_the_identical_vote) {
  const Request request = alice.peek(pay(bob, 10));
  ASSERT_TRUE(voted(order(request)));
  // Before the signature is attached: the same value once more, without a record.
  const Outcome unsigned_yet = order(request);
  EXPECT_EQ(std::get<VoteToSign>(unsigned_yet.answer).value, value_of(request));
  EXPECT_TRUE(unsigned_yet.records.empty());

  const Vote vote = net.vote(value_of(request), 0);
  validator.shard_with(alice.account()).attach_signature(alice.account(), request.sequence_number, vote);
  const auto before = validator.digests();
  for (int i = 0; i < 2; ++i) {
    const Outcome again = order(request);
    EXPECT_EQ(std::get<Vote>(again.answer), vote);
    EXPECT_TRUE(again.records.empty());
  }
  EXPECT_EQ(validator.digests(), before);
}

TEST_F(ShardOrder, refuses_a_second_request_for_a_sequence_number_it_voted_on) {
  const Request first = alice.peek(pay(bob, 10));
  ASSERT_TRUE(voted(order(first)));
  expect_refused(alice.peek(pay(bob, 20)), PreviousRequestPending{first});
  // Not even one that differs in its memo only.
  Request memo = first;
  std::get<Transfer>(memo.operation).payments[0].memo.push_back(1);
  expect_refused(memo, PreviousRequestPending{first});
}

TEST_F(ShardOrder, signature_of_another_vote_is_not_attached) {
  const Request request = alice.peek(pay(bob, 10));
  ASSERT_TRUE(voted(order(request)));
  Shard& shard = validator.shard_with(alice.account());
  shard.attach_signature(alice.account(), request.sequence_number, net.vote(value_of(alice.peek(pay(bob, 11))), 0));
  shard.attach_signature(alice.account(), SequenceNumber(1), net.vote(value_of(request), 0));
  shard.attach_signature(net.uid(99), request.sequence_number, net.vote(value_of(request), 0));
  shard.attach_signature(alice.account(), request.sequence_number, net.vote(Value{Lock{request}}, 0));
  EXPECT_TRUE(std::holds_alternative<VoteToSign>(order(request).answer));
}

TEST_F(ShardOrder, rejects_zero_amount) {
  expect_refused(alice.peek(pay(bob, 0)), InvalidOperation{"a payment of nothing"});
  EXPECT_FALSE(state(alice.account()).pending.has_value());
}

TEST_F(ShardOrder, rejects_a_signer_who_is_not_the_owner) {
  const Chain stranger(net, 2);
  expect_refused(alice.peek(pay(bob, 10)), key_of(stranger), InvalidOwner{});
}

TEST_F(ShardOrder, rejects_a_wrong_sequence_number) {
  Request request = alice.peek(pay(bob, 10));
  request.sequence_number = SequenceNumber(1);
  expect_refused(request, UnexpectedSequenceNumber{SequenceNumber(0)});
}

TEST_F(ShardOrder, rejects_a_request_that_does_not_continue_the_chain) {
  Request request = alice.peek(pay(bob, 10));
  request.previous.bytes[0] ^= 1;
  expect_refused(request, UnexpectedPrevious{alice.head()});
}

TEST_F(ShardOrder, rejects_an_amount_over_the_balance_and_does_not_block_the_account) {
  expect_refused(alice.peek(pay(bob, 1'000'001)), InsufficientFunds{.balance = 1'000'000, .needed = 1'000'001});
  EXPECT_TRUE(voted(order(alice.peek(pay(bob, 1'000'000)))));
}

TEST_F(ShardOrder, rejects_an_amount_that_leaves_nothing_for_the_fee) {
  const TestNetwork with_fees({.balance = 1000, .fees = test_fees});
  LocalValidator other(with_fees);
  const Chain carol(with_fees, 0);
  const Balance fee = fee_of(with_fees.network(), carol.peek(pay(bob, 500))).value();
  const auto too_much = static_cast<std::uint64_t>(1001 - fee);
  EXPECT_TRUE(refused(other.order(carol.peek(pay(bob, too_much)), key_of(carol)),
                      InsufficientFunds{.balance = 1000, .needed = 1001}));
  EXPECT_TRUE(voted(other.order(carol.peek(pay(bob, too_much - 1)), key_of(carol))));
}

TEST_F(ShardOrder, rejects_another_epoch) {
  Request request = alice.peek(skip());
  request.epoch = Epoch(1);
  expect_refused(request, WrongEpoch{.current = current_epoch});
}

TEST_F(ShardOrder, rejects_an_account_that_was_never_heard_of) {
  Request request = alice.peek(skip());
  request.account = alice.account().child(SequenceNumber(7));
  expect_refused(request, InactiveAccount{request.account});
  EXPECT_FALSE(validator.account(request.account).has_value());
}

TEST_F(ShardOrder, rejects_an_account_that_was_credited_but_never_opened) {
  const Uid child = alice.account().child(SequenceNumber(5));
  ASSERT_TRUE(executed(validator.execute(alice.next(pay(child, 50)))));
  validator.settle();
  EXPECT_EQ(state(child).balance, 50);
  Request request = alice.peek(skip());
  request.account = child;
  expect_refused(request, InactiveAccount{child});
}

TEST_F(ShardOrder, rejects_a_closed_account_and_shows_its_last_head) {
  ASSERT_TRUE(executed(validator.execute(alice.next(close_account()))));
  expect_refused(alice.peek(skip()), AccountClosed{SequenceNumber(1), alice.head()});
}

TEST_F(ShardOrder, rejects_the_old_owner_after_a_change_and_takes_the_new_one) {
  const auto new_key = test_key(77);
  ASSERT_TRUE(executed(validator.execute(alice.next(change_owner(new_key.public_key())))));
  expect_refused(alice.peek(skip()), InvalidOwner{});
  EXPECT_TRUE(voted(validator.order(alice.peek(skip()), new_key.public_key())));
}

TEST_F(ShardOrder, rejects_an_unusable_new_key) {  // an account cannot be bricked
  expect_refused(alice.peek(change_owner(PublicKey{})), InvalidOperation{"the new key is not a usable Ed25519 key"});
}

TEST_F(ShardOrder, rejects_a_proof_attached_to_an_order_that_needs_none) {
  RequestOrder with_proof = net.order(alice.peek(skip()), alice.key());
  with_proof.proof = net.proof(alice.peek(skip()));
  const auto early = validator.shard_with(alice.account()).look_up(with_proof);
  ASSERT_TRUE(early.has_value());
  EXPECT_TRUE(std::holds_alternative<Malformed>(std::get<Refusal>(*early)));
}

TEST_F(ShardOrder, look_up_of_a_fresh_order_asks_for_verification) {
  const auto early = validator.shard_with(alice.account()).look_up(net.order(alice.peek(pay(bob, 1)), alice.key()));
  EXPECT_FALSE(early.has_value());
}

TEST_F(ShardOrder, a_vote_for_another_place_follows_once_the_first_is_executed) {
  const Request first = alice.next(pay(bob, 10));
  ASSERT_TRUE(voted(order(first)));
  ASSERT_TRUE(executed(validator.execute(first)));
  EXPECT_FALSE(state(alice.account()).pending.has_value());
  EXPECT_TRUE(voted(order(alice.peek(pay(bob, 10)))));
}

TEST_F(ShardOrder, a_pending_request_gives_way_to_the_certified_one) {
  ASSERT_TRUE(voted(order(alice.peek(pay(bob, 10)))));
  ASSERT_TRUE(executed(validator.execute(alice.next(pay(bob, 20)))));
  EXPECT_FALSE(state(alice.account()).pending.has_value());
  EXPECT_EQ(state(alice.account()).balance, 1'000'000 - 20);
}

TEST_F(ShardOrder, really_signed_orders_and_proofs_pass) {
  const Request request = alice.next(pay(bob, 10));
  Shard& shard = validator.shard_with(alice.account());
  EXPECT_TRUE(voted(shard.handle(net.verified(net.order(request, alice.key())))));
  EXPECT_TRUE(executed(shard.execute(net.verified(net.proof(request)))));
}

}  // namespace
}  // namespace zef::shard::testing
