// Replay: the log gives the state again, bit for bit, and a record that the state excludes is refused.
#include <gtest/gtest.h>

#include "protocol/testing/agreement.h"
#include "shard/shard.h"
#include "shard/testing/local_validator.h"
#include "shard/testing/matchers.h"

namespace zef::shard::testing {
namespace {

using namespace protocol::testing;

struct ShardReplay : ::testing::Test {
  TestNetwork net{{.fees = test_fees}};
  LocalValidator validator{net};
  Chain alice{net, 0};
  Uid bob = net.uid(1);
  PublicKey owner = alice.key().public_key();
  ShardId home = shard_of(alice.account());

  // A new shard of alice with the genesis alone.
  Shard fresh() {
    Shard shard(home, net.network());
    shard.apply_genesis(net.genesis(), genesis_by_shard(net.genesis())[home.value()]);
    return shard;
  }
  Proof proof(std::vector<Request> requests) { return validator.certifier().proof(requests); }
  void expect_corrupt(Shard& shard, const Record& record) {
    const Hash before = shard.digest();
    const auto result = shard.replay(record);
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().kind, ErrorKind::corrupt);
    EXPECT_EQ(shard.digest(), before);
  }
  void expect_taken(Shard& shard, const Record& record) {
    const auto result = shard.replay(record);
    ASSERT_TRUE(result.has_value()) << result.error().message;
  }
};

TEST_F(ShardReplay, gives_the_same_digests_after_every_kind_of_record) {
  const auto key = test_key(8);
  const Request paying = alice.next(pay(bob, 10));
  ASSERT_TRUE(voted(validator.order(paying, owner)));
  ASSERT_TRUE(executed(validator.execute(paying)));
  Chain fork = alice;
  const Request opening = alice.open_child(key, Amount(500));
  ASSERT_TRUE(executed(validator.execute(opening)));
  validator.settle();
  ASSERT_TRUE(executed(validator.execute(alice.next(close_account()))));
  validator.queue_fee_totals();
  ASSERT_TRUE(conflict(validator.execute(fork.next(skip())), SequenceNumber(1)));
  Chain child = alice.child_of(opening, key);
  ASSERT_TRUE(voted(validator.order(child.peek(pay(bob, 2)), key.public_key())));
  EXPECT_EQ(validator.replayed_digests(), validator.digests());
}

TEST_F(ShardReplay, a_hand_over_names_the_state_and_ends_its_epoch) {
  Shard given = fresh();
  Shard taken = fresh();
  const auto outcome = given.hand_off();
  ASSERT_EQ(outcome.records.size(), 1U);
  expect_corrupt(taken, HandedOff{});
  expect_taken(taken, outcome.records[0]);
  EXPECT_EQ(taken.digest(), given.digest());
  expect_corrupt(taken, outcome.records[0]);
  expect_corrupt(taken, VoteMade{alice.peek(pay(bob, 10))});
  expect_taken(taken, Adopted{2});
  expect_taken(taken, VoteMade{alice.peek(pay(bob, 10))});
  expect_corrupt(taken, outcome.records[0]);
}

TEST_F(ShardReplay, keeps_the_pending_request_so_that_only_the_same_value_is_signed_again) {  // R5 after a restart
  const Request request = alice.peek(pay(bob, 10));
  Shard shard = fresh();
  expect_taken(shard, Adopted{1});
  expect_taken(shard, VoteMade{request});
  const Outcome again = shard.handle(validator.certifier().order(request, owner));
  EXPECT_EQ(std::get<VoteToSign>(again.answer).value, value_of(request));
  EXPECT_TRUE(again.records.empty());
  EXPECT_TRUE(refused(shard.handle(validator.certifier().order(alice.peek(pay(bob, 11)), owner)),
                      PreviousRequestPending{request}));
}

TEST_F(ShardReplay, signature_of_a_vote_is_not_part_of_the_digest) {
  const Request request = alice.peek(pay(bob, 10));
  Shard shard = fresh();
  expect_taken(shard, VoteMade{request});
  const Hash before = shard.digest();
  shard.attach_signature(alice.account(), request.sequence_number, net.vote(value_of(request), 0));
  EXPECT_EQ(shard.digest(), before);
}

TEST_F(ShardReplay, genesis_is_applied_to_an_empty_shard_only) {  // a live account is never reset
  Shard shard = fresh();
  expect_taken(shard, Executed{proof({alice.next(pay(bob, 10))})});
  EXPECT_DEATH(shard.apply_genesis(net.genesis(), genesis_by_shard(net.genesis())[home.value()]), "check failed");
}

TEST_F(ShardReplay, refuses_votes_that_the_rules_exclude) {
  Shard shard = fresh();
  Request wrong_number = alice.peek(pay(bob, 10));
  wrong_number.sequence_number = SequenceNumber(3);
  expect_corrupt(shard, VoteMade{wrong_number});
  Request stranger = alice.peek(pay(bob, 10));
  stranger.account = Uid({0, 5});
  expect_corrupt(shard, VoteMade{stranger});
  expect_corrupt(shard, VoteMade{alice.peek(pay(bob, 2'000'000))});
  expect_corrupt(shard, VoteMade{alice.peek(LockInto{bob, PublicKey{}})});
  expect_taken(shard, VoteMade{alice.peek(pay(bob, 10))});
  expect_corrupt(shard, VoteMade{alice.peek(pay(bob, 10))});  // twice for one place
  expect_corrupt(shard, VoteMade{alice.peek(pay(bob, 20))});
}

TEST_F(ShardReplay, refuses_executions_that_do_not_follow) {
  Shard shard = fresh();
  const Request first = alice.next(pay(bob, 10));
  const Request second = alice.next(pay(bob, 10));
  const Request third = alice.next(pay(bob, 10));
  expect_corrupt(shard, Executed{proof({second})});
  expect_corrupt(shard, Executed{proof({first, third})});
  expect_taken(shard, Executed{proof({first})});
  expect_corrupt(shard, Executed{proof({first})});
  Chain other(net, 0);
  expect_corrupt(shard, Executed{proof({other.next(skip())})});
  expect_taken(shard, Executed{proof({first, second, third})});
}

TEST_F(ShardReplay, refuses_effects_that_do_not_follow) {
  Shard shard = fresh();
  const Credit credit{bob, SequenceNumber(0), alice.account(), Amount(5)};
  const ShardId source = shard_of(bob);
  expect_corrupt(shard, EffectsReceived{source, 0, {}});
  expect_corrupt(shard, EffectsReceived{source, 1, {credit}});
  expect_corrupt(shard, EffectsReceived{source, UINT64_MAX, {credit}});
  expect_corrupt(shard, EffectsReceived{source, 0, {Credit{bob, SequenceNumber(0), bob, Amount(5)}}});
  expect_corrupt(shard, EffectsReceived{source, 0, {credit, FeeTotal{alice.account(), -1}}});
  expect_corrupt(shard, EffectsReceived{source, 0, {Start{alice.peek(skip())}}});
  expect_corrupt(shard, EffectsReceived{source, 0, {Open{alice.account(), owner, Amount(1), Hash{}}}});
  expect_taken(shard, EffectsReceived{source, 0, {credit}});
  expect_corrupt(shard, EffectsReceived{source, 0, {credit}});
  expect_taken(shard, EffectsReceived{source, 1, {credit}});
}

TEST_F(ShardReplay, refuses_acknowledgements_of_what_is_not_waiting) {
  Shard shard = fresh();
  expect_corrupt(shard, EffectsAcknowledged{shard_of(bob), 1});
  expect_taken(shard, Executed{proof({alice.next(pay(bob, 10))})});
  expect_corrupt(shard, EffectsAcknowledged{shard_of(bob), 0});
  expect_corrupt(shard, EffectsAcknowledged{shard_of(bob), 2});
  expect_taken(shard, EffectsAcknowledged{shard_of(bob), 1});
  expect_corrupt(shard, EffectsAcknowledged{shard_of(bob), 1});
}

TEST_F(ShardReplay, refuses_fee_totals_that_did_not_change) {
  Shard shard = fresh();
  expect_corrupt(shard, FeeTotalsQueued{});
  expect_taken(shard, Executed{proof({alice.next(pay(bob, 10))})});
  expect_taken(shard, FeeTotalsQueued{});
  expect_corrupt(shard, FeeTotalsQueued{});
}

TEST_F(ShardReplay, refuses_evidence_of_what_is_no_conflict) {
  Shard shard = fresh();
  Chain fork = alice;
  const Proof first = proof({alice.next(pay(bob, 10))});
  const Proof other = proof({fork.next(skip())});
  expect_corrupt(shard, ConflictSeen{other});
  expect_taken(shard, Executed{first});
  expect_corrupt(shard, ConflictSeen{first});
  expect_taken(shard, ConflictSeen{other});
  expect_corrupt(shard, ConflictSeen{other});
}

// ---- instances

struct InstanceReplay : ShardReplay {
  Chain carol{net, 2};
  Agreement swap{net, alice, {&alice, &carol}};
  Agreement other{net, alice, {&alice, &carol}, AtomicSwap{}, 8000};
  ShardId its_home = shard_of(swap.uid());

