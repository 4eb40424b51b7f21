// What stays of old slots: the records that are asked for later (the history of accounts) and evidence, those of 64
// slots in one immutable object, compressed (docs/storage.md, "Trimming"). A record is still found by its place in the
// log.
//
// Thread rule: one executor.
#pragma once

#include <functional>
#include <map>

#include "base/executor.h"
#include "ledger/segment.h"
#include "store/object_store.h"

namespace zef::ledger {

inline constexpr Slot archive_slots =
    64;  // of one object: slots [64 b, 64 b + 64), and of a sealed log's last one fewer

// Whether a record must be kept when its slot is deleted.
using KeepRecord = std::function<bool(ByteView body)>;

// Puts the archive of the slots from archive_slots * block to `end`, all of which must be in the store; or checks that
// it is there already. Any worker may do it at any time: slots do not change.
Task<Result<void>> archive_slots_of(Executor& executor, store::ObjectStore& store, WorkerId worker, std::uint64_t block,
                                    Slot end, const KeepRecord& keep);

// The slots of an archive, as they were but for the records that were not kept: their bodies are empty. not_found:
// there is no such archive.
Task<Result<std::map<Slot, Segment>>> read_archive(store::ObjectStore& store, WorkerId worker, std::uint64_t block);

// For the two above, and for tests.
struct ArchivedRecord {
  Slot slot = 0;
  std::uint32_t index = 0;
  protocol::ShardId shard;
  std::uint64_t epoch = 0;
  Bytes body;
  friend bool operator==(const ArchivedRecord&, const ArchivedRecord&) = default;
  static constexpr auto fields = codec::fields<&ArchivedRecord::slot, &ArchivedRecord::index, &ArchivedRecord::shard,
                                               &ArchivedRecord::epoch, &ArchivedRecord::body>;
};
struct Archive {
  Slot end = 0;
  std::vector<ArchivedRecord> records;  // ascending places
};
[[nodiscard]] Bytes encode_archive(const WorkerId& worker, std::uint64_t block, const Archive& archive);
[[nodiscard]] Result<Archive> decode_archive(const WorkerId& worker, std::uint64_t block, ByteView bytes);

}  // namespace zef::ledger
