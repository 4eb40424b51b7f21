// Follows a log that its worker still writes: the receiver of a planned move reads what the giver logs, up to the
// hand-over (docs/storage.md, "Planned moves"). Slots are read in order, none is skipped, and their chain is checked.
//
// Thread rule: one executor.
#pragma once

#include <map>

#include "ledger/checkpoint.h"

namespace zef::ledger {

// Whether a record is the last one of its shard's epoch: a hand-over.
[[nodiscard]] bool ends_epoch(ByteView body);

class LogFollower {
 public:
  // What is wanted of a shard: its records of this epoch, from this one on.
  struct Wanted {
    std::uint64_t epoch = 0;
    LogPosition from;
  };
  using Shards = std::map<protocol::ShardId, Wanted>;
  // Delivers from slot `from` on. All must outlive it.
  LogFollower(Executor& executor, store::ObjectStore& store, WorkerId worker, Slot from, Shards shards,
              ReplayRecord deliver);

  // Reads up to the first slot that is not there yet.
  Task<Result<void>> catch_up();
  // Reads all slots below `end`, which are known to be in the store.
  Task<Result<void>> read_to(Slot end);
  [[nodiscard]] Slot next() const { return next_; }
  [[nodiscard]] std::uint64_t epoch_of(protocol::ShardId shard) const { return shards_.at(shard).epoch; }

 private:
  // Errors: fenced (a SEAL: its worker is dead), corrupt, unavailable; what `deliver` said.
  Task<Result<void>> read(std::optional<Slot> end);
  Result<void> take(Slot slot, ByteView bytes);

  Executor& executor_;
  store::ObjectStore& store_;
  WorkerId worker_;
  Shards shards_;
  ReplayRecord deliver_;
  Slot next_;
  std::optional<crypto::Hash> previous_;
};

}  // namespace zef::ledger
