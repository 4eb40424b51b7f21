#include "model/fencing_model.h"

#include <gtest/gtest.h>

namespace zef::model::fencing {
namespace {

SearchResult searched(Rule rule, Bounds bounds = {}) { return search(Model(bounds, rule)); }

// The counterexample has to be about what the rule protects.
void expect_caught(Rule rule, std::string_view problem) {
  const SearchResult result = searched(rule);
  ASSERT_TRUE(result.problem) << name_of(rule);
  EXPECT_NE(result.problem->find(problem), std::string::npos) << *result.problem;
  EXPECT_GT(result.problem_steps, 0);
}

TEST(FencingModel, a_packed_state_is_the_same_state) {
  State state;
  state.slots[1] = {Sent::handoff, true, Holds::seal_2, true, true, Holds::other_segment};
  state.slots[slots_max + 1].holds = Holds::seal_1;
  state.head = Head::sealed;
  state.sealed_at = slots_max + 1;
  state.owner = 2;
  state.epoch = 2;
  state.lineage_to = {3, 4};
  state.restarted = true;
  state.rescuers[1] = {Phase::found, slots_max + 1, 2};
  const State back = unpacked(packed(state));
  EXPECT_EQ(packed(back), packed(state));
  EXPECT_EQ(back.slots[1].sent, Sent::handoff);
  EXPECT_EQ(back.slots[slots_max + 1].holds, Holds::seal_1);
  EXPECT_EQ(back.sealed_at, slots_max + 1);
  EXPECT_EQ(back.rescuers[1].served, 2);
  EXPECT_NE(packed(State{}), packed(state));
}

TEST(FencingModel, rules_as_written_lose_nothing_and_never_have_two_owners) {
  const SearchResult moves = searched(Rule::as_written, {.slots = 3, .in_flight = 2});
  EXPECT_FALSE(moves.problem) << *moves.problem;
  EXPECT_EQ(moves.states, 677'517U);  // another figure: another model
  const SearchResult takeovers = searched(Rule::as_written, {.slots = 3, .in_flight = 3, .moves = false});
  EXPECT_FALSE(takeovers.problem) << *takeovers.problem;
}

TEST(FencingModel, a_seal_that_is_deleted_loses_what_arrives_late) {
  expect_caught(Rule::seal_deleted, "is acknowledged, but the lineage ends");
}
TEST(FencingModel, probing_before_the_head_is_sealing_misses_a_trim) {
  expect_caught(Rule::probe_before_head, "is acknowledged, but the lineage ends");
}
TEST(FencingModel, acknowledging_out_of_order_loses_what_is_behind_a_gap) {
  expect_caught(Rule::ack_out_of_order, "is acknowledged, but the lineage ends");
}
TEST(FencingModel, a_slot_sent_again_with_other_bytes_is_read_wrongly) {
  expect_caught(Rule::slot_rebatched, "the new owner has read something else");
}
TEST(FencingModel, a_rescuer_that_passes_a_seal_leaves_a_hole) {
  expect_caught(Rule::passes_seal, "finds no segment in slot");
}
TEST(FencingModel, trimming_without_the_head_lets_a_rescuer_seal_a_deleted_slot) {
  expect_caught(Rule::trim_without_head, "is acknowledged, but the lineage ends");
}
TEST(FencingModel, deleting_what_a_lineage_covers_leaves_a_hole) {
  expect_caught(Rule::delete_covered, "finds no segment in slot");
}
TEST(FencingModel, resuming_after_a_handoff_at_the_same_epoch_loses_records) {
  expect_caught(Rule::resume_same_epoch, "is acknowledged, but the lineage ends");
}
TEST(FencingModel, a_handoff_read_without_what_is_before_it_leaves_a_hole) {
  expect_caught(Rule::handoff_past_gap, "finds no segment in slot");
}
TEST(FencingModel, changing_an_entry_that_is_another_by_now_makes_two_owners) {
  expect_caught(Rule::owner_without_cas, "two owners serve");
}
TEST(FencingModel, a_worker_id_that_is_used_again_writes_behind_the_seal) {
  expect_caught(Rule::reused_id, "is acknowledged, but the lineage ends");
}
TEST(FencingModel, replay_that_ignores_epochs_applies_a_record_twice) {
  expect_caught(Rule::replay_ignores_epochs, "twice");
}
TEST(FencingModel, judging_an_ambiguous_change_by_the_object_makes_two_owners) {
  expect_caught(Rule::cas_judged_by_object, "two owners serve");
}

TEST(FencingModel, every_rule_has_a_name) {
  for (const Rule rule : all_rules()) EXPECT_EQ(rule_named(name_of(rule)), rule);
  EXPECT_FALSE(rule_named("something"));
}

}  // namespace
}  // namespace zef::model::fencing
