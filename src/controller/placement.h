// Placement: which shard should go where, with little movement (docs/controller.md). Pure: the map, the reports and the
// moves under way in; rescues and the next few moves out. Whoever asks again after these are done gets the next ones,
// until nothing is left to do.
//
// A shard that alone is more than its share is "hot": its worker should carry as little else as possible, and the
// others are balanced among themselves.
//
// Thread rule: none.
#pragma once

#include <cstdint>
#include <vector>

#include "controller/reports.h"

namespace zef::controller {

struct PlacementOptions {
  std::size_t moves_per_worker = 2;  // at a time, as giver or taker
  double imbalance = 1.25;           // highest load / mean, beyond which shards move ...
  double aim = 1.10;                 // ... until it is no more than that, as far as one plan goes
  // What every shard is taken to weigh besides its measured load, so that an idle validator is spread too, and so that
  // what little a cold shard costs (timers, checkpoints) counts.
  double shard_weight = 0.0001;
  // What a move costs besides the bytes: two sequential writes and a moment of waiting clients.
  std::uint64_t move_bytes = 1U << 20;
  // Of the mean: what a hot shard's worker may carry besides.
  double beside_hot = 0.05;
};

struct PlacedWorker {
  WorkerId worker;
  double cores = 1;
  bool takes = true;    // alive and not draining: shards may come to it
  bool leaves = false;  // draining: its shards are to go elsewhere
  bool dead = false;    // its shards must be rescued
};

struct PlacedShard {
  ShardId shard;
  WorkerId owner;  // zeros or a worker that is not in the list: nobody who could hand it over
  double load = 0;
  std::uint64_t bytes = 0;
};

struct Move {
  ShardId shard;
  WorkerId from;
  WorkerId to;
  friend bool operator==(const Move&, const Move&) = default;
};

// Shards of a dead worker, or of nobody (zeros), for one that lives. What is dead is sealed once, so all its shards are
// dealt at once.
struct Rescue {
  WorkerId victim;
  WorkerId by;
  std::vector<ShardId> shards;
};

struct Plan {
  std::vector<Rescue> rescues;
  std::vector<Move> moves;  // new ones only
};

[[nodiscard]] Plan place(const PlacementOptions& options, const std::vector<PlacedWorker>& workers,
                         const std::vector<PlacedShard>& shards, const std::vector<Move>& under_way);

}  // namespace zef::controller
