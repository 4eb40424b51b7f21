// Reading this room's objects: the checks that every reader makes, and errors that name the object. Thread rule: that
// of the store.
#pragma once

#include <fmt/core.h>

#include <string>
#include <utility>
#include <variant>

#include "base/result.h"
#include "base/task.h"
#include "ledger/segment.h"
#include "ledger/shard_map.h"
#include "store/errors.h"

namespace zef::ledger {

[[nodiscard]] inline std::unexpected<Error> corrupt_object(std::string_view key, std::string_view what) {
  return fail(ErrorKind::corrupt,
              fmt::format("{}: {}. Nothing was changed; restore this object from a copy of the store, then start again",
                          key, what));
}

[[nodiscard]] inline std::unexpected<Error> store_error(std::string_view key, store::StoreError error) {
  Error out = store::to_error(std::move(error));
  out.message = fmt::format("{}: {}", key, out.message);
  return std::unexpected(std::move(out));
}

template <class T>
[[nodiscard]] Result<T> decode_object(std::string_view key, ByteView bytes) {
  auto decoded = codec::decode<T>(bytes);
  if (!decoded) return corrupt_object(key, codec::to_string(decoded.error()));
  return std::move(*decoded);
}

// A value and the version of its object.
template <class T>
struct Versioned {
  T value;
  store::Tag tag;
};

// A group of the map, with the shape that every change keeps: 64 entries, an owner's open lineage entry last, epochs
// ascending. not_found: the store was never initialised.
[[nodiscard]] Result<ShardGroup> decode_group(std::size_t group, ByteView bytes);
Task<Result<Versioned<ShardGroup>>> read_group(store::ObjectStore& store, std::size_t group);
// Nothing if the object still has the known tag (an empty one is none): for who reads the map again and again, as
// decoding costs the most.
Task<Result<std::optional<Versioned<ShardGroup>>>> read_group_unless(store::ObjectStore& store, std::size_t group,
                                                                     store::Tag known);

// A worker's head. Every owner in the map has one: it is made before the map names its worker, and stays.
[[nodiscard]] Result<WorkerHead> decode_head(const WorkerId& worker, ByteView bytes);
Task<Result<Versioned<WorkerHead>>> read_head(store::ObjectStore& store, WorkerId worker);

// What a slot holds, checked to be of this worker and slot.
[[nodiscard]] Result<std::variant<Segment, Seal>> decode_slot_of(const WorkerId& worker, Slot slot, ByteView bytes);

template <class Id>
[[nodiscard]] Id random_id(Rng& rng) {
  Id id;
  rng.fill(id.bytes);
  return id;
}

// Tries of a flow that meets trouble which may pass; every step of such a flow is idempotent.
class Patience {
 public:
  // Without an executor there is nothing to wait with: the first trouble ends the flow.
  explicit Patience(Executor* executor) : executor_(executor) {}
  // Waits a while and says true if the error may pass and tries are left.
  Task<bool> again(ErrorKind kind);

 private:
  static constexpr int tries_max = 12;  // about half a minute
  Executor* executor_;
  int tries_ = 0;
};

// The same with patience.
Task<Result<Versioned<ShardGroup>>> read_group_patiently(Executor* executor, store::ObjectStore& store,
                                                         std::size_t group);
Task<Result<WorkerHead>> read_head_patiently(Executor* executor, store::ObjectStore& store, WorkerId worker);

}  // namespace zef::ledger
