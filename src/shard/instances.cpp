// Rules L3 to L6: what an instance makes of a message whose certificates and signature are valid (docs/protocol.md,
// section 6).
//
// Every handler fills in one InstanceChanged record; what it says is applied and logged at the end, live and in a
// replay alike. Nothing of an instance is visible before its record is durable (the caller's output commit).
#include <algorithm>

#include "base/log.h"
#include "base/mutant.h"
#include "shard/state.h"

namespace zef::shard {

namespace {

constexpr Duration timeout_unit = std::chrono::seconds(1);
constexpr Duration timeout_max = std::chrono::seconds(60);
constexpr std::uint32_t timeout_doublings_max = 6;

// L5: how long a round must have lasted before its Timeout vote.
Duration patience_in(Round round) {
  return std::min(timeout_unit * (1U << std::min(round.value(), timeout_doublings_max)), timeout_max);
}

template <class Agreement>
const Decision& decision_of(const Agreement& value) {
  return value.proposal.decision;
}
const PreCommit& precommit_of(const Certificate& certificate) { return std::get<PreCommit>(certificate.value.kind); }
const Commit& commit_of(const Certificate& certificate) { return std::get<Commit>(certificate.value.kind); }
const Request& lock_request(const Certificate& certificate) { return std::get<Lock>(certificate.value.kind).request; }

// One message being handled: reads the instance, collects the change.
class Turn {
 public:
  Turn(const InstanceRecord& instance, MonotonicTime now) : instance_(instance), now_(now) {
    change_.instance = instance.terms().new_id;
    change_.round = instance.round;
    change_.voted = instance.voted;
  }

  using Answer = decltype(Outcome::answer);
  [[nodiscard]] Answer on(const SubmitProposal& message);
  [[nodiscard]] Answer on(const SubmitInstanceCertificate& message);
  [[nodiscard]] Answer on(const AskTimeout& message);
  [[nodiscard]] Answer on(const ShowLocks& message);

  [[nodiscard]] bool changed() const { return changed_; }
  [[nodiscard]] const InstanceChanged& change() const { return change_; }
  [[nodiscard]] bool conflict() const { return conflict_; }
  // Whether the message belongs to the instance: only such a one starts the clock of round 0.
  [[nodiscard]] bool valid() const { return valid_; }

 private:
  // The state in it is filled in at the end, when the change is made.
  static Answer refused(std::string why, std::uint32_t retry_after_ms = 0) {
    return Refusal(InstanceRefused{std::move(why), retry_after_ms, {}});
  }
  static Answer malformed(std::string why) { return Refusal(Malformed{std::move(why)}); }

  [[nodiscard]] bool all_belong(const std::vector<Certificate>& locks) const {
    return std::ranges::all_of(locks, [&](const Certificate& lock) {
      return place_of_lock(instance_.terms(), lock_request(lock)).has_value();
    });
  }
  void show(const Certificate& lock);
  // The lock request at a place, from what was shown now or before.
  [[nodiscard]] const Request* lock_at(std::size_t place) const;
  [[nodiscard]] std::optional<std::size_t> place_of_delegate(const PublicKey& delegate) const;
  [[nodiscard]] const std::optional<Certificate>& lock() const { return change_.lock ? change_.lock : instance_.lock; }

  Answer on_precommit(const Certificate& certificate);
  Answer on_commit(const Certificate& certificate);
  Answer on_timeout(const Timeout& timeout);
  void enter(Round round) {
    if (round == change_.round) return;
    change_.round = round;
    change_.voted.reset();
    changed_ = true;
  }

