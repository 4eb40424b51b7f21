// The log of one worker: records go in, segments are put into the store, and what depends on them may leave once they
// are confirmed (docs/storage.md, "The worker's log").
//
// Rules kept here: (1) a slot's bytes freeze before the first send and are sent again only identical; (2) at most
// Options::in_flight_max PUTs at a time; (3) output commit: confirmed() counts only records whose slot *and all slots
// before it* are in the store; (4) a slot that holds a SEAL or foreign bytes means: fenced, on_fenced is called once
// and nothing is ever confirmed again.
//
// Thread rule: one executor. Callbacks come from the executor's queue, never inside append() or one another, and may
// destroy the log; destroying it at any time is safe (what was sent may still land). Memory: unconfirmed records are
// bounded by the caller, who stops reading requests while backlog_bytes() is above Options::backlog_bytes_max.
#pragma once

#include <functional>
#include <memory>

#include "base/task.h"
#include "ledger/ids.h"
#include "store/object_store.h"

namespace zef::ledger {

// A record as it stands in a segment. `body` is BCS(shard::Record).
struct LogRecord {
  protocol::ShardId shard;
  std::uint64_t shard_epoch = 0;
  Bytes body;
};

class WorkerLog {
 public:
  struct Options {
    std::size_t in_flight_max = slots_in_flight_max;       // not more
    Duration flush_delay = std::chrono::milliseconds(25);  // with something in flight; at once with nothing in flight
    std::size_t flush_bytes = 1U << 20;                    // flushed when this much is buffered
    std::size_t segment_bytes_max = 4U << 20;
    double flushes_per_second_max = 0;  // sustained; 0: unlimited (file store). 40 on a store that bills requests
    std::size_t flush_burst = 8;
    std::size_t backlog_bytes_max = 64U << 20;
  };
  struct Metrics {
    std::uint64_t segments = 0, records = 0, bytes = 0, bytes_compressed = 0;
  };

  // A new log: slot 0 is free because the worker id is new. The store must outlive the log.
  WorkerLog(Executor& executor, store::ObjectStore& store, const WorkerId& worker, const Options& options);
  ~WorkerLog();
  WorkerLog(const WorkerLog&) = delete;
  WorkerLog& operator=(const WorkerLog&) = delete;

  // Called on the executor whenever confirmed() has grown.
  void on_confirmed(std::move_only_function<void(RecordNumber confirmed)> callback);
  // Called once: another process has sealed this log. Stop at once, answer nobody.
  void on_fenced(std::move_only_function<void(Error why)> callback);
  // Called at each try that the store refuses for good (full, denied); the log keeps sending the identical bytes, 20 ms
  // to 5 s apart, so it goes on when the trouble is over.
  void on_trouble(std::move_only_function<void(const Error& why)> callback);

  // Buffers a record and returns its number. It is sent with its turn's others, soon.
  RecordNumber append(LogRecord record);
  // All records with a number below this are durable.
  [[nodiscard]] RecordNumber confirmed() const;
  // One past the newest record appended: an answer computed now may leave when confirmed() has reached this.
  [[nodiscard]] RecordNumber appended() const;
  [[nodiscard]] std::size_t backlog_bytes() const;
  // How long the oldest record has waited that is not on its way to the store; and how long one waits by choice.
  [[nodiscard]] Duration waiting() const;
  [[nodiscard]] Duration flush_interval() const;
  // Slots below this are in the store: where a search for the first free one may begin.
  [[nodiscard]] Slot slots_confirmed() const;
  // Where a record will stand: known once its segment is frozen, hence asked only for confirmed records.
  struct Place {
    std::uint32_t slot = 0;
    std::uint32_t index = 0;  // of the record in its segment
  };
  [[nodiscard]] Place place_of(RecordNumber confirmed_record) const;  // recent ones only: from on_confirmed
  [[nodiscard]] Metrics metrics() const;

  // Waits until everything appended so far is durable, or fenced (an error).
  Task<Result<void>> drain();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace zef::ledger
