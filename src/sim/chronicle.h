// What one validator has made durable, read from its bucket as the segments of its workers' logs appear there: an
// index of votes and executed requests, by which the witness judges what leaves, and all records, from which a second
// copy of every shard is built at the end. Reading the log again, and not asking the workers, is what makes the
// checkers independent of them.
//
// A segment counts when all segments before it are there: that is what "confirmed" means (ledger/worker_log.h).
// Thread rule: the simulation's thread.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <unordered_map>

#include "ledger/segment.h"
#include "shard/shard.h"
#include "sim/journal.h"
#include "sim/place.h"

namespace zef::sim {

class Chronicle {
 public:
  Chronicle(std::size_t validator, const protocol::Genesis& genesis, const protocol::Network& rules, Journal& journal)
      : name_(fmt::format("validator {}", validator)), genesis_(genesis), rules_(rules), journal_(journal) {}

  // An object came to be in the bucket.
  void created(const std::string& key, ByteView bytes);
  // Called for every certified request that was executed, once it is durable.
  void on_executed(std::function<void(const protocol::Request&, const protocol::Hash&)> callback) {
    on_executed_ = std::move(callback);
  }

  // Called for every decision of an instance that a validator adopts.
  void on_decided(std::function<void(const protocol::Uid&, const protocol::Decision&)> callback) {
    on_decided_ = std::move(callback);
  }

  [[nodiscard]] const protocol::Hash* vote_at(const protocol::Uid& account, protocol::SequenceNumber at) const;
  // The executed request there.
  [[nodiscard]] const protocol::Hash* executed_at(const protocol::Uid& account, protocol::SequenceNumber at) const;
  [[nodiscard]] std::uint64_t next_of(const protocol::Uid& account) const;
  [[nodiscard]] const shard::InstanceChanged* instance(const protocol::Uid& uid) const;
  [[nodiscard]] std::uint64_t conflicts() const { return conflicts_; }

  // Every shard, built again from the records.
  struct Rebuilt {
    protocol::Totals totals;
    std::map<protocol::Uid, protocol::Hash> accounts;  // digests of what I3 compares
    std::map<protocol::Uid, protocol::AccountState> states;
    std::map<protocol::Uid, protocol::Certificate> decisions;
  };
  [[nodiscard]] Rebuilt rebuild() const;

 private:
  struct Log {
    std::uint64_t next_slot = 0;
    bool sealed = false;
    std::map<std::uint64_t, std::variant<ledger::Segment, ledger::Seal>> early;  // an earlier slot is missing
  };
  // What the second shard has received from the first, durably.
  [[nodiscard]] std::uint64_t& mark(protocol::ShardId source, protocol::ShardId destination) {
    return marks_[std::uint32_t{source.value()} << 16 | destination.value()];
  }
  [[nodiscard]] bool has_quorum(const protocol::Certificate& certificate) const;
  // What one worker has logged of a shard, which nobody else does at that epoch.
  struct Epoch {
    std::string worker;
    bool handed_off = false;
    std::vector<shard::Record> records;
  };
  void take(const std::string& worker, const ledger::LogRecord& record);
  void check_writer(const std::string& worker, const ledger::LogRecord& record, const Epoch& epoch);
  void take(protocol::ShardId shard, const shard::VoteMade& record);
  void take(protocol::ShardId shard, const shard::Executed& record);
  void take(protocol::ShardId shard, const shard::EffectsReceived& record);
  void take(protocol::ShardId shard, const shard::EffectsAcknowledged& record);
  void take(protocol::ShardId shard, const shard::InstanceChanged& record);
  template <class Other>
  void take(protocol::ShardId, const Other&) {}

  std::string name_;
  const protocol::Genesis& genesis_;
  const protocol::Network& rules_;
  Journal& journal_;
  std::function<void(const protocol::Request&, const protocol::Hash&)> on_executed_;
  std::function<void(const protocol::Uid&, const protocol::Decision&)> on_decided_;
  std::map<std::string, Log> logs_;  // by worker id, hexadecimal
  std::unordered_map<Place, protocol::Hash, PlaceHash> votes_;
  std::unordered_map<protocol::Uid, std::vector<protocol::Hash>> executed_;
  std::unordered_map<std::uint32_t, std::uint64_t> marks_;
  std::unordered_map<Place, std::vector<protocol::Uid>, PlaceHash> received_;  // by the request: who was credited
  std::map<protocol::Uid, shard::InstanceChanged> instances_;
  std::map<std::tuple<protocol::Uid, protocol::Round>, protocol::Decision> precommits_;
  std::vector<std::map<std::uint64_t, Epoch>> records_{protocol::shard_count};  // by shard and epoch
  std::uint64_t conflicts_ = 0;
};

}  // namespace zef::sim