  const InstanceRecord& instance_;
  MonotonicTime now_;
  InstanceChanged change_;
  bool changed_ = false;
  bool conflict_ = false;
  bool valid_ = false;
};

void Turn::show(const Certificate& lock) {
  const std::size_t place = *place_of_lock(instance_.terms(), lock_request(lock));
  if (instance_.shown[place]) return;
  const auto same = [&](const Certificate& known) { return lock_request(known).account == lock_request(lock).account; };
  if (std::ranges::any_of(change_.shown, same)) return;
  change_.shown.push_back(lock);
  changed_ = true;
}

const Request* Turn::lock_at(std::size_t place) const {
  if (instance_.shown[place]) return &lock_request(*instance_.shown[place]);
  for (const Certificate& lock : change_.shown)
    if (place_of_lock(instance_.terms(), lock_request(lock)) == place) return &lock_request(lock);
  return nullptr;
}

std::optional<std::size_t> Turn::place_of_delegate(const PublicKey& delegate) const {
  for (std::size_t place = 0; place < instance_.terms().accounts.size(); ++place) {
    const Request* lock = lock_at(place);
    if (lock != nullptr && std::get<LockInto>(lock->operation).delegate == delegate) return place;
  }
  return std::nullopt;
}

Turn::Answer Turn::on(const ShowLocks& message) {
  if (!all_belong(message.locks)) return malformed("a Lock certificate that does not belong to the instance");
  valid_ = true;
  for (const Certificate& lock : message.locks) show(lock);
  return InstanceState{};
}

// L3, L4 (a), (b).
Turn::Answer Turn::on(const SubmitProposal& message) {
  const StartInstance& terms = instance_.terms();
  const Proposal& proposal = message.proposal;
  if (proposal.epoch != current_epoch) return Refusal(WrongEpoch{current_epoch});
  if (!all_belong(message.locks)) return malformed("a Lock certificate that does not belong to the instance");
  const auto* carried = message.carried ? std::get_if<PreCommit>(&message.carried->value.kind) : nullptr;
  if (message.carried && (carried == nullptr || carried->proposal.instance != terms.new_id))
    return malformed("a proposal carries a PreCommit certificate of its instance or none");
  valid_ = true;
  for (const Certificate& lock : message.locks) show(lock);  // certified, whoever sends them

  // One key may be the delegate of several accounts.
  const std::size_t leader = leader_of(terms, proposal.round);
  const Request* leading = lock_at(leader);
  const bool leads = leading != nullptr && std::get<LockInto>(leading->operation).delegate == message.delegate;
  if (!place_of_delegate(message.delegate)) return refused("the proposal is by no delegate of a lock that was shown");
  if (proposal.round > Round(0) && !leads)
    return refused("only the delegate of account " + terms.accounts[leader].account.text() + " proposes in this round");
  if (proposal.round != change_.round) return refused("the proposal is for another round");

  PreCommit value{current_epoch, proposal, {}};
  if (std::holds_alternative<Confirmed>(proposal.decision)) {
    std::vector<const Request*> locks;
    for (std::size_t place = 0; place < terms.accounts.size(); ++place) {
      const Request* lock = lock_at(place);
      if (lock == nullptr) return refused("account " + terms.accounts[place].account.text() + " is not locked");
      locks.push_back(lock);
    }
    for (Request& request : confirmed_requests(terms, locks)) value.requests.push_back(std::move(request));
  }

  if (change_.voted && *change_.voted != proposal.decision && !mutant("vote_for_both_decisions"))
    return refused("another decision was voted in this round");
  if (carried != nullptr) {  // (a)
    const bool newer =
        !lock() || precommit_of(*lock()).proposal.round < carried->proposal.round || mutant("relock_lower");
    if (carried->proposal.decision == proposal.decision && newer && carried->proposal.round < change_.round) {
      change_.lock = message.carried;
      changed_ = true;
    }
  }
  if (!change_.voted ||
      mutant(
          "vote_for_both_decisions")) {  // (b); a vote of this round is given again, whatever `lock` has become since
    if (lock() && decision_of(precommit_of(*lock())) != proposal.decision && !mutant("ignore_lock"))
      return refused("locked on the other decision, by a PreCommit certificate");
    change_.voted = proposal.decision;
    changed_ = true;
  }
  return VoteToSign{Value{std::move(value)}};
}

Turn::Answer Turn::on(const SubmitInstanceCertificate& message) {
  const auto& kind = message.certificate.value.kind;
  const Uid& uid = instance_.terms().new_id;
  if (const auto* precommit = std::get_if<PreCommit>(&kind); precommit && precommit->proposal.instance == uid)
    return on_precommit(message.certificate);
  if (const auto* commit = std::get_if<Commit>(&kind); commit && commit->proposal.instance == uid)
    return on_commit(message.certificate);
  if (const auto* timeout = std::get_if<Timeout>(&kind); timeout && timeout->instance == uid)
    return on_timeout(*timeout);
  return malformed("a certificate of another instance");
}

// L4 (c), (d).
Turn::Answer Turn::on_precommit(const Certificate& certificate) {
  valid_ = true;
  const PreCommit& value = precommit_of(certificate);
  const Round round = value.proposal.round;
  if (round < change_.round && !mutant("commit_past_round"))
    return refused("the PreCommit certificate is of a round that is over");
  const bool known = instance_.lock && precommit_of(*instance_.lock).proposal.round == round;
  if (known && decision_of(precommit_of(*instance_.lock)) != decision_of(value))  // more than f are Byzantine
    return refused("a PreCommit certificate of this round for the other decision is known");
  enter(round);
  if (!known) {
    change_.lock = certificate;
    changed_ = true;
  }
  return VoteToSign{Value{Commit{value.epoch, value.proposal, value.requests}}};
}

// L6.
Turn::Answer Turn::on_commit(const Certificate& certificate) {
  valid_ = true;
  change_.decided = certificate;
  changed_ = true;
  return InstanceState{};
}

// L5.
Turn::Answer Turn::on_timeout(const Timeout& timeout) {
  valid_ = true;
  if (timeout.round >= change_.round && timeout.round.value() < UINT32_MAX) enter(Round(timeout.round.value() + 1));
  return InstanceState{};
}

Turn::Answer Turn::on(const AskTimeout& message) {
  const auto place = place_of_lock(instance_.terms(), lock_request(message.lock));
  if (!place) return malformed("a Lock certificate that does not belong to the instance");
  if (std::get<LockInto>(lock_request(message.lock).operation).delegate != message.delegate)
    return Refusal(InvalidOwner{});
  valid_ = true;
  show(message.lock);
  if (message.round > change_.round) return refused("the instance is in another round");
  // A round that is over here is over: the vote binds nothing, and whoever got no Timeout certificate of it, because
  // its maker died or likes it so, can get one as long as a quorum answers. Else no round might have a quorum ever
  // again.
  if (message.round < change_.round) return VoteToSign{Value{Timeout{current_epoch, change_.instance, message.round}}};
  const Duration passed = instance_.entered ? now_ - *instance_.entered : Duration::zero();
  const Duration patience = patience_in(change_.round);
  if (passed < patience && !mutant("timeout_without_its_time")) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(patience - passed);
    return refused("the round is too young to end", static_cast<std::uint32_t>(left.count()));
  }
  return VoteToSign{Value{Timeout{current_epoch, change_.instance, change_.round}}};
}

}  // namespace

