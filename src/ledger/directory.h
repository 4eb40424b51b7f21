// A cached copy of the shard map, for finding the worker that serves a shard now. It may be old: whoever is asked
// answers Moved when the shard is not its own, and trouble with a worker is a reason to look again.
//
// Thread rule: one executor. Cost: 16 GETs and one per worker at each refresh; every `period`, and sooner after
// refresh_soon(), but at most one every `period_min`.
#pragma once

#include <functional>

#include "ledger/shard_map.h"

namespace zef::ledger {

class Directory {
 public:
  struct Options {
    Duration period = std::chrono::seconds(10);
    Duration period_min = std::chrono::milliseconds(200);
  };
  Directory(Executor& executor, store::ObjectStore& store, Options options);

  // Begins refreshing in the background, until destruction.
  void start();
  void refresh_soon();
  // Called after each refresh that brought another map than before.
  void on_change(std::move_only_function<void()> callback) { on_change_ = std::move(callback); }

  // The Active head of the shard's owner; nullptr while nobody owns it or before the first refresh.
  [[nodiscard]] const WorkerHead* owner_of(protocol::ShardId shard) const;
  // The map's entry, whoever owns it; nullptr before the first refresh.
  [[nodiscard]] const ShardEntry* entry_of(protocol::ShardId shard) const;
  [[nodiscard]] const MapSnapshot& snapshot() const { return map_.snapshot(); }
  [[nodiscard]] bool known() const { return !snapshot().entries.empty(); }

 private:
  Task<> run();
  void adopt();

  Executor& executor_;
  Options options_;
  MapReader map_;
  std::vector<int> worker_of_shard_;  // index into snapshot().workers, -1 for none
  std::move_only_function<void()> on_change_;
  Event wanted_;
  TaskScope scope_;  // last: its task uses everything above
};

}  // namespace zef::ledger
