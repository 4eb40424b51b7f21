// Deletes what nobody needs any more: slots of logs that no lineage covers (what must stay of them goes into archives
// first), and checkpoints that the map does not name (docs/storage.md, "Garbage").
//
// Nothing is deleted before it has been garbage for a grace period by this process' monotonic clock: readers that have
// read the map a moment ago still find everything. No rule depends on that period otherwise.
//
// Thread rule: one executor, one pass at a time.
#pragma once

#include <deque>
#include <map>
#include <set>

#include "ledger/archive.h"
#include "ledger/objects.h"
#include "ledger/shard_map.h"

namespace zef::ledger {

class GarbageCollector {
 public:
  struct Parts {
    Executor& executor;
    store::ObjectStore& store;
    Rng& rng;
    WorkerId self;
    KeepRecord keep;
  };
  struct Metrics {
    std::uint64_t archives = 0, slots = 0, checkpoints = 0;  // made; deleted; deleted
  };
  GarbageCollector(Parts parts, Duration grace) : parts_(std::move(parts)), grace_(grace) {}

  // One pass over our own log (`confirmed` slots are in the store), the checkpoints of the groups whose first shard is
  // ours, and, if the first shard of all is ours, the logs of sealed workers. Anything may be killed anywhere; a later
  // pass goes on. fenced: our head is not Active any more.
  Task<Result<void>> collect(Slot confirmed);

  [[nodiscard]] const Metrics& metrics() const { return metrics_; }

 private:
  struct SealedLog {
    WorkerId worker;
    Slot end = 0;
  };
  Task<Result<void>> read_view();
  Task<Result<std::vector<SealedLog>>> sealed_logs();
  Task<Result<void>> trim(WorkerId worker, Slot garbage_end, std::optional<Slot> sealed_at);
  Task<Result<void>> delete_slots(WorkerId worker, Slot end);
  Task<Result<void>> delete_checkpoints(const ShardGroup& group);
  Task<Result<bool>> is_sealed(WorkerId worker);
  Slot old_enough(const WorkerId& worker, Slot garbage_end);

  Parts parts_;
  Duration grace_;
  // Our map of one moment.
  std::vector<Versioned<ShardGroup>> groups_{group_count};
  std::map<WorkerId, Slot> needed_from_;  // lowest slot that any lineage covers
  bool all_logs_ = false;                 // the first shard of all was ours in the last pass
  std::map<WorkerId, std::deque<std::pair<MonotonicTime, Slot>>> garbage_since_;
  std::map<std::string, MonotonicTime> unnamed_since_;
  std::set<WorkerId> finished_;  // sealed logs of which only the SEAL is left
  Metrics metrics_;
};

}  // namespace zef::ledger
