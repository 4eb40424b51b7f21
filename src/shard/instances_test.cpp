// Rules L3 to L6: what an instance makes of messages; every refusal is the right one, every record leads to the same
// state in a replay.
#include <gtest/gtest.h>

#include "protocol/testing/agreement.h"
#include "shard/shard.h"
#include "shard/testing/local_validator.h"
#include "shard/testing/matchers.h"
#include "shard/testing/quiet.h"

namespace zef::shard::testing {
namespace {

using namespace protocol::testing;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Confirmed confirmed{};
constexpr Aborted aborted{};
constexpr Round r0{0};
constexpr Round r1{1};
constexpr Round r2{2};
constexpr Round r3{3};

// carol starts a swap of alice and bob.
struct ShardInstance : ::testing::Test {
  TestNetwork net{{.fees = test_fees}};
  LocalValidator validator{net};
  Agreement::Certify certify = [this](const Value& value) { return validator.certifier().certificate(value); };
  Chain alice{net, 0};
  Chain bob{net, 1};
  Chain carol{net, 2};
  Agreement swap{net, carol, {&alice, &bob}, AtomicSwap{}, 7000, certify};

  // The instance exists, by its effect.
  void start() {
    ASSERT_TRUE(executed(validator.execute(swap.start())));
    validator.deliver_all();
    ASSERT_TRUE(validator.instance(swap.uid()).has_value());
  }
  // After every message a replay must give the same shards.
  Outcome tell(const InstanceMessage& message) {
    Outcome outcome = validator.tell(message);
    EXPECT_EQ(validator.replayed_digests(), validator.digests());
    return outcome;
  }
  InstanceState state() { return validator.instance(swap.uid()).value(); }
  Outcome show(const Value& value) { return tell(swap.show(value)); }
  void enter(Round round) {
    ASSERT_TRUE(std::holds_alternative<InstanceState>(show(swap.timeout(Round(round.value() - 1))).answer));
    ASSERT_EQ(state().round, round);
  }
  // Locked by the PreCommit certificate of that round, now in that round.
  void lock(Round round, const Decision& decision) {
    ASSERT_TRUE(votes_for(show(swap.precommit(round, decision)), swap.commit(round, decision)));
    ASSERT_EQ(state().lock->value, swap.precommit(round, decision));
  }
  // It says no and keeps nothing.
  void expect_refused(const InstanceMessage& message, std::string_view why) {
    const auto before = validator.digests();
    const Outcome outcome = tell(message);
    EXPECT_TRUE(instance_refused(outcome, why)) << why;
    EXPECT_TRUE(outcome.records.empty());
    EXPECT_EQ(validator.digests(), before);
    if (const auto* refused = refusal<InstanceRefused>(outcome)) EXPECT_EQ(refused->state, state());
  }
};

// ---- creation (L1)

TEST_F(ShardInstance, is_created_by_the_effect_of_its_start_on_another_shard) {
  Chain starter(net, 3);
  while (shard_of(starter.account().child(starter.sequence_number())) == shard_of(starter.account()))
    ASSERT_TRUE(executed(validator.execute(starter.next(skip()))));
  const Agreement other(net, starter, {&alice, &bob}, AtomicSwap{}, 7000, certify);
  ASSERT_TRUE(executed(validator.execute(other.start())));
  EXPECT_FALSE(validator.instance(other.uid()).has_value()) << "still under way";
  validator.deliver_all();
  const auto made = validator.instance(other.uid());
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(*made,
            (InstanceState{.start = other.start(), .round = r0, .voted = {}, .lock = {}, .locks = {}, .decided = {}}));
  EXPECT_FALSE(validator.account(other.uid()).has_value()) << "an instance is no account";
  EXPECT_EQ(validator.replayed_digests(), validator.digests());
}

TEST_F(ShardInstance, is_not_found_before_its_start_is_shown) {
  for (const InstanceMessage& message :
       std::vector<InstanceMessage>{swap.propose(r0, confirmed, 0), swap.show(swap.commit(r0, confirmed)),
                                    swap.ask_timeout(r0, 0), swap.show_locks({0})})
    EXPECT_TRUE(refused(tell(message), NotFound{}));
  EXPECT_FALSE(validator.instance(swap.uid()).has_value());
}

TEST_F(ShardInstance, is_created_by_any_message_that_shows_its_start_and_the_effect_then_does_nothing) {
  for (const InstanceMessage& message :
       std::vector<InstanceMessage>{swap.propose(r0, confirmed, 0), swap.show(swap.commit(r0, confirmed)),
                                    swap.show(swap.precommit(r2, aborted)), swap.show(swap.timeout(r0)),
                                    swap.ask_timeout(r0, 0), swap.show_locks({0})}) {
    LocalValidator fresh(net);
    const Outcome outcome = fresh.tell(swap.with_start(message));
    ASSERT_FALSE(outcome.records.empty());
    ASSERT_TRUE(std::holds_alternative<InstanceShown>(outcome.records[0]));
    EXPECT_EQ(std::get<InstanceShown>(outcome.records[0]).start, swap.start());
    const auto made = fresh.instance(swap.uid());
    ASSERT_TRUE(made.has_value());
    ASSERT_TRUE(executed(fresh.execute(swap.start())));
    fresh.deliver_all();
    EXPECT_EQ(fresh.instance(swap.uid()), made);
    EXPECT_EQ(fresh.totals().effects_waiting, 0);
    EXPECT_EQ(fresh.replayed_digests(), fresh.digests());
  }
}

TEST_F(ShardInstance, takes_the_proof_of_a_start_that_it_knows_already) {
  start();
  const Outcome outcome = tell(swap.with_start(swap.show_locks({1})));
  EXPECT_TRUE(std::holds_alternative<InstanceState>(outcome.answer));
  EXPECT_EQ(outcome.records.size(), 1) << "no second InstanceShown";
}

TEST_F(ShardInstance, is_not_created_by_a_message_that_does_not_belong_to_it) {
  const Agreement other(net, carol, {&alice, &bob}, AtomicSwap{}, 8000, certify);
  SubmitInstanceCertificate strange = swap.show(swap.commit(r0, confirmed));
  strange.certificate = certify(other.commit(r0, confirmed));
  ShowLocks locks = swap.show_locks({0});
  locks.locks[0] = other.lock(0);
  AskTimeout ask = swap.ask_timeout(r0, 0);
  ask.lock = other.lock(0);
  SubmitProposal proposal = swap.propose(r0, aborted, 0);
  proposal.locks[0] = other.lock(0);
  SubmitProposal carrying = swap.propose(r0, aborted, 0, certify(other.precommit(r0, aborted)));
  for (const InstanceMessage& message : std::vector<InstanceMessage>{strange, locks, ask, proposal, carrying}) {
    const Outcome outcome = tell(swap.with_start(message));
    EXPECT_TRUE(refusal<Malformed>(outcome));
    EXPECT_TRUE(outcome.records.empty());
    EXPECT_FALSE(validator.instance(swap.uid()).has_value());
  }
}

// ---- proposals (L3)

TEST_F(ShardInstance, takes_a_proposal_of_any_delegate_in_round_0) {
  for (const std::size_t place : {std::size_t{0}, std::size_t{1}}) {
    LocalValidator fresh(net);
    EXPECT_TRUE(
        votes_for(fresh.tell(swap.with_start(swap.propose(r0, confirmed, place))), swap.precommit(r0, confirmed)));
    LocalValidator another(net);
    EXPECT_TRUE(
        votes_for(another.tell(swap.with_start(swap.propose(r0, aborted, place))), swap.precommit(r0, aborted)));
  }
}

TEST_F(ShardInstance, refuses_a_proposal_by_whoever_is_no_delegate) {
  start();
  ASSERT_TRUE(std::holds_alternative<InstanceState>(tell(swap.show_locks({0, 1})).answer));
  SubmitProposal proposal = swap.propose(r0, aborted, 0);
  proposal.delegate = alice.key().public_key();  // not even the owner of the account
  proposal.signature = net.sign(proposal.proposal, alice.key());
  expect_refused(proposal, "by no delegate of a lock that was shown");
  proposal = swap.propose(r0, aborted, 0);
  proposal.proposal.epoch = Epoch(1);
  proposal.signature = net.sign(proposal.proposal, swap.delegate(0));
  EXPECT_TRUE(refused(tell(proposal), WrongEpoch{current_epoch}));
}

TEST_F(ShardInstance, refuses_a_delegate_whose_lock_was_never_shown) {
  start();
  SubmitProposal proposal = swap.propose(r0, aborted, 0);
  proposal.locks[0] = swap.lock(1);
  const Outcome outcome = tell(proposal);
  EXPECT_TRUE(instance_refused(outcome, "by no delegate of a lock that was shown"));
  EXPECT_EQ(state().locks, std::vector{swap.lock(1)}) << "what was certified is kept, whoever sends it";
}

TEST_F(ShardInstance, takes_only_the_leader_of_a_later_round) {
  start();
  enter(r1);
  EXPECT_TRUE(
      instance_refused(tell(swap.propose(r1, confirmed, 0)), "only the delegate of account 1 proposes in this"));
  EXPECT_TRUE(votes_for(tell(swap.propose(r1, confirmed, 1)), swap.precommit(r1, confirmed)));
  enter(r2);
  expect_refused(swap.propose(r2, confirmed, 1), "only the delegate of account 0 proposes in this");
  EXPECT_TRUE(votes_for(tell(swap.propose(r2, confirmed, 0)), swap.precommit(r2, confirmed)));
}

TEST_F(ShardInstance, takes_proposals_of_its_own_round_only) {
  start();
  EXPECT_TRUE(instance_refused(tell(swap.propose(r1, confirmed, 1)), "for another round"));
  expect_refused(swap.propose(r2, confirmed, 0), "for another round");
  expect_refused(swap.propose(Round(UINT32_MAX), confirmed, 1), "for another round");  // rounds open one at a time
  EXPECT_EQ(state().round, r0);
  enter(r1);
  expect_refused(swap.propose(r0, confirmed, 0), "for another round");
}

TEST_F(ShardInstance, confirms_with_the_locks_of_all_accounts_only) {
  start();
  SubmitProposal proposal = swap.propose(r0, confirmed, 1);
  proposal.locks.erase(proposal.locks.begin());
  EXPECT_TRUE(instance_refused(tell(proposal), "account 0 is not locked"));
  EXPECT_FALSE(state().voted.has_value());
  ASSERT_TRUE(std::holds_alternative<InstanceState>(tell(swap.show_locks({0})).answer));
  EXPECT_EQ(state().locks, swap.all_locks());
  EXPECT_TRUE(votes_for(tell(proposal), swap.precommit(r0, confirmed))) << "the other one was shown before";
}

TEST_F(ShardInstance, aborts_with_the_lock_of_the_proposer_alone) {
  start();
  EXPECT_TRUE(votes_for(tell(swap.propose(r0, aborted, 1)), swap.precommit(r0, aborted)));
  EXPECT_TRUE(std::get<PreCommit>(swap.precommit(r0, aborted).kind).requests.empty());
}

TEST_F(ShardInstance, keeps_locks_for_the_others_in_the_order_of_the_accounts) {
  start();
  const Outcome outcome = tell(swap.show_locks({1, 0}));
  EXPECT_EQ(std::get<InstanceState>(outcome.answer).locks, swap.all_locks());
  EXPECT_EQ(outcome.records.size(), 1);
  EXPECT_TRUE(tell(swap.show_locks({0, 1})).records.empty()) << "nothing new";
}

// ---- PreCommit (L4)

TEST_F(ShardInstance, votes_once_in_a_round_and_the_same_again) {  // (b)
  start();
  const Outcome first = tell(swap.propose(r0, confirmed, 0));
  EXPECT_TRUE(votes_for(first, swap.precommit(r0, confirmed)));
  EXPECT_EQ(first.records.size(), 1);
  EXPECT_EQ(state().voted, Decision(confirmed));
  for (const std::size_t place : {std::size_t{0}, std::size_t{1}}) {  // whoever proposes it
    const Outcome again = tell(swap.propose(r0, confirmed, place));
    EXPECT_TRUE(votes_for(again, swap.precommit(r0, confirmed)));
    EXPECT_TRUE(again.records.empty());
  }
  expect_refused(swap.propose(r0, aborted, 1), "another decision was voted in this round");
}

TEST_F(ShardInstance, votes_the_same_again_after_a_restart) {
  start();
  ASSERT_TRUE(votes_for(tell(swap.propose(r0, confirmed, 0)), swap.precommit(r0, confirmed)));
  validator.restart();
  expect_refused(swap.propose(r0, aborted, 1), "another decision was voted in this round");
  EXPECT_TRUE(votes_for(tell(swap.propose(r0, confirmed, 0)), swap.precommit(r0, confirmed)));
}

TEST_F(ShardInstance, refuses_the_other_decision_once_it_is_locked) {  // (b)
  start();
  ASSERT_TRUE(std::holds_alternative<InstanceState>(tell(swap.show_locks({0, 1})).answer));
  lock(r0, confirmed);
  expect_refused(swap.propose(r0, aborted, 0), "locked on the other decision");
  enter(r1);
  EXPECT_TRUE(instance_refused(tell(swap.propose(r1, aborted, 1)), "locked on the other decision"));
  EXPECT_TRUE(votes_for(tell(swap.propose(r1, confirmed, 1)), swap.precommit(r1, confirmed)));
}

TEST_F(ShardInstance, gives_a_vote_of_the_round_again_though_it_is_locked_on_the_other_since) {
  start();
  ASSERT_TRUE(votes_for(tell(swap.propose(r0, confirmed, 0)), swap.precommit(r0, confirmed)));
  lock(r0, aborted);  // the others voted for that
  const Outcome again = tell(swap.propose(r0, confirmed, 0));
  EXPECT_TRUE(votes_for(again, swap.precommit(r0, confirmed)));
  EXPECT_TRUE(again.records.empty());
}

TEST_F(ShardInstance, a_carried_certificate_of_a_later_round_replaces_the_lock) {  // (a)
  start();
  lock(r0, confirmed);
  enter(r2);
  const Certificate later = certify(swap.precommit(r1, aborted));
  EXPECT_TRUE(votes_for(tell(swap.propose(r2, aborted, 0, later)), swap.precommit(r2, aborted)));
  EXPECT_EQ(state().lock, later);
  EXPECT_EQ(state().voted, Decision(aborted));
}

TEST_F(ShardInstance, a_carried_certificate_that_is_not_later_or_not_before_this_round_changes_nothing) {  // (a), (d)
  start();
  lock(r1, confirmed);
  enter(r2);
  const Certificate held = certify(swap.precommit(r1, confirmed));
  for (const Round round : {r0, r1, r2, r3}) {
    const Outcome outcome = tell(swap.propose(r2, aborted, 0, certify(swap.precommit(round, aborted))));
    EXPECT_TRUE(instance_refused(outcome, "locked on the other decision")) << round.value();
    EXPECT_EQ(state().lock, held);
    EXPECT_EQ(state().round, r2);
  }
}

TEST_F(ShardInstance, a_carried_certificate_for_the_other_decision_changes_nothing) {  // (a)
  start();
  enter(r1);
  EXPECT_TRUE(votes_for(tell(swap.propose(r1, confirmed, 1, certify(swap.precommit(r0, aborted)))),
                        swap.precommit(r1, confirmed)));
  EXPECT_FALSE(state().lock.has_value());
}

TEST_F(ShardInstance, a_certificate_carried_by_a_proposal_that_is_refused_changes_nothing) {  // (a)
  start();
  enter(r2);
  ASSERT_TRUE(votes_for(tell(swap.propose(r2, confirmed, 0)), swap.precommit(r2, confirmed)));
  expect_refused(swap.propose(r2, aborted, 0, certify(swap.precommit(r1, aborted))), "another decision was voted");
  expect_refused(swap.propose(r2, aborted, 1, certify(swap.precommit(r1, aborted))), "only the delegate of account 0");
  EXPECT_FALSE(state().lock.has_value());
}

TEST_F(ShardInstance, a_precommit_certificate_enters_its_round_locks_and_gets_the_commit_vote) {  // (c)
  start();
  const Outcome first = show(swap.precommit(r2, confirmed));
  EXPECT_TRUE(votes_for(first, swap.commit(r2, confirmed)));
  EXPECT_EQ(first.records.size(), 1);
  EXPECT_EQ(state().round, r2);
  EXPECT_EQ(state().lock, certify(swap.precommit(r2, confirmed)));
  EXPECT_FALSE(state().voted.has_value());
  const Outcome again = show(swap.precommit(r2, confirmed));
  EXPECT_TRUE(votes_for(again, swap.commit(r2, confirmed)));
  EXPECT_TRUE(again.records.empty());
}

TEST_F(ShardInstance, a_precommit_certificate_below_the_round_is_ignored) {  // (d)
  start();
  enter(r1);
  expect_refused(swap.show(swap.precommit(r0, confirmed)), "of a round that is over");
  EXPECT_FALSE(state().lock.has_value());
}

TEST_F(ShardInstance, a_second_precommit_certificate_of_a_round_for_the_other_decision_gets_no_vote) {
  start();
  lock(r1, confirmed);
  expect_refused(swap.show(swap.precommit(r1, aborted)), "of this round for the other decision is known");
}

TEST_F(ShardInstance, a_later_precommit_certificate_replaces_the_lock) {  // (c)
  start();
  lock(r0, confirmed);
  lock(r2, aborted);
  expect_refused(swap.show(swap.precommit(r1, confirmed)), "of a round that is over");
}

// ---- Timeout (L5)

TEST_F(ShardInstance, a_round_may_end_after_a_time_that_doubles_up_to_a_minute) {
  start();
  const std::vector<std::int64_t> patience{1, 2, 4, 8, 16, 32, 60, 60, 60};
  for (std::uint32_t number = 0; number < patience.size(); ++number) {
    const Round round(number);
    if (number == 0) ASSERT_TRUE(std::holds_alternative<InstanceState>(tell(swap.show_locks({0, 1})).answer));
    if (number > 0) enter(round);
    const seconds wait(patience[number]);
    validator.pass(wait - milliseconds(1));
    const Outcome early = tell(swap.ask_timeout(round, 0));
    ASSERT_TRUE(instance_refused(early, "too young to end")) << number;
    EXPECT_EQ(refusal<InstanceRefused>(early)->retry_after_ms, 1U);
    EXPECT_TRUE(early.records.empty());
    validator.pass(milliseconds(1));
    const Outcome vote = tell(swap.ask_timeout(round, 1));
    EXPECT_TRUE(votes_for(vote, swap.timeout(round))) << number;
    EXPECT_TRUE(vote.records.empty()) << "binds nothing, so it is not logged";
  }
}

TEST_F(ShardInstance, tells_how_long_the_round_still_has_to_last) {
  start();
  enter(r3);
  validator.pass(milliseconds(1500));
  const Outcome early = tell(swap.ask_timeout(r3, 1));
  ASSERT_TRUE(instance_refused(early, "too young to end"));
  EXPECT_EQ(refusal<InstanceRefused>(early)->retry_after_ms, 6500U);
}

TEST_F(ShardInstance, the_first_valid_message_starts_the_clock_of_round_0) {
  start();
  validator.pass(seconds(100));
  const Outcome first = tell(swap.ask_timeout(r0, 0));
  ASSERT_TRUE(instance_refused(first, "too young to end"));
  EXPECT_EQ(refusal<InstanceRefused>(first)->retry_after_ms, 1000U);
  validator.pass(seconds(1));
  EXPECT_TRUE(votes_for(tell(swap.ask_timeout(r0, 0)), swap.timeout(r0)));
}

TEST_F(ShardInstance, a_message_that_does_not_belong_to_it_starts_no_clock) {
  start();
  const Agreement other(net, carol, {&alice, &bob}, AtomicSwap{}, 8000, certify);
  ShowLocks strange = swap.show_locks({0});
  strange.locks[0] = other.lock(0);
  ASSERT_TRUE(refusal<Malformed>(tell(strange)));
  validator.pass(seconds(10));
  EXPECT_TRUE(instance_refused(tell(swap.ask_timeout(r0, 0)), "too young to end"));
}

TEST_F(ShardInstance, timers_restart_after_a_crash) {
  start();
  enter(r1);
  validator.pass(seconds(5));
  ASSERT_TRUE(votes_for(tell(swap.ask_timeout(r1, 0)), swap.timeout(r1)));
  validator.restart();
  EXPECT_TRUE(instance_refused(tell(swap.ask_timeout(r1, 0)), "too young to end"));
  validator.pass(seconds(2));
  EXPECT_TRUE(votes_for(tell(swap.ask_timeout(r1, 0)), swap.timeout(r1)));
}

TEST_F(ShardInstance, ends_no_round_that_it_has_not_reached_and_only_at_a_delegates_wish) {
  start();
  enter(r1);
  ASSERT_TRUE(std::holds_alternative<InstanceState>(tell(swap.show_locks({0, 1})).answer));
  validator.pass(seconds(100));
  expect_refused(swap.ask_timeout(r2, 0), "in another round");
  expect_refused(swap.ask_timeout(Round(UINT32_MAX), 0), "in another round");
  AskTimeout ask = swap.ask_timeout(r1, 0);
  ask.lock = swap.lock(1);  // valid, but of the other delegate
  EXPECT_TRUE(refused(tell(ask), InvalidOwner{}));
}

TEST_F(ShardInstance, ends_rounds_that_are_over_here_for_those_that_are_still_in_them) {
  start();
  enter(r3);
  for (const Round round : {r0, r1, r2}) {
    const Outcome vote = tell(swap.ask_timeout(round, 0));
    EXPECT_TRUE(votes_for(vote, swap.timeout(round)));
  }
  EXPECT_EQ(state().round, r3);
}

TEST_F(ShardInstance, a_timeout_certificate_enters_the_round_after_it) {
  start();
  const Outcome outcome = show(swap.timeout(r0));
  EXPECT_EQ(std::get<InstanceState>(outcome.answer).round, r1);
  EXPECT_EQ(outcome.records.size(), 1);
  EXPECT_TRUE(show(swap.timeout(r0)).records.empty()) << "of a round that is over";
  EXPECT_EQ(state().round, r1);
  EXPECT_EQ(std::get<InstanceState>(show(swap.timeout(Round(7))).answer).round, Round(8)) << "a quorum was there";
  EXPECT_TRUE(show(swap.timeout(r3)).records.empty());
  EXPECT_EQ(state().round, Round(8));
  EXPECT_TRUE(show(swap.timeout(Round(UINT32_MAX))).records.empty()) << "there is no round after the last";
}

TEST_F(ShardInstance, a_new_round_forgets_the_vote_and_keeps_the_lock) {
  start();
  ASSERT_TRUE(votes_for(tell(swap.propose(r0, confirmed, 0)), swap.precommit(r0, confirmed)));
  enter(r1);
  EXPECT_FALSE(state().voted.has_value());
  EXPECT_TRUE(votes_for(tell(swap.propose(r1, aborted, 1)), swap.precommit(r1, aborted)));
  lock(r1, aborted);
  enter(r2);
  EXPECT_FALSE(state().voted.has_value());
  EXPECT_TRUE(state().lock.has_value());
}

TEST_F(ShardInstance, delegates_who_race_in_round_0_are_settled_by_the_leader_of_round_1) {
  std::deque<LocalValidator> validators;
  for (int i = 0; i < 4; ++i) validators.emplace_back(net);
  for (std::size_t i = 0; i < 4; ++i) {  // half hear one delegate first, half the other: no quorum, and no way back
    const Decision first = i < 2 ? Decision(confirmed) : Decision(aborted);
    const Decision second = i < 2 ? Decision(aborted) : Decision(confirmed);
    ASSERT_TRUE(votes_for(validators[i].tell(swap.with_start(swap.propose(r0, first, i < 2 ? 0 : 1))),
                          swap.precommit(r0, first)));
    ASSERT_TRUE(instance_refused(validators[i].tell(swap.propose(r0, second, i < 2 ? 1 : 0)), "another decision"));
  }
  for (LocalValidator& each : validators) {
    each.pass(seconds(1));
    ASSERT_TRUE(votes_for(each.tell(swap.ask_timeout(r0, 0)), swap.timeout(r0)));
  }
  for (LocalValidator& each : validators) {
    static_cast<void>(each.tell(swap.show(swap.timeout(r0))));
    ASSERT_TRUE(votes_for(each.tell(swap.propose(r1, confirmed, 1)), swap.precommit(r1, confirmed)));
  }
  for (LocalValidator& each : validators)
    ASSERT_TRUE(votes_for(each.tell(swap.show(swap.precommit(r1, confirmed))), swap.commit(r1, confirmed)));
  for (LocalValidator& each : validators) {
    static_cast<void>(each.tell(swap.show(swap.commit(r1, confirmed))));
    EXPECT_EQ(each.decisions().at(swap.uid()), Decision(confirmed));
  }
}

// ---- decision (L6)

TEST_F(ShardInstance, a_commit_certificate_is_kept_and_answers_everything_after_it) {
  start();
  const Outcome outcome = show(swap.commit(r1, aborted));
  EXPECT_EQ(outcome.records.size(), 1);
  EXPECT_EQ(std::get<InstanceState>(outcome.answer).decided, certify(swap.commit(r1, aborted)));
  for (const InstanceMessage& message : std::vector<InstanceMessage>{
           swap.propose(r0, aborted, 0), swap.propose(r1, confirmed, 1), swap.show(swap.precommit(r3, confirmed)),
           swap.show(swap.timeout(r2)), swap.show(swap.commit(r1, aborted)), swap.show(swap.commit(r3, aborted)),
           swap.ask_timeout(r0, 0), swap.show_locks({0})})
    expect_refused(message, "it is decided");
  validator.restart();
  expect_refused(swap.ask_timeout(r0, 0), "it is decided");
}

TEST_F(ShardInstance, a_party_that_comes_late_learns_the_outcome_from_any_validator) {
  LocalValidator late(net);  // was away all the time
  static_cast<void>(late.tell(swap.with_start(swap.show(swap.commit(r2, confirmed)))));
  const Outcome outcome = late.tell(swap.propose(r0, aborted, 0));
  ASSERT_TRUE(instance_refused(outcome, "it is decided"));
  EXPECT_EQ(refusal<InstanceRefused>(outcome)->state.decided, certify(swap.commit(r2, confirmed)));
}

TEST_F(ShardInstance, a_second_decision_is_kept_as_evidence_once_and_the_first_one_stands) {
  const Quiet quiet;
  start();
  ASSERT_TRUE(std::holds_alternative<InstanceState>(show(swap.commit(r0, confirmed)).answer));
  const Outcome outcome = show(swap.commit(r1, aborted));
  EXPECT_TRUE(instance_refused(outcome, "it is decided"));
  ASSERT_EQ(outcome.records.size(), 1);
  EXPECT_EQ(std::get<InstanceConflictSeen>(outcome.records[0]).certificate, certify(swap.commit(r1, aborted)));
  EXPECT_EQ(validator.totals().conflicts, 1);
  expect_refused(swap.show(swap.commit(r1, aborted)), "it is decided");
  EXPECT_EQ(state().decided, certify(swap.commit(r0, confirmed)));
  EXPECT_EQ(validator.totals().conflicts, 1);
}

// ---- what is executed (L6, C2 to C5)

TEST_F(ShardInstance, a_confirmed_swap_gives_each_account_to_the_other_delegate) {
  ASSERT_TRUE(voted(validator.order(swap.lock_order(0))));
  ASSERT_TRUE(executed(validator.execute(swap.proof(0, confirmed))));
  ASSERT_TRUE(executed(validator.execute(swap.proof(1, confirmed))));
  const Uid first = alice.account();
  const Uid second = bob.account();
  swap.execute(confirmed);
  EXPECT_EQ(validator.account(first)->owner, swap.delegate(1).public_key());
  EXPECT_EQ(validator.account(second)->owner, swap.delegate(0).public_key());
  EXPECT_EQ(validator.account(first)->head, alice.head());
  EXPECT_FALSE(validator.account(first)->pending.has_value());
  EXPECT_TRUE(voted(validator.order(alice.peek(pay(second, 5)), alice.key().public_key()))) << "the new owner spends";
  EXPECT_EQ(validator.replayed_digests(), validator.digests());
}

TEST_F(ShardInstance, confirmed_payments_move_the_money_of_all_legs_at_an_ordinary_fee) {
  Chain dave(net, 5);
  Chain erin(net, 6);
  Agreement sale(net, carol, {&dave, &erin},
                 payments({{dave.account(), erin.account(), Amount(70)}, {erin.account(), dave.account(), Amount(30)}}),
                 7000, certify);
  for (std::size_t place = 0; place < 2; ++place) {
    const Request derived = sale.derived(place, confirmed);
    ASSERT_TRUE(executed(validator.execute(sale.proof(place, confirmed))));
    const Balance spent = Balance{amount_spent(derived)->value()} + fee_of(net.network(), derived).value();
    EXPECT_EQ(validator.account(derived.account)->balance, 1'000'000 - spent);
  }
  validator.deliver_all();
  EXPECT_EQ(validator.account(erin.account())->received, 1);
  EXPECT_EQ(validator.account(dave.account())->received, 1);
  sale.execute(confirmed);
  EXPECT_TRUE(voted(validator.order(dave.peek(skip()), dave.key().public_key()))) << "the owner stays";
  EXPECT_EQ(validator.replayed_digests(), validator.digests());
}

TEST_F(ShardInstance, an_abort_with_the_lock_releases_the_account_however_late) {
  ASSERT_TRUE(voted(validator.order(swap.lock_order(0))));
  start();
  ASSERT_TRUE(std::holds_alternative<InstanceState>(show(swap.commit(r0, aborted)).answer));
  validator.pass(std::chrono::hours(24 * 365));
  validator.restart();
  ASSERT_TRUE(executed(validator.execute(swap.proof(0, aborted))));
  swap.execute(aborted);
  const AccountState after = validator.account(alice.account()).value();
  EXPECT_EQ(after.owner, alice.key().public_key());
  EXPECT_EQ(after.next, SequenceNumber(1));
  EXPECT_EQ(after.head, alice.head());
  EXPECT_FALSE(after.pending.has_value());
  EXPECT_TRUE(voted(validator.order(alice.peek(pay(bob.account(), 5)), alice.key().public_key())));
}

TEST_F(ShardInstance, an_account_that_locks_after_the_abort_is_released_too) {
  start();
  ASSERT_TRUE(std::holds_alternative<InstanceState>(show(swap.commit(r0, aborted)).answer));
  ASSERT_TRUE(voted(validator.order(swap.lock_order(1)))) << "L2 does not look at the instance";
  EXPECT_TRUE(executed(validator.execute(swap.proof(1, aborted))));
  EXPECT_TRUE(already_done(validator.execute(swap.proof(1, aborted))));
}

TEST_F(ShardInstance, proofs_by_commit_and_lock_bring_an_account_up_to_date) {
  Chain dave(net, 5);
  const std::vector<Request> before{dave.next(pay(bob.account(), 5)), dave.next(skip())};
  const Agreement late(net, carol, {&dave, &bob}, AtomicSwap{}, 7000, certify);
  EXPECT_TRUE(refused(validator.execute(late.proof(0, confirmed)), MissingOperations{SequenceNumber(0)}));
  ASSERT_TRUE(executed(validator.execute(late.proof_by_lock(0, before))));
  EXPECT_EQ(validator.account(dave.account())->next, SequenceNumber(2)) << "the lock itself is not executed";
  EXPECT_TRUE(already_done(validator.execute(late.proof_by_lock(0, before))));
  ASSERT_TRUE(executed(validator.execute(late.proof(0, confirmed, before))));
  EXPECT_EQ(validator.account(dave.account())->next, SequenceNumber(3));
  validator.deliver_all();
  EXPECT_EQ(validator.account(bob.account())->received, 1);
  EXPECT_EQ(validator.replayed_digests(), validator.digests());
}

TEST_F(ShardInstance, both_outcomes_of_one_account_contradict_each_other) {  // C5
  const Quiet quiet;
  ASSERT_TRUE(executed(validator.execute(swap.proof(0, confirmed))));
  EXPECT_TRUE(conflict(validator.execute(swap.proof(0, aborted)), SequenceNumber(0)));
  EXPECT_EQ(validator.account(alice.account())->owner, swap.delegate(1).public_key());
  EXPECT_EQ(validator.replayed_digests(), validator.digests());
}

TEST_F(ShardInstance, the_same_request_decided_in_another_round_is_no_contradiction) {
  ASSERT_TRUE(executed(validator.execute(swap.proof(0, confirmed, {}, r0))));
  EXPECT_TRUE(already_done(validator.execute(swap.proof(0, confirmed, {}, r2))));
}

// ---- locks (L2): orders

struct ShardLock : ShardInstance {
  AccountState account() { return validator.account(alice.account()).value(); }
  void expect_order_refused(const RequestOrder& order, const Refusal& expected) {
    const auto before = validator.digests();
    EXPECT_TRUE(refused(validator.order(order), expected)) << describe(expected);
    EXPECT_EQ(validator.digests(), before);
  }
};

TEST_F(ShardLock, is_voted_on_whether_or_not_the_instance_exists_here) {
  const Outcome outcome = validator.order(swap.lock_order(0));
  ASSERT_TRUE(voted(outcome));
  EXPECT_TRUE(votes_for(outcome, Value{Lock{swap.lock_request(0)}}));
  EXPECT_EQ(account().pending, hash_of(net.id(), swap.lock_request(0)));
  EXPECT_EQ(account().balance, 1'000'000);
  EXPECT_FALSE(validator.instance(swap.uid()).has_value());
}

TEST_F(ShardLock, gets_the_identical_vote_again_also_after_a_restart) {
  ASSERT_TRUE(voted(validator.order(swap.lock_order(0))));
  const Vote vote = net.vote(Value{Lock{swap.lock_request(0)}}, 0);
  validator.shard_with(alice.account()).attach_signature(alice.account(), SequenceNumber(0), vote);
  const Outcome again = validator.order(swap.lock_order(0));
  EXPECT_EQ(std::get<Vote>(again.answer), vote);
  EXPECT_TRUE(again.records.empty());
  RequestOrder bare = swap.lock_order(0);
  bare.proof.reset();
  EXPECT_EQ(std::get<Vote>(validator.order(bare).answer), vote) << "the request is what counts";
  validator.restart();
  EXPECT_TRUE(votes_for(validator.order(swap.lock_order(0)), vote.value));
}

TEST_F(ShardLock, needs_the_proof_of_a_start_so_an_account_cannot_be_lost_to_what_does_not_exist) {
  RequestOrder order = swap.lock_order(0);
  order.proof.reset();
  expect_order_refused(order, InvalidOperation{"a lock needs the proof of the request that started the instance"});
  EXPECT_FALSE(account().pending.has_value());
}

TEST_F(ShardLock, is_refused_at_a_number_that_the_instance_does_not_name) {
  ASSERT_TRUE(executed(validator.execute(alice.next(skip()))));
  RequestOrder order = net.order(alice.peek(lock_into(swap.uid(), swap.delegate(0).public_key())), alice.key());
  order.proof = swap.start_proof();
  expect_order_refused(order, InvalidOperation{"the instance does not name account 0 at sequence number 1"});
  expect_order_refused(swap.lock_order(0), UnexpectedSequenceNumber{SequenceNumber(1)});
}

TEST_F(ShardLock, is_refused_for_an_account_that_does_not_take_part) {
  Chain dave(net, 4);
  RequestOrder order = net.order(dave.peek(lock_into(swap.uid(), swap.delegate(0).public_key())), dave.key());
  order.proof = swap.start_proof();
  expect_order_refused(order, InvalidOperation{"the instance does not name account 4 at sequence number 0"});
}

TEST_F(ShardLock, is_refused_with_a_delegate_that_can_sign_nothing) {
  RequestOrder order = net.order(alice.peek(lock_into(swap.uid(), PublicKey{})), alice.key());
  order.proof = swap.start_proof();
  expect_order_refused(order, InvalidOperation{"the new key is not a usable Ed25519 key"});
}

TEST_F(ShardLock, that_the_account_cannot_pay_for_is_refused_before_its_proof_is_looked_at) {
  const Agreement sale(net, carol, {&alice, &bob}, payments({{alice.account(), bob.account(), Amount(1'000'000)}}),
                       7000, certify);
  const Balance needed = cost_of_lock(net.network(), sale.terms(), sale.lock_request(0), 0);
  const RequestOrder order = sale.lock_order(0);
  Shard& shard = validator.shard_with(alice.account());
  EXPECT_FALSE(shard.affordable(order));
  EXPECT_TRUE(shard.affordable(sale.lock_order(1)));
  const auto before = shard.digest();
  EXPECT_TRUE(refused(shard.handle(validator.certifier().order(order, false)), InsufficientFunds{1'000'000, needed}));
  EXPECT_EQ(shard.digest(), before);

  // Funds that come between the look-up and the answer: once more, this time with its proof.
  const VerifiedOrder unproven = validator.certifier().order(order, false);
  Chain dave(net, 4);
  ASSERT_TRUE(executed(validator.execute(dave.next(pay(alice.account(), 5'000)))));
  validator.deliver_all();
  EXPECT_TRUE(refused(shard.handle(unproven), Overloaded{1}));
  EXPECT_TRUE(voted(validator.order(order)));
}

TEST_F(ShardLock, freezes_the_account_until_the_instance_is_decided) {
  const PublicKey owner = alice.key().public_key();
  ASSERT_TRUE(voted(validator.order(swap.lock_order(0))));
  EXPECT_TRUE(
      refused(validator.order(alice.peek(pay(bob.account(), 5)), owner), PreviousRequestPending{swap.lock_request(0)}));
  Chain dave(net, 4);
  ASSERT_TRUE(executed(validator.execute(dave.next(pay(alice.account(), 50)))));
  validator.deliver_all();
  EXPECT_EQ(account().balance, 1'000'050) << "credits still arrive";
  ASSERT_TRUE(executed(validator.execute(swap.proof(0, aborted))));
  swap.execute(aborted);
  EXPECT_TRUE(voted(validator.order(alice.peek(pay(bob.account(), 5)), owner)));
}

TEST_F(ShardLock, of_the_same_account_into_another_instance_is_refused) {
  const Agreement other(net, carol, {&alice, &bob}, AtomicSwap{}, 8000, certify);
  ASSERT_TRUE(voted(validator.order(swap.lock_order(0))));
  expect_order_refused(other.lock_order(0), PreviousRequestPending{swap.lock_request(0)});
}

TEST_F(ShardLock, really_signed_messages_pass) {
  const Agreement real(net, carol, {&alice, &bob}, AtomicSwap{}, 9000);
  EXPECT_TRUE(voted(validator.shard_with(alice.account()).handle(net.verified(real.lock_order(0)))));
  Shard& home = validator.shard_with(real.uid());
  const auto tell_real = [&](const InstanceMessage& message) {
    return home.handle(verified(net, real.with_start(message)), MonotonicTime{});
  };
  EXPECT_TRUE(votes_for(tell_real(real.propose(r0, confirmed, 1)), real.precommit(r0, confirmed)));
  EXPECT_TRUE(votes_for(tell_real(real.show(real.precommit(r0, confirmed))), real.commit(r0, confirmed)));
  EXPECT_TRUE(std::holds_alternative<InstanceState>(tell_real(real.show(real.commit(r0, confirmed))).answer));
  for (std::size_t place = 0; place < 2; ++place)
    EXPECT_TRUE(executed(
        validator.shard_with(real.lock_request(place).account).execute(net.verified(real.proof(place, confirmed)))));
}

}  // namespace
}  // namespace zef::shard::testing
