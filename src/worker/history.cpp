#include "worker/history.h"

#include <algorithm>
#include <set>

#include "protocol/verification.h"

namespace zef::worker {
namespace {

constexpr std::uint16_t saved_version = 1;

// An account's past in a checkpoint: what follows the first `..._before` entries.
struct SavedPast {
  protocol::Uid account;
  std::uint64_t executed_before = 0;
  std::vector<History::Executed> executed;
  std::uint64_t received_before = 0;
  std::vector<History::Place> received;
  static constexpr auto fields = codec::fields<&SavedPast::account, &SavedPast::executed_before, &SavedPast::executed,
                                               &SavedPast::received_before, &SavedPast::received>;
};
struct SavedHistory {
  std::uint16_t version = saved_version;
  bool whole = false;
  std::vector<ledger::WorkerId> logs;  // Place::log is an index into them
  std::vector<SavedPast> accounts;
  static constexpr auto fields =
      codec::fields<&SavedHistory::version, &SavedHistory::whole, &SavedHistory::logs, &SavedHistory::accounts>;
};

std::unexpected<Error> corrupt(std::string_view what) {
  return fail(ErrorKind::corrupt, "a history that cannot be: " + std::string(what));
}

History::Place place_of(const History::Place& place) { return place; }
History::Place place_of(const History::Executed& executed) { return executed.place; }

// How many entries stand before `end` in the log with that index: newer ones are at the back.
template <class Entry>
std::size_t count_before(const std::vector<Entry>& entries, std::uint32_t log, ledger::LogPosition end) {
  std::size_t count = entries.size();
  while (count > 0) {
    const History::Place place = place_of(entries[count - 1]);
    if (place.log != log || ledger::LogPosition{place.slot, place.index} < end) break;
    --count;
  }
  return count;
}

}  // namespace

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

bool History::keeps(ByteView body) {
  // The first byte of a record says which one it is: the variant has fewer alternatives than a byte's ULEB128 holds.
  static_assert(std::variant_size_v<shard::Record> < 0x80);
  static const std::set<std::uint8_t> kept = {codec::encode(shard::Record(shard::Executed{})).front(),
                                              codec::encode(shard::Record(shard::EffectsReceived{})).front(),
                                              codec::encode(shard::Record(shard::ConflictSeen{})).front(),
                                              codec::encode(shard::Record(shard::InstanceConflictSeen{})).front()};
  return body.empty() || kept.contains(body.front());
}

Bytes History::save(const std::vector<protocol::Uid>& accounts, bool whole, const ledger::WorkerId& self,
                    ledger::LogPosition end) {
  const std::uint32_t own_log = log_index(self);
  SavedHistory saved{.version = saved_version, .whole = whole, .logs = logs_, .accounts = {}};
  for (const protocol::Uid& uid : accounts) {
    const auto found = accounts_.find(uid);
    if (found == accounts_.end()) continue;
    AccountHistory& past = found->second;
    if (whole) past.executed_saved = past.received_saved = 0;
    const std::size_t executed = std::max(past.executed_saved, count_before(past.executed, own_log, end));
    const std::size_t received = std::max(past.received_saved, count_before(past.received, own_log, end));
    if (executed == past.executed_saved && received == past.received_saved) continue;
    const auto part = [](const auto& list, std::size_t from, std::size_t to) {
      return std::vector(list.begin() + static_cast<std::ptrdiff_t>(from),
                         list.begin() + static_cast<std::ptrdiff_t>(to));
    };
    saved.accounts.push_back({.account = uid,
                              .executed_before = past.executed_saved,
                              .executed = part(past.executed, past.executed_saved, executed),
                              .received_before = past.received_saved,
                              .received = part(past.received, past.received_saved, received)});
    past.executed_saved = executed;
    past.received_saved = received;
  }
  return codec::encode(saved);
}

Result<void> History::load(ByteView bytes) {
  auto saved = codec::decode<SavedHistory>(bytes);
  if (!saved) return corrupt(codec::to_string(saved.error()));
  if (saved->version != saved_version) return corrupt("a version that this program does not read");
  const AccountHistory nothing;
  for (const SavedPast& it : saved->accounts) {
    const auto found = accounts_.find(it.account);
    const AccountHistory& known = saved->whole || found == accounts_.end() ? nothing : found->second;
    if (it.executed_before != known.executed.size() || it.received_before != known.received.size())
      return corrupt("a past that does not follow what is known");
    const protocol::SequenceNumber* last = known.executed.empty() ? nullptr : &known.executed.back().first;
    for (const Executed& entry : it.executed) {
      if (last != nullptr && entry.first <= *last) return corrupt("executed requests that do not ascend");
      last = &entry.first;
      if (entry.place.log >= saved->logs.size()) return corrupt("a place in no log");
    }
    for (const Place& place : it.received)
      if (place.log >= saved->logs.size()) return corrupt("a place in no log");
  }
  std::vector<std::uint32_t> logs;
  for (const ledger::WorkerId& log : saved->logs) logs.push_back(log_index(log));
  for (SavedPast& it : saved->accounts) {
    AccountHistory& past = accounts_[it.account];
    if (saved->whole) past = {};
    for (Executed& entry : it.executed) {
      entry.place.log = logs[entry.place.log];
      past.executed.push_back(entry);
    }
    for (Place& place : it.received) {
      place.log = logs[place.log];
      past.received.push_back(place);
    }
    past.executed_saved = past.executed.size();
    past.received_saved = past.received.size();
  }
  return {};
}

std::uint64_t History::received_count(const protocol::Uid& account) const {
  const auto found = accounts_.find(account);
  return found == accounts_.end() ? 0 : found->second.received.size();
}

}  // namespace zef::worker
