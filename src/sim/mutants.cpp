#include "sim/mutants.h"

#include <algorithm>

#include "base/mutant.h"

namespace zef::sim {

namespace {

constexpr Mutant all[] = {
    // rules R
    {"skip_pending_check", "R5: votes for a second request of one number", ""},
    {"skip_owner_check", "R3: takes the order of any key", ""},
    {"skip_order_signature", "R3: does not look at the owner's signature", ""},
    {"ignore_previous", "R4, C2: takes a request that does not follow the head", ""},
    {"skip_funds_check", "R6: votes for what the account cannot pay", ""},
    {"zero_payments", "R6: votes for payments of nothing", ""},
    {"uid_unchecked", "R6, I2: the UID of a new account may be anything", ""},
    // rules C
    {"quorum_minus_one", "C1: one vote fewer is enough", ""},
    {"repeated_signer", "C1: a signer may be counted several times", ""},
    {"forget_tombstones", "C4: a closed account is as one that was never opened", ""},
    {"lose_late_credits", "C4: what reaches a closed account vanishes", ""},
    {"credit_twice", "C3: a credit is applied twice", ""},
    {"drop_second_payment", "C3: a second payment to one recipient is forgotten", ""},
    {"fee_share_rounded", "C3: fee shares are rounded down", ""},
    {"pending_not_cleared", "C3: a vote stays pending after the execution", ""},
    {"c5_executes", "C5: a second certificate for a number is executed too", "beyond_f"},
    {"execute_a_lock", "C2: a Lock certificate is executed", ""},
    // rules L
    {"lock_looks_at_instance", "L2: whether a lock may be made depends on what is known of its instance here", ""},
    {"vote_for_both_decisions", "L4: a validator votes for two proposals of one round", ""},
    {"ignore_lock", "L4 (b): votes against the PreCommit certificate that it is locked on", ""},
    {"relock_lower", "L4 (a): a lock goes for one of a lower round", ""},
    {"commit_past_round", "L4 (d): Commit votes for a round that is over", ""},
    {"timeout_without_its_time", "L5: votes for the end of a round at once", ""},
    // effects between shards
    {"forget_inbox_mark", "effects that come again are applied again", ""},
    // output commit, log, takeover
    {"answer_before_durable", "answers leave before their records are durable", ""},
    {"repeat_before_durable", "a repeat or refusal leaves before what it depends on is durable", ""},
    {"ack_before_durable", "effects are acknowledged before they are durable", ""},
    {"effects_before_durable", "effects leave before their cause is durable", ""},
    {"confirm_out_of_order", "a slot counts although one before it is missing", ""},
    {"foreign_slot_is_ours", "a slot that holds other bytes, or a SEAL, counts as written", ""},
    {"rebatch_slot", "a slot is sent again with other records", ""},
    {"takeover_without_seal", "a predecessor's log is read without being sealed", ""},
    {"forget_votes", "votes are not replayed after a restart", ""},
    // checkpoints and garbage
    {"checkpoint_without_votes", "checkpoints leave pending votes out", ""},
    {"checkpoint_without_marks", "checkpoints of changes leave inbox marks out", ""},
    {"replay_from_slot_start", "replay repeats records that are in the checkpoint", ""},
    {"delete_covered", "slots are deleted that the lineage still covers", ""},
    {"delete_without_archive", "slots are deleted before what is asked for later is archived", ""},
    // shards that move
    {"change_any_owner", "an entry gets another owner whatever it says by now", ""},
    {"judge_by_object", "a change of owner counts as done if its object has changed, whoever did that", ""},
    {"pass_foreign_seal", "a rescuer goes on past the SEAL of another one", ""},
    {"rescue_without_seal", "shards of a worker are given away before it is sealed", ""},
    {"replay_any_epoch", "replay takes records of other epochs for those of the lineage", ""},
    {"resume_without_epoch", "a giver goes on after its hand-over without a new epoch", ""},
    {"take_unread", "a receiver takes a shard that it has not read up to the hand-over", ""},
    {"stale_checkpoint", "a worker names checkpoints of shards that are not its own any more", ""},
    {"reused_worker_id", "a worker process has the id of the one before it", ""},
    // client
    {"vote_for_other_value", "the client counts votes for another value", ""},
};

}  // namespace

std::span<const Mutant> mutants() { return all; }

const Mutant* find_mutant(std::string_view name) {
  const auto* found = std::ranges::find(all, name, &Mutant::name);
  return found == std::end(all) ? nullptr : found;
}

#ifdef ZEF_MUTANTS
bool mutants_built() { return true; }
void select_mutant(const Mutant& mutant) { active_mutant = mutant.name; }
#else
bool mutants_built() { return false; }
void select_mutant(const Mutant& /*mutant*/) {}
#endif

}  // namespace zef::sim
