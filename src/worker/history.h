// Where in the logs each account's past stands: executed requests by sequence number, received credits by their order
// of arrival. Only places are kept in memory (24 bytes an entry); what they name is read from the store when somebody
// asks. An account without a past takes no memory. Everything in here is durable already.
//
// Thread rule: one thread.
#pragma once

#include <unordered_map>
#include <vector>

#include "ledger/checkpoint.h"
#include "protocol/types.h"
#include "shard/records.h"

namespace zef::worker {

class History {
 public:
  struct Place {
    std::uint32_t log = 0;  // index into logs
    std::uint32_t slot = 0;
    std::uint32_t index = 0;   // of the record in its segment
    std::uint32_t effect = 0;  // of the effect in its record; received credits only
    static constexpr auto fields = codec::fields<&Place::log, &Place::slot, &Place::index, &Place::effect>;
  };
  struct Executed {
    protocol::SequenceNumber first;  // of the proof's requests that were executed by this record
    Place place;
    static constexpr auto fields = codec::fields<&Executed::first, &Executed::place>;
  };

  // Takes notes of a durable record at that place: of executions, and of credits received.
  void note(const ledger::ReadPlace& place, const shard::Record& record);

  // Executions from the record that contains `from` on, at most `limit` records.
  [[nodiscard]] std::vector<Executed> executed(const protocol::Uid& account, protocol::SequenceNumber from,
                                               std::size_t limit) const;
  // Received credits from..from + limit.
  [[nodiscard]] std::vector<Place> received(const protocol::Uid& account, std::uint64_t from, std::size_t limit) const;
  [[nodiscard]] std::uint64_t received_count(const protocol::Uid& account) const;
  [[nodiscard]] ledger::ReadPlace where(const Place& place) const;

  // Whether a record must outlive its slot: it is asked for later, or it is evidence (C5).
  [[nodiscard]] static bool keeps(ByteView body);

  // The past of these accounts for a checkpoint, as far as it stands before `end` in the log of `self`: all of it with
  // `whole`, else what came since it was saved or loaded last.
  [[nodiscard]] Bytes save(const std::vector<protocol::Uid>& accounts, bool whole, const ledger::WorkerId& self,
                           ledger::LogPosition end);
  // What save() has made; a whole one takes the place of what is known of its accounts. Fails (corrupt) on anything
  // else, and changes nothing then.
  [[nodiscard]] Result<void> load(ByteView saved);

 private:
  struct AccountHistory {
    std::vector<Executed> executed;
    std::vector<Place> received;
    std::size_t executed_saved = 0;  // so many stand in the newest checkpoint
    std::size_t received_saved = 0;
  };
  std::uint32_t log_index(const ledger::WorkerId& worker);

  std::vector<ledger::WorkerId> logs_;
  std::unordered_map<protocol::Uid, AccountHistory> accounts_;
};

}  // namespace zef::worker
