// Replay of lineage. Each log is read once, slots ascending with several GETs under way, and its chain is checked: slot
// and worker, consecutive record numbers, hash of the previous segment, the SEAL at the end, unless what is wanted of
// it ends by hand-overs (planned moves): then its worker may still be writing.
//
// A shard's records must come in the order of its epochs, but the logs of its epochs also hold other shards' records,
// in any mixture. Logs are read in an order that fits all lineages where there is one (generations of workers: always);
// a record that is met before its shard's turn waits in memory until the earlier spans have been read to their ends.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"
#include "ledger/follow.h"
#include "ledger/objects.h"
#include "ledger/read_ahead.h"
#include "ledger/takeover.h"

namespace zef::ledger {
namespace {

constexpr std::size_t segments_in_flight = 32;  // mostly small ones: a takeover waits for them

struct WaitingRecord {
  ReadPlace place;
  Bytes body;
};

// Records of one shard at one epoch in one log: a closed lineage entry.
struct Span {
  LineageEntry line;
  std::uint32_t first_record = 0;  // in slot line.from: what is before it stands in the checkpoint
  std::vector<WaitingRecord> waiting;
  bool read_to_end = false;
  bool handed_off = false;  // its last record says so: it was closed by a move, and its log may go on
};

struct ShardReplay {
  protocol::ShardId shard;
  std::vector<Span> spans;
  std::size_t current = 0;  // the first span that is not read to its end
};

// One log, with the spans that lie in it.
struct LogReplay {
  WorkerId worker;
  Slot from = 0;
  Slot to = 0;
  std::unordered_map<std::uint16_t, std::vector<std::pair<std::size_t, std::size_t>>> spans;  // shard -> (replay, span)
};

class Replay {
 public:
  Replay(std::vector<OwnedShard> shards, ReplayRecord deliver);

  Task<Result<std::uint64_t>> run(Executor& executor, store::ObjectStore& store);

 private:
  void sort_logs();
  Task<Result<void>> read_log(Executor& executor, store::ObjectStore& store, const LogReplay& log);
  Result<void> take_segment(const LogReplay& log, Segment segment);
  Result<void> end_log(const LogReplay& log);
  [[nodiscard]] bool ends_by_moves(const LogReplay& log) const;
  Result<void> hand_over(protocol::ShardId shard, const ReadPlace& place, ByteView body);

