// Rules C: from a certificate to its execution (docs/protocol.md, section 5).
//
// judge() decides, apply_execution() does. A certificate may contain what no honest validator votes for only if more
// than f of the committee are Byzantine. Where that shows a contradiction between two certified requests, the proof is
// kept as evidence (C5): another request at an executed number, another `previous`, or a request after the account was
// closed, be the close executed already or earlier in the same proof. Nothing of such a proof is executed, not even the
// requests before the contradiction: a quorum that lies vouches for nothing. Where a request is impossible by itself,
// it is an invalid certificate, on every validator alike.
#include "base/log.h"
#include "base/mutant.h"
#include "shard/state.h"

namespace zef::shard {

namespace {

// I2: a UID is created at most once, by the request that it spells out. A function of the request alone; what else
// execution needs (amounts that fit, operations that are supported) every VerifiedProof has. Balance and fees do not
// matter (C3).
Ruled<> check_new_uid(const Request& request) {
  const auto* open = std::get_if<OpenAccount>(&request.operation);
  const auto* start = std::get_if<StartInstance>(&request.operation);
  if ((open == nullptr && start == nullptr) || mutant("uid_unchecked")) return {};
  const auto& parts = (open != nullptr ? open->new_id : start->new_id).parts();
  const auto& parent = request.account.parts();
  if (parts.size() != parent.size() + 1 || parts.back() != request.sequence_number.value() ||
      !std::equal(parent.begin(), parent.end(), parts.begin()))
    return refuse(InvalidCertificate{"the new UID does not follow from the request"});
  return {};
}

SequenceNumber after(SequenceNumber number) { return SequenceNumber(number.value() + 1); }

}  // namespace

Verdict Shard::State::judge(const Uid& uid, std::span<const VerifiedProof::Item> items) {
  ZEF_CHECK(!items.empty());
  AccountRecord* account = find(uid);
  if (account == nullptr || (!account->owner && !account->closed)) return Refusal(InactiveAccount{uid});  // C2
  const SequenceNumber first = items.front().request->sequence_number;
  if (first > account->next) {  // C2
    if (account->closed) return Conflict{first};
    return Refusal(MissingOperations{account->next});
  }

  std::size_t from = 0;
  for (; from < items.size() && items[from].request->sequence_number < account->next; ++from) {  // C1: already done?
    const SequenceNumber at = items[from].request->sequence_number;
    if (account->executed[at.value()] == fingerprint_of(items[from].hash)) continue;
    if (mutant("c5_executes")) return Executable{account, from};
    return Conflict{at};  // C5
  }
  if (from == items.size()) return AlreadyDone{};

  const Request& newest = *items[from].request;
  if (account->closed || (newest.previous != account->head && !mutant("ignore_previous")))
    return Conflict{newest.sequence_number};  // C5
  for (std::size_t i = from; i < items.size(); ++i) {
    const Request& request = *items[i].request;
    if (auto ok = check_new_uid(request); !ok) return std::move(ok.error());
    if (std::holds_alternative<CloseAccount>(request.operation) && i + 1 < items.size())
      return Conflict{after(request.sequence_number)};  // C5
  }
  return Executable{account, from};
}

std::optional<std::variant<Refusal, AccountState>> Shard::look_up(const Proof& proof) const {
  using Early = std::variant<Refusal, AccountState>;
  const auto* confirm = std::get_if<Confirm>(&proof.certificate.value.kind);
  const AccountRecord* account = state_->find(proof.account);
  if (account == nullptr || (!account->owner && !account->closed))
    return Early(Refusal(InactiveAccount{proof.account}));
  // The common case costs no hash: the newest request is not executed yet, so the signatures must be looked at.
  if (confirm != nullptr && confirm->request.sequence_number >= account->next) {
    const Request& first = proof.earlier.empty() ? confirm->request : proof.earlier.front();
    if (first.sequence_number > account->next && !account->closed)
      return Early(Refusal(MissingOperations{account->next}));
    return std::nullopt;
  }
  const auto items = requests_of(*state_->network, proof);
  if (!items) return Early(items.error());
  const Verdict verdict = state_->judge(proof.account, *items);  // changes nothing
  if (std::holds_alternative<AlreadyDone>(verdict)) return Early(state_->account_state(proof.account, *account));
  return std::nullopt;  // a conflict, if the signatures are valid
}

Outcome Shard::execute(const VerifiedProof& proof) {
  const Uid& uid = proof.proof().account;
  const std::span<const VerifiedProof::Item> items = proof.requests();
  Verdict verdict = state_->judge(uid, items);
  if (auto* refusal = std::get_if<Refusal>(&verdict)) return {.answer = std::move(*refusal)};

  Outcome outcome;
  if (const auto* conflict = std::get_if<Conflict>(&verdict)) {  // C5
    outcome.answer = Refusal(ConflictingCertificate{conflict->at});
    if (!state_->conflicts.contains({uid, conflict->at})) {  // one piece of evidence for each position is enough
      log::error("shard",
                 "two certified requests contradict each other: more than f validators are Byzantine account={} "
                 "sequence_number={}",
                 uid.text(), conflict->at.value());
      state_->apply_conflict(uid, conflict->at);
      outcome.records.emplace_back(ConflictSeen{proof.proof()});
    }
    return outcome;
  }
  if (const auto* executable = std::get_if<Executable>(&verdict)) {
    state_->apply_execution(*executable->account, proof.shared_proof(), items.subspan(executable->from));
    outcome.records.emplace_back(Executed{proof.proof()});
  }
  outcome.answer = state_->account_state(uid, *state_->find(uid));
  return outcome;
}

void Shard::State::apply_execution(AccountRecord& account, const std::shared_ptr<const Proof>& proof,
                                   std::span<const VerifiedProof::Item> items) {
  touch(proof->account, account);
  for (const VerifiedProof::Item& item : items) apply_request(account, proof, item);
  if (!mutant("pending_not_cleared")) account.pending.reset();
}

// C3: the local effect, whatever the balance, and the remote effects into the outboxes.
void Shard::State::apply_request(AccountRecord& account, const std::shared_ptr<const Proof>& proof,
                                 const VerifiedProof::Item& item) {
  const Request& request = *item.request;
  const Balance fee = fee_of(*network, request).value();
  const Balance burned = amount_burned(request);
  Balance caused = 0;
  std::uint32_t ordinal = 0;
  for (const Effect& effect : effects_of(request, item.hash)) {
    caused += amount_of(effect).value();
    outboxes.push(
        shard_of(target_of(effect)),
        {.effect = CertifiedEffect{.sequence_number = request.sequence_number, .ordinal = ordinal++}, .proof = proof});
  }

  const Balance cost = caused + burned + fee;
  account.balance -= cost;
  totals.balances -= cost;
  totals.caused += caused;
  totals.burned += burned;
  totals.fees += fee;
  if (const auto* change = std::get_if<ChangeOwner>(&request.operation)) account.owner = change->new_owner;
  if (std::holds_alternative<CloseAccount>(request.operation)) {  // C4: even a negative balance
    account.owner.reset();
    account.closed = !mutant("forget_tombstones");
    totals.balances -= account.balance;
    totals.burned += account.balance;
    account.balance = 0;
  }
  account.executed.push_back(fingerprint_of(item.hash));
  account.next = after(account.next);
  account.head = item.hash;
  ++totals.executed;
}

void Shard::State::apply_conflict(const Uid& account, SequenceNumber at) {
  changes.any = true;
  conflicts.emplace(account, at);
  ++totals.conflicts;
}

}  // namespace zef::shard
