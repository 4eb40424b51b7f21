// The shard map: which worker owns which shard, from which epoch on, and where the shard's records are. 16 objects of
// 64 entries each, changed only by compare-and-set of an unchanged entry (docs/storage.md, "The shard map").
#pragma once

#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "ledger/ids.h"
#include "store/object_store.h"

namespace zef::ledger {

// Records of one shard at one epoch, in one worker's log: slots [from, to), or from `from` on while open.
struct LineageEntry {
  WorkerId worker;
  std::uint64_t epoch = 0;
  Slot from = 0;
  std::optional<Slot> to;
  friend bool operator==(const LineageEntry&, const LineageEntry&) = default;
  static constexpr auto fields =
      codec::fields<&LineageEntry::worker, &LineageEntry::epoch, &LineageEntry::from, &LineageEntry::to>;
};

// An object checkpoints/<group>/<worker>-<number>.
struct CheckpointName {
  WorkerId worker;
  std::uint32_t number = 0;
  friend auto operator<=>(const CheckpointName&, const CheckpointName&) = default;
  static constexpr auto fields = codec::fields<&CheckpointName::worker, &CheckpointName::number>;
};

// The newest checkpoint of a shard: its state after all records of earlier epochs, and of this epoch those before
// record `record` of slot `slot` of that epoch's log.
struct ShardCheckpoint {
  std::uint64_t epoch = 0;
  Slot slot = 0;
  std::uint32_t record = 0;
  std::vector<CheckpointName> objects;  // the first holds the whole state, each other what changed since
  friend bool operator==(const ShardCheckpoint&, const ShardCheckpoint&) = default;
  static constexpr auto fields = codec::fields<&ShardCheckpoint::epoch, &ShardCheckpoint::slot,
                                               &ShardCheckpoint::record, &ShardCheckpoint::objects>;
};
inline constexpr std::size_t checkpoint_objects_max = 16;

struct ShardEntry {
  WorkerId owner;                              // zeros: nobody yet
  std::string assigned_to;                     // slot name of the worker that should serve it, "w0", ...
  std::uint64_t epoch = 0;                     // + 1 with every change of owner
  FixedBytes<struct EntryNonceTag, 16> nonce;  // of the last change: an ambiguous compare-and-set is judged by it
  std::vector<LineageEntry> lineage;           // ascending epochs; the owner's open entry is last
  std::optional<ShardCheckpoint> checkpoint;   // the lineage is what came after it; none: nothing is before the lineage
  friend bool operator==(const ShardEntry&, const ShardEntry&) = default;
  static constexpr auto fields = codec::fields<&ShardEntry::owner, &ShardEntry::assigned_to, &ShardEntry::epoch,
                                               &ShardEntry::nonce, &ShardEntry::lineage, &ShardEntry::checkpoint>;
};

inline constexpr std::uint32_t map_version = 2;

struct ShardGroup {
  std::uint32_t version = map_version;
  std::uint32_t group = 0;
  FixedBytes<struct GroupNonceTag, 16> nonce;  // of the last write: equal bytes are the same write
  std::vector<ShardEntry> entries;             // 64
  friend bool operator==(const ShardGroup&, const ShardGroup&) = default;
  static constexpr auto fields =
      codec::fields<&ShardGroup::version, &ShardGroup::group, &ShardGroup::nonce, &ShardGroup::entries>;
};

// How the others find a worker, and whether its log still takes records. One object per worker, changed by CAS.
struct Active {
  static constexpr auto fields = codec::fields<>;
  friend bool operator==(const Active&, const Active&) = default;
};
struct Sealing {
  static constexpr auto fields = codec::fields<>;
  friend bool operator==(const Sealing&, const Sealing&) = default;
};
struct Sealed {
  Slot at = 0;  // the SEAL's slot: records are in [trim, at)
  static constexpr auto fields = codec::fields<&Sealed::at>;
  friend bool operator==(const Sealed&, const Sealed&) = default;
};
struct WorkerHead {
  std::uint32_t version = 1;
  WorkerId worker;
  std::string name;              // slot name, "w0"
  std::string client_address;    // host:port for balancers
  std::string internal_address;  // host:port for other workers (mutual TLS)
  std::variant<Active, Sealing, Sealed> state;
  Slot trim = 0;  // slots below are deleted
  FixedBytes<struct HeadNonceTag, 16> nonce;
  friend bool operator==(const WorkerHead&, const WorkerHead&) = default;
  static constexpr auto fields =
      codec::fields<&WorkerHead::version, &WorkerHead::worker, &WorkerHead::name, &WorkerHead::client_address,
                    &WorkerHead::internal_address, &WorkerHead::state, &WorkerHead::trim, &WorkerHead::nonce>;
};

// What the whole map says, read at about one time. For routing; never for deciding who may write.
struct MapSnapshot {
  std::vector<ShardEntry> entries;  // 1024, by shard
  std::vector<WorkerHead> workers;  // of the owners that it names
};
Task<Result<MapSnapshot>> read_map(Executor& executor, store::ObjectStore& store);

template <class T>
struct Versioned;

// For who reads it again and again: groups that are as they were are not decoded again.
class MapReader {
 public:
  MapReader(Executor& executor, store::ObjectStore& store) : executor_(executor), store_(store) {}
  // True: the map is another one than before. After a failure the snapshot is the one before.
  Task<Result<bool>> read();
  [[nodiscard]] const MapSnapshot& snapshot() const { return snapshot_; }
  [[nodiscard]] MapSnapshot take() && { return std::move(snapshot_); }

 private:
  // The owners in the snapshot with these groups in the place of its own.
  [[nodiscard]] std::vector<WorkerId> owners_with(const std::vector<Versioned<ShardGroup>>& changed) const;

  Executor& executor_;
  store::ObjectStore& store_;
  MapSnapshot snapshot_;
  std::array<store::Tag, group_count> tags_;
};

// What a store belongs to. Made once; any other network or validator is refused ("foreign store").
struct StoreIdentity {
  protocol::NetworkId network;
  protocol::ValidatorIndex validator;
  friend bool operator==(const StoreIdentity&, const StoreIdentity&) = default;
  static constexpr auto fields = codec::fields<&StoreIdentity::network, &StoreIdentity::validator>;
};

// Makes the identity and the map (shards dealt to the names in contiguous ranges), or checks what is there. Idempotent;
// several processes may call it at once.
Task<Result<void>> initialise_store(store::ObjectStore& store, Rng& rng, const StoreIdentity& identity,
                                    std::vector<std::string> worker_names);
// refused: another's store, or nobody's.
Task<Result<void>> check_identity(store::ObjectStore& store, const StoreIdentity& identity);
// For who serves whatever network the store is of. refused: nobody's store.
Task<Result<void>> check_initialised(store::ObjectStore& store);

}  // namespace zef::ledger
