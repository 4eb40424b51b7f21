// What workers tell the controller, every second, and what the controller knows of them by it. Plain values; any
// thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/executor.h"
#include "ledger/ids.h"

namespace zef::controller {

using ledger::WorkerId;
using protocol::ShardId;

struct ShardLoad {
  ShardId shard;
  double load = 0;          // CPU seconds per second, over the worker's last period
  std::uint64_t bytes = 0;  // what a move of the shard has to carry
};

struct WorkerReport {
  WorkerId worker;
  std::string name;           // of its slot: "w0", "w1", ... The number is its ordinal for the driver
  std::uint64_t counter = 0;  // one more with every report: a counter that stands still is a worker that stands still
  double cores = 1;           // CPU seconds per second that it may use
  std::vector<ShardLoad> shards;
  Duration log_backlog{};     // how long the oldest record has waited that is not yet on its way to the store
  Duration flush_interval{};  // how long a record waits by choice
  std::uint64_t memory_bytes = 0;
  bool draining = false;  // gives its shards away and takes none, whoever asked it to
  bool retiring = false;  // a controller asked it to, so its place is to be given up; else it comes back
};

// The worker that owns a shard, by the map; zeros: nobody yet. 1024 of them.
using ShardOwners = std::vector<WorkerId>;

}  // namespace zef::controller
