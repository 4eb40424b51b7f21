// Why nothing that is needed is deleted.
//
// Slots. A live log: all slots below the lowest one that any lineage entry covers in the map are in checkpoints, as an
// owner cuts lineage only when it publishes one. Entries made later begin with records that are not written yet. `trim`
// is raised by compare-and-set of our Active head before the first deletion, so a rescuer never probes a deleted slot,
// and a worker that is being sealed trims nothing more. A sealed log: its head is read before the map, so every entry
// under which it has confirmed anything was made before, and is in the map we read or has been cut since. The SEAL and
// the head stay for ever: they are what fences the worker when it wakes up.
//
// Checkpoints. One is deleted when the map does not name it and nobody can name it any more: its worker has named a
// newer one of this group (its compare-and-sets come one after the other, and each was made of the version that the one
// before left), or it is sealed and owns nothing in this group's object, so that all it may still have under way fails.
#include "ledger/garbage.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/mutant.h"
#include "ledger/objects.h"
#include "ledger/ownership.h"

namespace zef::ledger {
namespace {

constexpr std::size_t keys_per_list = 1000;

// The part of a key that names a worker, if it does.
std::optional<WorkerId> worker_in(std::string_view text) {
  const auto bytes = from_hex(text.substr(0, WorkerId::size * 2));
  if (!bytes || bytes->size() != WorkerId::size) return std::nullopt;
  return WorkerId::from(*bytes);
}

std::optional<CheckpointName> checkpoint_in(std::size_t group, const std::string& key) {
  const std::string prefix = checkpoint_key(group, WorkerId{}, 0).substr(0, std::string("checkpoints/00/").size());
  const auto worker = worker_in(std::string_view(key).substr(prefix.size()));
  const std::size_t number_at = prefix.size() + WorkerId::size * 2 + 1;
  if (!worker || key.size() != number_at + 8) return std::nullopt;
  const auto number = from_hex(std::string_view(key).substr(number_at));
  if (!number) return std::nullopt;
  std::uint32_t value = 0;
  for (const std::uint8_t byte : *number) value = value << 8 | byte;
  if (checkpoint_key(group, *worker, value) != key) return std::nullopt;
  return CheckpointName{*worker, value};
}

}  // namespace

// What was garbage a grace period ago.
Slot GarbageCollector::old_enough(const WorkerId& worker, Slot garbage_end) {
  auto& since = garbage_since_[worker];
  const MonotonicTime now = parts_.executor.now();
  if (since.empty() || since.back().second < garbage_end) since.emplace_back(now, garbage_end);
  Slot result = 0;
  while (!since.empty() && since.front().first + grace_ <= now) {
    result = since.front().second;
    if (since.size() == 1) break;
    if (since[1].first + grace_ > now) break;
    since.pop_front();
  }
  return result;
}

Task<Result<void>> GarbageCollector::read_view() {
  for (std::size_t group = 0; group < group_count; ++group) {
    auto got = co_await read_group_unless(parts_.store, group, groups_[group].tag);
    if (!got) co_return std::unexpected(std::move(got.error()));
    if (!*got) continue;
    groups_[group] = std::move(**got);
    needed_from_.clear();  // also if a later group cannot be read
  }
  if (!needed_from_.empty()) co_return Result<void>{};
  for (const auto& group : groups_) {
    for (const ShardEntry& entry : group.value.entries) {
      for (const LineageEntry& line : entry.lineage) {
        const auto [at, added] = needed_from_.emplace(line.worker, line.from);
        if (!added) at->second = std::min(at->second, line.from);
      }
    }
  }
  co_return Result<void>{};
}

Task<Result<std::vector<GarbageCollector::SealedLog>>> GarbageCollector::sealed_logs() {
  const auto workers = co_await list_workers(parts_.store);
  if (!workers) co_return std::unexpected(workers.error());
  std::vector<SealedLog> result;
  for (const WorkerId& worker : *workers) {
    if (finished_.contains(worker)) continue;
    const auto head = co_await read_head(parts_.store, worker);
    if (!head) co_return std::unexpected(head.error());
    if (const auto* sealed = std::get_if<Sealed>(&head->value.state)) result.push_back({worker, sealed->at});
  }
  co_return result;
}

Task<Result<void>> GarbageCollector::collect(Slot confirmed) {
  std::vector<SealedLog> sealed;
  if (all_logs_) {  // before the map
    auto logs = co_await sealed_logs();
    if (!logs) co_return std::unexpected(std::move(logs.error()));
    sealed = std::move(*logs);
  }
  if (auto read = co_await read_view(); !read) co_return read;
  all_logs_ = groups_.front().value.entries.front().owner == parts_.self;

  const auto own = needed_from_.find(parts_.self);
  if (own != needed_from_.end())
    if (auto done = co_await trim(parts_.self, std::min(mutant("delete_covered") ? confirmed : own->second, confirmed),
                                  std::nullopt);
        !done)
      co_return done;
  for (const SealedLog& log : sealed) {
    const auto needed = needed_from_.find(log.worker);
    const Slot garbage_end = needed == needed_from_.end() ? log.end : std::min(needed->second, log.end);
    if (auto done = co_await trim(log.worker, garbage_end, log.end); !done) co_return done;
  }
  for (const auto& group : groups_) {
    if (group.value.entries.front().owner != parts_.self) continue;
    if (auto done = co_await delete_checkpoints(group.value); !done) co_return done;
  }
  co_return Result<void>{};
}

Task<Result<void>> GarbageCollector::trim(WorkerId worker, Slot garbage_end, std::optional<Slot> sealed_at) {
  const Slot ripe = std::min(old_enough(worker, garbage_end), garbage_end);
  const bool whole_log = sealed_at && ripe == *sealed_at;
  const Slot end = whole_log ? ripe : ripe - ripe % archive_slots;
  auto head = co_await read_head(parts_.store, worker);
  if (!head) co_return std::unexpected(std::move(head.error()));
  if (!sealed_at && !std::holds_alternative<Active>(head->value.state))
    co_return fail(ErrorKind::fenced, "this worker was sealed by another process");
  const Slot begin = head->value.trim;
  if (end > begin) {
    for (std::uint64_t block = begin / archive_slots; block * archive_slots < end; ++block) {
      if (mutant("delete_without_archive")) break;
      const Slot block_end = std::min(end, (block + 1) * archive_slots);
      if (auto kept = co_await archive_slots_of(parts_.executor, parts_.store, worker, block, block_end, parts_.keep);
          !kept)
        co_return kept;
      ++metrics_.archives;
    }
    head->value.trim = end;
    head->value.nonce = random_id<decltype(head->value.nonce)>(parts_.rng);
    auto put = co_await parts_.store.put_if_match(head_key(worker), store::content(codec::encode(head->value)),
                                                  std::move(head->tag));
    if (!put) co_return store_error(head_key(worker), std::move(put.error()));
    if (std::holds_alternative<store::Mismatch>(*put)) co_return Result<void>{};  // somebody else's turn; see next time
  }
  const Slot deletable = std::max(begin, end);
  if (deletable > 0)
    if (auto done = co_await delete_slots(worker, deletable); !done) co_return done;
  if (whole_log) {
    finished_.insert(worker);
    garbage_since_.erase(worker);
  }
  co_return Result<void>{};
}

// All slots below `end` that are there, also what a killed pass or a late PUT of the same bytes has left.
Task<Result<void>> GarbageCollector::delete_slots(WorkerId worker, Slot end) {
  const std::string prefix = folder_of(slot_key(worker, 0));
  const std::string stop = slot_key(worker, end);
  for (;;) {
    auto keys = co_await parts_.store.list(prefix, "", keys_per_list);
    if (!keys) co_return store_error(prefix, std::move(keys.error()));
    std::erase_if(*keys, [&](const std::string& key) { return key >= stop; });
    if (keys->empty()) co_return Result<void>{};
    for (const std::string& key : *keys) {
      auto gone = co_await parts_.store.del(key);
      if (!gone) co_return store_error(key, std::move(gone.error()));
      ++metrics_.slots;
    }
  }
}

Task<Result<bool>> GarbageCollector::is_sealed(WorkerId worker) {
  const auto head = co_await read_head(parts_.store, worker);
  if (!head) co_return std::unexpected(head.error());
  co_return std::holds_alternative<Sealed>(head->value.state);
}

Task<Result<void>> GarbageCollector::delete_checkpoints(const ShardGroup& group) {
  std::set<CheckpointName> named;
  std::map<WorkerId, std::uint32_t> newest;  // named, of each worker
  std::set<WorkerId> owners;
  for (const ShardEntry& entry : group.entries) {
    owners.insert(entry.owner);
    if (entry.checkpoint) named.insert(entry.checkpoint->objects.begin(), entry.checkpoint->objects.end());
  }
  for (const CheckpointName& name : named) newest[name.worker] = std::max(newest[name.worker], name.number);
  const std::string prefix = folder_of(checkpoint_key(group.group, WorkerId{}, 0));
  std::map<WorkerId, bool> sealed;
  std::string after;
  for (;;) {
    auto keys = co_await parts_.store.list(prefix, after, keys_per_list);
    if (!keys) co_return store_error(prefix, std::move(keys.error()));
    if (keys->empty()) co_return Result<void>{};
    after = keys->back();
    for (const std::string& key : *keys) {
      const auto name = checkpoint_in(group.group, key);
      if (!name || named.contains(*name)) continue;
      bool over = newest.contains(name->worker) && name->number < newest.at(name->worker);
      if (!over && !owners.contains(name->worker)) {
        if (!sealed.contains(name->worker)) {
          const auto is = co_await is_sealed(name->worker);
          if (!is) co_return std::unexpected(is.error());
          sealed[name->worker] = *is;
        }
        over = sealed.at(name->worker);
      }
      if (!over) continue;
      const auto [since, first_seen] = unnamed_since_.emplace(key, parts_.executor.now());
      if (since->second + grace_ > parts_.executor.now()) continue;
      auto gone = co_await parts_.store.del(key);
      if (!gone) co_return store_error(key, std::move(gone.error()));
      unnamed_since_.erase(since);
      ++metrics_.checkpoints;
    }
  }
}

}  // namespace zef::ledger
