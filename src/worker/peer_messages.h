// What workers of one validator say to each other on the internal port (mutual TLS). The order of the alternatives is
// part of the wire format.
#pragma once

#include "ledger/ids.h"
#include "shard/records.h"

namespace zef::worker {

inline constexpr std::size_t effects_per_batch_max = 256;
inline constexpr std::size_t batches_per_message_max = 1024;
inline constexpr std::size_t batch_bytes_max = 512U << 10;  // a batch takes no further proof beyond this
inline constexpr std::size_t message_bytes_max = 1U << 20;  // no message of several batches is longer; one alone may be

struct DeliverEffects {  // -> DeliveryResults, one for each batch, once durable
  codec::Bounded<shard::EffectBatch, 1, batches_per_message_max> batches;
  static constexpr auto fields = codec::fields<&DeliverEffects::batches>;
};

struct Accepted {
  std::uint64_t up_to = 0;  // all effects below are durably applied
  static constexpr auto fields = codec::fields<&Accepted::up_to>;
};
struct NotMine {  // the destination shard is served by somebody else
  static constexpr auto fields = codec::fields<>;
};
struct Rejected {  // the batch does not verify: one side has a bug or bad storage; it stays in the source's outbox
  std::string why;
  static constexpr auto fields = codec::fields<&Rejected::why>;
};
struct DeliveryResult {
  protocol::ShardId source;
  protocol::ShardId destination;
  std::variant<Accepted, NotMine, Rejected> result;
  static constexpr auto fields =
      codec::fields<&DeliveryResult::source, &DeliveryResult::destination, &DeliveryResult::result>;
};
struct DeliveryResults {
  codec::Bounded<DeliveryResult, 0, batches_per_message_max> results;
  static constexpr auto fields = codec::fields<&DeliveryResults::results>;
};

// ---- planned moves --------------------------------------------------------------------------------------------------

// To the owner of shards, from whoever decides (the controller, an operator): give them to that worker. Answered at
// once; what came of it is in the shard map.
struct Give {  // -> CommandAnswer
  ledger::WorkerId to;
  codec::Bounded<protocol::ShardId, 1, protocol::shard_count> shards;
  static constexpr auto fields = codec::fields<&Give::to, &Give::shards>;
};
struct CommandAnswer {
  std::string refused;  // why not; empty: begun, or done
  static constexpr auto fields = codec::fields<&CommandAnswer::refused>;
};

struct OfferedShard {
  protocol::ShardId shard;
  std::uint64_t epoch = 0;
  static constexpr auto fields = codec::fields<&OfferedShard::shard, &OfferedShard::epoch>;
};
// From the giver to the receiver: read what there is of these shards.
struct Take {  // -> TakeAnswer, once it has read all that there was
  ledger::WorkerId giver;
  std::uint64_t move = 0;  // the giver's number for it
  codec::Bounded<OfferedShard, 1, protocol::shard_count> shards;
  static constexpr auto fields = codec::fields<&Take::giver, &Take::move, &Take::shards>;
};
struct TakeAnswer {
  std::string refused;  // why not; empty: ready for the hand-over
  static constexpr auto fields = codec::fields<&TakeAnswer::refused>;
};
// From the giver to the receiver: the hand-overs of these shards are durable, below that slot of my log.
struct HandedOver {  // -> HandedOverAnswer, once the map is changed
  ledger::WorkerId giver;
  std::uint64_t move = 0;
  ledger::Slot end = 0;
  codec::Bounded<protocol::ShardId, 1, protocol::shard_count> shards;
  static constexpr auto fields =
      codec::fields<&HandedOver::giver, &HandedOver::move, &HandedOver::end, &HandedOver::shards>;
};
struct HandedOverAnswer {  // for the giver's information: the map says what counts
  std::uint32_t taken = 0;
  static constexpr auto fields = codec::fields<&HandedOverAnswer::taken>;
};

// ---- commands of a controller
// ----------------------------------------------------------------------------------------

// Give everything away and take nothing (as far as the controller's moves go: it gives the shards, this one only
// refuses new ones); or, with `away` false, stay after all.
struct Retire {  // -> CommandAnswer
  bool away = true;
  static constexpr auto fields = codec::fields<&Retire::away>;
};
// The map has changed: it may give something to you.
struct LookAtMap {  // -> CommandAnswer
  static constexpr auto fields = codec::fields<>;
};

// ---- reports --------------------------------------------------------------------------------------------------------

struct AskReport {  // -> Report
  static constexpr auto fields = codec::fields<>;
};
struct ShardReport {
  protocol::ShardId shard;
  std::uint64_t epoch = 0;
  std::uint64_t work = 0;      // messages handled since it came: a shard's part of the worker's CPU time
  std::uint64_t accounts = 0;  // how much a move has to carry
  static constexpr auto fields =
      codec::fields<&ShardReport::shard, &ShardReport::epoch, &ShardReport::work, &ShardReport::accounts>;
};
// What a process has asked its store for, since it started: what the provider bills.
struct StoreUsage {
  std::uint64_t puts = 0, gets = 0, lists = 0, deletes = 0;
  std::uint64_t bytes_written = 0, bytes_read = 0;
  std::uint64_t put_us = 0, get_us = 0;  // sums of the latencies
  std::uint64_t failed = 0;              // requests, of all these
  // Reads that got a second one beside them because they took long; of these, those that it answered first.
  std::uint64_t hedged = 0, hedged_first = 0;
  friend bool operator==(const StoreUsage&, const StoreUsage&) = default;
  static constexpr auto fields =
      codec::fields<&StoreUsage::puts, &StoreUsage::gets, &StoreUsage::lists, &StoreUsage::deletes,
                    &StoreUsage::bytes_written, &StoreUsage::bytes_read, &StoreUsage::put_us, &StoreUsage::get_us,
                    &StoreUsage::failed, &StoreUsage::hedged, &StoreUsage::hedged_first>;
};
struct Report {
  ledger::WorkerId worker;
  std::string name;
  std::uint64_t counter = 0;        // one more with every report
  std::uint64_t cpu_us = 0;         // of the process, since it started
  std::uint64_t millicores = 1000;  // CPU that it may use: 1000 is one core
  std::uint64_t queries_max = 0;    // of clients, a second, that are taken for all that it can do; 0: not known
  std::uint64_t memory_bytes = 0;
  std::uint64_t backlog_bytes = 0;  // of the log: not confirmed yet
  std::uint64_t backlog_us = 0;     // how long the oldest record has waited that is not on its way to the store
  std::uint64_t flush_us = 0;       // how long one waits by choice
  std::uint64_t answered = 0;       // queries of clients
  std::uint64_t checkpoints = 0;    // objects put
  std::uint32_t leaving = 0;        // shards handed over, of which the map has not told yet
  bool draining = false;            // gives its shards away and takes none
  bool retiring = false;            // because a controller said so
  StoreUsage store;
  codec::Bounded<ShardReport, 0, protocol::shard_count> shards;
  static constexpr auto fields =
      codec::fields<&Report::worker, &Report::name, &Report::counter, &Report::cpu_us, &Report::millicores,
                    &Report::queries_max, &Report::memory_bytes, &Report::backlog_bytes, &Report::backlog_us,
                    &Report::flush_us, &Report::answered, &Report::checkpoints, &Report::leaving, &Report::draining,
                    &Report::retiring, &Report::store, &Report::shards>;
};

using PeerRequest = std::variant<DeliverEffects, Give, Take, HandedOver, AskReport, Retire, LookAtMap>;

}  // namespace zef::worker

ZEF_CODEC_DECLARE(zef::worker::PeerRequest);
ZEF_CODEC_DECLARE(zef::worker::DeliveryResults);
ZEF_CODEC_DECLARE(zef::worker::Report);
