#include <gtest/gtest.h>

#include "model/instance_model.h"

namespace zef::model {
namespace {

TEST(InstanceModel, packs_every_part_of_a_validator) {
  Validator validator;
  validator.round = 3;
  validator.lock = LockOn{2, abort};
  validator.precommits = 0b10010101;
  validator.commits = 0b01100010;
  const Validator back = Validator::unpacked(validator.packed());
  EXPECT_EQ(back.round, 3);
  EXPECT_EQ(back.lock, validator.lock);
  EXPECT_EQ(back.precommits, validator.precommits);
  EXPECT_EQ(back.commits, validator.commits);
  EXPECT_FALSE(Validator::unpacked(Validator{}.packed()).lock);
}

TEST(InstanceModel, rules_as_written_never_decide_twice_and_no_leader_is_refused) {
  const SearchResult result = search(Model(3, Rule::as_written));
  EXPECT_FALSE(result.conflict) << *result.conflict;
  EXPECT_FALSE(result.leader) << *result.leader;
  EXPECT_EQ(result.leaders_tried, result.states);
  EXPECT_EQ(result.states, 287'610U);  // another figure: another model
}

TEST(InstanceModel, looser_reading_of_a_precommit_vote_beyond_decides_twice) {
  const SearchResult result = search(Model(3, Rule::looser));
  ASSERT_TRUE(result.conflict);
  EXPECT_NE(result.conflict->find("is shown the PreCommit certificate"), std::string::npos) << *result.conflict;
}

TEST(InstanceModel, voting_in_spite_of_the_lock_decides_twice) {
  EXPECT_TRUE(search(Model(3, Rule::ignore_lock)).conflict);
}

TEST(InstanceModel, locking_again_on_a_lower_round_decides_twice) {
  EXPECT_TRUE(search(Model(3, Rule::lower_lock)).conflict);
}

TEST(InstanceModel, certificates_of_fewer_votes_decide_twice) {
  EXPECT_TRUE(search(Model(3, Rule::quorum_minus_one)).conflict);
}

// Safe, but the Byzantine validator could hold up every leader by a lock that it shows to one validator only.
TEST(InstanceModel, a_lock_that_no_proposal_carried_refuses_an_honest_leader) {
  const SearchResult result = search(Model(3, Rule::uncarried_lock));
  EXPECT_FALSE(result.conflict);
  EXPECT_TRUE(result.leader);
}

// A validator that alone was shown a Timeout certificate, which was then lost, must not leave the others behind for
// good.
TEST(InstanceModel, no_timeout_votes_for_rounds_that_are_over_leaves_a_leader_stuck) {
  const SearchResult result = search(Model(3, Rule::timeout_now_only));
  EXPECT_FALSE(result.conflict);
  ASSERT_TRUE(result.leader);
  EXPECT_NE(result.leader->find("no Timeout certificate brings all to round"), std::string::npos) << *result.leader;
}

TEST(InstanceModel, a_counterexample_is_a_run_of_named_validators) {
  const SearchResult result = search(Model(2, Rule::ignore_lock));
  ASSERT_TRUE(result.conflict);
  EXPECT_NE(result.conflict->find("A is proposed "), std::string::npos) << *result.conflict;
  EXPECT_NE(result.conflict->find(": votes PreCommit for "), std::string::npos) << *result.conflict;
}

TEST(InstanceModel, a_vote_of_a_round_is_the_only_one) {
  const Model model(3, Rule::as_written);
  Validator validator;
  EXPECT_TRUE(model.propose(validator, abort, std::nullopt));
  EXPECT_FALSE(model.propose(validator, confirm, std::nullopt));
  EXPECT_TRUE(model.propose(validator, abort, std::nullopt));
  model.show_timeout(validator, 0);
  EXPECT_TRUE(model.propose(validator, confirm, std::nullopt));
}

TEST(InstanceModel, a_lock_yields_to_a_later_one_that_a_proposal_carries) {
  const Model model(4, Rule::as_written);
  Validator validator;
  model.show_precommit(validator, {1, confirm});
  EXPECT_EQ(validator.round, 1);
  EXPECT_TRUE(validator.committed(1, confirm));
  model.show_timeout(validator, 2);
  EXPECT_EQ(validator.round, 3);
  EXPECT_FALSE(model.propose(validator, abort, std::nullopt));
  EXPECT_FALSE(model.propose(validator, abort, LockOn{0, abort}));  // older than its lock
  model.show_precommit(validator, {2, abort});                      // carried by no proposal
  EXPECT_EQ(validator.lock, (LockOn{1, confirm}));
  EXPECT_TRUE(model.propose(validator, abort, LockOn{2, abort}));
  EXPECT_EQ(validator.lock, (LockOn{2, abort}));
}

TEST(InstanceModel, every_rule_has_a_name) {
  for (const Rule rule : all_rules()) EXPECT_EQ(rule_named(name_of(rule)), rule);
  EXPECT_FALSE(rule_named("something"));
}

}  // namespace
}  // namespace zef::model
