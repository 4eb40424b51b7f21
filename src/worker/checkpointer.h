// When a worker saves its shards: one group of the map after the other, spread over the period, so that a restart or a
// takeover has little of the log to replay, whatever its length (docs/storage.md, "Checkpoints").
//
// One shard is saved in one turn of the event loop, so a turn is held up by the accounts that changed in one shard (or,
// when changes are merged into a new whole state, by all of its accounts). What is saved is exactly what the records
// up to that moment have made; it is put into the store when they are confirmed, then named in the map.
//
// Thread rule: one executor.
#pragma once

#include <array>
#include <bitset>
#include <functional>
#include <map>

#include "base/task.h"
#include "ledger/checkpoint.h"
#include "worker/history.h"
#include "worker/shard_table.h"

namespace zef::worker {

class Checkpointer {
 public:
  struct Options {
    Duration every = std::chrono::seconds(30);  // for each group, and at the end; zero: never
    std::uint64_t log_bytes = 256U << 20;       // and sooner when so much was logged
    std::uint64_t log_slots = 0;                // or so many slots, each of which a takeover reads; zero: any number
  };
  // All must outlive this. `note_confirmed` brings the histories up to the newest confirmed record; false: this
  // worker has stopped, and they are no longer kept.
  struct Parts {
    Executor& executor;
    store::ObjectStore& store;
    Rng& rng;
    const ledger::WorkerId& self;
    ShardTable& shards;
    ledger::WorkerLog& log;
    std::function<bool()> note_confirmed;
  };
  struct Metrics {
    std::uint64_t objects = 0, whole_shards = 0, changed_shards = 0, bytes = 0, failures = 0;
    Duration turn_max{};  // the longest that saving held up a turn
  };

  Checkpointer(Parts parts, Options options);

  // This worker begins to serve a shard whose state is what this chain holds (none: the genesis) and changes that the
  // shard knows of. The first part and all others take so many bytes. A shard of which nothing was said begins with a
  // whole state.
  void loaded(protocol::ShardId shard, std::uint64_t epoch, std::vector<ledger::CheckpointName> objects,
              std::size_t whole_bytes, std::size_t changes_bytes);
  // Begins in the background, until stop() or destruction. Not from within a callback of this.
  void start();
  void stop() { scope_.clear(); }
  // Saves what this worker owns of a group, now; of all groups. A save of the same group that is under way goes first.
  Task<Result<void>> save(std::size_t group);
  Task<Result<void>> save_all();
  // Saves these groups side by side, unless nothing is saved at all; what fails is only logged.
  Task<> save_some(std::vector<std::size_t> groups);

  [[nodiscard]] const Metrics& metrics() const { return metrics_; }

 private:
  // What the map names for a shard, and what is known of it.
  struct Chain {
    std::uint64_t epoch = 0;
    std::vector<ledger::CheckpointName> objects;
    std::size_t whole_bytes = 0;
    std::size_t changes_bytes = 0;
    bool broken = false;  // changes were taken that never got into the map: the next one must be whole
  };
  // A shard as it was at one moment.
  struct Taken {
    protocol::ShardId shard;
    std::uint64_t epoch = 0;
    ledger::RecordNumber end = 0;  // all records below are in it
    bool nothing_new = false;      // only its position moves on
    bool whole = false;
    std::vector<protocol::Uid> accounts;
    ledger::CheckpointPart part;
  };
  // While it lives, no other save of the group begins.
  struct Saving;
  Task<> run();
  Task<> save_and_count(std::size_t group);
  [[nodiscard]] bool owns_any_of(std::size_t group) const;
  [[nodiscard]] bool due() const;
  [[nodiscard]] std::size_t next_group();
  Taken take(protocol::ShardId id, OwnedShard& owned);
  OwnedShard* find(const Taken& taken);
  [[nodiscard]] ledger::LogPosition position_of(ledger::RecordNumber end) const;
  Task<Result<std::vector<Taken>>> take_group(std::size_t group);
  Task<Result<void>> publish(std::size_t group, std::vector<Taken> taken, std::optional<ledger::CheckpointName> object);
  void count_turn(MonotonicTime began);

  Parts parts_;
  Options options_;
  std::map<protocol::ShardId, Chain> chains_;
  std::array<ledger::RecordNumber, ledger::group_count> saved_up_to_{};
  std::bitset<ledger::group_count> saving_;  // groups
  Event save_ended_;
  std::uint32_t next_number_ = 0;
  std::size_t next_group_ = 0;
  MonotonicTime last_;
  std::uint64_t last_bytes_ = 0;
  ledger::Slot last_slots_ = 0;
  Metrics metrics_;
  TaskScope scope_;  // last: its task uses everything above
};

}  // namespace zef::worker
