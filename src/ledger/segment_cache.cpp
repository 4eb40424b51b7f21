#include <fmt/core.h>

#include <list>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"
#include "ledger/archive.h"
#include "ledger/objects.h"
#include "ledger/takeover.h"

namespace zef::ledger {
namespace {

using SegmentKey = std::pair<WorkerId, Slot>;
using Shared = Result<std::shared_ptr<const Segment>>;

std::size_t cost_of(const Segment& segment) {
  std::size_t bytes = sizeof(Segment);
  for (const LogRecord& record : segment.records) bytes += sizeof(LogRecord) + record.body.capacity();
  return bytes;
}

}  // namespace

struct SegmentCache::State {
  struct Entry {
    std::shared_ptr<const Segment> segment;
    std::size_t bytes = 0;
    std::list<SegmentKey>::iterator age;
  };
  using Waiter = std::move_only_function<void(Shared)>;

  State(store::ObjectStore& store_in, std::size_t bytes_max_in) : store(store_in), bytes_max(bytes_max_in) {}

  void insert(const SegmentKey& key, std::shared_ptr<const Segment> segment);
  static Task<Shared> read(State& state, SegmentKey key);
  static Task<Shared> read_archived(State& state, SegmentKey key);
  static Task<void> fetch(State& state, SegmentKey key);
  static Task<Shared> segment(State& state, SegmentKey key);

  store::ObjectStore& store;
  const std::size_t bytes_max;
  std::size_t bytes = 0;
  std::map<SegmentKey, Entry> entries;
  std::list<SegmentKey> ages;  // least recently used first
  std::map<SegmentKey, std::vector<Waiter>> under_way;
  TaskScope scope;  // last: fetches outlive the requests that began them, not the cache
};

void SegmentCache::State::insert(const SegmentKey& key, std::shared_ptr<const Segment> segment) {
  const std::size_t cost = cost_of(*segment);
  while (!ages.empty() && bytes + cost > bytes_max) {
    const auto oldest = entries.find(ages.front());
    bytes -= oldest->second.bytes;
    entries.erase(oldest);
    ages.pop_front();
  }
  ages.push_back(key);
  const bool added = entries.emplace(key, Entry{std::move(segment), cost, std::prev(ages.end())}).second;
  ZEF_CHECK(added);
  bytes += cost;
}

// The slot was deleted: what is still asked for stands in an archive, with that of its neighbours.
Task<Shared> SegmentCache::State::read_archived(State& state, SegmentKey key) {
  const auto [worker, slot] = key;
  auto archived = co_await read_archive(state.store, worker, slot / archive_slots);
  if (!archived) co_return std::unexpected(std::move(archived.error()));
  Shared result = fail(ErrorKind::not_found, slot_key(worker, slot) + ": there is no such segment");
  for (auto& [neighbour, segment] : *archived) {
    auto shared = std::make_shared<const Segment>(std::move(segment));
    if (neighbour == slot) {
      result = std::move(shared);
    } else if (!state.entries.contains({worker, neighbour})) {
      state.insert({worker, neighbour}, std::move(shared));
    }
  }
  co_return result;
}

Task<Shared> SegmentCache::State::read(State& state, SegmentKey key) {
  const auto [worker, slot] = key;
  auto got = co_await state.store.get(slot_key(worker, slot));
  if (!got) co_return store_error(slot_key(worker, slot), std::move(got.error()));
  if (!*got) co_return co_await read_archived(state, key);
  auto decoded = decode_slot_of(worker, slot, (*got)->bytes);
  if (!decoded) co_return std::unexpected(std::move(decoded.error()));
  auto* segment = std::get_if<Segment>(&*decoded);
  if (segment == nullptr) co_return fail(ErrorKind::not_found, slot_key(worker, slot) + ": a SEAL, no segment");
  co_return std::make_shared<const Segment>(std::move(*segment));
}

Task<void> SegmentCache::State::fetch(State& state, SegmentKey key) {
  const Shared result = co_await read(state, key);
  if (result && !state.entries.contains(key)) state.insert(key, *result);
  auto waiters = std::move(state.under_way.extract(key).mapped());
  for (Waiter& waiter : waiters) waiter(result);
}

Task<Shared> SegmentCache::State::segment(State& state, SegmentKey key) {
  if (const auto found = state.entries.find(key); found != state.entries.end()) {
    state.ages.splice(state.ages.end(), state.ages, found->second.age);
    co_return found->second.segment;
  }
  co_return co_await from_callback<Shared>([&state, key](auto done) {
    const auto [at, first] = state.under_way.try_emplace(key);
    at->second.emplace_back(std::move(done));
    if (first) state.scope.spawn(fetch(state, key));
  });
}

SegmentCache::SegmentCache(store::ObjectStore& store, std::size_t bytes_max)
    : state_(std::make_unique<State>(store, bytes_max)) {}
SegmentCache::~SegmentCache() = default;

Task<Result<Bytes>> SegmentCache::record_body(ReadPlace place) {
  const auto segment = co_await State::segment(*state_, {place.worker, place.slot});
  if (!segment) co_return std::unexpected(segment.error());
  const auto& records = (*segment)->records;
  if (place.index >= records.size())
    co_return fail(ErrorKind::not_found, fmt::format("{} has {} records, none with index {}",
                                                     slot_key(place.worker, place.slot), records.size(), place.index));
  co_return records[place.index].body;
}

}  // namespace zef::ledger
