// Output commit: everything that leaves a worker waits here until the records that it depends on are durable
// (docs/storage.md, "Commit rules"). One queue, in order, because record numbers only grow: an answer that made no
// record depends on the newest record that existed when it was computed.
//
// Thread rule: one thread. Memory: bounded by the worker, which takes no new requests while too much waits.
#pragma once

#include <deque>
#include <variant>

#include "base/mutant.h"
#include "ledger/worker_log.h"
#include "net/rpc.h"
#include "protocol/messages.h"
#include "shard/records.h"

namespace zef::worker {

// Whom to answer: a call of a client (through the balancer) or of another worker.
struct Caller {
  net::ConnectionId connection{};
  std::uint64_t request_id = 0;
};

struct ClientAnswer {
  Caller caller;
  Bytes body;  // BCS(protocol::Answer)
};
struct PeerAnswer {
  Caller caller;
  Bytes body;  // BCS(DeliveryResults)
};
// A history page is read from the store, hence only after what it may name is durable.
struct HistoryRead {
  Caller caller;
  std::variant<protocol::QueryExecuted, protocol::QueryReceived> query;
};
// Effects leave for their shard: what the outbox of the source holds for the destination below the index `end`. The
// batch is built from the outbox only when it goes (Tick::build_batch): one long proof may have effects for all shards,
// and a copy of it for each of them must not wait in memory.
struct EffectsOut {
  protocol::ShardId source;
  protocol::ShardId destination;
  std::uint64_t end = 0;
};
// A record of which the history takes a note.
struct HistoryNote {
  protocol::ShardId shard;
  ledger::RecordNumber number = 0;
  shard::Record record;
};
using Release = std::variant<ClientAnswer, PeerAnswer, HistoryRead, EffectsOut, HistoryNote>;

class ReleaseQueue {
 public:
  // `after`: all records with a number below it must be durable first. Never lower than that of the one before.
  void push(ledger::RecordNumber after, Release release) {
    if (leaves_early(after, release)) return queue_.push_front({0, std::move(release)});
    ZEF_CHECK(queue_.empty() || queue_.back().after <= after);
    queue_.push_back({after, std::move(release)});
  }
  // Hands over everything that may leave now, in order.
  template <class Consumer>
  void release(ledger::RecordNumber confirmed, Consumer consume) {
    while (!queue_.empty() && queue_.front().after <= confirmed) {
      Release release = std::move(queue_.front().release);
      queue_.pop_front();
      consume(std::move(release));
    }
  }
  [[nodiscard]] std::size_t size() const { return queue_.size(); }

 private:
  static bool leaves_early(ledger::RecordNumber after, const Release& release) {
    return (mutant("repeat_before_durable") && after == 0) ||
           (mutant("answer_before_durable") && std::holds_alternative<ClientAnswer>(release)) ||
           (mutant("ack_before_durable") && std::holds_alternative<PeerAnswer>(release)) ||
           (mutant("effects_before_durable") && std::holds_alternative<EffectsOut>(release));
  }
  struct Waiting {
    ledger::RecordNumber after;
    Release release;
  };
  std::deque<Waiting> queue_;
};

}  // namespace zef::worker
