// A worker's life in small, for tests of takeover: it begins, replays what its predecessors left, appends records to a
// few shards and waits until they are durable. It remembers what it replayed and what was confirmed to it, so that
// tests can check that nothing confirmed is ever lost or forked.
#pragma once

#include <fmt/core.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ledger/takeover.h"

namespace zef::ledger::testing {

using ShardHistory = std::map<std::uint16_t, std::vector<std::string>>;

class WorkerLife {
 public:
  struct Plan {
    std::string name = "w0";
    std::vector<std::uint16_t> shards = {0, 100, 700};
    int rounds = 3;              // appends to every shard and a wait for durability, each
    Duration pause{};            // between rounds
    WorkerLog::Options options;  // of the log
  };

  WorkerLife(Executor& executor, store::ObjectStore& store, Rng& rng, Plan plan)
      : executor_(executor), store_(store), rng_(rng), plan_(std::move(plan)) {
    rng_.fill(id.bytes);
  }

  // Lives until all records are durable or something stands in the way; the outcome is in `ended`.
  void start() { scope_.spawn(keep_outcome()); }
  // Dies where it stands.
  void kill() {
    scope_.clear();
    log_.reset();
  }
  [[nodiscard]] WorkerLog* log() { return log_ ? &*log_ : nullptr; }

  WorkerId id;
  std::optional<Result<void>> ended;
  bool began = false;             // owns its shards, as far as it knows
  std::vector<OwnedShard> owned;  // what it believes to own
  ShardHistory recovered;         // replayed, by shard
  ShardHistory confirmed;         // appended and confirmed, by shard
  std::uint64_t replayed = 0;
  int fenced = 0;
  bool confirmed_after_fence = false;

 private:
  Task<void> keep_outcome() { ended.emplace(co_await live()); }

  Task<Result<void>> live() {
    auto begun = co_await begin_worker(executor_, store_, rng_, {id, plan_.name, "client:1", "internal:1"});
    if (!begun) co_return std::unexpected(std::move(begun.error()));
    owned = std::move(*begun);
    began = true;
    const auto count = co_await replay_lineage(
        executor_, store_, owned, [this](protocol::ShardId shard, const ReadPlace&, ByteView body) -> Result<void> {
          recovered[shard.value()].emplace_back(as_text(body));
          return {};
        });
    if (!count) co_return std::unexpected(count.error());
    replayed = *count;
    log_.emplace(executor_, store_, id, plan_.options);
    log_->on_confirmed([this](RecordNumber up_to) {
      confirmed_after_fence |= fenced > 0;
      for (; told_ < up_to; ++told_) confirmed[appended_[told_].first].push_back(appended_[told_].second);
    });
    log_->on_fenced([this](const Error&) { ++fenced; });
    for (int round = 0; round < plan_.rounds; ++round) {
      append_round(round);
      if (auto done = co_await log_->drain(); !done) co_return done;
      if (plan_.pause > Duration::zero()) co_await sleep_for(executor_, plan_.pause);
    }
    co_return Result<void>{};
  }

  void append_round(int round) {
    for (const OwnedShard& shard : owned) {
      const auto value = shard.shard.value();
      if (std::ranges::find(plan_.shards, value) == plan_.shards.end()) continue;
      appended_.emplace_back(value, fmt::format("{} {} {}", id.hex(), value, round));
      log_->append({shard.shard, shard.entry.epoch, to_bytes(appended_.back().second)});
    }
  }

  Executor& executor_;
  store::ObjectStore& store_;
  Rng& rng_;
  const Plan plan_;
  std::vector<std::pair<std::uint16_t, std::string>> appended_;
  RecordNumber told_ = 0;
  std::optional<WorkerLog> log_;
  TaskScope scope_;
};

// Whether the second begins with the first, in every shard.
[[nodiscard]] inline bool is_prefix(const ShardHistory& first, const ShardHistory& second) {
  for (const auto& [shard, records] : first) {
    const auto found = second.find(shard);
    if (records.empty()) continue;
    if (found == second.end() || found->second.size() < records.size()) return false;
    if (!std::equal(records.begin(), records.end(), found->second.begin())) return false;
  }
  return true;
}

// All that a worker may have told anybody: what it replayed, then what was confirmed to it.
[[nodiscard]] inline ShardHistory acknowledged(const WorkerLife& life) {
  ShardHistory all = life.recovered;
  for (const auto& [shard, records] : life.confirmed)
    all[shard].insert(all[shard].end(), records.begin(), records.end());
  return all;
}

}  // namespace zef::ledger::testing
