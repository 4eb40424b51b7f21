// Quorums, bad validators and validators that lag, over the real rules.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/testing/local_network.h"

namespace zef::client {
namespace {

using namespace testing;
using protocol::testing::Chain;
using protocol::testing::pay;

class Quorum : public ::testing::Test {
 protected:
  explicit Quorum(const TestNetworkOptions& options = {}) : net(options), quorum(net.driver()) {}

  // Certified and executed on these validators only, as if the client had died in between.
  Proof execute_on(const Request& request, const std::vector<std::size_t>& where) {
    Proof proof = net.network.proof(request);
    for (const std::size_t i : where) static_cast<void>(net[i].answer(SubmitProof{proof}));
    return proof;
  }
  std::uint64_t votes_for(const Uid& account, std::uint64_t at) {
    std::uint64_t count = 0;
    for (auto& validator : net.validators) count += validator->voted().count({account, SequenceNumber(at)});
    return count;
  }
  void expect_equal_states() {
    const auto digests = net[0].digests();
    for (std::size_t i = 1; i < net.validators.size(); ++i) EXPECT_EQ(net[i].digests(), digests) << "validator " << i;
  }

  LocalNetwork net;
  std::unique_ptr<QuorumDriver> quorum;
  const Uid alice = Uid::genesis(0);
  const Uid bob = Uid::genesis(1);
  const Uid carol = Uid::genesis(2);
};

TEST_F(Quorum, makes_a_certificate_that_a_quorum_executes) {
  Chain chain(net.network, 0);
  const auto certificate = net.run(quorum->submit(chain.order(pay(bob, 10))));
  ASSERT_TRUE(certificate) << certificate.error().message;
  const auto summary = net.run(quorum->execute(*certificate));
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->next, SequenceNumber(1));
  EXPECT_GE(summary->acknowledged.size(), 3U);
  EXPECT_TRUE(net.run(quorum->finish_background(std::chrono::seconds(1))));
  for (auto& validator : net.validators) {
    EXPECT_EQ(validator->account(alice)->next, SequenceNumber(1));
    EXPECT_EQ(validator->account(bob)->balance, 1'000'010);
  }
}

TEST_F(Quorum, executing_again_changes_nothing) {
  Chain chain(net.network, 0);
  const auto certificate = net.run(quorum->submit(chain.order(pay(bob, 10))));
  ASSERT_TRUE(net.run(quorum->execute(*certificate)));
  ASSERT_TRUE(net.run(quorum->execute(*certificate)));
  EXPECT_EQ(net[0].account(bob)->balance, 1'000'010);
}

class OneBad : public Quorum, public ::testing::WithParamInterface<Fault> {};

TEST_P(OneBad, validator_does_not_hold_up_or_spoil_a_transfer) {
  net[1].set_fault(GetParam());
  Chain chain(net.network, 0);
  const auto started = net.executor.now();
  const auto certificate = net.run(quorum->submit(chain.order(pay(bob, 10))));
  ASSERT_TRUE(certificate) << certificate.error().message;
  for (const auto& [index, signature] : certificate->votes)
    EXPECT_TRUE(GetParam() != Fault::wrong_value || index != ValidatorIndex(1));
  // The certificate is good: the strictest checker says so.
  static_cast<void>(net.network.verified(Proof{alice, {}, *certificate, std::nullopt}));
  const auto summary = net.run(quorum->execute(*certificate));
  ASSERT_TRUE(summary) << summary.error().message;
  const auto state = net.run(quorum->query_account(alice));
  ASSERT_TRUE(state) << state.error().message;
  EXPECT_EQ(state->next, SequenceNumber(1));
  EXPECT_EQ(state->balance, 999'990);
  EXPECT_LT(net.executor.now() - started, std::chrono::seconds(2));
}
INSTANTIATE_TEST_SUITE_P(All, OneBad,
                         ::testing::Values(Fault::silent, Fault::garbage, Fault::wrong_value, Fault::bad_signature,
                                           Fault::other_validator, Fault::old_states, Fault::poor, Fault::busy,
                                           Fault::inventing, Fault::forgetful));

TEST_F(Quorum, counts_votes_for_another_value_and_drops_them) {
  net[0].set_fault(Fault::wrong_value);
  Chain chain(net.network, 0);
  ASSERT_TRUE(net.run(quorum->submit(chain.order(pay(bob, 10)))));
  EXPECT_EQ(quorum->validator(0).counters().wrong_values, 1U);
  EXPECT_EQ(quorum->counters().votes_dropped, 1U);
}

TEST_F(Quorum, counts_bad_signatures_and_drops_them) {
  net[0].set_fault(Fault::bad_signature);
  Chain chain(net.network, 0);
  const auto certificate = net.run(quorum->submit(chain.order(pay(bob, 10))));
  ASSERT_TRUE(certificate);
  EXPECT_EQ(quorum->validator(0).counters().bad_signatures, 1U);
  EXPECT_EQ(certificate->votes.front().first, ValidatorIndex(1));
}

TEST_F(Quorum, two_bad_of_four_are_too_many_and_it_says_so_in_bounded_time) {
  net[0].set_fault(Fault::wrong_value);
  net[1].set_fault(Fault::silent);
  Chain chain(net.network, 0);
  const auto started = net.executor.now();
  const auto certificate = net.run(quorum->submit(chain.order(pay(bob, 10))));
  ASSERT_FALSE(certificate);
  EXPECT_EQ(certificate.error().kind, FailureKind::unavailable);
  EXPECT_LE(net.executor.now() - started, quorum->options().operation_time_max);
}

TEST_F(Quorum, refusal_by_more_than_f_is_the_answer) {
  Chain chain(net.network, 0);
  const auto certificate = net.run(quorum->submit(chain.order(pay(bob, 2'000'000))));
  ASSERT_FALSE(certificate);
  EXPECT_EQ(certificate.error().kind, FailureKind::insufficient_funds);
  EXPECT_EQ(votes_for(alice, 0), 0U);
}

TEST_F(Quorum, one_poor_validator_cannot_refuse_for_all) {
  net[3].set_fault(Fault::poor);
  net.set_away(2, true);
  Chain chain(net.network, 0);
  const auto certificate = net.run(quorum->submit(chain.order(pay(bob, 10))));
  ASSERT_FALSE(certificate);  // two votes are no quorum
  EXPECT_EQ(certificate.error().kind, FailureKind::unavailable);
}

TEST_F(Quorum, says_which_other_request_is_pending) {
  Chain one(net.network, 0);
  Chain two(net.network, 0);
  const Request first = one.next(pay(bob, 1));
  for (std::size_t i = 0; i < 2; ++i)
    static_cast<void>(net[i].answer(SubmitOrder{net.network.order(first, net.network.account_key(0))}));
  const auto certificate = net.run(quorum->submit(two.order(pay(bob, 2))));
  ASSERT_FALSE(certificate);
  EXPECT_EQ(certificate.error().kind, FailureKind::other_pending);
  EXPECT_EQ(std::get<PreviousRequestPending>(*certificate.error().refusal).pending, first);
}

TEST_F(Quorum, comes_back_to_a_validator_that_was_away_for_a_moment) {
  net.set_away(0, true);
  net.set_away(1, true);
  net.executor.after(std::chrono::seconds(3), [this] { net.set_away(0, false); });
  Chain chain(net.network, 0);
  const auto certificate = net.run(quorum->submit(chain.order(pay(bob, 10))));
  ASSERT_TRUE(certificate) << certificate.error().message;
}

// ---- balances
// --------------------------------------------------------------------------------------------------------

struct Balances {
  std::vector<std::uint64_t> balances;
  Balance expected;
};

// A poor account [1] of each network is credited differently on each validator.
Balance strong_majority_balance(const std::vector<std::uint64_t>& balances) {
  LocalNetwork net({.validators = balances.size(), .accounts = 2, .balance = 100});
  const auto quorum = net.driver();
  Chain donor(net.network, 0);
  Chain owner(net.network, 1);
  const Proof emptied = net.network.proof(owner.next(pay(Uid::genesis(0), 100)));
  std::vector<Proof> ones;
  for (int i = 0; i < 4; ++i) ones.push_back(net.network.proof(donor.next(pay(Uid::genesis(1), 1))));
  for (std::size_t v = 0; v < balances.size(); ++v) {
    static_cast<void>(net[v].answer(SubmitProof{emptied}));
    for (std::uint64_t i = 0; i < balances[v]; ++i) static_cast<void>(net[v].answer(SubmitProof{ones[i]}));
    EXPECT_EQ(net[v].account(Uid::genesis(1))->balance, static_cast<Balance>(balances[v]));
  }
  const auto summary = net.run(quorum->query_account(Uid::genesis(1)));
  return summary ? summary->balance : -1;
}

TEST(StrongMajorityBalance, of_3_4_4_4_is_4) { EXPECT_EQ(strong_majority_balance({3, 4, 4, 4}), 4); }
TEST(StrongMajorityBalance, of_0_3_4_4_is_3) { EXPECT_EQ(strong_majority_balance({0, 3, 4, 4}), 3); }
TEST(StrongMajorityBalance, of_0_3_4_is_0) { EXPECT_EQ(strong_majority_balance({0, 3, 4}), 0); }

TEST_F(Quorum, one_boaster_does_not_change_what_is_shown) {
  net[0].set_fault(Fault::old_states);
  Chain chain(net.network, 0);
  execute_on(chain.next(pay(bob, 10)), {1, 2, 3});
  const auto summary = net.run(quorum->query_account(alice));
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->balance, 999'990);
  EXPECT_EQ(summary->proven_balance, 999'990);
  EXPECT_EQ(summary->next, SequenceNumber(1));
}

TEST_F(Quorum, what_was_spent_is_not_proven_by_validators_that_lag) {
  net[0].set_fault(Fault::old_states);
  Chain chain(net.network, 0);
  execute_on(chain.next(pay(bob, 10)), {1, 2});  // to 3 the money is still there, and 0 says so too
  const auto summary = net.run(quorum->query_account(alice));
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->next, SequenceNumber(1));
  EXPECT_EQ(summary->proven_balance, 999'990);
}

TEST_F(Quorum, an_unknown_account_is_not_found) {
  const auto summary = net.run(quorum->query_account(Uid({0, 77})));
  ASSERT_FALSE(summary);
  EXPECT_EQ(summary.error().kind, FailureKind::not_found);
}

TEST_F(Quorum, too_few_answers_about_an_account_are_none) {
  net.set_away(0, true);
  net.set_away(1, true);
  const auto summary = net.run(quorum->query_account(alice));
  ASSERT_FALSE(summary);
  EXPECT_EQ(summary.error().kind, FailureKind::unavailable);
}

// ---- validators that lag
// ---------------------------------------------------------------------------------------------

TEST_F(Quorum, brings_a_validator_that_misses_operations_up_to_date) {
  Chain chain(net.network, 0);
  for (int i = 0; i < 10; ++i) execute_on(chain.next(pay(bob, 1)), {0, 1});
  // Without 2 and 3 there is no quorum: they must be brought along.
  net.set_away(1, true);
  const auto certificate = net.run(quorum->submit(chain.order(pay(bob, 1))));
  ASSERT_TRUE(certificate) << certificate.error().message;
  EXPECT_GE(quorum->counters().proofs_uploaded, 20U);
  ASSERT_TRUE(net.run(quorum->execute(*certificate)));
  net.set_away(1, false);
  EXPECT_TRUE(net.run(quorum->finish_background(std::chrono::seconds(30))));
  expect_equal_states();
}

TEST_F(Quorum, brings_the_senders_of_missing_credits_along) {
  Chain chain(net.network, 0);
  Chain recipient(net.network, 1);
  execute_on(chain.next(pay(bob, 500'000)), {0, 1, 2});
  net.set_away(0, true);
  const auto certificate = net.run(quorum->submit(recipient.order(pay(carol, 1'400'000))));
  ASSERT_TRUE(certificate) << certificate.error().message;  // validator 3 alone lacked the funds
  EXPECT_EQ(net[3].account(alice)->next, SequenceNumber(1));
}

TEST_F(Quorum, a_boaster_does_not_stop_credits_from_being_brought) {
  Chain chain(net.network, 0);
  Chain recipient(net.network, 1);
  execute_on(chain.next(pay(bob, 500'000)), {0, 1, 2});
  net[0].set_fault(Fault::inventing);
  net[1].set_fault(Fault::none);
  net.wires.deny(net[2].address(), false);
  const auto certificate = net.run(quorum->submit(recipient.order(pay(carol, 1'400'000))));
  ASSERT_TRUE(certificate) << certificate.error().message;
}

TEST_F(Quorum, a_validator_away_during_the_creation_of_a_childs_child_is_completed) {
  const crypto::SigningKey child_key = protocol::testing::test_key(100);
  const crypto::SigningKey grandchild_key = protocol::testing::test_key(101);
  Chain chain(net.network, 0);
  execute_on(chain.next(pay(bob, 1)), {0, 1, 2});
  const Request opening = chain.open_child(child_key, Amount(1000));
  execute_on(opening, {0, 1, 2});
  Chain child = chain.child_of(opening, child_key);
  execute_on(child.next(pay(bob, 1)), {0, 1, 2});
  const Request second = child.open_child(grandchild_key, Amount(100));
  execute_on(second, {0, 1, 2});
  Chain grandchild = child.child_of(second, grandchild_key);
  net.set_away(0, true);  // validator 3 has heard of nothing, and is needed
  const auto certificate = net.run(quorum->submit(grandchild.order(pay(bob, 7))));
  ASSERT_TRUE(certificate) << certificate.error().message;
  ASSERT_TRUE(net.run(quorum->execute(*certificate)));
  net.set_away(0, false);
  EXPECT_TRUE(net.run(quorum->finish_background(std::chrono::seconds(30))));
  expect_equal_states();
}

TEST_F(Quorum, a_validator_with_the_old_owner_is_brought_along) {
  const crypto::SigningKey fresh = protocol::testing::test_key(5);
  Chain chain(net.network, 0);
  execute_on(chain.next(ChangeOwner{fresh.public_key()}), {0, 1, 2});
  chain.set_key(fresh);
  net.set_away(0, true);
  const auto certificate = net.run(quorum->submit(chain.order(pay(bob, 7))));
  ASSERT_TRUE(certificate) << certificate.error().message;
}

TEST_F(Quorum, a_wrong_owner_is_refused_and_nothing_is_pending) {
  Chain chain(net.network, 0);
  const Request request = chain.next(pay(bob, 7));
  const auto certificate = net.run(quorum->submit(net.network.order(request, net.network.account_key(1))));
  ASSERT_FALSE(certificate);
  EXPECT_EQ(certificate.error().kind, FailureKind::not_owner);
  for (auto& validator : net.validators) EXPECT_FALSE(validator->account(alice)->pending);
}

TEST_F(Quorum, goes_on_in_the_background_with_a_validator_that_comes_back) {
  net.set_away(3, true);
  Chain chain(net.network, 0);
  for (int i = 0; i < 5; ++i) {
    const auto certificate = net.run(quorum->submit(chain.order(pay(bob, 1))));
    ASSERT_TRUE(certificate);
    ASSERT_TRUE(net.run(quorum->execute(*certificate)));
  }
  EXPECT_FALSE(net.run(quorum->finish_background(std::chrono::seconds(2))));
  EXPECT_EQ(quorum->background_accounts(), 1U);
  net.set_away(3, false);
  EXPECT_TRUE(net.run(quorum->finish_background(std::chrono::seconds(30))));
  EXPECT_EQ(quorum->background_accounts(), 0U);
  expect_equal_states();
}

TEST_F(Quorum, the_background_is_bounded) {
  DriverOptions options;
  options.background_accounts_max = 1;
  quorum = net.driver(options);
  net.set_away(3, true);
  for (std::size_t account = 0; account < 3; ++account) {
    Chain chain(net.network, account);
    ASSERT_TRUE(net.run(quorum->execute(net.network.proof(chain.next(pay(carol, 1))))));
  }
  EXPECT_FALSE(net.run(quorum->finish_background(std::chrono::seconds(2))));
  EXPECT_LE(quorum->background_accounts(), 1U);
  EXPECT_GE(quorum->counters().background_dropped, 1U);
}

TEST_F(Quorum, background_work_ends_by_itself_when_nobody_answers) {
  net.set_away(3, true);
  Chain chain(net.network, 0);
  ASSERT_TRUE(net.run(quorum->execute(net.network.proof(chain.next(pay(bob, 1))))));
  net.executor.advance(std::chrono::minutes(5));
  EXPECT_EQ(quorum->background_accounts(), 1U);  // remembered
  EXPECT_EQ(net.executor.pending_timers(), 0U);  // but nothing runs any more
}

TEST_F(Quorum, brings_everybody_up_to_date_on_request) {
  Chain chain(net.network, 0);
  for (int i = 0; i < 6; ++i) execute_on(chain.next(pay(bob, 1)), {static_cast<std::size_t>(2)});
  const auto reached = net.run(quorum->bring_up_to_date(alice));
  ASSERT_TRUE(reached) << reached.error().message;
  EXPECT_EQ(*reached, 4U);
  expect_equal_states();
}

TEST_F(Quorum, bringing_up_to_date_ignores_who_boasts) {
  Chain chain(net.network, 0);
  for (int i = 0; i < 6; ++i) execute_on(chain.next(pay(bob, 1)), {1, 2});
  net[0].set_fault(Fault::inventing);
  const auto reached = net.run(quorum->bring_up_to_date(alice));
  ASSERT_TRUE(reached) << reached.error().message;
  EXPECT_EQ(net[3].account(alice)->next, SequenceNumber(6));
}

TEST_F(Quorum, execution_of_a_proof_with_gaps_uploads_what_is_missing) {
  Chain chain(net.network, 0);
  for (int i = 0; i < 6; ++i) execute_on(chain.next(pay(bob, 1)), {1, 2, 3});
  const auto summary = net.run(quorum->execute(net.network.proof(chain.next(pay(bob, 1)))));
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_TRUE(net.run(quorum->finish_background(std::chrono::seconds(30))));
  expect_equal_states();
}

TEST_F(Quorum, history_is_fetched_whole_and_verified) {
  Chain chain(net.network, 0);
  for (int i = 0; i < 10; ++i) execute_on(chain.next(pay(bob, 1)), {1, 2, 3});
  net[0].set_fault(Fault::inventing);
  const auto proofs = net.run(quorum->fetch_executed(alice, SequenceNumber(0), SequenceNumber(10)));
  ASSERT_TRUE(proofs);
  EXPECT_EQ(proofs->size(), 10U);
  const auto missing = net.run(quorum->fetch_proof(alice, SequenceNumber(10)));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, FailureKind::not_found);
}

TEST_F(Quorum, a_credit_is_believed_only_with_its_senders_certificate) {
  Chain chain(net.network, 0);
  execute_on(chain.next(pay(bob, 5)), {0, 1, 2, 3});
  EXPECT_TRUE(net.run(quorum->certify_credit(bob, {alice, SequenceNumber(0), Amount(5)})));
  const auto more = net.run(quorum->certify_credit(bob, {alice, SequenceNumber(0), Amount(6)}));
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().kind, FailureKind::invalid);
  const auto other = net.run(quorum->certify_credit(carol, {alice, SequenceNumber(0), Amount(5)}));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, FailureKind::invalid);
  const auto invented = net.run(quorum->certify_credit(bob, {alice, SequenceNumber(9), Amount(5)}));
  ASSERT_FALSE(invented);
  EXPECT_EQ(invented.error().kind, FailureKind::not_found);
}

class WeightedQuorum : public Quorum {
 protected:
  WeightedQuorum() : Quorum({.validators = 5, .accounts = 4, .weights = {4, 1, 1, 1, 0}}) {}
};

TEST_F(WeightedQuorum, counts_weights_and_not_heads) {
  net.set_away(0, true);  // 3 of 7: no quorum (5)
  Chain chain(net.network, 0);
  const auto refused = net.run(quorum->submit(chain.order(pay(bob, 1))));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, FailureKind::unavailable);
  net.set_away(0, false);
  net.set_away(1, true);
  net.set_away(2, true);
  Chain again(net.network, 0);
  const auto certificate = net.run(quorum->submit(again.order(pay(bob, 1))));  // 4 + 1
  ASSERT_TRUE(certificate) << certificate.error().message;
  EXPECT_EQ(certificate->votes.size(), 2U);
  static_cast<void>(net.network.verified(Proof{alice, {}, *certificate, std::nullopt}));
}

}  // namespace
}  // namespace zef::client
