// The received history of an account: which effects make an entry, and which one. The shard counts the entries and sums
// their keys (AccountState::received, I3); who keeps the history of an account (QueryReceived) adds exactly these, in
// the order of the EffectsReceived records.
#pragma once

#include <optional>

#include "shard/records.h"

namespace zef::shard {

struct ReceivedEntry {
  Uid recipient;
  ReceivedCredit credit;
};

// A credit, or the funding of an Open unless it is 0: sender and sequence number of an Open are the parent's, which the
// new UID spells out. Nothing for a Start, and for fee totals, which are no certified credits.
[[nodiscard]] std::optional<ReceivedEntry> received_entry(const Effect& effect);

}  // namespace zef::shard
