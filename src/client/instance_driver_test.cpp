// The way to a decision against participants and validators that do what they like.
#include "client/instance_driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/testing/local_network.h"
#include "protocol/instance_rules.h"

namespace zef::client {
namespace {

using namespace testing;
using std::chrono::seconds;
using ::testing::HasSubstr;

// A locked account whose owner sends what it likes.
struct Participant_ {
  std::unique_ptr<AccountDriver> account;
  std::unique_ptr<crypto::SigningKey> delegate;
  Certificate lock;
};

class Instances : public ::testing::Test {
 protected:
  // Started by account 7, which takes no part.
  void start(std::size_t accounts) {
    creator = net.account(*quorum, 7);
    std::vector<Participant> named;
    for (std::size_t i = 0; i < accounts; ++i) named.push_back({Uid::genesis(i), SequenceNumber(0)});
    const auto started = net.run(creator->start_instance(AtomicSwap{}, std::move(named)));
    ASSERT_TRUE(started) << started.error().message;
    terms = started_by(started->request);
    instance = terms.new_id;
    start_proof = started->proof;
  }
  void lock(std::size_t place) {
    auto& one = participants[place];
    one.account = net.account(*quorum, place);
    one.delegate = std::make_unique<crypto::SigningKey>(crypto::SigningKey::generate());
    const auto locked =
        net.run(one.account->lock_into(instance, SequenceNumber(0), one.delegate->public_key(), start_proof));
    ASSERT_TRUE(locked) << locked.error().message;
    one.lock = *locked;
    ASSERT_TRUE(net.run(driver->show_locks(instance, {one.lock})));
  }
  void start_locked(std::size_t accounts) {
    start(accounts);
    for (std::size_t place = 0; place < accounts; ++place) lock(place);
  }
  Outcome<InstanceView> drive(std::size_t place, Wish wish, Duration time = seconds(600)) {
    return net.run(driver->drive(instance, {{Uid::genesis(place), participants[place].delegate.get()}},
                                 {participants[place].lock}, wish, time));
  }
  void expect_decided(const Outcome<InstanceView>& view, const Decision& decision) {
    ASSERT_TRUE(view) << view.error().message;
    EXPECT_EQ(view->decision(), decision);
    expect_one_decision();
  }
  // Of all validators, honest votes included.
  void expect_one_decision() {
    std::set<std::size_t> decisions;
    for (auto& validator : net.validators) {
      for (const auto& [place, voted] : validator->precommitted()) EXPECT_EQ(voted.size(), 1U);
      const auto state = validator->instance(instance);
      if (state && state->decided)
        decisions.insert(std::get<Commit>(state->decided->value.kind).proposal.decision.index());
      EXPECT_EQ(validator->totals().conflicts, 0U);
    }
    EXPECT_EQ(decisions.size(), 1U);
  }

  // ---- what a participant may send
  SubmitProposal proposal(std::size_t place, Round round, const Decision& decision) {
    const Proposal what{current_epoch, instance, round, decision};
    SubmitProposal message{.proposal = what,
                           .delegate = participants[place].delegate->public_key(),
                           .signature = net.network.sign(what, *participants[place].delegate),
                           .locks = {},
                           .carried = std::nullopt,
                           .start = start_proof};
    for (const auto& [other, participant] : participants)
      if (other == place || std::holds_alternative<Confirmed>(decision)) message.locks.push_back(participant.lock);
    return message;
  }
  AskTimeout ask_timeout(std::size_t place, Round round) {
    const AskedTimeout asked{current_epoch, instance, round};
    return {.instance = instance,
            .round = round,
            .delegate = participants[place].delegate->public_key(),
            .signature = net.network.sign(asked, *participants[place].delegate),
            .lock = participants[place].lock,
            .start = start_proof};
  }
  // The votes that these validators give for a message, as a certificate if they are a quorum.
  template <class Message>
  std::optional<Certificate> votes_for(const Message& message, std::initializer_list<std::size_t> validators) {
    std::optional<Certificate> certificate;
    std::size_t votes = 0;
    for (const std::size_t i : validators) {
      const auto answer = net[i].answer(Query(message));
      const auto* voted = answer ? std::get_if<Voted>(&*answer) : nullptr;
      if (!voted) continue;
      if (!certificate) certificate.emplace(Certificate{voted->vote.value, {}});
      certificate->votes.emplace_back(voted->vote.validator, voted->vote.signature);
      ++votes;
    }
    return votes >= 3 ? certificate : std::nullopt;
  }
  Answer show(std::size_t validator, const Certificate& certificate) {
    return *net[validator].answer(Query(SubmitInstanceCertificate{instance, certificate, start_proof}));
  }
  Round round_at(std::size_t validator) { return net[validator].instance(instance)->round; }

