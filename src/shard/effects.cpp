// Effects between shards: what other shards send here, what they acknowledge, and fee totals (docs/protocol.md, C3 and
// C4; docs/storage.md, "Cross-shard effects"). No effect can fail or wait for another: each is applied exactly once, by
// its index.
#include "base/log.h"
#include "base/mutant.h"
#include "shard/received.h"
#include "shard/state.h"

namespace zef::shard {

namespace {

// Far above everything that could ever be paid in fees, far below what a Balance can hold.
constexpr Balance fee_total_max = Balance{1} << 96;

// The effects of a request of a verified proof; nothing if the proof does not vouch for that number.
const VerifiedProof::Item* find_item(const VerifiedProof& proof, SequenceNumber at) {
  const auto& items = proof.requests();
  const SequenceNumber first = items.front().request->sequence_number;
  if (at < first || at.value() - first.value() >= items.size()) return nullptr;
  return &items[static_cast<std::size_t>(at.value() - first.value())];
}

}  // namespace

std::optional<ReceivedEntry> received_entry(const Effect& effect) {
  if (const auto* credit = std::get_if<Credit>(&effect))
    return ReceivedEntry{credit->recipient, {credit->sender, credit->sequence_number, credit->amount}};
  if (const auto* open = std::get_if<Open>(&effect); open != nullptr && open->funding > Amount(0)) {
    const auto parent = open->new_id.parent();
    ZEF_CHECK(parent.has_value());  // effect_problem() refused all others
    return ReceivedEntry{open->new_id, {*parent, SequenceNumber(open->new_id.parts().back()), open->funding}};
  }
  return std::nullopt;
}

std::optional<std::string> effect_problem(const Network& network, ShardId destination, const Effect& effect) {
  if (const auto* start = std::get_if<Start>(&effect)) {
    if (!std::holds_alternative<StartInstance>(start->request.operation)) return "a start of no instance";
    if (started_by(start->request).new_id.depth() == 1) return "an instance with the UID of a genesis account";
  }
  if (shard_of(target_of(effect)) != destination) return "an effect is for another shard";
  if (const auto* open = std::get_if<Open>(&effect)) {
    if (open->new_id.depth() == 1) return "a genesis account cannot be opened";
    if (open->new_id.parts().back() > SequenceNumber::max) return "no request has the sequence number of this UID";
  }
  if (const auto* total = std::get_if<FeeTotal>(&effect)) {
    const auto is_its = [&](const ValidatorInfo& validator) {
      return validator.reward_account == total->reward_account;
    };
    if (!std::ranges::any_of(network.committee.validators(), is_its)) return "a fee total is for no reward account";
    if (total->total < 0 || total->total > fee_total_max) return "a fee total is out of range";
  }
  return std::nullopt;
}

Ruled<VerifiedEffects> VerifiedEffects::derive(const Network& network, const EffectBatch& batch,
                                               const std::vector<VerifiedProof>& proofs) {
  const auto invalid = [](std::string why) { return refuse(InvalidCertificate{std::move(why)}); };
  if (batch.first > UINT64_MAX - batch.effects.size()) return invalid("the indexes of the effects overflow");
  for (const VerifiedProof& proof : proofs) {
    if (shard_of(proof.proof().account) != batch.source) return invalid("a proof is of an account of another shard");
  }

  VerifiedEffects result;
  result.source_ = batch.source;
  result.destination_ = batch.destination;
  result.first_ = batch.first;
  result.effects_.reserve(batch.effects.size());
  const VerifiedProof::Item* derived_from = nullptr;  // effects of one request mostly stand together
  std::vector<Effect> derived;
  for (const SentEffect& sent : batch.effects) {
    if (const auto* total = std::get_if<FeeTotal>(&sent)) {
      result.effects_.emplace_back(*total);
    } else {
      const auto& certified = std::get<CertifiedEffect>(sent);
      if (certified.proof >= proofs.size()) return invalid("an effect names no proof");
      const auto* item = find_item(proofs[certified.proof], certified.sequence_number);
      if (item == nullptr) return invalid("an effect names a request that its proof does not vouch for");
      if (item != derived_from) {
        derived = effects_of(*item->request, item->hash);
        derived_from = item;
      }
      if (certified.ordinal >= derived.size()) return invalid("an effect names more than its request causes");
      result.effects_.push_back(derived[certified.ordinal]);
    }
    if (auto problem = effect_problem(network, batch.destination, result.effects_.back()))
      return invalid(std::move(*problem));
  }
  return result;
}

Outcome Shard::receive(const VerifiedEffects& effects) {
  ZEF_CHECK(effects.destination() == state_->id);
  const std::uint64_t expected = mutant("forget_inbox_mark") ? effects.first() : mark(effects.source());
  const std::span<const Effect> all = effects.effects();
  // A gap: what is missing comes first, and this again after it. All below the mark: its acknowledgement was lost.
  if (effects.first() > expected || all.size() <= expected - effects.first()) return {};
  const auto fresh = all.subspan(static_cast<std::size_t>(expected - effects.first()));

  state_->apply_effects(effects.source(), expected, fresh);
  Outcome outcome;
  outcome.records.emplace_back(EffectsReceived{effects.source(), expected, {fresh.begin(), fresh.end()}});
  return outcome;
}

Outcome Shard::acknowledge(ShardId destination, std::uint64_t up_to) {
  const Outbox& outbox = state_->outboxes.to(destination);
  if (up_to > outbox.end()) return {.answer = Refusal(Malformed{"more is acknowledged than was sent"})};
  if (up_to <= outbox.first()) return {};
  state_->apply_acknowledgement(destination, up_to);
  Outcome outcome;
  outcome.records.emplace_back(EffectsAcknowledged{destination, up_to});
  return outcome;
}

Outcome Shard::queue_fee_totals() {
  if (!fee_totals_changed()) return {};
  state_->apply_fee_totals();
  Outcome outcome;
  outcome.records.emplace_back(FeeTotalsQueued{});
  return outcome;
}

void Shard::State::apply_effects(ShardId source, std::uint64_t first, std::span<const Effect> effects) {
  for (const Effect& effect : effects) apply_effect(source, effect);
  marks[source] = first + effects.size();
  changes.any = true;
  changes.marks.set(source.value());
}

// Never fails and never waits, whatever the account is: that is what lets effects commute (I3).
void Shard::State::apply_effect(ShardId source, const Effect& effect) {
  if (const auto* start = std::get_if<Start>(&effect)) return apply_start(start->request);
  AccountRecord& account = find_or_add(target_of(effect));
  touch(target_of(effect), account);
  if (const auto* total = std::get_if<FeeTotal>(&effect)) {  // C3: the highest total counts
    Balance& known = fee_totals[{total->reward_account, source}];
    if (total->total <= known) return;
    credit(account, total->total - known);
    totals.fees_credited += total->total - known;
    known = total->total;
    return;
  }
  // Certified a second time, by another request: impossible with at most f Byzantine. The first owner stays, and the
  // funding is kept all the same, so that I4 holds.
  if (const auto* open = std::get_if<Open>(&effect)) {
    if (account.owner || account.closed) {
      log::error("shard", "an account was created twice: more than f validators are Byzantine account={}",
                 open->new_id.text());
      ++totals.conflicts;
    } else {
      account.owner = open->new_owner;
      account.head = open->head;
    }
  }
  const Balance amount = amount_of(effect).value();
  credit(account, mutant("credit_twice") ? 2 * amount : amount);
  totals.received += amount;
  if (const auto entry = received_entry(effect)) account.received.add(*entry);
}

// C4: what reaches a tombstone is burned.
void Shard::State::credit(AccountRecord& account, Balance amount) {
  if (account.closed) {
    if (!mutant("lose_late_credits")) totals.burned += amount;
  } else {
    account.balance += amount;
    totals.balances += amount;
  }
}

void Shard::State::apply_acknowledgement(ShardId destination, std::uint64_t up_to) {
  changes.any = true;
  outboxes.drop_below(destination, up_to);
}

// Every validator gets the same share of every fee (a fee is a multiple of their number); those of one reward account
// go there as one total.
void Shard::State::apply_fee_totals() {
  const auto& validators = network->committee.validators();
  Balance share = totals.fees / static_cast<Balance>(validators.size());
  if (mutant("fee_share_rounded")) share = share / 10 * 10;
  std::map<Uid, Balance> by_account;
  for (const ValidatorInfo& validator : validators) by_account[validator.reward_account] += share;
  for (const auto& [uid, total] : by_account)
    outboxes.push(shard_of(uid), {.effect = FeeTotal{uid, total}, .proof = {}});
  fees_queued = totals.fees;
  changes.any = true;
}

}  // namespace zef::shard
