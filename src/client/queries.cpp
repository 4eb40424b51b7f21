// Questions to several validators at once: states backed by more than f equal answers, proofs verified here.
#include <fmt/core.h>

#include "client/hunts.h"
#include "client/quorum_impl.h"
#include "protocol/effects.h"

namespace zef::client {

// ---- proofs
// ----------------------------------------------------------------------------------------------------------

std::optional<std::pair<SequenceNumber, SequenceNumber>> QuorumDriver::Impl::verified_range(const Proof& proof,
                                                                                            const Uid& account) {
  if (proof.account != account) return std::nullopt;
  VerificationBatch batch(network, caches);
  const std::size_t place = batch.add(proof);
  batch.run();
  const auto verified = batch.take_proof(place);
  if (!verified || verified->requests().empty()) return std::nullopt;
  return std::pair(verified->requests().front().request->sequence_number,
                   verified->requests().back().request->sequence_number);
}

Task<void> QuorumDriver::Impl::ask_page(std::shared_ptr<PageHunt> hunt, ValidatorConnection& validator) {
  auto page = co_await validator.executed(hunt->account, hunt->from, hunt->limit, options.query_time_max);
  if (page && hunt->proofs.empty()) {
    SequenceNumber next = hunt->from;
    for (Proof& proof : page->proofs) {
      if (next >= hunt->to || hunt->proofs.size() == hunt->limit) break;
      const auto range = verified_range(proof, hunt->account);
      if (!range || range->first > next || range->second < next) break;  // what came before it is good
      next = SequenceNumber(range->second.value() + 1);
      hunt->proofs.push_back(std::move(proof));
    }
    if (!hunt->proofs.empty()) preferred = validator.index().value();
  }
  --hunt->running;
  hunt->changed.set();
}

Task<std::vector<Proof>> QuorumDriver::Impl::fetch_page(Uid account, SequenceNumber from, SequenceNumber to,
                                                        std::uint32_t limit, const ValidatorConnection* not_this) {
  auto hunt = std::make_shared<PageHunt>(executor);
  if (from >= to || limit == 0) co_return std::move(hunt->proofs);
  if (source) {
    SequenceNumber next = from;
    while (next < to && hunt->proofs.size() < limit) {
      auto proof = source->find_proof(account, next);
      if (!proof) break;
      const auto range = verified_range(*proof, account);
      if (!range || range->first > next || range->second < next) break;
      next = SequenceNumber(range->second.value() + 1);
      hunt->proofs.push_back(std::move(*proof));
    }
    if (!hunt->proofs.empty()) co_return std::move(hunt->proofs);
  }
  hunt->account = account;
  hunt->from = from;
  hunt->to = to;
  hunt->limit = limit;
  // One after the other, the last good one first; a slow one is not waited for, the next is asked as well.
  const std::size_t start = preferred;
  for (std::size_t i = 0; i < validators.size() && hunt->proofs.empty(); ++i) {
    ValidatorConnection& validator = *validators[(start + i) % validators.size()];
    if (&validator == not_this) continue;
    hunt->changed.reset();
    ++hunt->running;
    scope.spawn(ask_page(hunt, validator));
    co_await hunt->changed.wait_for(options.straggler_time);
  }
  const MonotonicTime deadline = executor.now() + options.query_time_max;
  while (hunt->proofs.empty() && hunt->running > 0 && !past(deadline)) {
    hunt->changed.reset();
    co_await hunt->changed.wait_for(until(deadline));
  }
  co_return std::move(hunt->proofs);
}

Task<Outcome<std::vector<Proof>>> QuorumDriver::Impl::fetch_executed(Uid account, SequenceNumber from,
                                                                     SequenceNumber to) {
  std::vector<Proof> proofs;
  SequenceNumber next = from;
  while (next < to) {
    auto page = co_await fetch_page(account, next, to, options.page_limit, nullptr);
    if (page.empty()) break;
    next = SequenceNumber(last_number(network, page.back())->value() + 1);
    std::ranges::move(page, std::back_inserter(proofs));
  }
  co_return proofs;
}

Task<Outcome<Proof>> QuorumDriver::Impl::fetch_proof(Uid account, SequenceNumber at) {
  if (at.value() < SequenceNumber::max) {
    auto page = co_await fetch_page(account, at, SequenceNumber(at.value() + 1), 1, nullptr);
    if (!page.empty()) co_return std::move(page.front());
  }
  co_return failed(FailureKind::not_found, fmt::format("no validator that answers has a certificate of account {}, "
                                                       "operation {}",
                                                       account.text(), at.value()));
}

Task<Outcome<CertifiedCredit>> QuorumDriver::Impl::certify_credit(Uid recipient, ReceivedCredit credit) {
  auto proof = co_await fetch_proof(credit.sender, credit.sequence_number);
  if (!proof) co_return std::unexpected(std::move(proof.error()));
  const auto requests = requests_of(network, *proof);
  ZEF_CHECK(requests);  // fetch_proof verified it
  for (const auto& item : *requests) {
    if (item.request->sequence_number != credit.sequence_number) continue;
    for (const Effect& effect : effects_of(*item.request, item.hash))
      if (target_of(effect) == recipient && amount_of(effect) == credit.amount &&
          !std::holds_alternative<Start>(effect))
        co_return CertifiedCredit{std::move(credit), std::move(*proof)};
  }
  co_return failed(
      FailureKind::invalid,
      fmt::format("the certificate of account {}, operation {} does not credit {} to account {}", credit.sender.text(),
                  credit.sequence_number.value(), credit.amount.value(), recipient.text()));
}

// ---- states
// ----------------------------------------------------------------------------------------------------------

Task<void> QuorumDriver::Impl::ask_state(std::shared_ptr<StateHunt> hunt, ValidatorConnection& validator) {
  Nonce nonce;
  rng.fill(nonce.bytes);
  auto state = co_await validator.account(hunt->account, nonce, options.query_time_max);
  if (state) {
    hunt->weight += validator.weight();
    hunt->states.emplace_back(validator.index(), std::move(*state));
  } else if (const auto* refusal = std::get_if<Refusal>(&state.error())) {
    if (std::holds_alternative<NotFound>(*refusal) || std::holds_alternative<InactiveAccount>(*refusal)) {
      hunt->weight += validator.weight();
      hunt->unknown_weight += validator.weight();
    }
    hunt->last_silence = describe(*refusal);
  } else {
    hunt->last_silence = std::get<Error>(state.error()).message;
  }
  --hunt->running;
  if (hunt->running == 0 || hunt->weight >= network.committee.quorum()) hunt->done.set();
}

Task<std::shared_ptr<StateHunt>> QuorumDriver::Impl::ask_states(Uid account) {
  auto hunt = std::make_shared<StateHunt>(executor);
  hunt->account = account;
  hunt->running = validators.size();
  for (auto& validator : validators) scope.spawn(ask_state(hunt, *validator));
  co_await hunt->done.wait_for(options.query_time_max);
  if (hunt->running > 0) {  // the others may know more: they get a moment
    const MonotonicTime deadline = executor.now() + options.straggler_time;
    while (hunt->running > 0 && !past(deadline)) {
      hunt->done.reset();
      co_await hunt->done.wait_for(until(deadline));
    }
  }
  // A copy: answers that come later must not change what is being looked at.
  auto result = std::make_shared<StateHunt>(executor);
  result->account = account;
  result->states = hunt->states;
  result->weight = hunt->weight;
  result->unknown_weight = hunt->unknown_weight;
  result->last_silence = hunt->last_silence;
  co_return result;
}

namespace {

// The highest balance that `needed` weight has at least; nothing if less weight answered. Only of those who have
// executed all before `from`: to others, money is still there that was spent since.
std::optional<Balance> supported_balance(const Network& network, const StateHunt& hunt, Weight needed,
                                         SequenceNumber from = SequenceNumber(0)) {
  std::vector<std::pair<Balance, Weight>> balances;
  for (const auto& [index, state] : hunt.states)
    if (state.next >= from) balances.emplace_back(state.balance, network.committee.find(index)->weight);
  if (hunt.unknown_weight > 0) balances.emplace_back(0, hunt.unknown_weight);
  std::ranges::sort(balances, std::greater<>{});
  Weight sum = 0;
  for (const auto& [balance, weight] : balances)
    if ((sum += weight) >= needed) return balance;
  return std::nullopt;
}

bool same_position(const AccountState& one, const AccountState& other) {
  return one.next == other.next && one.head == other.head && one.owner == other.owner && one.closed == other.closed;
}

// The answer with the highest `next` that more than f weight gave alike.
const AccountState* backed_state(const Network& network, const StateHunt& hunt) {
  const AccountState* best = nullptr;
  for (const auto& [index, state] : hunt.states) {
    Weight weight = 0;
    for (const auto& [other_index, other] : hunt.states)
      if (same_position(state, other)) weight += network.committee.find(other_index)->weight;
    if (weight > network.committee.faulty_max() && (!best || state.next > best->next)) best = &state;
  }
  return best;
}

std::optional<Hash> backed_pending(const Network& network, const StateHunt& hunt, SequenceNumber next) {
  for (const auto& [index, state] : hunt.states) {
    if (!state.pending || state.next != next) continue;
    Weight weight = 0;
    for (const auto& [other_index, other] : hunt.states)
      if (other.next == next && other.pending == state.pending) weight += network.committee.find(other_index)->weight;
    if (weight > network.committee.faulty_max()) return state.pending;
  }
  return std::nullopt;
}

}  // namespace

Task<Outcome<AccountSummary>> QuorumDriver::Impl::query_account(Uid account) {
  const auto hunt = co_await ask_states(account);
  const Weight more_than_f = network.committee.faulty_max() + 1;
  const auto balance = supported_balance(network, *hunt, network.committee.quorum());
  if (!balance)
    co_return failed(FailureKind::unavailable,
                     fmt::format("too few validators answered about account {}; try again{}", account.text(),
                                 hunt->last_silence.empty() ? "" : " (last: " + hunt->last_silence + ")"));
  const AccountState* state = backed_state(network, *hunt);
  if (!state) {
    if (hunt->unknown_weight >= more_than_f)
      co_return failed(FailureKind::not_found,
                       fmt::format("there is no account {} (yet): check the number, or wait until the request that "
                                   "opens it is executed",
                                   account.text()));
    co_return failed(FailureKind::unavailable,
                     fmt::format("validators do not agree about account {} yet; try again", account.text()));
  }
  AccountSummary summary{.account = account,
                         .owner = state->owner,
                         .next = state->next,
                         .head = state->head,
                         .closed = state->closed,
                         .balance = *balance,
                         .proven_balance = *supported_balance(network, *hunt, more_than_f, state->next),
                         .pending = backed_pending(network, *hunt, state->next),
                         .answers = hunt->states};
  co_return summary;
}

}  // namespace zef::client
