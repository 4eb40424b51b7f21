#include "worker/checkpointer.h"

#include <algorithm>

#include "base/log.h"
#include "base/mutant.h"
#include "base/parallel.h"

namespace zef::worker {
namespace {

constexpr Duration look_again_max = std::chrono::milliseconds(100);
// Saves that run, in all: each holds up turns, and keeps a group in memory.
constexpr std::size_t saves_at_a_time = 4;
constexpr std::size_t group_size = protocol::shard_count / ledger::group_count;

protocol::ShardId shard_in(std::size_t group, std::size_t i) {
  return protocol::ShardId(static_cast<std::uint16_t>(group * group_size + i));
}

Task<> next_turn(Executor& executor) { co_await sleep_for(executor, Duration::zero()); }

std::size_t unpacked_bytes(const ledger::CheckpointPart& part) {
  return std::size_t{part.state.section.unpacked} + part.history.section.unpacked;
}

}  // namespace

Checkpointer::Checkpointer(Parts parts, Options options)
    : parts_(std::move(parts)), options_(options), save_ended_(parts_.executor), last_(parts_.executor.now()) {}

void Checkpointer::loaded(protocol::ShardId shard, std::uint64_t epoch, std::vector<ledger::CheckpointName> objects,
                          std::size_t whole_bytes, std::size_t changes_bytes) {
  chains_[shard] = {
      .epoch = epoch, .objects = std::move(objects), .whole_bytes = whole_bytes, .changes_bytes = changes_bytes};
}

void Checkpointer::start() {
  if (options_.every > Duration::zero()) scope_.spawn(run());
}

bool Checkpointer::owns_any_of(std::size_t group) const {
  for (std::size_t i = 0; i < group_size; ++i)
    if (parts_.shards.find(shard_in(group, i)) != nullptr) return true;
  return false;
}

// One group after the other: what is allowed for each is shared among those of which this worker owns something, often
// few, as all its shards begin side by side.
bool Checkpointer::due() const {
  std::size_t groups = 0;
  for (std::size_t group = 0; group < ledger::group_count; ++group) groups += owns_any_of(group) ? 1 : 0;
  if (groups == 0) return false;
  const auto reaches = [groups](std::uint64_t since, std::uint64_t limit) { return since * groups >= limit; };
  return (parts_.executor.now() - last_) * groups >= options_.every ||
         reaches(parts_.log.metrics().bytes - last_bytes_, options_.log_bytes) ||
         (options_.log_slots > 0 && reaches(parts_.log.slots_confirmed() - last_slots_, options_.log_slots));
}

// After the last one: the next of which this worker owns something.
std::size_t Checkpointer::next_group() {
  for (std::size_t i = 0; i < ledger::group_count && !owns_any_of(next_group_); ++i)
    next_group_ = (next_group_ + 1) % ledger::group_count;
  return std::exchange(next_group_, (next_group_ + 1) % ledger::group_count);
}

Task<> Checkpointer::run() {
  for (;;) {
    const Duration step = options_.every / ledger::group_count;
    co_await sleep_for(parts_.executor, std::min(step, look_again_max));
    if (!due()) continue;
    last_ = parts_.executor.now();
    last_bytes_ = parts_.log.metrics().bytes;
    last_slots_ = parts_.log.slots_confirmed();
    co_await save_and_count(next_group());
  }
}

Task<> Checkpointer::save_and_count(std::size_t group) {
  const auto saved = co_await save(group);
  if (saved) co_return;
  ++metrics_.failures;
  log::warning("worker", "the checkpoint of group {} failed, the next one follows in its time: {}", group,
               saved.error().message);
}

Task<> Checkpointer::save_some(std::vector<std::size_t> groups) {
  if (options_.every == Duration::zero()) co_return;
  co_await in_parallel(parts_.executor, groups.size(), saves_at_a_time,
                       [this, &groups](std::size_t i) { return save_and_count(groups[i]); });
}

Task<Result<void>> Checkpointer::save_all() {
  for (std::size_t group = 0; group < ledger::group_count; ++group)
    if (auto saved = co_await save(group); !saved) co_return saved;
  co_return Result<void>{};
}

void Checkpointer::count_turn(MonotonicTime began) {
  metrics_.turn_max = std::max(metrics_.turn_max, parts_.executor.now() - began);
}

// In one turn: the state and the end of the log belong together.
Checkpointer::Taken Checkpointer::take(protocol::ShardId id, OwnedShard& owned) {
  Taken taken{.shard = id, .epoch = owned.epoch, .end = parts_.log.appended(), .accounts = {}, .part = {}};
  Chain& chain = chains_[id];
  if (chain.epoch != owned.epoch) chain = {.epoch = owned.epoch, .objects = {}, .broken = true};
  if (!chain.broken && !owned.shard.changed()) {
    taken.nothing_new = true;
    return taken;
  }
  taken.whole = chain.broken || chain.objects.empty() || chain.objects.size() == ledger::checkpoint_objects_max ||
                chain.changes_bytes > chain.whole_bytes / 2;
  chain.broken = true;  // until it is published
  shard::Shard::Snapshot snapshot = taken.whole ? owned.shard.take_whole() : owned.shard.take_changes();
  taken.accounts = std::move(snapshot.accounts);
  taken.part = {.shard = id, .epoch = owned.epoch, .at = {}, .whole = taken.whole, .state = {}, .history = {}};
  taken.part.state = ledger::pack(std::move(snapshot.bytes));
  ++(taken.whole ? metrics_.whole_shards : metrics_.changed_shards);
  return taken;
}

// The shard, if it is still the one that was taken: it may have left meanwhile.
OwnedShard* Checkpointer::find(const Taken& taken) {
  OwnedShard* owned = parts_.shards.find(taken.shard);
  return owned != nullptr && owned->epoch == taken.epoch ? owned : nullptr;
}

// Where what comes after these records begins. They are confirmed.
ledger::LogPosition Checkpointer::position_of(ledger::RecordNumber end) const {
  if (end == parts_.log.confirmed()) return {parts_.log.slots_confirmed(), 0};  // none of it is written yet
  if (end == 0) return {};
  const auto place = parts_.log.place_of(end - 1);
  return {place.slot, place.index + 1};
}

// All shards of the group with their places in the log, which is confirmed up to there.
Task<Result<std::vector<Checkpointer::Taken>>> Checkpointer::take_group(std::size_t group) {
  std::vector<Taken> all;
  for (std::size_t i = 0; i < group_size; ++i) {
    const protocol::ShardId id = shard_in(group, i);
    OwnedShard* owned = parts_.shards.find(id);
    if (owned == nullptr) continue;
    const MonotonicTime began = parts_.executor.now();
    all.push_back(take(id, *owned));
    count_turn(began);
    if (!all.back().nothing_new) co_await next_turn(parts_.executor);
  }
  if (auto durable = co_await parts_.log.drain(); !durable) co_return std::unexpected(durable.error());
  if (!parts_.note_confirmed()) co_return fail(ErrorKind::cancelled, "this worker has stopped");
  for (Taken& taken : all) {
    taken.part.at = position_of(taken.end);
    if (taken.nothing_new) continue;
    OwnedShard* owned = find(taken);
    if (owned == nullptr) continue;
    const MonotonicTime began = parts_.executor.now();
    taken.part.history = ledger::pack(owned->history.save(taken.accounts, taken.whole, parts_.self, taken.part.at));
    count_turn(began);
    co_await next_turn(parts_.executor);
  }
  std::erase_if(all, [this](const Taken& taken) { return find(taken) == nullptr; });
  co_return all;
}

struct Checkpointer::Saving {
  Saving(Checkpointer& all, std::size_t which) : checkpointer(all), group(which) { all.saving_.set(which); }
  Saving(const Saving&) = delete;
  Saving& operator=(const Saving&) = delete;
  ~Saving() {
    checkpointer.saving_.reset(group);
    checkpointer.save_ended_.set();  // who waits looks again, and waits for the next end
    checkpointer.save_ended_.reset();
  }
  Checkpointer& checkpointer;
  std::size_t group;
};

Task<Result<void>> Checkpointer::save(std::size_t group) {
  while (saving_.test(group) || saving_.count() >= saves_at_a_time) co_await save_ended_.wait();
  const Saving saving(*this, group);
  const ledger::RecordNumber up_to = parts_.log.appended();
  if (!owns_any_of(group) || up_to == saved_up_to_[group]) co_return Result<void>{};  // nothing was logged since
  auto taken = co_await take_group(group);
  if (!taken) co_return std::unexpected(std::move(taken.error()));

  std::vector<ledger::CheckpointPart> parts;
  for (Taken& it : *taken)
    if (!it.nothing_new) parts.push_back(it.part);
  std::optional<ledger::CheckpointName> object;
  if (!parts.empty()) {
    object = ledger::CheckpointName{parts_.self, next_number_++};
    const auto bytes = store::content(ledger::encode_checkpoint(group, *object, parts));
    parts.clear();
    ++metrics_.objects;
    metrics_.bytes += bytes->size();
    if (auto put = co_await ledger::put_checkpoint(parts_.executor, parts_.store, group, *object, bytes); !put)
      co_return put;
  }
  auto published = co_await publish(group, std::move(*taken), object);
  if (published) saved_up_to_[group] = up_to;
  co_return published;
}

Task<Result<void>> Checkpointer::publish(std::size_t group, std::vector<Taken> taken,
                                         std::optional<ledger::CheckpointName> object) {
  std::vector<ledger::Publication> publications;
  std::map<protocol::ShardId, Chain> next;
  for (const Taken& it : taken) {
    Chain chain = chains_[it.shard];
    if (!it.nothing_new) {
      if (it.whole) chain = {.epoch = it.epoch, .objects = {}};
      chain.objects.push_back(*object);
      (it.whole ? chain.whole_bytes : chain.changes_bytes) += unpacked_bytes(it.part);
      chain.broken = false;
    }
    publications.push_back({it.shard, it.epoch, it.part.at, chain.objects});
    next[it.shard] = std::move(chain);
  }
  if (mutant("stale_checkpoint"))  // what was saved before the shard left
    for (const auto& [shard, chain] : chains_)
      if (ledger::group_of(shard) == group && parts_.shards.find(shard) == nullptr)
        publications.push_back({shard, chain.epoch, {}, chain.objects});
  const auto done = co_await ledger::publish_checkpoint(parts_.executor, parts_.store, parts_.rng, parts_.self, group,
                                                        std::move(publications));
  if (!done) co_return std::unexpected(done.error());
  for (const protocol::ShardId shard : *done)
    if (const auto found = next.find(shard); found != next.end()) chains_[shard] = std::move(found->second);
  co_return Result<void>{};
}

}  // namespace zef::worker
