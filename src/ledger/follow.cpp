#include "ledger/follow.h"

#include <fmt/core.h>

#include <limits>
#include <utility>

#include "base/mutant.h"
#include "ledger/objects.h"
#include "ledger/read_ahead.h"
#include "shard/records.h"

namespace zef::ledger {
namespace {

constexpr std::size_t segments_in_flight = 32;                  // mostly small ones: a move waits for them
constexpr std::size_t hand_over_size = 1 + crypto::Hash::size;  // BCS: which record, and its digest

}  // namespace

bool ends_epoch(ByteView body) {
  if (body.size() != hand_over_size) return false;  // nearly always: nothing to decode
  const auto record = codec::decode<shard::Record>(body);
  return record && std::holds_alternative<shard::HandedOff>(*record);
}

LogFollower::LogFollower(Executor& executor, store::ObjectStore& store, WorkerId worker, Slot from, Shards shards,
                         ReplayRecord deliver)
    : executor_(executor),
      store_(store),
      worker_(worker),
      shards_(std::move(shards)),
      deliver_(std::move(deliver)),
      next_(from) {}

Task<Result<void>> LogFollower::catch_up() { return read(std::nullopt); }
Task<Result<void>> LogFollower::read_to(Slot end) { return read(end); }

Task<Result<void>> LogFollower::read(std::optional<Slot> end) {
  if (end && next_ >= *end) co_return Result<void>{};
  ReadAhead slots(
      executor_, store_, [worker = worker_](Slot slot) { return slot_key(worker, slot); }, next_,
      end.value_or(std::numeric_limits<Slot>::max()), segments_in_flight);
  Patience patience(&executor_);
  while (!end || next_ < *end) {
    const std::string key = slot_key(worker_, next_);
    auto got = co_await slots.next();
    // With an end, every slot below it is there: one that is not to be seen is trouble that passes.
    while (!got || (end && !*got)) {
      Error trouble{ErrorKind::unavailable, key + ": not there yet"};
      if (!got) trouble = store_error(key, std::move(got.error())).error();
      if (!co_await patience.again(trouble.kind)) co_return std::unexpected(std::move(trouble));
      got = co_await store_.get(key);
    }
    if (!*got) co_return Result<void>{};
    if (auto taken = take(next_, (*got)->bytes); !taken) co_return taken;
    ++next_;
  }
  co_return Result<void>{};
}

Result<void> LogFollower::take(Slot slot, ByteView bytes) {
  auto decoded = decode_slot_of(worker_, slot, bytes);
  if (!decoded) return std::unexpected(std::move(decoded.error()));
  const std::string key = slot_key(worker_, slot);
  if (std::holds_alternative<Seal>(*decoded)) return fail(ErrorKind::fenced, key + ": the log was sealed");
  const Segment& segment = std::get<Segment>(*decoded);
  if (previous_ && segment.header.previous != *previous_)
    return corrupt_object(key, "does not follow the segment before it (hash)");
  previous_ = segment_hash(bytes);
  for (std::size_t i = 0; i < segment.records.size(); ++i) {
    const LogRecord& record = segment.records[i];
    const auto found = shards_.find(record.shard);
    if (found == shards_.end()) continue;
    if (found->second.epoch != record.shard_epoch && !mutant("replay_any_epoch")) continue;
    const LogPosition& first = found->second.from;
    if (slot < first.slot || (slot == first.slot && i < first.record)) continue;
    const ReadPlace place{worker_, static_cast<std::uint32_t>(slot), static_cast<std::uint32_t>(i)};
    if (auto done = deliver_(record.shard, place, record.body); !done)
      return fail(done.error().kind, fmt::format("{}, record {}: {}", key, i, done.error().message));
  }
  return {};
}

}  // namespace zef::ledger