  LocalNetwork net;
  std::unique_ptr<QuorumDriver> quorum = net.driver();
  std::unique_ptr<InstanceDriver> driver = std::make_unique<InstanceDriver>(*quorum);
  std::unique_ptr<AccountDriver> creator;
  StartInstance terms;
  Uid instance;
  Proof start_proof;
  std::map<std::size_t, Participant_> participants;
  const Decision confirmed = Confirmed{};
  const Decision aborted = Aborted{};
};

TEST_F(Instances, confirm_in_round_0_when_all_are_locked) {
  start_locked(3);
  const MonotonicTime before = net.executor.now();
  expect_decided(drive(2, Wish::confirm), confirmed);
  EXPECT_LT(net.executor.now() - before, seconds(1));
  const auto view = net.run(driver->query(instance));
  ASSERT_TRUE(view);
  EXPECT_EQ(view->decision(), confirmed);
  EXPECT_EQ(net.run(driver->execute_all(*view, seconds(30))), 3U);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_EQ(net[i].account(Uid::genesis(1))->owner, participants[2].delegate->public_key());
}

TEST_F(Instances, abort_with_one_lock_alone) {
  start(3);
  lock(1);
  expect_decided(drive(1, Wish::abort), aborted);
}

// A crash between saving the decision and forgetting the lock leaves both on the disk.
TEST_F(Instances, leave_no_lock_behind_when_it_is_restored_beside_its_decision) {
  start_locked(2);
  const RequestOrder order = *participants[0].account->pending();
  const auto view = drive(0, Wish::abort);
  expect_decided(view, aborted);
  const auto proof = decided_proof(*view, 0);
  ASSERT_TRUE(proof);
  ASSERT_TRUE(net.run(participants[0].account->settle(*proof)));
  AccountDriver again(*quorum, participants[0].account->chain(), net.key(0));
  again.restore(order, proof, std::nullopt);
  again.restore_lock(participants[0].lock);
  EXPECT_FALSE(again.lock());
  ASSERT_TRUE(net.run(again.finish_pending()));
  const auto paid = net.run(again.transfer({Payment{Account{Uid::genesis(5)}, Amount(10), {}}}));
  EXPECT_TRUE(paid) << paid.error().message;
}

TEST_F(Instances, wait_for_locks_until_the_time_is_over) {
  start(3);
  lock(1);
  lock(2);
  const auto open = drive(1, Wish::confirm, seconds(20));
  ASSERT_FALSE(open);
  EXPECT_EQ(open.error().kind, FailureKind::unavailable);
  EXPECT_THAT(open.error().message, HasSubstr("not locked yet: 0"));
  EXPECT_EQ(net[0].instance(instance).value_or(InstanceState{}).round, Round(0));
  lock(0);
  expect_decided(drive(1, Wish::confirm), confirmed);
}

TEST_F(Instances, show_locks_to_whoever_asks) {
  start(2);
  lock(1);
  InstanceDriver other(*quorum);
  const auto view = net.run(other.query(instance));
  ASSERT_TRUE(view);
  EXPECT_FALSE(view->all_locked());
  EXPECT_TRUE(view->locks[1]);
  EXPECT_FALSE(view->decided);
}

TEST_F(Instances, recover_from_a_round_0_that_proposals_have_split) {
  start_locked(2);
  static_cast<void>(votes_for(proposal(0, Round(0), confirmed), {0, 1}));
  static_cast<void>(votes_for(proposal(0, Round(0), aborted), {2, 3}));
  const auto view = drive(1, Wish::confirm);
  expect_decided(view, confirmed);  // it leads round 1
  EXPECT_EQ(std::get<Commit>(view->decided->value.kind).proposal.round, Round(1));
}

TEST_F(Instances, go_on_over_rounds_whose_leaders_are_gone) {
  start_locked(5);
  static_cast<void>(votes_for(proposal(1, Round(0), confirmed), {0, 1}));
  static_cast<void>(votes_for(proposal(1, Round(0), aborted), {2, 3}));
  const auto view = drive(4, Wish::abort);
  expect_decided(view, aborted);
  EXPECT_EQ(std::get<Commit>(view->decided->value.kind).proposal.round, Round(4));
}

TEST_F(Instances, finish_a_proposal_that_a_quorum_voted_for) {
  start_locked(2);
  ASSERT_TRUE(votes_for(proposal(0, Round(0), confirmed), {0, 1, 2}));  // and the proposer is gone
  expect_decided(drive(1, Wish::abort), confirmed);
}

TEST_F(Instances, take_a_hidden_decision_up) {
  start_locked(2);
  const auto precommit = votes_for(proposal(0, Round(0), confirmed), {0, 1, 2, 3});
  ASSERT_TRUE(precommit);
  const auto commit = votes_for(SubmitInstanceCertificate{instance, *precommit, start_proof}, {0, 1, 2});
  ASSERT_TRUE(commit);
  show(3, *commit);  // nobody else heard of it
  expect_decided(drive(1, Wish::abort), confirmed);
}

// A Byzantine participant and a Byzantine validator make a PreCommit certificate and show it to one honest validator.
TEST_F(Instances, take_a_hidden_lock_up) {
  start_locked(2);
  net[3].set_fault(Fault::obliging);
  const auto precommit = votes_for(proposal(0, Round(0), confirmed), {0, 1, 3});
  ASSERT_TRUE(precommit);
  static_cast<void>(votes_for(proposal(0, Round(0), aborted), {2, 3}));
  show(0, *precommit);
  net[3].set_fault(Fault::silent);
  net.set_away(0, true);  // nobody can see it
  EXPECT_FALSE(drive(1, Wish::abort, seconds(2)));
  net.set_away(0, false);
  expect_decided(drive(1, Wish::abort), confirmed);
}

TEST_F(Instances, decide_without_a_lock_that_nobody_can_see) {
  start_locked(2);
  net[3].set_fault(Fault::obliging);
  const auto precommit = votes_for(proposal(0, Round(0), confirmed), {0, 1, 3});
  ASSERT_TRUE(precommit);
  static_cast<void>(votes_for(proposal(0, Round(0), aborted), {2}));
  show(0, *precommit);
  net[3].set_fault(Fault::secretive);
  net.set_away(0, true);
  expect_decided(drive(1, Wish::abort), aborted);  // it leads round 1
  net.set_away(0, false);
  expect_decided(drive(0, Wish::confirm), aborted);
}

TEST_F(Instances, decide_once_against_an_equivocating_participant_and_an_obliging_validator) {
  start_locked(2);
  net[3].set_fault(Fault::obliging);
  for (std::uint32_t round = 0; round < 4; round += 2) {  // those that it may propose in
    static_cast<void>(votes_for(proposal(0, Round(round), confirmed), {0, 1, 3}));
    static_cast<void>(votes_for(proposal(0, Round(round), aborted), {2, 3}));
    static_cast<void>(drive(1, Wish::abort, seconds(2)));
  }
  const auto view = drive(1, Wish::abort);
  ASSERT_TRUE(view) << view.error().message;
  expect_one_decision();
}

// Its maker died in the middle of sending it: without further Timeout votes no round has a quorum any more.
TEST_F(Instances, go_on_after_a_timeout_certificate_that_reached_half_of_the_validators) {
  start_locked(2);
  static_cast<void>(votes_for(proposal(0, Round(0), confirmed), {0, 1}));
  static_cast<void>(votes_for(proposal(0, Round(0), aborted), {2, 3}));
  net.executor.advance(seconds(2));
  const auto timeout = votes_for(ask_timeout(0, Round(0)), {0, 1, 2, 3});
  ASSERT_TRUE(timeout);
  show(0, *timeout);
  show(1, *timeout);
  EXPECT_EQ(round_at(0), Round(1));
  EXPECT_EQ(round_at(2), Round(0));
  const auto view = drive(0, Wish::abort);
  ASSERT_TRUE(view) << view.error().message;
  expect_one_decision();
}

TEST_F(Instances, go_on_after_a_timeout_certificate_that_reached_one_validator_while_another_is_silent) {
  start_locked(2);
  net.executor.advance(seconds(1));
  static_cast<void>(votes_for(proposal(0, Round(0), confirmed), {0, 1}));
  static_cast<void>(votes_for(proposal(0, Round(0), aborted), {2, 3}));
  net.executor.advance(seconds(2));
  const auto timeout = votes_for(ask_timeout(0, Round(0)), {0, 1, 2, 3});
  ASSERT_TRUE(timeout);
  show(0, *timeout);
  net[3].set_fault(Fault::silent);
  for (const std::size_t place : {0, 1}) {
    const auto view = drive(place, Wish::abort);
    ASSERT_TRUE(view) << view.error().message;
  }
  expect_one_decision();
}

TEST_F(Instances, decide_beside_a_validator_that_signs_badly) {
  start_locked(2);
  net[1].set_fault(Fault::bad_signature);
  expect_decided(drive(0, Wish::confirm), confirmed);
}

TEST_F(Instances, decide_beside_a_validator_that_invents_rounds) {
  start_locked(2);
  static_cast<void>(votes_for(proposal(0, Round(0), confirmed), {1, 3}));
  static_cast<void>(votes_for(proposal(0, Round(0), aborted), {0, 2}));
  net[0].set_fault(Fault::inventing);
  const auto view = drive(0, Wish::abort);
  ASSERT_TRUE(view) << view.error().message;
  expect_one_decision();
  EXPECT_LT(std::get<Commit>(view->decided->value.kind).proposal.round, Round(5));
}

TEST_F(Instances, decide_beside_a_validator_that_is_busy_and_one_that_comes_late) {
  start_locked(2);
  net[1].set_fault(Fault::busy);
  net.set_away(2, true);
  EXPECT_FALSE(drive(0, Wish::confirm, seconds(5)));
  net.set_away(2, false);
  expect_decided(drive(0, Wish::confirm), confirmed);
}

}  // namespace
}  // namespace zef::client
