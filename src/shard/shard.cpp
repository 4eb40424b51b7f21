#include "shard/shard.h"

#include <algorithm>

#include "shard/state.h"

namespace zef::shard {

std::vector<std::vector<std::uint64_t>> genesis_by_shard(const Genesis& genesis) {
  std::vector<std::vector<std::uint64_t>> result(shard_count);
  for (std::uint64_t index = 0; index < genesis.accounts.size(); ++index)
    result[shard_of(Uid::genesis(index)).value()].push_back(index);
  return result;
}

Shard::Shard(ShardId id, const Network& network) : state_(std::make_unique<State>(id, network)) {}
Shard::~Shard() = default;
Shard::Shard(Shard&&) noexcept = default;
Shard& Shard::operator=(Shard&&) noexcept = default;

ShardId Shard::id() const { return state_->id; }

void Shard::apply_genesis(const Genesis& genesis, const std::vector<std::uint64_t>& indexes) {
  ZEF_CHECK(state_->accounts.empty() && state_->marks.empty());  // a live account is never reset
  for (const std::uint64_t index : indexes) {
    ZEF_CHECK(index < genesis.accounts.size());
    state_->add_genesis_account(Uid::genesis(index), genesis.accounts[static_cast<std::size_t>(index)]);
  }
}

std::optional<AccountState> Shard::account(const Uid& uid) const {
  const AccountRecord* account = state_->find(uid);
  if (account == nullptr) return std::nullopt;
  return state_->account_state(uid, *account);
}

std::uint64_t Shard::mark(ShardId source) const {
  const auto found = state_->marks.find(source);
  return found == state_->marks.end() ? 0 : found->second;
}

std::vector<ShardId> Shard::destinations() const { return state_->outboxes.destinations(); }

std::vector<OutgoingEffect> Shard::outgoing(ShardId destination, std::uint64_t from_index, std::size_t limit) const {
  const Outbox& outbox = state_->outboxes.to(destination);
  std::vector<OutgoingEffect> result;
  std::uint64_t index = std::max(from_index, outbox.first());
  if (index >= outbox.end()) return result;
  result.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(limit, outbox.end() - index)));
  for (; index < outbox.end() && result.size() < limit; ++index) {
    const WaitingEffect& waiting = outbox.at(index);
    result.push_back({.index = index, .effect = waiting.effect, .proof = waiting.proof});
  }
  return result;
}

Outcome Shard::hand_off() {
  ZEF_CHECK(!state_->handed_off);
  state_->handed_off = true;
  return {.answer = {}, .records = {HandedOff{digest()}}};
}

bool Shard::fee_totals_changed() const { return state_->totals.fees != state_->fees_queued; }

Totals Shard::totals() const {
  Totals totals = state_->totals;
  totals.effects_waiting = state_->outboxes.waiting();
  return totals;
}

std::uint64_t Shard::account_count() const { return state_->totals.accounts; }

std::vector<Uid> Shard::accounts() const {
  std::vector<Uid> result;
  result.reserve(state_->accounts.size());
  for (const auto& [uid, account] : state_->accounts) result.push_back(uid);
  std::ranges::sort(result);
  return result;
}

std::vector<Uid> Shard::instances() const {
  std::vector<Uid> result;
  for (const auto& [uid, instance] : state_->instances) result.push_back(uid);
  std::ranges::sort(result);
  return result;
}

}  // namespace zef::shard
