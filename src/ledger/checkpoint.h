// Checkpoints: the states of the shards of one group that a worker owns, in one immutable object, and the change of the
// map that names it (docs/storage.md, "Checkpoints"). What is in a state is the caller's: for this room it is bytes.
//
// A shard's checkpoint is a chain of objects: the first holds its whole state, each other what changed since the one
// before. Objects hold only what is confirmed; only the owner at its epoch names one in the map, and cuts the lineage
// that it replaces in the same compare-and-set; never back to an older one.
//
// Thread rule: one executor.
#pragma once

#include <functional>

#include "ledger/packed.h"
#include "ledger/takeover.h"

namespace zef::ledger {

// A place in a worker's log: everything in slots before `slot`, and in it the records before `record`.
struct LogPosition {
  Slot slot = 0;
  std::uint32_t record = 0;
  friend auto operator<=>(const LogPosition&, const LogPosition&) = default;
  static constexpr auto fields = codec::fields<&LogPosition::slot, &LogPosition::record>;
};

// One shard in an object.
struct CheckpointPart {
  protocol::ShardId shard;
  std::uint64_t epoch = 0;
  LogPosition at;
  bool whole = false;  // else what changed since the object before
  PackedSection state;
  PackedSection history;
};
[[nodiscard]] Bytes encode_checkpoint(std::size_t group, const CheckpointName& name,
                                      const std::vector<CheckpointPart>& parts);

// An object, checked to be the one of that name; its sections are checked when they are unpacked.
class Checkpoint {
 public:
  [[nodiscard]] static Result<Checkpoint> decode(std::size_t group, const CheckpointName& name, Bytes bytes);

  struct Part {
    bool whole = false;
    Bytes state;
    Bytes history;
  };
  // corrupt: not in it, or damaged.
  [[nodiscard]] Result<Part> part(protocol::ShardId shard) const;
  [[nodiscard]] std::vector<protocol::ShardId> shards() const;

 private:
  struct Place {
    protocol::ShardId shard;
    bool whole = false;
    Section state;
    Section history;
    std::size_t begin = 0;
  };
  std::string key_;
  Bytes bytes_;
  std::vector<Place> places_;
};

// Puts the object; the same bytes again if the store gives trouble.
Task<Result<void>> put_checkpoint(Executor& executor, store::ObjectStore& store, std::size_t group, CheckpointName name,
                                  store::Content bytes);

// What the map shall say of a shard from now on.
struct Publication {
  protocol::ShardId shard;
  std::uint64_t epoch = 0;
  LogPosition at;
  // The chain, its last object put. Empty: nothing has ever changed this shard, so only its lineage is cut.
  std::vector<CheckpointName> objects;
};
// Returns the shards of which the map says so now. Not among them: shards that this worker does not own at that epoch
// any more.
Task<Result<std::vector<protocol::ShardId>>> publish_checkpoint(Executor& executor, store::ObjectStore& store, Rng& rng,
                                                                WorkerId self, std::size_t group,
                                                                std::vector<Publication> publications);

// Reads the checkpoints of these shards, where they have any, and hands over the parts of each, in the order of its
// chain. Fails with corrupt, naming the object, if one is missing or damaged, or with what `load` says.
using LoadPart = std::function<Result<void>(protocol::ShardId shard, Checkpoint::Part part)>;
Task<Result<void>> load_checkpoints(Executor& executor, store::ObjectStore& store,
                                    const std::vector<OwnedShard>& shards, LoadPart load);

}  // namespace zef::ledger
