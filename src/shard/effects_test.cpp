// Effects between shards: exactly once, in any order, whatever the accounts are.
#include <gtest/gtest.h>

#include "shard/received.h"
#include "shard/shard.h"
#include "shard/testing/local_validator.h"
#include "shard/testing/matchers.h"

namespace zef::shard::testing {
namespace {

using namespace protocol::testing;

constexpr SequenceNumber at(std::uint64_t number) { return SequenceNumber(number); }

struct ShardEffects : ::testing::Test {
  TestNetwork net;
  LocalValidator validator{net};
  Chain alice{net, 0};
  Uid bob = net.uid(1);
  ShardId from = shard_of(alice.account());
  ShardId to = shard_of(bob);

  AccountState state(const Uid& uid) { return validator.account(uid).value(); }
  void pay_bob(int times, std::uint64_t amount = 10) {
    for (int i = 0; i < times; ++i) ASSERT_TRUE(executed(validator.execute(alice.next(pay(bob, amount)))));
  }
  Balance credited() { return state(bob).balance - 1'000'000; }
};

TEST_F(ShardEffects, effects_carry_consecutive_indexes_and_one_proof_each) {
  pay_bob(3);
  const auto waiting = validator.shard(from).outgoing(to, 0, 10);
  ASSERT_EQ(waiting.size(), 3);
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    EXPECT_EQ(waiting[i].index, i);
    EXPECT_EQ(std::get<CertifiedEffect>(waiting[i].effect).sequence_number, at(i));
    ASSERT_NE(waiting[i].proof, nullptr);
  }
  EXPECT_EQ(validator.shard(from).outgoing(to, 1, 1).size(), 1);
  EXPECT_EQ(validator.shard(from).outgoing(to, 1, 1)[0].index, 1);
  EXPECT_TRUE(validator.shard(from).outgoing(to, 3, 10).empty());
  EXPECT_TRUE(validator.shard(from).outgoing(to, UINT64_MAX, 10).empty());
}

TEST_F(ShardEffects, repeated_batch_is_applied_once) {
  pay_bob(2);
  const EffectBatch batch = validator.batch(from, to, 0, 10);
  ASSERT_TRUE(validator.receive(batch).has_value());
  EXPECT_EQ(credited(), 20);
  const auto before = validator.digests();
  const auto again = validator.receive(batch);
  ASSERT_TRUE(again.has_value());
  EXPECT_TRUE(again->records.empty());
  EXPECT_EQ(validator.digests(), before);
}

TEST_F(ShardEffects, of_a_batch_that_is_partly_known_only_the_rest_is_applied) {
  pay_bob(3);
  ASSERT_TRUE(validator.receive(validator.batch(from, to, 0, 2)).has_value());
  const auto rest = validator.receive(validator.batch(from, to, 0, 3));
  ASSERT_TRUE(rest.has_value());
  const auto& record = std::get<EffectsReceived>(rest->records.at(0));
  EXPECT_EQ(record.first, 2);
  EXPECT_EQ(record.effects.size(), 1);
  EXPECT_EQ(credited(), 30);
}

TEST_F(ShardEffects, batch_after_a_gap_is_ignored_until_what_is_missing_came) {
  pay_bob(3);
  const auto before = validator.digests();
  const auto early = validator.receive(validator.batch(from, to, 1, 2));
  ASSERT_TRUE(early.has_value());
  EXPECT_TRUE(early->records.empty());
  EXPECT_EQ(validator.digests(), before);
  EXPECT_EQ(validator.shard(to).mark(from), 0);
  ASSERT_TRUE(validator.receive(validator.batch(from, to, 0, 1)).has_value());
  ASSERT_TRUE(validator.receive(validator.batch(from, to, 1, 2)).has_value());
  EXPECT_EQ(credited(), 30);
  EXPECT_EQ(validator.shard(to).mark(from), 3);
}

TEST_F(ShardEffects, acknowledged_effects_leave_the_outbox_and_a_late_acknowledgement_does_nothing) {
  pay_bob(3);
  EXPECT_EQ(validator.acknowledge(from, to, 2).records.size(), 1);
  EXPECT_EQ(validator.totals().effects_waiting, 1);
  EXPECT_EQ(validator.shard(from).outgoing(to, 0, 10).at(0).index, 2);
  EXPECT_TRUE(validator.acknowledge(from, to, 1).records.empty());
  EXPECT_TRUE(validator.acknowledge(from, to, 2).records.empty());
  EXPECT_EQ(validator.shard(from).destinations(), std::vector{to});
  EXPECT_EQ(validator.acknowledge(from, to, 3).records.size(), 1);
  EXPECT_TRUE(validator.shard(from).destinations().empty());
  pay_bob(1);
  EXPECT_EQ(validator.shard(from).outgoing(to, 0, 10).at(0).index, 3);
}

TEST_F(ShardEffects, acknowledgement_of_what_was_never_sent_is_refused) {
  pay_bob(1);
  EXPECT_TRUE(refusal<Malformed>(validator.acknowledge(from, to, 2)));
  EXPECT_TRUE(refusal<Malformed>(validator.acknowledge(from, ShardId(1), 1)));
  EXPECT_EQ(validator.totals().effects_waiting, 1);
}

TEST_F(ShardEffects, a_long_backlog_is_sent_once_each_and_not_again_with_every_transfer) {
  pay_bob(50);
  std::size_t sent = 0;
  for (int round = 0; round < 10; ++round) {
    sent += validator.batch(from, to, validator.shard(to).mark(from), 7).effects.size();
    if (validator.totals().effects_waiting > 0) validator.deliver(from, to, 7);
  }
  EXPECT_EQ(sent, 50);
  EXPECT_EQ(credited(), 500);
}

TEST_F(ShardEffects, a_dead_destination_holds_up_no_other) {
  const Uid carol = net.uid(2);
  ASSERT_NE(shard_of(carol), to);
  ASSERT_TRUE(executed(validator.execute(alice.next(pay_all({{bob, 10}, {carol, 10}})))));
  validator.deliver(from, shard_of(carol), 10);
  EXPECT_EQ(state(carol).balance, 1'000'010);
  EXPECT_EQ(credited(), 0);
  validator.deliver(from, to, 10);
  EXPECT_EQ(credited(), 10);
}

TEST_F(ShardEffects, accounts_of_all_shards_are_reached) {
  const TestNetwork big({.accounts = 300});
  LocalValidator other(big);
  Chain payer(big, 0);
  std::set<ShardId> reached;
  for (std::uint64_t first = 0; first < 300; first += 100) {
    std::vector<std::pair<Uid, std::uint64_t>> payments;
    for (std::uint64_t i = first; i < first + 100; ++i) payments.emplace_back(big.uid(i), 1);
    ASSERT_TRUE(executed(other.execute(payer.next(pay_all(payments)))));
  }
  for (const ShardId destination : other.shard_with(payer.account()).destinations()) reached.insert(destination);
  EXPECT_GT(reached.size(), 200);
  other.deliver_all();
  for (std::uint64_t i = 1; i < 300; ++i) EXPECT_EQ(other.account(big.uid(i))->balance, 1'000'001);
}

// ---- closed and unopened accounts ----------------------------------------------------------------------------------

TEST_F(ShardEffects, late_transfer_to_a_closed_account_is_burned_and_does_not_revive_it) {
  Chain bobs(net, 1);
  pay_bob(1);
  ASSERT_TRUE(executed(validator.execute(bobs.next(close_account()))));
  validator.deliver_all();
  EXPECT_TRUE(state(bob).closed);
  EXPECT_EQ(state(bob).balance, 0);
  EXPECT_EQ(state(bob).received, 1);
  EXPECT_EQ(validator.totals().burned, 1'000'010);
}

TEST_F(ShardEffects, repeated_effects_after_a_close_neither_revive_the_account_nor_double_money) {
  const auto key = test_key(3);
  const Request opening = alice.open_child(key, Amount(100));
  Chain child = alice.child_of(opening, key);
  const ShardId home = shard_of(child.account());
  ASSERT_TRUE(executed(validator.execute(opening)));
  ASSERT_TRUE(executed(validator.execute(alice.next(pay(child.account(), 50)))));
  const EffectBatch batch = validator.batch(from, home, 0, 10);
  validator.deliver(from, home, 10, /*acknowledged=*/false);  // the acknowledgement gets lost
  ASSERT_TRUE(executed(validator.execute(child.next(close_account()))));
  const auto before = validator.digests();
  ASSERT_TRUE(validator.receive(batch).has_value());
  EXPECT_EQ(validator.digests(), before);
  EXPECT_TRUE(state(child.account()).closed);
  EXPECT_EQ(validator.totals().burned, 150);
}

TEST_F(ShardEffects, transfer_to_an_account_not_opened_yet_waits_for_its_owner) {
  const auto key = test_key(4);
  const Uid child = alice.account().child(at(1));
  ASSERT_TRUE(executed(validator.execute(alice.next(pay(child, 40)))));
  validator.deliver_all();
  EXPECT_EQ(state(child).balance, 40);
  EXPECT_FALSE(state(child).owner.has_value());
  const Request opening = alice.open_child(key, Amount(2));
  ASSERT_TRUE(executed(validator.execute(opening)));
  validator.deliver_all();
  const AccountState opened = state(child);
  EXPECT_EQ(opened.owner, key.public_key());
  EXPECT_EQ(opened.balance, 42);
  EXPECT_EQ(opened.head, hash_of(net.id(), opening));
  EXPECT_EQ(opened.next, at(0));
  EXPECT_EQ(opened.received, 2);  // the funding is a credit of its parent
}

TEST_F(ShardEffects, unfunded_opening_is_no_credit) {
  const auto key = test_key(4);
  const Request opening = alice.open_child(key);
  ASSERT_TRUE(executed(validator.execute(opening)));
  validator.deliver_all();
  EXPECT_EQ(state(alice.child_of(opening, key).account()).received, 0);
}

TEST_F(ShardEffects, effects_to_the_own_shard_go_through_the_outbox_too) {
  ASSERT_TRUE(executed(validator.execute(alice.next(pay(alice.account(), 10)))));
  EXPECT_EQ(state(alice.account()).balance, 1'000'000 - 10);
  EXPECT_EQ(validator.shard(from).destinations(), std::vector{from});
  validator.deliver(from, from, 10);
  EXPECT_EQ(state(alice.account()).balance, 1'000'000);
}

TEST(ReceivedEntry, is_the_key_that_every_validator_finds) {
  const Uid parent({3, 1});
  const Uid child = parent.child(at(17));
  const auto funding = received_entry(Open{child, PublicKey{}, Amount(5), Hash{}});
  ASSERT_TRUE(funding.has_value());
  EXPECT_EQ(funding->recipient, child);
  EXPECT_EQ(funding->credit, (ReceivedCredit{parent, at(17), Amount(5)}));
  EXPECT_FALSE(received_entry(Open{child, PublicKey{}, Amount(0), Hash{}}).has_value());
  EXPECT_FALSE(received_entry(FeeTotal{child, 5}).has_value());
  EXPECT_TRUE(received_entry(Credit{parent, at(2), child, Amount(1)}).has_value());
}

// ---- batches that a dishonest peer could send ---------------------------------------------------------------------

TEST_F(ShardEffects, batch_must_be_what_its_proofs_cause) {  // nobody can mint money
  const Uid carol = net.uid(2);
  ASSERT_TRUE(executed(validator.execute(alice.next(pay_all({{bob, 10}, {carol, 10}})))));
  const EffectBatch good = validator.batch(from, to, 0, 10);
  const auto before = validator.digests();
  const auto expect_invalid = [&](auto change) {
    EffectBatch bad = good;
    change(bad);
    const auto outcome = validator.receive(bad);
    ASSERT_FALSE(outcome.has_value());
    EXPECT_TRUE(std::holds_alternative<InvalidCertificate>(outcome.error()));
  };
  expect_invalid([](EffectBatch& b) { std::get<CertifiedEffect>(b.effects[0]).proof = 1; });
  expect_invalid([](EffectBatch& b) { std::get<CertifiedEffect>(b.effects[0]).ordinal = 2; });
  expect_invalid([](EffectBatch& b) { std::get<CertifiedEffect>(b.effects[0]).ordinal = 1; });  // carol's shard
  expect_invalid([](EffectBatch& b) { std::get<CertifiedEffect>(b.effects[0]).sequence_number = at(1); });
  expect_invalid([](EffectBatch& b) { b.source = ShardId(5); });  // the same effect once more, as another shard's
  expect_invalid([&](EffectBatch& b) { b.destination = shard_of(net.uid(3)); });
  expect_invalid([](EffectBatch& b) { b.first = UINT64_MAX; });
  expect_invalid([&](EffectBatch& b) { b.effects.emplace_back(FeeTotal{net.uid(7), 5}); });  // no reward account
  expect_invalid([&](EffectBatch& b) { b.effects.emplace_back(FeeTotal{bob, -5}); });
  expect_invalid([&](EffectBatch& b) { b.effects.emplace_back(FeeTotal{bob, Balance{1} << 100}); });
  expect_invalid([&](EffectBatch& b) { b.effects.emplace_back(FeeTotal{net.uid(0), 5}); });  // another shard's
  EXPECT_EQ(validator.digests(), before);
  EXPECT_TRUE(validator.receive(good).has_value());
}

TEST_F(ShardEffects, second_opening_of_an_account_keeps_the_first_owner_and_loses_no_money) {
  // Two quorums for one place: this shard sees the effect of one, then, from another copy of the sender's shard, that
  // of the other. Only more than f Byzantine validators can do it.
  const auto first_key = test_key(1);
  const auto second_key = test_key(2);
  Chain fork = alice;
  const Request first = alice.open_child(first_key, Amount(100));
  const Request second = fork.open_child(second_key, Amount(70));
  const Uid child = alice.child_of(first, first_key).account();
  const ShardId home = shard_of(child);
  const auto opening = [&](const Request& request, std::uint64_t index) {
    return EffectBatch{.source = from,
                       .destination = home,
                       .first = index,
                       .effects = {CertifiedEffect{.proof = 0, .sequence_number = at(0), .ordinal = 0}},
                       .proofs = {validator.certifier().proof(std::span(&request, 1))}};
  };
  Shard shard(home, net.network());
  const auto receive = [&](const EffectBatch& batch) {
    const auto effects =
        VerifiedEffects::derive(net.network(), batch, {validator.certifier().verified(batch.proofs[0])});
    ASSERT_TRUE(effects.has_value());
    static_cast<void>(shard.receive(*effects));
  };
  receive(opening(first, 0));
  receive(opening(second, 1));
  EXPECT_EQ(shard.account(child)->owner, first_key.public_key());
  EXPECT_EQ(shard.account(child)->head, hash_of(net.id(), first));
  EXPECT_EQ(shard.account(child)->balance, 170);
  EXPECT_EQ(shard.totals().received, 170);
  EXPECT_EQ(shard.totals().balances, 170);
  EXPECT_EQ(shard.totals().conflicts, 1);
}

// ---- fees -----------------------------------------------------------------------------------------------------------

struct ShardFees : ::testing::Test {
  // Validators 0 to 3 are paid on accounts [0], [1], [2], [0]: two share one.
  TestNetwork net{{.validators = 4, .accounts = 3, .fees = test_fees}};
  LocalValidator validator{net};
  Chain alice{net, 1};
  AccountState state(const Uid& uid) { return validator.account(uid).value(); }
};

TEST_F(ShardFees, every_validator_gets_its_share_and_shared_reward_accounts_get_the_sum) {
  const Request request = alice.next(skip());
  ASSERT_TRUE(executed(validator.execute(request)));
  const Balance share = fee_of(net.network(), request).value() / 4;
  EXPECT_GT(share, 0);
  EXPECT_EQ(validator.totals().fees, 4 * share);
  validator.settle();
  EXPECT_EQ(state(net.uid(0)).balance, 1'000'000 + 2 * share);
  EXPECT_EQ(state(net.uid(1)).balance, 1'000'000 - 3 * share);
  EXPECT_EQ(state(net.uid(2)).balance, 1'000'000 + share);
  EXPECT_EQ(validator.totals().fees_credited, 4 * share);
}

TEST_F(ShardFees, totals_are_queued_only_when_they_changed) {
  const ShardId home = shard_of(alice.account());
  EXPECT_FALSE(validator.shard(home).fee_totals_changed());
  EXPECT_TRUE(validator.shard(home).queue_fee_totals().records.empty());
  ASSERT_TRUE(executed(validator.execute(alice.next(skip()))));
  EXPECT_TRUE(validator.shard(home).fee_totals_changed());
  validator.queue_fee_totals();
  EXPECT_FALSE(validator.shard(home).fee_totals_changed());
  EXPECT_EQ(validator.totals().effects_waiting, 3);  // one for each distinct reward account
  validator.queue_fee_totals();
  EXPECT_EQ(validator.totals().effects_waiting, 3);
}

TEST_F(ShardFees, outcome_does_not_depend_on_when_totals_are_sent) {
  LocalValidator other(net);
  for (int i = 0; i < 5; ++i) {
    const Request request = alice.next(pay(net.uid(2), 100));
    ASSERT_TRUE(executed(validator.execute(request)));
    validator.settle();  // after each
    ASSERT_TRUE(executed(other.execute(request)));
  }
  other.settle();  // once
  other.settle();
  EXPECT_EQ(validator.account_digests(), other.account_digests());
}

TEST_F(ShardFees, shares_of_a_closed_reward_account_are_burned) {
  Chain reward(net, 2);
  ASSERT_TRUE(executed(validator.execute(reward.next(close_account()))));
  validator.settle();
  EXPECT_EQ(state(net.uid(2)).balance, 0);
  EXPECT_TRUE(state(net.uid(2)).closed);
  EXPECT_EQ(validator.totals().fees, validator.totals().fees_credited);
  EXPECT_EQ(validator.totals().balances + validator.totals().burned, 3'000'000);
}

TEST_F(ShardFees, close_pays_its_fee_before_the_rest_is_burned) {
  const Request closing = alice.next(close_account());
  ASSERT_TRUE(executed(validator.execute(closing)));
  EXPECT_EQ(validator.totals().burned, 1'000'000 - fee_of(net.network(), closing).value());
}

}  // namespace
}  // namespace zef::shard::testing
