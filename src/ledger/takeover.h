// How a worker process begins: it makes its head, takes over whatever earlier workers of its slot name still own, and
// replays their records (docs/storage.md, "Takeover"). A restart is a takeover of one's own predecessors.
#pragma once

#include <functional>

#include "ledger/shard_map.h"
#include "ledger/worker_log.h"

namespace zef::ledger {

struct WorkerIdentity {
  WorkerId id;
  std::string name;  // slot name
  std::string client_address;
  std::string internal_address;
};

// One shard that this worker owns now: its entry as it stands in the map (owner = this worker, open lineage entry
// last).
struct OwnedShard {
  protocol::ShardId shard;
  ShardEntry entry;
};

// Puts the head (Active), seals every predecessor (a worker of this name that the map names as an owner) and takes over
// in the map, at epoch + 1 and with lineage: its shards, and those assigned to this name that nobody owns or somebody
// who was sealed. That may be none: such a worker waits to be given some. Every step is idempotent and may be killed
// anywhere; anybody may finish it. Of two processes of one name, started at any moments, at most one can confirm
// anything from then on: the other ends with refused or fenced here, or its log is fenced. Errors: unavailable (store),
// refused (a process of the same name starts at this moment), fenced (somebody sealed us), corrupt (names the object
// and what is wrong with it).
Task<Result<std::vector<OwnedShard>>> begin_worker(Executor& executor, store::ObjectStore& store, Rng& rng,
                                                   WorkerIdentity self);

// Where a record was read.
struct ReadPlace {
  WorkerId worker;
  std::uint32_t slot = 0;
  std::uint32_t index = 0;
};
using ReplayRecord = std::function<Result<void>(protocol::ShardId shard, const ReadPlace& place, ByteView body)>;

// Reads the lineage of all these shards (each log once, closed entries only) and hands every shard's records over, in
// the order of its epochs and, within one, of its log. Returns how many. Fails with corrupt, naming the object, on a
// missing or damaged slot; some records may have been handed over by then, and nothing in the store is changed.
Task<Result<std::uint64_t>> replay_lineage(Executor& executor, store::ObjectStore& store,
                                           std::vector<OwnedShard> shards, ReplayRecord replay);

// Seals one's own log and head after the last record is durable: a drained worker's successor need not. The search for
// the first free slot begins at `search_from`: WorkerLog::slots_confirmed(), or 0. It does not wait, so it gives up
// with `unavailable` at the first trouble that the store lets through; nothing is lost then, the successor seals.
Task<Result<void>> seal_self(store::ObjectStore& store, Rng& rng, WorkerIdentity self, Slot search_from = 0);

// Records of confirmed segments, for serving history. Keeps the last used segments in memory, up to `bytes_max` (at
// least one); requests for one segment at one time share one GET. A cache must not be destroyed by whoever resumes from
// record_body(), in that same call.
class SegmentCache {
 public:
  SegmentCache(store::ObjectStore& store, std::size_t bytes_max);
  ~SegmentCache();
  Task<Result<Bytes>> record_body(ReadPlace place);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace zef::ledger
