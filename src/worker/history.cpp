#include "worker/history.h"

#include <algorithm>

#include "protocol/verification.h"

namespace zef::worker {

std::uint32_t History::log_index(const ledger::WorkerId& worker) {
  // The newest log is asked for nearly always; a worker knows a handful of logs.
  for (std::size_t i = logs_.size(); i-- > 0;)
    if (logs_[i] == worker) return static_cast<std::uint32_t>(i);
  logs_.push_back(worker);
  return static_cast<std::uint32_t>(logs_.size() - 1);
}

ledger::ReadPlace History::where(const Place& place) const {
  return {.worker = logs_.at(place.log), .slot = place.slot, .index = place.index};
}

void History::note(const ledger::ReadPlace& at, const shard::Record& record) {
  Place place{.log = log_index(at.worker), .slot = at.slot, .index = at.index};
  if (const auto* executed = std::get_if<shard::Executed>(&record)) {
    const protocol::Proof& proof = executed->proof;
    const auto requests = protocol::form_of(proof);
    ZEF_CHECK(requests);
    auto& list = accounts_[proof.account].executed;
    protocol::SequenceNumber first = requests->front().request->sequence_number;
    // What an earlier record executed stays there.
    if (!list.empty()) first = std::max(first, *list.back().first.checked_add(std::uint64_t{1}));
    list.push_back({.first = first, .place = place});
  } else if (const auto* received = std::get_if<shard::EffectsReceived>(&record)) {
    for (const protocol::Effect& effect : received->effects) {
      const bool credits = std::holds_alternative<protocol::Credit>(effect) ||
                           (std::holds_alternative<protocol::Open>(effect) && amount_of(effect).value() > 0);
      if (credits) accounts_[target_of(effect)].received.push_back(place);
      ++place.effect;
    }
  }
}

std::vector<History::Executed> History::executed(const protocol::Uid& account, protocol::SequenceNumber from,
                                                 std::size_t limit) const {
  const auto found = accounts_.find(account);
  if (found == accounts_.end()) return {};
  const auto& list = found->second.executed;
  auto begin = std::upper_bound(list.begin(), list.end(), from,
                                [](protocol::SequenceNumber number, const Executed& e) { return number < e.first; });
  if (begin != list.begin()) --begin;
  return {begin, begin + static_cast<std::ptrdiff_t>(
                             std::min(limit, static_cast<std::size_t>(std::distance(begin, list.end()))))};
}

std::vector<History::Place> History::received(const protocol::Uid& account, std::uint64_t from,
                                              std::size_t limit) const {
  const auto found = accounts_.find(account);
  if (found == accounts_.end() || from >= found->second.received.size()) return {};
  const auto& list = found->second.received;
  const auto count = std::min<std::uint64_t>(limit, list.size() - from);
  return {list.begin() + static_cast<std::ptrdiff_t>(from), list.begin() + static_cast<std::ptrdiff_t>(from + count)};
}

std::uint64_t History::received_count(const protocol::Uid& account) const {
  const auto found = accounts_.find(account);
  return found == accounts_.end() ? 0 : found->second.received.size();
}

}  // namespace zef::worker
