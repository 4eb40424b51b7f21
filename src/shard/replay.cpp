// Replay of the log: every record is checked against the state as if it were new, then goes through the same apply_...
// as in live handling. Signatures are not verified again: the log is the worker's own. A record that this state
// excludes means that the log is not what was written, or belongs to another state.
#include <fmt/format.h>

#include "base/mutant.h"
#include "shard/state.h"

namespace zef::shard {

namespace {

std::unexpected<Error> corrupt(std::string_view what) {
  return fail(ErrorKind::corrupt, fmt::format("the log holds a record that cannot follow: {}", what));
}

template <class Agreement>
bool is_of(const Certificate& certificate, const Uid& instance) {
  const auto* value = std::get_if<Agreement>(&certificate.value.kind);
  return value != nullptr && value->proposal.instance == instance;
}

const Decision& decision_of(const Certificate& commit) { return std::get<Commit>(commit.value.kind).proposal.decision; }

}  // namespace

// One overload for each kind of record.
struct Shard::Replay {
  State& state;

  // Says who wrote what follows, and changes nothing else.
  Result<void> operator()(const Adopted&) const {
    state.handed_off = false;
    return {};
  }

  Result<void> operator()(const HandedOff&) const { return {}; }  // checked in Shard::replay

  Result<void> operator()(const VoteMade& record) const {
    if (mutant("forget_votes")) return {};
    const Request& request = record.request;
    AccountRecord* account = state.find(request.account);
    if (account == nullptr || !account->owner) return corrupt("a vote of an account that is not active");
    if (account->pending) return corrupt("a second vote for one sequence number");
    const AccountFacts facts = account->facts();
    if (!check_shape(request) || !check_position(facts, request) || !check_operation(*state.network, facts, request))
      return corrupt("a vote that the rules refuse");
    state.apply_vote(*account, request, hash_of(state.network->id, request));
    return {};
  }

  Result<void> operator()(const Executed& record) const {
    const auto proof = std::make_shared<const Proof>(record.proof);
    const auto items = requests_of(*state.network, *proof);
    if (!items) return corrupt("the execution of an invalid proof");
    const Verdict verdict = state.judge(proof->account, *items);
    const auto* executable = std::get_if<Executable>(&verdict);
    if (executable == nullptr) return corrupt("the execution of a proof that does not follow");
    state.apply_execution(*executable->account, proof, std::span(*items).subspan(executable->from));
    return {};
  }

  Result<void> operator()(const EffectsReceived& record) const {
    const auto mark = state.marks.find(record.source);
    const std::uint64_t expected = mark == state.marks.end() ? 0 : mark->second;
    if (record.first != expected || record.effects.empty() || record.first > UINT64_MAX - record.effects.size())
      return corrupt("effects that do not follow those before");
    for (const Effect& effect : record.effects) {
      if (const auto problem = effect_problem(*state.network, state.id, effect)) return corrupt(*problem);
    }
    state.apply_effects(record.source, record.first, record.effects);
    return {};
  }

  Result<void> operator()(const EffectsAcknowledged& record) const {
    const Outbox& outbox = state.outboxes.to(record.destination);
    if (record.up_to <= outbox.first() || record.up_to > outbox.end())
      return corrupt("an acknowledgement of what is not waiting");
    state.apply_acknowledgement(record.destination, record.up_to);
    return {};
  }

  Result<void> operator()(const FeeTotalsQueued&) const {
    if (state.totals.fees == state.fees_queued) return corrupt("fee totals that did not change");
    state.apply_fee_totals();
    return {};
  }

  Result<void> operator()(const InstanceShown& record) const {
    if (const auto problem = effect_problem(*state.network, state.id, Start{record.start})) return corrupt(*problem);
    if (state.find_instance(started_by(record.start).new_id)) return corrupt("an instance that was started before");
    state.apply_start(record.start);
    return {};
  }

  Result<void> operator()(const InstanceChanged& record) const {
    const InstanceRecord* instance = state.find_instance(record.instance);
    if (instance == nullptr) return corrupt("a change of an unknown instance");
    if (record.round < instance->round || instance->decided) return corrupt("an instance that goes back");
    if (record.round == instance->round && instance->voted && record.voted != instance->voted)
      return corrupt("two decisions in one round of an instance");
    if (record.lock && !is_of<PreCommit>(*record.lock, record.instance))
      return corrupt("an instance locked by what is no PreCommit certificate of it");
    if (record.decided && !is_of<Commit>(*record.decided, record.instance))
      return corrupt("an instance decided by what is no Commit certificate of it");
    for (const Certificate& shown : record.shown) {
      const auto* lock = std::get_if<Lock>(&shown.value.kind);
      if (lock == nullptr || !place_of_lock(instance->terms(), lock->request))
        return corrupt("a Lock certificate that does not belong to the instance");
    }
    state.apply_instance_change(record);
    return {};
  }

  Result<void> operator()(const InstanceConflictSeen& record) const {
    const InstanceRecord* instance = state.find_instance(record.instance);
    if (instance == nullptr || !instance->decided || instance->conflicted ||
        !is_of<Commit>(record.certificate, record.instance) ||
        decision_of(record.certificate) == decision_of(*instance->decided))
      return corrupt("evidence of a conflict that is none");
    state.apply_instance_conflict(record.instance);
    return {};
  }

  Result<void> operator()(const ConflictSeen& record) const {
    const auto items = requests_of(*state.network, record.proof);
    if (!items) return corrupt("an invalid proof as evidence");
    const Verdict verdict = state.judge(record.proof.account, *items);
    const auto* conflict = std::get_if<Conflict>(&verdict);
    if (conflict == nullptr || state.conflicts.contains({record.proof.account, conflict->at}))
      return corrupt("evidence of a conflict that is none");
    state.apply_conflict(record.proof.account, conflict->at);
    return {};
  }
};

Result<void> Shard::replay(const Record& record) {
  if (const auto* handed = std::get_if<HandedOff>(&record)) {
    if (state_->handed_off) return corrupt("a second hand-over");
    if (handed->digest != digest()) return corrupt("a hand-over of another state");
    state_->handed_off = true;
    return {};
  }
  if (state_->handed_off && !std::holds_alternative<Adopted>(record)) return corrupt("a record after the hand-over");
  return std::visit(Replay{*state_}, record);
}

}  // namespace zef::shard