  Shard home_of_instance() {
    Shard shard(its_home, net.network());
    shard.apply_genesis(net.genesis(), genesis_by_shard(net.genesis())[its_home.value()]);
    return shard;
  }
  [[nodiscard]] InstanceChanged change(std::uint32_t round, std::optional<Decision> voted = {}) const {
    return {.instance = swap.uid(), .round = Round(round), .voted = voted, .lock = {}, .shown = {}, .decided = {}};
  }
};

TEST_F(InstanceReplay, refuses_a_start_of_what_is_no_instance_or_known_already) {
  Shard shard = home_of_instance();
  expect_corrupt(shard, InstanceShown{alice.peek(skip())});
  Request strange = swap.start();
  std::get<StartInstance>(strange.operation).new_id = net.uid(0);
  expect_corrupt(shard, InstanceShown{strange});
  ASSERT_NE(shard_of(other.uid()), its_home);
  expect_corrupt(shard, InstanceShown{other.start()});
  expect_taken(shard, InstanceShown{swap.start()});
  expect_corrupt(shard, InstanceShown{swap.start()});
}

TEST_F(InstanceReplay, refuses_a_change_of_an_unknown_instance_or_one_that_goes_back) {
  Shard shard = home_of_instance();
  expect_corrupt(shard, change(1));
  expect_taken(shard, InstanceShown{swap.start()});
  expect_taken(shard, change(2, Confirmed{}));
  expect_corrupt(shard, change(1));
  expect_corrupt(shard, change(2, Aborted{}));  // two votes in one round
  expect_corrupt(shard, change(2));             // a vote forgotten
  expect_taken(shard, change(3));
  expect_taken(shard, change(3, Aborted{}));
}

TEST_F(InstanceReplay, refuses_certificates_of_another_kind_or_instance) {
  Shard shard = home_of_instance();
  expect_taken(shard, InstanceShown{swap.start()});
  InstanceChanged record = change(0);
  for (const Value& value : {swap.commit(Round(0), Confirmed{}), other.precommit(Round(0), Confirmed{})}) {
    record.lock = net.certificate(value);
    expect_corrupt(shard, record);
  }
  record = change(0);
  for (const Value& value : {swap.precommit(Round(0), Confirmed{}), other.commit(Round(0), Confirmed{})}) {
    record.decided = net.certificate(value);
    expect_corrupt(shard, record);
  }
  record = change(0);
  for (const Value& value : {swap.timeout(Round(0)), Value{Lock{other.lock_request(0)}}}) {
    record.shown = {net.certificate(value)};
    expect_corrupt(shard, record);
  }
  record.shown = swap.all_locks();
  record.lock = net.certificate(swap.precommit(Round(0), Confirmed{}));
  expect_taken(shard, record);
}

TEST_F(InstanceReplay, refuses_anything_after_a_decision_but_evidence_against_it_once) {
  Shard shard = home_of_instance();
  expect_taken(shard, InstanceShown{swap.start()});
  const InstanceConflictSeen evidence{swap.uid(), net.certificate(swap.commit(Round(1), Aborted{}))};
  expect_corrupt(shard, evidence);
  InstanceChanged decision = change(0);
  decision.decided = net.certificate(swap.commit(Round(0), Confirmed{}));
  expect_taken(shard, decision);
  expect_corrupt(shard, decision);
  expect_corrupt(shard, change(4));
  expect_corrupt(shard, InstanceConflictSeen{swap.uid(), net.certificate(swap.precommit(Round(1), Aborted{}))});
  expect_corrupt(shard, InstanceConflictSeen{swap.uid(), net.certificate(swap.commit(Round(1), Confirmed{}))});
  expect_taken(shard, evidence);
  expect_corrupt(shard, evidence);
}

}  // namespace
}  // namespace zef::shard::testing
