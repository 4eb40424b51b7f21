// Serves pages of an account's past: looks up the places and reads the records from the store.
#pragma once

#include "worker/history.h"

namespace zef::worker {

inline constexpr std::size_t page_entries_max = 256;
inline constexpr std::size_t page_bytes_max = 1U << 20;  // a page takes no further entry beyond this

// Always answers: a page, or Unavailable when the store does not. The history is used before the first wait only: its
// shard may leave meanwhile.
Task<protocol::Answer> read_executed(const History& history, ledger::SegmentCache& segments,
                                     protocol::QueryExecuted query);
Task<protocol::Answer> read_received(const History& history, ledger::SegmentCache& segments,
                                     protocol::QueryReceived query);

}  // namespace zef::worker
