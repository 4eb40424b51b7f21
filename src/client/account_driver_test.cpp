// What owners do with accounts, over the real rules: the behaviours that every client of this protocol family checks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/testing/local_network.h"

namespace zef::client {
namespace {

using namespace testing;
using protocol::testing::pay;
using protocol::testing::test_key;

crypto::SigningKey copy(const crypto::SigningKey& key) { return crypto::SigningKey::from_seed(key.seed()); }

class Accounts : public ::testing::Test {
 protected:
  Accounts() {
    alice = net.account(*quorum, 0);
    bob = net.account(*quorum, 1);
    carol = net.account(*quorum, 2);
  }
  Balance balance_of(const Uid& uid) {
    const auto summary = net.run(quorum->query_account(uid));
    EXPECT_TRUE(summary) << (summary ? "" : summary.error().message);
    return summary ? summary->balance : -1;
  }
  void settle() { EXPECT_TRUE(net.run(quorum->finish_background(std::chrono::seconds(60)))); }
  void expect_equal_states() {
    settle();
    const auto digests = net[0].digests();
    for (std::size_t i = 1; i < net.validators.size(); ++i) EXPECT_EQ(net[i].digests(), digests) << "validator " << i;
  }

  LocalNetwork net;
  std::unique_ptr<QuorumDriver> quorum = net.driver();
  std::unique_ptr<AccountDriver> alice;
  std::unique_ptr<AccountDriver> bob;
  std::unique_ptr<AccountDriver> carol;
};

TEST_F(Accounts, transfer_moves_the_chain_and_the_money_and_leaves_a_certificate) {
  const auto done = net.run(alice->transfer(to(bob->uid(), 300)));
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(alice->chain().next, SequenceNumber(1));
  EXPECT_FALSE(alice->pending());
  EXPECT_EQ(balance_of(alice->uid()), 999'700);
  EXPECT_EQ(balance_of(bob->uid()), 1'000'300);
  const auto proof = net.run(quorum->fetch_proof(alice->uid(), SequenceNumber(0)));
  ASSERT_TRUE(proof);
  EXPECT_EQ(std::get<Confirm>(proof->certificate.value.kind).request, done->request);
}

TEST_F(Accounts, transfer_works_with_one_bad_validator) {
  for (const Fault fault : {Fault::wrong_value, Fault::silent, Fault::bad_signature, Fault::poor}) {
    net[2].set_fault(fault);
    ASSERT_TRUE(net.run(alice->transfer(to(bob->uid(), 3))));
    EXPECT_FALSE(alice->pending());
  }
  EXPECT_EQ(alice->chain().next, SequenceNumber(4));
  EXPECT_EQ(balance_of(alice->uid()), 999'988);
  EXPECT_TRUE(net.run(quorum->fetch_proof(alice->uid(), SequenceNumber(3))));
}

TEST_F(Accounts, low_funds_are_refused_and_the_account_is_not_blocked) {
  const auto refused = net.run(alice->transfer(to(bob->uid(), 1'000'001)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, FailureKind::insufficient_funds);
  EXPECT_FALSE(alice->pending());
  for (auto& validator : net.validators) EXPECT_TRUE(validator->seen_orders().empty());  // never signed, never sent
  ASSERT_TRUE(net.run(alice->transfer(to(bob->uid(), 1'000'000))));
  EXPECT_EQ(balance_of(alice->uid()), 0);
}

TEST_F(Accounts, breaking_a_rule_is_refused_before_anything_is_signed) {
  EXPECT_EQ(net.run(alice->transfer(to(bob->uid(), 0))).error().kind, FailureKind::invalid);
  EXPECT_EQ(net.run(alice->transfer(to(Uid::genesis(99), 1))).error().kind, FailureKind::invalid);
  EXPECT_EQ(net.run(alice->transfer({})).error().kind, FailureKind::invalid);
  EXPECT_FALSE(alice->pending());
  for (auto& validator : net.validators) EXPECT_TRUE(validator->seen_orders().empty());
}

TEST_F(Accounts, two_way_transfers_work_while_the_local_balance_lags_and_resync_shows_all) {
  ASSERT_TRUE(net.run(alice->transfer(to(bob->uid(), 1'000'000))));
  EXPECT_EQ(bob->chain().balance, 1'000'000);  // bob has not heard of it
  ASSERT_TRUE(net.run(bob->transfer(to(alice->uid(), 1'500'000))));
  ASSERT_TRUE(net.run(alice->transfer(to(bob->uid(), 700'000))));
  ASSERT_TRUE(net.run(bob->refresh()));
  EXPECT_EQ(bob->chain().balance, 1'200'000);
  EXPECT_EQ(balance_of(bob->uid()), 1'200'000);
  EXPECT_EQ(balance_of(alice->uid()), 800'000);
  expect_equal_states();
}

TEST_F(Accounts, an_unconfirmed_transfer_debits_here_only_until_the_receiver_completes_it) {
  const auto proof = net.run(alice->certify(pay(bob->uid(), 300)));
  ASSERT_TRUE(proof) << proof.error().message;
  EXPECT_EQ(alice->chain().balance, 999'700);
  EXPECT_EQ(alice->chain().next, SequenceNumber(1));
  EXPECT_EQ(balance_of(alice->uid()), 1'000'000);  // the network has not moved
  EXPECT_EQ(balance_of(bob->uid()), 1'000'000);
  ASSERT_TRUE(net.run(quorum->execute(*proof)));  // bob got the certificate
  EXPECT_EQ(balance_of(alice->uid()), 999'700);
  EXPECT_EQ(balance_of(bob->uid()), 1'000'300);
  ASSERT_TRUE(net.run(alice->transfer(to(bob->uid(), 1))));  // and alice goes on
  EXPECT_EQ(balance_of(alice->uid()), 999'699);
}

TEST_F(Accounts, an_unconfirmed_transfer_through_a_lagging_account_in_the_middle_is_completed) {
  // Validator 3 sees nothing of what alice and bob do.
  net.set_away(3, true);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(net.run(alice->transfer(to(bob->uid(), 200'000))));
  ASSERT_TRUE(net.run(bob->transfer(to(alice->uid(), 1))));
  const auto proof = net.run(bob->certify(pay(carol->uid(), 1'500'000)));  // more than it began with
  ASSERT_TRUE(proof) << proof.error().message;
  net.set_away(3, false);
  net.set_away(0, true);            // now it is needed
  const auto fresh = net.driver();  // carol's client knows nothing
  const auto summary = net.run(fresh->execute(*proof));
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(net[3].account(carol->uid())->balance, 2'500'000);
  ASSERT_TRUE(net.run(carol->transfer(to(alice->uid(), 2'400'000))));  // and can be spent
  net.set_away(0, false);
  EXPECT_TRUE(net.run(fresh->finish_background(std::chrono::seconds(60))));
  expect_equal_states();
}

TEST_F(Accounts, a_rotated_key_signs_from_then_on) {
  const crypto::SigningKey fresh = test_key(50);
  ASSERT_TRUE(net.run(alice->rotate(copy(fresh))));
  EXPECT_EQ(alice->chain().owner, fresh.public_key());
  ASSERT_TRUE(net.run(alice->transfer(to(bob->uid(), 1))));
  EXPECT_EQ(alice->chain().next, SequenceNumber(2));
}

TEST_F(Accounts, after_an_account_was_given_away_the_old_owner_is_refused) {
  ASSERT_TRUE(net.run(alice->run(ChangeOwner{net.network.account_key(1).public_key()})));
  const auto refused = net.run(alice->transfer(to(bob->uid(), 1)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, FailureKind::not_owner);
  // And by the validators, if it does not know.
  protocol::testing::Chain old(net.network, 0);
  old.advance(old.peek(ChangeOwner{net.network.account_key(1).public_key()}));
  const auto by_validators = net.run(quorum->submit(old.order(pay(bob->uid(), 1))));
  ASSERT_FALSE(by_validators);
  EXPECT_EQ(by_validators.error().kind, FailureKind::not_owner);
  AccountDriver next(*quorum, alice->chain(), net.key(1));
  ASSERT_TRUE(net.run(next.transfer(to(bob->uid(), 1))));
}

TEST_F(Accounts, an_account_funded_in_advance_is_opened_and_its_owner_spends) {
  const crypto::SigningKey owner = test_key(51);
  const Uid child = alice->uid().child(SequenceNumber(1));
  ASSERT_TRUE(net.run(alice->transfer(to(child, 500))));  // not there yet: the credit waits
  const auto opened = net.run(alice->open(owner.public_key(), Amount(20)));
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(std::get<OpenAccount>(opened->request.operation).new_id, child);
  AccountDriver mine(*quorum,
                     {.account = child,
                      .owner = owner.public_key(),
                      .next = SequenceNumber(0),
                      .head = hash_of(net.network.id(), opened->request),
                      .balance = 0},
                     copy(owner));
  ASSERT_TRUE(net.run(mine.transfer(to(bob->uid(), 520))));
  EXPECT_EQ(balance_of(child), 0);
  EXPECT_EQ(balance_of(bob->uid()), 1'000'520);
  expect_equal_states();
}

TEST_F(Accounts, who_compares_before_the_account_is_opened_anywhere_keeps_what_it_knows) {
  const crypto::SigningKey owner = test_key(52);
  const Uid child = alice->uid().child(SequenceNumber(1));
  ASSERT_TRUE(net.run(alice->transfer(to(child, 500))));  // the credit is there before the account is
  const auto opening =
      net.run(alice->certify(OpenAccount{.new_id = child, .new_owner = owner.public_key(), .funding = Amount(20)}));
  ASSERT_TRUE(opening) << opening.error().message;
  const auto requests = requests_of(net.network.network(), *opening);
  ASSERT_TRUE(requests);
  const ChainState chain{.account = child,
                         .owner = owner.public_key(),
                         .next = SequenceNumber(0),
                         .head = requests->back().hash,
                         .balance = 20,
                         .synced = true};
  settle();
  AccountDriver mine(*quorum, chain, copy(owner));
  ASSERT_TRUE(net.run(mine.refresh()));
  EXPECT_EQ(mine.chain().head, chain.head);
  EXPECT_EQ(mine.chain().owner, chain.owner);
  // One that knows nothing of it signs nothing: its first request would continue no chain.
  AccountDriver stranger(*quorum, {.account = child, .owner = owner.public_key()}, copy(owner));
  const auto early = net.run(stranger.transfer(to(bob->uid(), 1)));
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().kind, FailureKind::not_found) << early.error().message;
  EXPECT_FALSE(stranger.pending());
  ASSERT_TRUE(net.run(quorum->execute(*opening)));
  ASSERT_TRUE(net.run(mine.transfer(to(bob->uid(), 10))));
  ASSERT_TRUE(net.run(stranger.transfer(to(bob->uid(), 1))));
}

TEST_F(Accounts, a_closed_account_does_nothing_more_and_its_certificate_stays) {
  const auto kept = net.run(alice->close(false));
  ASSERT_FALSE(kept);  // there is a balance
  EXPECT_EQ(kept.error().kind, FailureKind::invalid);
  EXPECT_NE(kept.error().message.find("--burn"), std::string::npos) << kept.error().message;
  ASSERT_TRUE(net.run(alice->transfer(to(bob->uid(), 1'000'000))));
  const auto closed = net.run(alice->close(false));
  ASSERT_TRUE(closed) << closed.error().message;
  const auto refused = net.run(alice->transfer(to(bob->uid(), 1)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, FailureKind::closed);
  const auto proof = net.run(quorum->fetch_proof(alice->uid(), SequenceNumber(1)));
  ASSERT_TRUE(proof);
  EXPECT_TRUE(std::holds_alternative<CloseAccount>(std::get<Confirm>(proof->certificate.value.kind).request.operation));
}

TEST_F(Accounts, closing_with_a_balance_needs_to_be_told_so) {
  ASSERT_TRUE(net.run(alice->close(true)));
  EXPECT_TRUE(alice->chain().closed);
  settle();
  EXPECT_EQ(net[0].totals().burned, 1'000'000);
}

TEST_F(Accounts, operations_on_one_account_queue) {
  int done = 0;
  TaskScope scope;
  const auto pay_one = [](AccountDriver& from, Uid recipient, int& count) -> Task<void> {
    const auto completed = co_await from.transfer(to(recipient, 1));
    EXPECT_TRUE(completed);
    ++count;
  };
  for (int i = 0; i < 10; ++i) scope.spawn(pay_one(*alice, bob->uid(), done));
  net.executor.run_while_not([&] { return done == 10; });
  EXPECT_EQ(alice->chain().next, SequenceNumber(10));
  expect_equal_states();
  for (auto& validator : net.validators)
    for (const auto& [place, hashes] : validator->seen_orders()) EXPECT_EQ(hashes.size(), 1U);
}

TEST_F(Accounts, what_was_executed_before_a_crash_is_recognised_and_not_done_twice) {
  const auto done = net.run(alice->transfer(to(bob->uid(), 300)));
  ASSERT_TRUE(done);
  // The order was saved, its certificate and execution were not.
  const auto again = net.account(*quorum, 0);
  again->restore(net.network.order(done->request, net.network.account_key(0)), std::nullopt, std::nullopt);
  ASSERT_TRUE(net.run(again->finish_pending()));
  EXPECT_FALSE(again->pending());
  EXPECT_EQ(again->chain().next, SequenceNumber(1));
  EXPECT_EQ(balance_of(bob->uid()), 1'000'300);
}

TEST_F(Accounts, a_rotation_or_close_executed_before_a_crash_is_recognised) {
  const crypto::SigningKey fresh = test_key(52);
  const auto rotated = net.run(alice->rotate(copy(fresh)));
  ASSERT_TRUE(rotated);
  const auto again = net.account(*quorum, 0);
  again->restore(net.network.order(rotated->request, net.network.account_key(0)), std::nullopt, copy(fresh));
  ASSERT_TRUE(net.run(again->finish_pending()));  // validators say InvalidOwner to it by now
  ASSERT_TRUE(net.run(again->transfer(to(bob->uid(), 1))));

  const auto closed = net.run(carol->close(true));
  ASSERT_TRUE(closed);
  const auto late = net.account(*quorum, 2);
  late->restore(net.network.order(closed->request, net.network.account_key(2)), std::nullopt, std::nullopt);
  ASSERT_TRUE(net.run(late->finish_pending()));
  EXPECT_TRUE(late->chain().closed);
}

TEST_F(Accounts, a_request_whose_number_another_one_took_is_over) {
  ASSERT_TRUE(net.run(alice->transfer(to(bob->uid(), 300))));
  const auto copy_of_alice = net.account(*quorum, 0);
  protocol::testing::Chain chain(net.network, 0);
  copy_of_alice->restore(chain.order(pay(bob->uid(), 999)), std::nullopt, std::nullopt);
  const auto finished = net.run(copy_of_alice->finish_pending());
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().kind, FailureKind::out_of_date);
  EXPECT_FALSE(copy_of_alice->pending());
  EXPECT_EQ(balance_of(bob->uid()), 1'000'300);
  ASSERT_TRUE(net.run(copy_of_alice->transfer(to(bob->uid(), 1))));  // and it goes on from there
}

TEST_F(Accounts, a_copy_that_was_never_compared_asks_before_it_signs) {
  ASSERT_TRUE(net.run(alice->transfer(to(bob->uid(), 300))));
  AccountDriver other(*quorum, genesis_chain(net.network.genesis(), net.network.network(), 0), net.key(0));
  ASSERT_TRUE(net.run(other.transfer(to(bob->uid(), 1))));
  EXPECT_EQ(other.chain().next, SequenceNumber(2));
  for (auto& validator : net.validators)
    for (const auto& [place, hashes] : validator->seen_orders()) EXPECT_EQ(hashes.size(), 1U);
}

TEST_F(Accounts, somebody_elses_unfinished_request_is_not_fought) {
  protocol::testing::Chain chain(net.network, 0);
  ASSERT_TRUE(net.run(quorum->submit(chain.order(pay(bob->uid(), 999)))));  // voted, nobody executes it
  AccountDriver other(*quorum, genesis_chain(net.network.genesis(), net.network.network(), 0), net.key(0));
  const auto refused = net.run(other.transfer(to(bob->uid(), 1)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, FailureKind::other_pending);
  EXPECT_FALSE(other.pending());
}

TEST_F(Accounts, an_operation_without_a_quorum_stays_pending_and_is_finished_by_the_next) {
  net.set_away(0, true);
  net.set_away(1, true);
  const auto failed = net.run(alice->transfer(to(bob->uid(), 300)));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, FailureKind::unavailable);
  ASSERT_TRUE(alice->pending());
  net.set_away(0, false);
  net.set_away(1, false);
  ASSERT_TRUE(net.run(alice->transfer(to(bob->uid(), 1))));
  EXPECT_EQ(balance_of(bob->uid()), 1'000'301);
  EXPECT_EQ(alice->chain().next, SequenceNumber(2));
  expect_equal_states();
}

TEST_F(Accounts, the_child_of_a_child_is_used_though_a_validator_was_away_all_the_time) {
  net.set_away(3, true);
  const crypto::SigningKey one = test_key(60);
  const crypto::SigningKey two = test_key(61);
  const auto opened = net.run(alice->open(one.public_key(), Amount(1000)));
  ASSERT_TRUE(opened);
  const auto chain_of = [&](const Request& request, const crypto::SigningKey& key, Balance balance) {
    return ChainState{.account = std::get<OpenAccount>(request.operation).new_id,
                      .owner = key.public_key(),
                      .next = SequenceNumber(0),
                      .head = hash_of(net.network.id(), request),
                      .balance = balance,
                      .synced = true};
  };
  AccountDriver child(*quorum, chain_of(opened->request, one, 1000), copy(one));
  const auto again = net.run(child.open(two.public_key(), Amount(100)));
  ASSERT_TRUE(again) << again.error().message;
  net.set_away(3, false);
  net.set_away(0, true);
  const auto fresh = net.driver();
  AccountDriver grandchild(*fresh, chain_of(again->request, two, 100), copy(two));
  const auto paid = net.run(grandchild.transfer(to(bob->uid(), 100)));
  ASSERT_TRUE(paid) << paid.error().message;
}

class WithFees : public ::testing::Test {
 protected:
  LocalNetwork net{{.fees = {.base = 10, .per_byte = 1, .per_remote_effect = 5, .per_creation = 50}}};
  std::unique_ptr<QuorumDriver> quorum = net.driver();
};

TEST_F(WithFees, the_known_balance_follows_the_networks) {
  const auto alice = net.account(*quorum, 0);
  const auto done = net.run(alice->transfer(to(Uid::genesis(1), 300)));
  ASSERT_TRUE(done);
  EXPECT_GT(done->fee.value(), 0U);
  EXPECT_EQ(alice->chain().balance, 1'000'000 - 300 - static_cast<Balance>(done->fee.value()));
  EXPECT_EQ(net[0].account(Uid::genesis(0))->balance, alice->chain().balance);
  const auto all = net.run(alice->transfer(to(Uid::genesis(1), static_cast<std::uint64_t>(alice->chain().balance))));
  ASSERT_FALSE(all);  // nothing left for the fee
  EXPECT_EQ(all.error().kind, FailureKind::insufficient_funds);
}

}  // namespace
}  // namespace zef::client