  std::vector<ShardReplay> shards_;
  std::vector<LogReplay> logs_;
  ReplayRecord deliver_;
  std::uint64_t count_ = 0;
};

Replay::Replay(std::vector<OwnedShard> shards, ReplayRecord deliver) : deliver_(std::move(deliver)) {
  std::map<WorkerId, std::size_t> log_of;
  for (OwnedShard& owned : shards) {
    ShardReplay replay{owned.shard, {}, 0};
    for (LineageEntry& line : owned.entry.lineage) {
      if (!line.to) continue;
      const auto [at, added] = log_of.emplace(line.worker, logs_.size());
      if (added) logs_.push_back({line.worker, line.from, *line.to, {}});
      LogReplay& log = logs_[at->second];
      log.from = std::min(log.from, line.from);
      log.to = std::max(log.to, *line.to);
      log.spans[owned.shard.value()].emplace_back(shards_.size(), replay.spans.size());
      const auto& checkpoint = owned.entry.checkpoint;
      const bool cut = checkpoint && checkpoint->epoch == line.epoch && checkpoint->slot == line.from;
      replay.spans.push_back({line, cut ? checkpoint->record : 0, {}, false});
    }
    shards_.push_back(std::move(replay));
  }
  sort_logs();
}

// Topological order of the logs by "some shard's epoch there comes before its epoch here"; a cycle (a shard that moved
// away and back) is cut where it is met, and the waiting records make up for it.
void Replay::sort_logs() {
  std::map<WorkerId, std::size_t> index;
  for (std::size_t i = 0; i < logs_.size(); ++i) index.emplace(logs_[i].worker, i);
  std::vector<std::vector<std::size_t>> before(logs_.size());
  for (const ShardReplay& shard : shards_)
    for (std::size_t i = 1; i < shard.spans.size(); ++i)
      before[index.at(shard.spans[i].line.worker)].push_back(index.at(shard.spans[i - 1].line.worker));
  for (auto& list : before) {
    std::ranges::sort(list);
    list.erase(std::ranges::unique(list).begin(), list.end());
  }
  std::vector<LogReplay> sorted;
  std::vector<bool> seen(logs_.size());
  std::vector<std::pair<std::size_t, std::size_t>> path;  // log, how many of its `before` are done
  for (std::size_t root = 0; root < logs_.size(); ++root) {
    if (seen[root]) continue;
    seen[root] = true;
    path.emplace_back(root, 0);
    while (!path.empty()) {
      auto& [log, done] = path.back();
      if (done == before[log].size()) {
        sorted.push_back(std::move(logs_[log]));
        path.pop_back();
        continue;
      }
      const std::size_t next = before[log][done++];
      if (seen[next]) continue;
      seen[next] = true;
      path.emplace_back(next, 0);
    }
  }
  logs_ = std::move(sorted);
}

Result<void> Replay::hand_over(protocol::ShardId shard, const ReadPlace& place, ByteView body) {
  auto done = deliver_(shard, place, body);
  if (!done)
    return fail(done.error().kind, fmt::format("{}, record {}: {}", slot_key(place.worker, place.slot), place.index,
                                               done.error().message));
  ++count_;
  return {};
}

Result<void> Replay::take_segment(const LogReplay& log, Segment segment) {
  const Slot slot = segment.header.slot;
  for (std::size_t i = 0; i < segment.records.size(); ++i) {
    LogRecord& record = segment.records[i];
    const auto found = log.spans.find(record.shard.value());
    if (found == log.spans.end()) continue;
    for (const auto& [shard_index, span_index] : found->second) {
      ShardReplay& shard = shards_[shard_index];
      Span& span = shard.spans[span_index];
      if (record.shard_epoch != span.line.epoch && !mutant("replay_any_epoch")) continue;
      if (slot < span.line.from || slot >= *span.line.to) continue;
      if (slot == span.line.from && i < span.first_record && !mutant("replay_from_slot_start")) continue;
      span.handed_off = ends_epoch(record.body);
      const ReadPlace place{log.worker, static_cast<std::uint32_t>(slot), static_cast<std::uint32_t>(i)};
      if (span_index > shard.current) {
        span.waiting.push_back({place, std::move(record.body)});
      } else if (auto done = hand_over(shard.shard, place, record.body); !done) {
        return done;
      }
      break;
    }
  }
  return {};
}

// Whether all that is wanted of this log's end was closed by moves: then no SEAL need be there.
bool Replay::ends_by_moves(const LogReplay& log) const {
  for (const auto& [shard_value, spans] : log.spans)
    for (const auto& [shard_index, span_index] : spans) {
      const Span& span = shards_[shard_index].spans[span_index];
      if (*span.line.to == log.to && !span.handed_off) return false;
    }
  return true;
}

// All spans of this log are complete. Moves their shards on, over what was read early too.
Result<void> Replay::end_log(const LogReplay& log) {
  for (const auto& [shard_value, spans] : log.spans) {
    for (const auto& [shard_index, span_index] : spans) shards_[shard_index].spans[span_index].read_to_end = true;
    for (const auto& [shard_index, span_index] : spans) {
      ShardReplay& shard = shards_[shard_index];
      // Up to the first span that is not read to its end; of that one, what was read early.
      while (shard.current < shard.spans.size()) {
        Span& span = shard.spans[shard.current];
        for (WaitingRecord& record : std::exchange(span.waiting, {}))
          if (auto done = hand_over(shard.shard, record.place, record.body); !done) return done;
        if (!span.read_to_end) break;
        ++shard.current;
      }
    }
  }
  return {};
}

// Where to begin. Slots below `trim` may be deleted, as no lineage covered them: an entry that begins there was made
// later, when its worker was beyond them already, and has no records in them. A late PUT may have brought one back.
Task<Result<Slot>> first_slot(Executor& executor, store::ObjectStore& store, WorkerId worker, Slot from) {
  const auto head = co_await read_head_patiently(&executor, store, worker);
  if (!head) co_return std::unexpected(head.error());
  co_return std::max(from, head->trim);
}

Task<Result<void>> Replay::read_log(Executor& executor, store::ObjectStore& store, const LogReplay& log) {
  const auto from = co_await first_slot(executor, store, log.worker, log.from);
  if (!from) co_return std::unexpected(from.error());
  if (*from > log.to) co_return Result<void>{};
  ReadAhead slots(
      executor, store, [worker = log.worker](Slot slot) { return slot_key(worker, slot); }, *from, log.to + 1,
      segments_in_flight);
  std::optional<crypto::Hash> previous;
  if (*from == 0) previous.emplace();
  std::optional<RecordNumber> next_record;
  if (*from == 0) next_record = 0;
  for (Slot slot = *from; slot <= log.to; ++slot) {
    if (slot == log.to && (ends_by_moves(log) || mutant("rescue_without_seal"))) break;
    const std::string key = slot_key(log.worker, slot);
    auto got = co_await slots.next();
    for (Patience patience(&executor); !got; got = co_await store.get(key)) {
      auto trouble = store_error(key, got.error());
      if (!co_await patience.again(trouble.error().kind)) co_return trouble;
    }
    if (!*got) co_return corrupt_object(key, fmt::format("missing; the log goes up to slot {}", log.to));
    auto decoded = decode_slot_of(log.worker, slot, (*got)->bytes);
    if (!decoded) co_return std::unexpected(std::move(decoded.error()));
    const bool seal = std::holds_alternative<Seal>(*decoded);
    if (slot == log.to && !seal) co_return corrupt_object(key, "the SEAL that ends this log is not there");
    if (slot == log.to) break;
    if (seal) co_return corrupt_object(key, fmt::format("a SEAL inside the log, which goes up to slot {}", log.to));
    Segment& segment = std::get<Segment>(*decoded);
    if (previous && segment.header.previous != *previous)
      co_return corrupt_object(key, "does not follow the segment before it (hash)");
    if (next_record && segment.header.first_record != *next_record)
      co_return corrupt_object(
          key, fmt::format("begins with record {} instead of {}", segment.header.first_record, *next_record));
    previous = segment_hash((*got)->bytes);
    next_record = segment.header.first_record + segment.header.record_count;
    if (auto done = take_segment(log, std::move(segment)); !done) co_return done;
  }
  co_return Result<void>{};
}

Task<Result<std::uint64_t>> Replay::run(Executor& executor, store::ObjectStore& store) {
  for (const LogReplay& log : logs_) {
    if (auto done = co_await read_log(executor, store, log); !done) co_return std::unexpected(std::move(done.error()));
    if (auto done = end_log(log); !done) co_return std::unexpected(std::move(done.error()));
  }
  for (const ShardReplay& shard : shards_) ZEF_CHECK(shard.current == shard.spans.size());
  co_return count_;
}

}  // namespace

Task<Result<std::uint64_t>> replay_lineage(Executor& executor, store::ObjectStore& store,
                                           std::vector<OwnedShard> shards, ReplayRecord replay) {
  Replay run(std::move(shards), std::move(replay));
  co_return co_await run.run(executor, store);
}

}  // namespace zef::ledger
