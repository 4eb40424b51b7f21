// A worker's life in small, for tests of takeover: it begins, loads and replays what its predecessors left, appends
// records to a few shards and waits until they are durable, and may save checkpoints between. It remembers what it
// replayed and what was confirmed to it, so that tests can check that nothing confirmed is ever lost or forked.
#pragma once

#include <fmt/core.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ledger/checkpoint.h"
#include "ledger/garbage.h"
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
    int checkpoint_every = 0;    // rounds; 0: never
    bool collect = false;        // garbage, after each checkpoint, without a grace period
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
  std::vector<std::pair<ReadPlace, std::string>> places;  // of all that was confirmed
  int checkpoints = 0;                                    // that the map has named
  GarbageCollector::Metrics collected;
  int fenced = 0;
  bool confirmed_after_fence = false;

 private:
  Task<void> keep_outcome() { ended.emplace(co_await live()); }

  Task<Result<void>> live() {
    auto begun = co_await begin_worker(executor_, store_, rng_, {id, plan_.name, "client:1", "internal:1"});
    if (!begun) co_return std::unexpected(std::move(begun.error()));
    owned = std::move(*begun);
    began = true;
    const auto loaded = co_await load_checkpoints(
        executor_, store_, owned, [this](protocol::ShardId shard, const Checkpoint::Part& part) -> Result<void> {
          const auto records = codec::decode<std::vector<std::string>>(part.state);
          if (!records) return fail(ErrorKind::corrupt, "a state that does not decode");
          auto& all = recovered[shard.value()];
          all.insert(all.end(), records->begin(), records->end());
          return {};
        });
    if (!loaded) co_return loaded;
    for (const OwnedShard& shard : owned)
      if (shard.entry.checkpoint) chains_[shard.shard.value()] = {shard.entry.checkpoint->objects, 0};
    for (auto& [shard, chain] : chains_) chain.saved = recovered[shard].size();
    const auto count = co_await replay_lineage(
        executor_, store_, owned, [this](protocol::ShardId shard, const ReadPlace&, ByteView body) -> Result<void> {
          recovered[shard.value()].emplace_back(as_text(body));
          return {};
        });
    if (!count) co_return std::unexpected(count.error());
    replayed = *count;
    log_.emplace(executor_, store_, id, plan_.options);
    collector_.emplace(GarbageCollector::Parts{executor_, store_, rng_, id, [](ByteView) { return true; }},
                       Duration::zero());
    log_->on_confirmed([this](RecordNumber up_to) {
      confirmed_after_fence |= fenced > 0;
      for (; told_ < up_to; ++told_) {
        const auto& [shard, record] = appended_[told_];
        confirmed[shard].push_back(record);
        const auto place = log_->place_of(told_);
        places.emplace_back(ReadPlace{id, place.slot, place.index}, record);
      }
    });
    log_->on_fenced([this](const Error&) { ++fenced; });
    for (int round = 0; round < plan_.rounds; ++round) {
      append_round(round);
      if (auto done = co_await log_->drain(); !done) co_return done;
      if (plan_.checkpoint_every > 0 && round % plan_.checkpoint_every == 0)
        if (auto saved = co_await save_and_collect(); !saved) co_return saved;
      if (plan_.pause > Duration::zero()) co_await sleep_for(executor_, plan_.pause);
    }
    co_return Result<void>{};
  }

  Task<Result<void>> save_and_collect() {
    if (auto saved = co_await save(); !saved || !plan_.collect) co_return saved;
    if (auto cut = co_await cut_others(); !cut) co_return cut;
    for (int pass = 0; pass < 2; ++pass) {  // the first one finds out what there is to do
      auto done = co_await collector_->collect(log_->slots_confirmed());
      collected = collector_->metrics();
      if (!done && done.error().kind != ErrorKind::unavailable) co_return done;
    }
    co_return Result<void>{};
  }

  // A checkpoint of every group with a shard that records are appended to: everything that is confirmed.
  Task<Result<void>> save() {
    co_await sleep_for(executor_, Duration::zero());  // what is confirmed is told by then
    for (const std::uint16_t shard : plan_.shards) {
      const auto found = std::ranges::find(owned, protocol::ShardId(shard), &OwnedShard::shard);
      if (found == owned.end() || told_ == 0) continue;
      const auto place = log_->place_of(told_ - 1);
      const LogPosition at{place.slot, place.index + 1};
      std::vector<std::string> all = recovered[shard];
      all.insert(all.end(), confirmed[shard].begin(), confirmed[shard].end());
      Chain chain = chains_[shard];
      const bool whole = chain.objects.empty() || chain.objects.size() == 3;
      if (whole) chain = {};
      const std::vector<std::string> part(all.begin() + static_cast<std::ptrdiff_t>(chain.saved), all.end());
      const std::size_t group = group_of(found->shard);
      const CheckpointName name{id, next_checkpoint_++};
      const auto bytes = store::content(encode_checkpoint(
          group, name, {{found->shard, found->entry.epoch, at, whole, pack(codec::encode(part)), pack(Bytes{})}}));
      if (auto put = co_await put_checkpoint(executor_, store_, group, name, bytes); !put) co_return put;
      chain.objects.push_back(name);
      chain.saved = all.size();
      const auto done = co_await publish_checkpoint(executor_, store_, rng_, id, group,
                                                    {{found->shard, found->entry.epoch, at, chain.objects}});
      if (!done) co_return std::unexpected(done.error());
      if (done->size() == 1) chains_[shard] = std::move(chain);
      checkpoints += static_cast<int>(done->size());
    }
    co_return Result<void>{};
  }

  // All other shards have no records: their lineage may begin where the log is now.
  Task<Result<void>> cut_others() {
    std::map<std::size_t, std::vector<Publication>> by_group;
    const auto place = log_->place_of(told_ - 1);
    for (const OwnedShard& shard : owned)
      if (std::ranges::find(plan_.shards, shard.shard.value()) == plan_.shards.end())
        by_group[group_of(shard.shard)].push_back({shard.shard, shard.entry.epoch, {place.slot, place.index + 1}, {}});
    for (auto& [group, publications] : by_group) {
      const auto done = co_await publish_checkpoint(executor_, store_, rng_, id, group, std::move(publications));
      if (!done) co_return std::unexpected(done.error());
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
  struct Chain {
    std::vector<CheckpointName> objects;
    std::size_t saved = 0;  // records
  };
  std::map<std::uint16_t, Chain> chains_;
  std::uint32_t next_checkpoint_ = 0;
  std::optional<GarbageCollector> collector_;
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
