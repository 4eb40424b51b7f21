// Rules C: execution is unconditional, happens once, in order; contradictions are kept as evidence.
#include <gtest/gtest.h>

#include "shard/shard.h"
#include "shard/testing/local_validator.h"
#include "shard/testing/matchers.h"

namespace zef::shard::testing {
namespace {

using namespace protocol::testing;

constexpr SequenceNumber at(std::uint64_t number) { return SequenceNumber(number); }

struct ShardProof : ::testing::Test {
  TestNetwork net;
  LocalValidator validator{net};
  Chain alice{net, 0};
  Uid bob = net.uid(1);

  AccountState state(const Uid& uid) { return validator.account(uid).value(); }
  void expect_unchanged(const Request& request, auto check) {
    static_cast<void>(validator.shard_with(request.account));  // digests are of the shards that exist
    const auto before = validator.digests();
    EXPECT_TRUE(check(validator.execute(request)));
    EXPECT_EQ(validator.digests(), before);
  }
};

TEST_F(ShardProof, transfer_debits_the_sender_and_later_credits_the_recipient) {
  const Request request = alice.peek(pay(bob, 10));
  ASSERT_TRUE(std::holds_alternative<VoteToSign>(validator.order(request, alice.key().public_key()).answer));
  const Outcome outcome = validator.execute(alice.next(pay(bob, 10)));
  ASSERT_TRUE(executed(outcome));
  const AccountState sender = state(alice.account());
  EXPECT_EQ(std::get<AccountState>(outcome.answer), sender);
  EXPECT_EQ(sender.balance, 1'000'000 - 10);
  EXPECT_EQ(sender.next, at(1));
  EXPECT_EQ(sender.head, hash_of(net.id(), request));
  EXPECT_FALSE(sender.pending.has_value());
  EXPECT_EQ(state(bob).balance, 1'000'000);  // still under way

  validator.deliver_all();
  EXPECT_EQ(state(bob).balance, 1'000'000 + 10);
  EXPECT_EQ(state(bob).received, 1);
}

TEST_F(ShardProof, recipient_is_credited_without_touching_its_sequence_number) {
  const AccountState before = state(bob);
  ASSERT_TRUE(executed(validator.execute(alice.next(pay(bob, 10)))));
  validator.deliver_all();
  EXPECT_EQ(state(bob).next, before.next);
  EXPECT_EQ(state(bob).head, before.head);
  EXPECT_EQ(state(bob).owner, before.owner);
}

TEST_F(ShardProof, replayed_certificate_is_accepted_and_changes_nothing) {
  const Request first = alice.next(pay(bob, 10));
  const Request second = alice.next(pay(bob, 10));
  ASSERT_TRUE(executed(validator.execute(first)));
  expect_unchanged(first, already_done);
  ASSERT_TRUE(executed(validator.execute(second)));
  expect_unchanged(first, already_done);  // a past sequence number
  expect_unchanged(second, already_done);
}

TEST_F(ShardProof, certificate_over_the_balance_is_executed_and_the_balance_goes_negative) {
  ASSERT_TRUE(executed(validator.execute(alice.next(pay(bob, 3'000'000)))));
  EXPECT_EQ(state(alice.account()).balance, -2'000'000);
  validator.deliver_all();
  EXPECT_EQ(state(bob).balance, 4'000'000);
}

TEST_F(ShardProof, balance_of_a_recipient_cannot_overflow) {
  constexpr std::uint64_t most = UINT64_MAX;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(executed(validator.execute(alice.next(pay(bob, most)))));
  validator.deliver_all();
  EXPECT_EQ(state(bob).balance, Balance{1'000'000} + Balance{3} * most);
  EXPECT_EQ(state(alice.account()).balance, Balance{1'000'000} - Balance{3} * most);
}

TEST_F(ShardProof, self_transfer_costs_only_the_fee) {
  const TestNetwork with_fees({.fees = test_fees});
  LocalValidator other(with_fees);
  Chain carol(with_fees, 5);  // no reward account
  const Request request = carol.next(pay(carol.account(), 500));
  ASSERT_TRUE(executed(other.execute(request)));
  other.settle();
  const AccountState after = other.account(carol.account()).value();
  EXPECT_EQ(after.balance, Balance{1'000'000} - fee_of(with_fees.network(), request).value());
  EXPECT_EQ(after.next, at(1));
  EXPECT_EQ(after.received, 1);
}

TEST_F(ShardProof, certificate_for_an_unknown_account_is_refused) {
  const Uid child = alice.account().child(at(0));
  Chain unknown(net, child, alice.head(), net.account_key(0));
  expect_unchanged(unknown.peek(skip()), [&](const Outcome& o) { return refused(o, InactiveAccount{child}); });
}

TEST_F(ShardProof, certificate_for_an_account_without_an_owner_is_refused_until_it_is_opened) {
  const auto key = test_key(5);
  const Request advance_funding = alice.next(pay(alice.account().child(at(1)), 50));
  const Request opening = alice.open_child(key, Amount(7));
  Chain child = alice.child_of(opening, key);
  ASSERT_TRUE(executed(validator.execute(advance_funding)));
  validator.deliver_all();
  const Request spend = child.next(pay(bob, 57));
  expect_unchanged(spend, [&](const Outcome& o) { return refused(o, InactiveAccount{child.account()}); });

  ASSERT_TRUE(executed(validator.execute(opening)));
  validator.deliver_all();
  EXPECT_EQ(state(child.account()).balance, 57);  // funded in advance, and the new owner spends all of it
  EXPECT_TRUE(std::holds_alternative<VoteToSign>(validator.order(spend, key.public_key()).answer));
  ASSERT_TRUE(executed(validator.execute(spend)));
  EXPECT_EQ(state(child.account()).balance, 0);
}

TEST_F(ShardProof, certificate_above_next_names_what_is_missing) {
  const Request first = alice.next(pay(bob, 10));
  const Request second = alice.next(pay(bob, 20));
  const Request third = alice.next(pay(bob, 30));
  expect_unchanged(third, [](const Outcome& o) { return refused(o, MissingOperations{at(0)}); });
  ASSERT_TRUE(executed(validator.execute(first)));
  expect_unchanged(third, [](const Outcome& o) { return refused(o, MissingOperations{at(1)}); });
  ASSERT_TRUE(executed(validator.execute(second)));
  ASSERT_TRUE(executed(validator.execute(third)));
  EXPECT_EQ(state(alice.account()).balance, 1'000'000 - 60);
}

TEST_F(ShardProof, proof_of_several_requests_executes_those_that_are_new_with_one_record) {
  std::vector<Request> requests;
  for (int i = 0; i < 5; ++i) requests.push_back(alice.next(pay(bob, 10)));
  ASSERT_TRUE(executed(validator.execute(std::span(requests).first(2))));
  ASSERT_TRUE(executed(validator.execute(requests)));
  EXPECT_EQ(state(alice.account()).next, at(5));
  EXPECT_EQ(state(alice.account()).head, alice.head());
  EXPECT_EQ(validator.totals().executed, 5);
  validator.deliver_all();
  EXPECT_EQ(state(bob).balance, 1'000'000 + 50);
  EXPECT_EQ(state(bob).received, 5);
  EXPECT_TRUE(already_done(validator.execute(requests)));
}

TEST_F(ShardProof, batch_of_payments_is_one_credit_for_each_recipient) {
  const Uid carol = net.uid(2);
  ASSERT_TRUE(executed(validator.execute(alice.next(pay_all({{bob, 1}, {carol, 10}, {bob, 100}})))));
  EXPECT_EQ(validator.totals().effects_waiting, 2);
  validator.deliver_all();
  EXPECT_EQ(state(bob).balance, 1'000'000 + 101);
  EXPECT_EQ(state(bob).received, 1);
  EXPECT_EQ(state(carol).balance, 1'000'000 + 10);
}

TEST_F(ShardProof, burned_payments_go_nowhere) {
  ASSERT_TRUE(executed(validator.execute(alice.next(burn(25)))));
  EXPECT_EQ(validator.totals().burned, 25);
  EXPECT_EQ(validator.totals().effects_waiting, 0);
  EXPECT_EQ(state(alice.account()).balance, 1'000'000 - 25);
}

TEST_F(ShardProof, skip_and_change_of_owner_move_only_the_chain) {
  const auto key = test_key(9);
  ASSERT_TRUE(executed(validator.execute(alice.next(skip()))));
  ASSERT_TRUE(executed(validator.execute(alice.next(change_owner(key.public_key())))));
  EXPECT_EQ(state(alice.account()).owner, key.public_key());
  EXPECT_EQ(state(alice.account()).next, at(2));
  EXPECT_EQ(state(alice.account()).balance, 1'000'000);
}

TEST_F(ShardProof, close_burns_the_balance_and_keeps_the_tombstone) {
  ASSERT_TRUE(executed(validator.execute(alice.next(close_account()))));
  const AccountState tombstone = state(alice.account());
  EXPECT_TRUE(tombstone.closed);
  EXPECT_FALSE(tombstone.owner.has_value());
  EXPECT_EQ(tombstone.balance, 0);
  EXPECT_EQ(tombstone.next, at(1));
  EXPECT_EQ(tombstone.head, alice.head());
  EXPECT_EQ(validator.totals().burned, 1'000'000);
}

TEST_F(ShardProof, close_burns_even_a_negative_balance) {
  ASSERT_TRUE(executed(validator.execute(alice.next(pay(bob, 3'000'000)))));
  ASSERT_TRUE(executed(validator.execute(alice.next(close_account()))));
  EXPECT_EQ(validator.totals().burned, -2'000'000);
}

TEST_F(ShardProof, what_a_closed_account_executed_is_still_known) {
  const Request first = alice.next(pay(bob, 10));
  const Request closing = alice.next(close_account());
  ASSERT_TRUE(executed(validator.execute(first)));
  ASSERT_TRUE(executed(validator.execute(closing)));
  expect_unchanged(first, already_done);
  expect_unchanged(closing, already_done);
}

TEST_F(ShardProof, closing_does_not_hold_up_what_is_under_way) {  // its effects leave the outbox all the same
  ASSERT_TRUE(executed(validator.execute(alice.next(pay(bob, 10)))));
  ASSERT_TRUE(executed(validator.execute(alice.next(close_account()))));
  EXPECT_EQ(validator.totals().effects_waiting, 1);
  validator.deliver_all();
  EXPECT_EQ(validator.totals().effects_waiting, 0);
  EXPECT_EQ(state(bob).balance, 1'000'000 + 10);
}

// ---- C5: more than f validators are Byzantine ---------------------------------------------------------------------

TEST_F(ShardProof, another_request_at_an_executed_number_is_kept_as_evidence_once) {
  const Request other = alice.peek(pay(bob, 20));
  ASSERT_TRUE(executed(validator.execute(alice.next(pay(bob, 10)))));
  const AccountState before = state(alice.account());
  EXPECT_TRUE(conflict(validator.execute(other), at(0)));
  EXPECT_EQ(state(alice.account()), before);
  EXPECT_EQ(validator.totals().conflicts, 1);
  EXPECT_EQ(validator.totals().effects_waiting, 1);
  expect_unchanged(other, [](const Outcome& o) { return refused(o, ConflictingCertificate{at(0)}); });
}

TEST_F(ShardProof, another_previous_is_kept_as_evidence) {
  ASSERT_TRUE(executed(validator.execute(alice.next(pay(bob, 10)))));
  Request forked = alice.peek(skip());
  forked.previous.bytes[0] ^= 1;
  const AccountState before = state(alice.account());
  EXPECT_TRUE(conflict(validator.execute(forked), at(1)));
  EXPECT_EQ(state(alice.account()), before);
}

TEST_F(ShardProof, chain_that_forks_below_next_executes_nothing) {
  Chain fork = alice;
  ASSERT_TRUE(executed(validator.execute(alice.next(pay(bob, 10)))));
  const std::vector<Request> forked = {fork.next(pay(bob, 11)), fork.next(pay(bob, 12))};
  EXPECT_TRUE(conflict(validator.execute(forked), at(0)));
  EXPECT_EQ(state(alice.account()).next, at(1));
}

TEST_F(ShardProof, request_after_a_close_is_evidence_and_executes_nothing) {
  const Request closing = alice.next(close_account());
  const Request after = alice.next(pay(bob, 5));
  const Request later = alice.next(skip());
  // In one proof with the close: not even the close is executed, a quorum that lies vouches for nothing.
  EXPECT_TRUE(conflict(validator.execute(std::vector<Request>{closing, after}), at(1)));
  EXPECT_FALSE(state(alice.account()).closed);
  EXPECT_EQ(state(alice.account()).next, at(0));
  // After the close.
  ASSERT_TRUE(executed(validator.execute(closing)));
  EXPECT_TRUE(refused(validator.execute(after), ConflictingCertificate{at(1)}));  // that place is known already
  EXPECT_TRUE(conflict(validator.execute(later), at(2)));
  EXPECT_EQ(validator.totals().conflicts, 2);
  EXPECT_EQ(state(alice.account()).next, at(1));
  EXPECT_EQ(validator.totals().effects_waiting, 0);
}

TEST_F(ShardProof, certified_opening_of_a_strange_uid_is_an_invalid_certificate) {
  for (const Uid& strange :
       {bob, net.uid(77), bob.child(at(0)), alice.account().child(at(1)), alice.account().child(at(0)).child(at(0))}) {
    expect_unchanged(alice.peek(open_account(strange, alice.key().public_key())),
                     [](const Outcome& o) { return refusal<InvalidCertificate>(o) != nullptr && o.records.empty(); });
  }
}

TEST_F(ShardProof, lock_that_vouches_for_nothing_is_refused_before_it_is_verified) {
  Proof proof = net.proof(alice.peek(skip()));
  proof.certificate.value = Value{Lock{alice.peek(LockInto{bob, alice.key().public_key()})}};
  const auto early = validator.shard_with(alice.account()).look_up(proof);
  ASSERT_TRUE(early.has_value());
  EXPECT_TRUE(std::holds_alternative<InvalidCertificate>(std::get<Refusal>(*early)));
}

TEST_F(ShardProof, malformed_proof_below_next_is_refused_by_its_shape) {
  const Request first = alice.next(pay(bob, 10));
  ASSERT_TRUE(executed(validator.execute(first)));
  Proof proof = net.proof(first);
  proof.account = net.uid(3);
  EXPECT_FALSE(validator.shard_with(net.uid(3)).look_up(proof).has_value());  // verification refuses it
  proof = net.proof(first);
  proof.earlier.push_back(first);
  const auto early = validator.shard_with(alice.account()).look_up(proof);
  ASSERT_TRUE(early.has_value());
  EXPECT_TRUE(std::holds_alternative<InvalidCertificate>(std::get<Refusal>(*early)));
}

}  // namespace
}  // namespace zef::shard::testing
