// Changes of owner while workers run: rescue of a dead worker by anybody, hand-over by the receiver of a move,
// cancelling by its giver (docs/storage.md, "Planned moves" and "Rescue").
//
// Invariant: an entry changes only by compare-and-set of the entry as it was expected: same owner, same epoch. Every
// change is one epoch more, closes the open lineage entry and appends the next. What became of a write without an
// answer is told by the entry alone (owner, epoch, nonce), whatever else has changed in its object.
//
// Thread rule: one executor.
#pragma once

#include <functional>
#include <set>
#include <vector>

#include "ledger/takeover.h"

namespace zef::ledger {

// An entry expected at (owner, epoch), and what it is to become.
struct OwnerChange {
  protocol::ShardId shard;
  WorkerId owner;
  std::uint64_t epoch = 0;
  WorkerId next_owner;
  Slot closed_at = 0;  // the present owner's records of this epoch are below this slot of its log
  Slot from = 0;       // the next owner's records are in this slot of its own log or later
};

struct OwnerChanges {
  std::vector<OwnedShard> made;  // as they stand in the map, with the next owner
  std::vector<OwnedShard> lost;  // somebody else was first: the entries as found
};

// One compare-and-set for each group. Errors: unavailable (the store; some changes may have been made, or may be made
// by a write that is still under way: the map tells), corrupt.
Task<Result<OwnerChanges>> change_owners(Executor& executor, store::ObjectStore& store, Rng& rng,
                                         std::vector<OwnerChange> changes);

// Seals the victim and gives every shard that the map says is its own to the worker that `choose` names, which must
// have a head; zeros: that one is left as it is. A victim of zeros: the shards that nobody owns. Idempotent; any number
// of rescuers at once do no harm. Returns what this call changed.
using ChooseOwner = std::function<WorkerId(protocol::ShardId shard)>;
Task<Result<std::vector<OwnedShard>>> rescue(Executor& executor, store::ObjectStore& store, Rng& rng, WorkerId rescuer,
                                             WorkerId victim, ChooseOwner choose);

// The entries of these shards as they stand now, in their order.
Task<Result<std::vector<OwnedShard>>> read_entries(Executor& executor, store::ObjectStore& store,
                                                   std::vector<protocol::ShardId> shards);

// The ids of all workers that ever were: their heads stay for ever. Some LISTs for each worker that lives, one for some
// hundred that do not.
Task<Result<std::vector<WorkerId>>> list_workers(store::ObjectStore& store);

// The heads of all workers that are Active, those that own nothing yet included. For finding new workers now and then,
// not for every second. `sealed`: who need not be asked about, as found by earlier calls; those found now are added.
Task<Result<std::vector<WorkerHead>>> active_workers(store::ObjectStore& store, std::set<WorkerId>& sealed);

// Closes the open lineage entry at `closed_at` and makes `next_owner` the owner at one epoch more.
void give_entry(ShardEntry& entry, const WorkerId& next_owner, Slot closed_at, Slot from,
                const FixedBytes<EntryNonceTag, 16>& nonce);

}  // namespace zef::ledger
