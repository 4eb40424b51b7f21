#include "ledger/ownership.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/mutant.h"
#include "base/parallel.h"
#include "ledger/objects.h"
#include "ledger/seal.h"

namespace zef::ledger {
namespace {

constexpr std::size_t keys_per_list = 1000;
constexpr std::size_t requests_in_flight = 16;
constexpr std::size_t group_size = protocol::shard_count / group_count;

// A change with the nonce that tells its entry from everybody else's: chosen once, however often it is sent.
struct NamedChange {
  OwnerChange change;
  FixedBytes<EntryNonceTag, 16> nonce;
};

bool is_unchanged(const ShardEntry& entry, const OwnerChange& change) {
  return entry.owner == change.owner && entry.epoch == change.epoch;
}

void sort_out(const ShardGroup& group, const std::vector<NamedChange>& changes, OwnerChanges& out) {
  for (const NamedChange& named : changes) {
    const ShardEntry& entry = group.entries[named.change.shard.value() % group_size];
    (entry.nonce == named.nonce ? out.made : out.lost).push_back({named.change.shard, entry});
  }
}

Task<Result<void>> change_group(Executor& executor, store::ObjectStore& store, Rng& rng, std::size_t group,
                                const std::vector<NamedChange>& changes, OwnerChanges& out) {
  Patience patience(&executor);
  for (;;) {
    auto got = co_await read_group_patiently(&executor, store, group);
    if (!got) co_return std::unexpected(std::move(got.error()));
    ShardGroup next = got->value;
    bool changed = false;
    for (const auto& [change, nonce] : changes) {
      ShardEntry& entry = next.entries[change.shard.value() % group_size];
      if (!is_unchanged(entry, change) && !mutant("change_any_owner")) continue;
      give_entry(entry, change.next_owner, change.closed_at, change.from, nonce);
      changed = true;
    }
    // Nothing left to change: all of it was done, by an earlier try of ours or by others.
    if (!changed) co_return sort_out(got->value, changes, out), Result<void>{};
    next.nonce = random_id<decltype(next.nonce)>(rng);
    auto put = co_await store.put_if_match(group_key(group), store::content(codec::encode(next)), std::move(got->tag));
    const bool done = put && (std::holds_alternative<store::Updated>(*put) || mutant("judge_by_object"));
    if (done) co_return sort_out(next, changes, out), Result<void>{};
    // Mismatch: others have changed their entries, or ours. No answer: it may have happened, or happen yet. Either way
    // the entries tell.
    if (!put) {
      auto trouble = store_error(group_key(group), std::move(put.error()));
      if (!co_await patience.again(trouble.error().kind)) co_return trouble;
    }
  }
}

}  // namespace

void give_entry(ShardEntry& entry, const WorkerId& next_owner, Slot closed_at, Slot from,
                const FixedBytes<EntryNonceTag, 16>& nonce) {
  if (entry.owner != WorkerId{}) {
    LineageEntry& open = entry.lineage.back();
    ZEF_CHECK(open.worker == entry.owner && !open.to);  // decode_group has checked it
    open.to = closed_at;
    if (open.from >= closed_at) entry.lineage.pop_back();  // its owner wrote nothing
  }
  entry.owner = next_owner;
  ++entry.epoch;
  entry.nonce = nonce;
  entry.lineage.push_back({next_owner, entry.epoch, from, std::nullopt});
}

namespace {

struct GroupOfChanges {
  std::size_t group = 0;
  std::vector<NamedChange> changes;
  OwnerChanges out{};
  Result<void> done{};
};
Task<void> change_one(Executor& executor, store::ObjectStore& store, Rng& rng, GroupOfChanges& one) {
  one.done = co_await change_group(executor, store, rng, one.group, one.changes, one.out);
}

// The groups that hold these shards, or all.
struct Groups {
  std::map<std::size_t, Result<Versioned<ShardGroup>>> read;
  [[nodiscard]] const ShardEntry& entry_of(protocol::ShardId shard) const {
    return read.at(group_of(shard))->value.entries[shard.value() % group_size];
  }
};
Task<void> read_one(Executor& executor, store::ObjectStore& store, std::size_t group,
                    Result<Versioned<ShardGroup>>& out) {
  out = co_await read_group_patiently(&executor, store, group);
}
Task<Result<Groups>> read_groups(Executor& executor, store::ObjectStore& store, std::set<std::size_t> wanted) {
  Groups groups;
  for (const std::size_t group : wanted) groups.read.emplace(group, Versioned<ShardGroup>{});
  const std::vector<std::size_t> order(wanted.begin(), wanted.end());
  co_await in_parallel(executor, order.size(), requests_in_flight,
                       [&](std::size_t i) { return read_one(executor, store, order[i], groups.read.at(order[i])); });
  for (auto& [group, read] : groups.read)
    if (!read) co_return std::unexpected(std::move(read.error()));
  co_return groups;
}

}  // namespace

Task<Result<OwnerChanges>> change_owners(Executor& executor, store::ObjectStore& store, Rng& rng,
                                         std::vector<OwnerChange> changes) {
  std::map<std::size_t, std::vector<NamedChange>> by_group;
  for (const OwnerChange& change : changes)
    by_group[group_of(change.shard)].push_back({change, random_id<FixedBytes<EntryNonceTag, 16>>(rng)});
  std::vector<GroupOfChanges> groups;
  for (auto& [group, of_group] : by_group) groups.push_back({group, std::move(of_group)});
  co_await in_parallel(executor, groups.size(), requests_in_flight,
                       [&](std::size_t i) { return change_one(executor, store, rng, groups[i]); });
  OwnerChanges out;
  for (GroupOfChanges& group : groups) {
    if (!group.done) co_return std::unexpected(std::move(group.done.error()));
    std::ranges::move(group.out.made, std::back_inserter(out.made));
    std::ranges::move(group.out.lost, std::back_inserter(out.lost));
  }
  co_return out;
}

Task<Result<std::vector<OwnedShard>>> rescue(Executor& executor, store::ObjectStore& store, Rng& rng, WorkerId rescuer,
                                             WorkerId victim, ChooseOwner choose) {
  Result<Slot> at = 0;
  if (victim != WorkerId{}) at = co_await seal_worker({&executor, store, rng, rescuer}, victim);
  if (!at) co_return std::unexpected(at.error());
  std::set<std::size_t> all;
  for (std::size_t group = 0; group < group_count; ++group) all.insert(group);
  const auto groups = co_await read_groups(executor, store, std::move(all));
  if (!groups) co_return std::unexpected(groups.error());
  std::vector<OwnerChange> changes;
  std::map<WorkerId, Slot> first_slots;
  for (std::uint16_t i = 0; i < protocol::shard_count; ++i) {
    const protocol::ShardId shard(i);
    const ShardEntry& entry = groups->entry_of(shard);
    if (entry.owner != victim) continue;
    const WorkerId next = choose(shard);
    if (next == WorkerId{}) continue;
    const auto [slot, is_new] = first_slots.emplace(next, 0);
    if (is_new) {  // what it has deleted cannot hold records of an epoch that is to come
      const auto head = co_await read_head_patiently(&executor, store, next);
      if (!head) co_return std::unexpected(head.error());
      slot->second = head->trim;
    }
    changes.push_back({shard, victim, entry.epoch, next, *at, slot->second});
  }
  auto changed = co_await change_owners(executor, store, rng, std::move(changes));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  if (victim != WorkerId{})
    log::info("ledger", "worker {} was sealed at slot {} by {}; {} of its shards have new owners", victim.hex(), *at,
              rescuer.hex(), changed->made.size());
  co_return std::move(changed->made);
}

Task<Result<std::vector<OwnedShard>>> read_entries(Executor& executor, store::ObjectStore& store,
                                                   std::vector<protocol::ShardId> shards) {
  std::set<std::size_t> wanted;
  for (const protocol::ShardId shard : shards) wanted.insert(group_of(shard));
  const auto groups = co_await read_groups(executor, store, std::move(wanted));
  if (!groups) co_return std::unexpected(groups.error());
  std::vector<OwnedShard> out;
  for (const protocol::ShardId shard : shards) out.push_back({shard, groups->entry_of(shard)});
  co_return out;
}

Task<Result<std::vector<WorkerId>>> list_workers(store::ObjectStore& store) {
  const std::string some_head = head_key(WorkerId{});
  const std::string prefix = some_head.substr(0, some_head.find('/') + 1);
  std::vector<WorkerId> out;
  std::string after;
  for (;;) {
    const auto found = co_await store.list(prefix, after, keys_per_list);
    if (!found) co_return store_error(prefix, found.error());
    if (found->empty()) co_return out;
    for (const std::string& key : *found) {
      const std::string folder = key.substr(0, key.find('/', prefix.size()));
      after = folder + "0";  // '0' follows '/': past everything of this worker, of which there may be much
      const auto worker = WorkerId::parse_hex(folder.substr(prefix.size()));
      if (worker && (out.empty() || out.back() != *worker)) out.push_back(*worker);
    }
  }
}

Task<Result<std::vector<WorkerHead>>> active_workers(store::ObjectStore& store, std::set<WorkerId>& sealed) {
  const auto all = co_await list_workers(store);
  if (!all) co_return std::unexpected(all.error());
  std::vector<WorkerHead> out;
  for (const WorkerId& worker : *all) {
    if (sealed.contains(worker)) continue;
    auto head = co_await read_head(store, worker);
    if (!head) continue;  // it may be about to be written
    if (std::holds_alternative<Active>(head->value.state))
      out.push_back(std::move(head->value));
    else if (std::holds_alternative<Sealed>(head->value.state))
      sealed.insert(worker);
  }
  co_return out;
}

}  // namespace zef::ledger