InstanceRecord::InstanceRecord(Request request) : start(std::move(request)), shown(terms().accounts.size()) {}

InstanceState InstanceRecord::state() const {
  InstanceState result{.start = start, .round = round, .voted = voted, .lock = lock, .locks = {}, .decided = decided};
  for (const auto& certificate : shown)
    if (certificate) result.locks.push_back(*certificate);
  return result;
}

std::optional<Refusal> Shard::look_up(const InstanceMessage& message) const {
  const InstanceRecord* instance = state_->find_instance(instance_of(message));
  if (instance == nullptr) {
    if (!start_of(message)) return Refusal(NotFound{});
    return std::nullopt;
  }
  if (!instance->decided) return std::nullopt;
  // L6: the decision answers everything, but another decision is evidence, once.
  if (const auto* shown = std::get_if<SubmitInstanceCertificate>(&message); shown && !instance->conflicted) {
    const auto* commit = std::get_if<Commit>(&shown->certificate.value.kind);
    if (commit != nullptr && decision_of(*commit) != decision_of(commit_of(*instance->decided))) return std::nullopt;
  }
  return Refusal(InstanceRefused{"it is decided", 0, instance->state()});
}

Outcome Shard::handle(const VerifiedInstanceMessage& message, MonotonicTime now) {
  const Uid& uid = instance_of(message.message());
  Outcome outcome;
  const InstanceRecord* known = state_->find_instance(uid);
  if (known == nullptr && message.start() == nullptr) return {.answer = Refusal(NotFound{}), .records = {}};
  if (known != nullptr && known->decided) {
    outcome.answer = Refusal(InstanceRefused{"it is decided", 0, known->state()});
    const auto* shown = std::get_if<SubmitInstanceCertificate>(&message.message());
    const auto* commit = shown ? std::get_if<Commit>(&shown->certificate.value.kind) : nullptr;
    if (commit != nullptr && commit->proposal.instance == uid && !known->conflicted &&
        decision_of(*commit) != decision_of(commit_of(*known->decided))) {
      log::error("shard", "an instance was decided twice: more than f validators are Byzantine instance={}",
                 uid.text());
      outcome.records.emplace_back(InstanceConflictSeen{uid, shown->certificate});
      state_->apply_instance_conflict(uid);
    }
    return outcome;
  }

  std::optional<InstanceRecord> fresh;  // becomes known only if the message belongs to it
  if (known == nullptr) fresh.emplace(*message.start());
  Turn turn(known != nullptr ? *known : *fresh, now);
  outcome.answer = std::visit([&](const auto& it) { return turn.on(it); }, message.message());
  if (fresh && turn.valid()) {
    state_->apply_start(fresh->start);
    outcome.records.emplace_back(InstanceShown{fresh->start});
  }
  InstanceRecord* instance = state_->find_instance(uid);
  if (turn.changed()) {
    const Round before = instance->round;
    state_->apply_instance_change(turn.change());
    if (instance->round != before) instance->entered = now;
    outcome.records.emplace_back(turn.change());
  }
  if (instance != nullptr && turn.valid() && !instance->entered) instance->entered = now;
  if (std::holds_alternative<InstanceState>(outcome.answer)) outcome.answer = instance->state();
  if (auto* refusal = std::get_if<Refusal>(&outcome.answer))
    if (auto* refused = std::get_if<InstanceRefused>(refusal); refused && instance) refused->state = instance->state();
  return outcome;
}

