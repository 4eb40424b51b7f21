// Who may own a shard after a start. An entry of the map changes its owner here only by compare-and-set of the version
// in which it was read (take_group), and only when the owner that it names has been sealed before (seal_worker), so all
// records that owner ever acknowledged lie in [from, k) of its log, which the new lineage covers. A worker that finds
// its own head not Active at the end of its takeover has been sealed by somebody and must not serve (begin_worker); if
// it is sealed later, its log fences it. Every object written here names its writer: WorkerIds are never used again, so
// "owner = me" in an entry says that one of my writes happened, whatever its answer was.
#include "ledger/takeover.h"

#include <fmt/core.h>

#include <map>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/mutant.h"
#include "base/parallel.h"
#include "ledger/objects.h"
#include "ledger/ownership.h"
#include "ledger/read_ahead.h"
#include "ledger/seal.h"

namespace zef::ledger {
namespace {

constexpr std::size_t reads_in_flight = 16;

// A worker that is not alive, from which we take.
struct Predecessor {
  Slot at = 0;            // k, once sealed
  bool same_name = true;  // all its shards are ours; else it was sealed by somebody, and what is assigned to us is
};

struct Takeover {
  Sealer sealer;
  WorkerIdentity self;
  std::map<WorkerId, Predecessor> sealed;
  std::set<WorkerId> others;  // alive, of other names
};

Task<Result<void>> put_head(Takeover& takeover) {
  const WorkerIdentity& self = takeover.self;
  const std::string key = head_key(self.id);
  WorkerHead head{1, self.id, self.name, self.client_address, self.internal_address, Active{}, 0, {}};
  head.nonce = random_id<decltype(head.nonce)>(takeover.sealer.rng);
  const store::Content bytes = store::content(codec::encode(head));
  Patience patience(takeover.sealer.executor);
  for (;;) {
    auto put = co_await takeover.sealer.store.put_if_absent(key, bytes);
    if (put && std::holds_alternative<store::Created>(*put)) co_return Result<void>{};
    Error trouble{ErrorKind::unavailable, key + ": exists, but cannot be read"};
    if (!put) trouble = store_error(key, std::move(put.error())).error();
    if (put) {
      auto found = co_await takeover.sealer.store.get(key);
      if (!found) trouble = store_error(key, std::move(found.error())).error();
      if (found && *found && ((*found)->bytes == *bytes || mutant("reused_worker_id"))) co_return Result<void>{};
      if (found && *found) {
        const auto other = decode_head(self.id, (*found)->bytes);
        if (other && !std::holds_alternative<Active>(other->state))
          co_return fail(ErrorKind::fenced, "this worker was sealed by another process while it started");
        co_return fail(ErrorKind::refused, fmt::format("{}: this worker id was used before", key));
      }
    }
    if (!co_await patience.again(trouble.kind)) co_return std::unexpected(std::move(trouble));
  }
}

// Seals the owner of a shard if it is a predecessor: of our name, or not Active any more and the shard is assigned to
// us. Those alive under other names keep what they have.
Task<Result<void>> meet_owner(Takeover& takeover, WorkerId owner) {
  const auto head = co_await read_head_patiently(takeover.sealer.executor, takeover.sealer.store, owner);
  if (!head) co_return std::unexpected(head.error());
  const bool same_name = head->name == takeover.self.name;
  if (!same_name && std::holds_alternative<Active>(head->state)) {
    takeover.others.insert(owner);
    co_return Result<void>{};
  }
  const auto at = co_await seal_worker(takeover.sealer, owner);
  if (!at) co_return std::unexpected(at.error());
  takeover.sealed.emplace(owner, Predecessor{*at, same_name});
  log::info("ledger", "worker {} takes over from worker {}, sealed at slot {}", takeover.self.id.hex(), owner.hex(),
            *at);
  co_return Result<void>{};
}

// Reads the map and seals all predecessors.
Task<Result<void>> seal_predecessors(Takeover& takeover) {
  ReadAhead groups(
      *takeover.sealer.executor, takeover.sealer.store, [](std::uint64_t group) { return group_key(group); }, 0,
      group_count, reads_in_flight);
  std::set<WorkerId> owners;
  for (std::size_t group = 0; group < group_count; ++group) {
    const auto got = co_await groups.next();
    Result<ShardGroup> decoded;
    if (got && *got) {
      decoded = decode_group(group, (*got)->bytes);
    } else if (auto again = co_await read_group_patiently(takeover.sealer.executor, takeover.sealer.store, group);
               again) {
      decoded = std::move(again->value);
    } else {
      decoded = std::unexpected(std::move(again.error()));
    }
    if (!decoded) co_return std::unexpected(std::move(decoded.error()));
    for (const ShardEntry& entry : decoded->entries)
      if (entry.owner != WorkerId{} && entry.owner != takeover.self.id) owners.insert(entry.owner);
  }
  for (const WorkerId& owner : owners)
    if (auto met = co_await meet_owner(takeover, owner); !met) co_return met;
  co_return Result<void>{};
}

// The owner of an entry is a worker that it was not when we read the map. If it has our name, a process of our own name
// starts at the same moment: the one with the greater id stands back, so that two do not seal each other.
Task<Result<void>> meet_newcomer(Takeover& takeover, WorkerId newcomer) {
  const auto head = co_await read_head_patiently(takeover.sealer.executor, takeover.sealer.store, newcomer);
  if (!head) co_return std::unexpected(head.error());
  if (head->name == takeover.self.name && newcomer < takeover.self.id)
    co_return fail(ErrorKind::refused,
                   fmt::format("another process of worker slot {} starts at this moment (worker {}); "
                               "this one stands back. Start only one, or start again",
                               takeover.self.name, newcomer.hex()));
  co_return co_await meet_owner(takeover, newcomer);
}

// What becomes of an entry in our takeover.
enum class Claim { leave, take, meet_owner_first };
Claim claim_of(const Takeover& takeover, const ShardEntry& entry) {
  const bool assigned = entry.assigned_to == takeover.self.name;
  if (entry.owner == WorkerId{}) return assigned ? Claim::take : Claim::leave;
  if (entry.owner == takeover.self.id || takeover.others.contains(entry.owner)) return Claim::leave;
  const auto sealed = takeover.sealed.find(entry.owner);
  if (sealed == takeover.sealed.end()) return Claim::meet_owner_first;
  return assigned || sealed->second.same_name ? Claim::take : Claim::leave;
}

// Makes this worker the owner of all its shards in a group, by one compare-and-set; returns the group as it stands
// then.
Task<Result<ShardGroup>> take_group(Takeover& takeover, std::size_t group) {
  Patience patience(takeover.sealer.executor);
  for (;;) {
    auto got = co_await read_group_patiently(takeover.sealer.executor, takeover.sealer.store, group);
    if (!got) co_return std::unexpected(std::move(got.error()));
    ShardGroup next = got->value;
    std::optional<WorkerId> newcomer;
    bool changed = false;
    for (ShardEntry& entry : next.entries) {
      const Claim claim = claim_of(takeover, entry);
      if (claim == Claim::meet_owner_first) newcomer = entry.owner;
      if (newcomer) break;
      if (claim == Claim::leave) continue;
      const auto sealed = takeover.sealed.find(entry.owner);
      give_entry(entry, takeover.self.id, sealed == takeover.sealed.end() ? 0 : sealed->second.at, 0,
                 random_id<decltype(entry.nonce)>(takeover.sealer.rng));
      changed = true;
    }
    if (newcomer) {
      if (auto met = co_await meet_newcomer(takeover, *newcomer); !met) co_return std::unexpected(met.error());
      continue;
    }
    if (!changed) co_return next;
    next.nonce = random_id<decltype(next.nonce)>(takeover.sealer.rng);
    auto put = co_await takeover.sealer.store.put_if_match(group_key(group), store::content(codec::encode(next)),
                                                           std::move(got->tag));
    if (put && std::holds_alternative<store::Updated>(*put)) co_return next;
    // Mismatch: others have changed their entries, or ours. No answer: it may have happened. Either way the entries
    // tell.
    if (!put) {
      auto trouble = store_error(group_key(group), std::move(put.error()));
      if (!co_await patience.again(trouble.error().kind)) co_return trouble;
    }
  }
}

Task<void> take_one(Takeover& takeover, std::size_t group, Result<ShardGroup>& out) {
  out = co_await take_group(takeover, group);
}

Task<Result<void>> check_own_head(Takeover& takeover) {
  Patience patience(takeover.sealer.executor);
  for (;;) {
    auto head = co_await read_head(takeover.sealer.store, takeover.self.id);
    if (head && std::holds_alternative<Active>(head->value.state)) co_return Result<void>{};
    if (head) co_return fail(ErrorKind::fenced, "this worker was sealed by another process while it started");
    if (!co_await patience.again(head.error().kind)) co_return std::unexpected(std::move(head.error()));
  }
}

}  // namespace

Task<Result<std::vector<OwnedShard>>> begin_worker(Executor& executor, store::ObjectStore& store, Rng& rng,
                                                   WorkerIdentity self) {
  Takeover takeover{{&executor, store, rng, self.id}, self, {}, {}};
  // The head comes first: nobody may be named in the map who cannot be sealed.
  if (auto done = co_await put_head(takeover); !done) co_return std::unexpected(std::move(done.error()));
  if (auto done = co_await seal_predecessors(takeover); !done) co_return std::unexpected(std::move(done.error()));
  std::vector<Result<ShardGroup>> taken(group_count);
  co_await in_parallel(executor, group_count, reads_in_flight,
                       [&](std::size_t group) { return take_one(takeover, group, taken[group]); });
  std::vector<OwnedShard> owned;
  for (std::size_t group = 0; group < group_count; ++group) {
    if (!taken[group]) co_return std::unexpected(std::move(taken[group].error()));
    std::vector<ShardEntry>& entries = taken[group]->entries;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (entries[i].owner != self.id) continue;
      const auto shard = static_cast<std::uint16_t>(group * entries.size() + i);
      owned.push_back({protocol::ShardId(shard), std::move(entries[i])});
    }
  }
  if (auto done = co_await check_own_head(takeover); !done) co_return std::unexpected(std::move(done.error()));
  co_return owned;
}

Task<Result<void>> seal_self(store::ObjectStore& store, Rng& rng, WorkerIdentity self, Slot search_from) {
  const auto at = co_await seal_worker({nullptr, store, rng, self.id}, self.id, search_from);
  if (!at) co_return std::unexpected(at.error());
  co_return Result<void>{};
}

}  // namespace zef::ledger
