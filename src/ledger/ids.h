// Names of what a validator keeps in its store (docs/storage.md, section "Keys").
#pragma once

#include <string>

#include "codec/bcs.h"
#include "protocol/types.h"

namespace zef::ledger {

// Random, 128 bits, never used again: a restarted process is a new worker. All zeros: nobody.
using WorkerId = FixedBytes<struct WorkerIdTag, 16>;
using Slot = std::uint64_t;          // place of a segment in a worker's log, from 0
using RecordNumber = std::uint64_t;  // place of a record in a worker's log, from 0, over all its segments

// A worker sends slot j only when all slots up to j - slots_in_flight_max are in the store: whoever finds slot k free
// and one from k + slots_in_flight_max on taken knows that the store has lost an object.
inline constexpr std::size_t slots_in_flight_max = 8;

inline constexpr std::size_t group_count = 16;  // objects of the shard map, 64 shards each
[[nodiscard]] inline std::size_t group_of(protocol::ShardId shard) {
  return shard.value() / (protocol::shard_count / group_count);
}

[[nodiscard]] std::string head_key(const WorkerId& worker);             // workers/<hex id>/head
[[nodiscard]] std::string slot_key(const WorkerId& worker, Slot slot);  // workers/<hex id>/log/<16 hex digits>
[[nodiscard]] std::string group_key(std::size_t group);                 // shards/<2 digits>
[[nodiscard]] std::string checkpoint_key(std::size_t group, const WorkerId& worker, std::uint32_t number);
[[nodiscard]] std::string archive_key(const WorkerId& worker, std::uint64_t block);  // archive/<hex id>/<16 hex digits>
// All of a key but its last part: with it begin the keys of all slots of a log, of all checkpoints of a group.
[[nodiscard]] std::string folder_of(std::string_view key);
[[nodiscard]] std::string network_key();  // network: which network and validator this store is of

}  // namespace zef::ledger