std::optional<InstanceState> Shard::instance(const Uid& uid) const {
  const InstanceRecord* instance = state_->find_instance(uid);
  if (instance == nullptr) return std::nullopt;
  return instance->state();
}

const InstanceRecord* Shard::State::find_instance(const Uid& uid) const {
  const auto found = instances.find(uid);
  return found == instances.end() ? nullptr : &found->second;
}
InstanceRecord* Shard::State::find_instance(const Uid& uid) {
  const auto found = instances.find(uid);
  return found == instances.end() ? nullptr : &found->second;
}

// L1: created by the effect or by a shown proof, whichever is first. Two different ones prove more than f Byzantine:
// their requests have the same account and number (check_new_uid), where the account's shard keeps the evidence.
void Shard::State::apply_start(const Request& start) {
  const auto [found, added] = instances.try_emplace(started_by(start).new_id, start);
  if (added) touch(found->second);
}

void Shard::State::apply_instance_change(const InstanceChanged& change) {
  InstanceRecord& instance = *find_instance(change.instance);
  touch(instance);
  instance.round = change.round;
  instance.voted = change.voted;
  if (change.lock) instance.lock = change.lock;
  for (const Certificate& lock : change.shown)
    instance.shown[*place_of_lock(instance.terms(), lock_request(lock))] = lock;
  if (change.decided) instance.decided = change.decided;
}

void Shard::State::apply_instance_conflict(const Uid& instance) {
  InstanceRecord& decided = *find_instance(instance);
  touch(decided);
  decided.conflicted = true;
  ++totals.conflicts;
}

}  // namespace zef::shard
