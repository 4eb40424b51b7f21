// The tick: what a worker does with all messages of one turn of the event loop.
//
//   add(...) for each message  ->  run():  1. look up what needs no signature check
//                                          2. verify all signatures of the turn together
//                                          3. hand each message to its shard, in the order of arrival; log the records
//                                          4. sign all new votes and account states with one Merkle batch signature
//                                          5. put everything that leaves into the release queue (output commit)
//
// Thread rule: one thread. The tick reads no clock, no socket and no store: time is the caller's.
#pragma once

#include <deque>
#include <set>
#include <vector>

#include "base/mutant.h"
#include "crypto/keys.h"
#include "ledger/worker_log.h"
#include "protocol/messages.h"
#include "protocol/verification.h"
#include "worker/peer_messages.h"
#include "worker/release.h"
#include "worker/shard_table.h"

namespace zef::worker {

class Tick {
 public:
  // All must outlive the tick.
  struct Parts {
    const protocol::Network& network;
    protocol::ValidatorIndex validator;
    const crypto::SigningKey& key;
    protocol::RootCaches& caches;
    ShardTable& shards;
    ledger::WorkerLog& log;
    ReleaseQueue& releases;
  };
  explicit Tick(Parts parts) : parts_(parts) {}

  // The messages of this turn.
  void add(Caller caller, protocol::Query query);
  void add(Caller caller, DeliverEffects effects);  // from another worker
  void add_own(const EffectsOut& effects);          // from a shard of this worker to another one of it
  void add_result(DeliveryResult result);           // another worker's answer to effects of ours
  void add_fee_totals();                            // the time for fee totals has come
  void add_resend(protocol::ShardId source, protocol::ShardId destination);  // after a failed delivery: build it again

  [[nodiscard]] bool empty() const { return messages_.empty() && touched_.empty() && own_.empty(); }
  // What may be left afterwards (not empty()): effects between shards of this worker, so many that they take more
  // turns.
  void run(MonotonicTime now);  // `now` times rounds of instances (L5)

  // The batch of effects that left the release queue, as its outbox holds them. Nothing if the source has left this
  // worker meanwhile, or all of it was acknowledged: another worker's delivery, or one before the shard came back.
  [[nodiscard]] std::optional<shard::EffectBatch> build_batch(const EffectsOut& effects) const;

  // Pairs (source, destination) whose delivery failed in this turn: call add_resend for each, some time later.
  [[nodiscard]] std::vector<std::pair<protocol::ShardId, protocol::ShardId>> take_failed() {
    return std::exchange(failed_, {});
  }

  // A shard has come: whatever its outboxes hold is sent.
  void touch(protocol::ShardId id);
  // A shard has left: nothing of it is under way any more.
  void forget(protocol::ShardId id);

  struct Metrics {
    std::uint64_t turns = 0, queries = 0, votes = 0, executions = 0, refusals = 0, effects_applied = 0, rejected = 0;
  };
  [[nodiscard]] const Metrics& metrics() const { return metrics_; }

 private:
  struct FromClient {
    Caller caller;
    protocol::Query query;
  };
  struct FromPeer {
    Caller caller;
    DeliverEffects effects;
  };
  struct FromSelf {
    shard::EffectBatch batch;
  };
  struct Result {
    DeliveryResult result;
  };
  struct FeeTime {};
  using Message = std::variant<FromClient, FromPeer, FromSelf, Result, FeeTime>;

  // Where the proofs of one effect batch stand in the verification batch.
  struct BatchPlaces {
    std::vector<std::size_t> proofs;
  };
  struct Prepared {
    std::optional<std::size_t> place;        // of the order, proof or message to an instance to verify
    std::vector<BatchPlaces> batches;        // of effect batches
    std::optional<protocol::Answer> answer;  // known without verification
    std::optional<shard::VoteToSign> repeat;
    std::optional<protocol::AccountState> state;
  };
  // Answers whose signature comes at the end of the turn.
  struct ToSign {
    Caller caller;
    std::variant<protocol::Value, protocol::AccountState> what;
  };

  void take_own(std::vector<Message>& messages);
  Prepared prepare(const Message& message, protocol::VerificationBatch& batch);
  [[nodiscard]] bool decided_here(const protocol::RequestOrder& order) const;
  Prepared prepare_query(const protocol::Query& query, protocol::VerificationBatch& batch);
  Prepared prepare_instance(const protocol::InstanceMessage& message, const OwnedShard& owned,
                            protocol::VerificationBatch& batch);
  void handle(Message& message, Prepared& prepared, protocol::VerificationBatch& batch);
  void handle_query(FromClient& message, Prepared& prepared, protocol::VerificationBatch& batch);
  void finish_client(Caller caller, protocol::ShardId id, shard::Outcome outcome);
  [[nodiscard]] DeliveryResult apply_effects(const shard::EffectBatch& effects, const BatchPlaces& places,
                                             protocol::VerificationBatch& batch);
  void apply_result(const DeliveryResult& result);
  [[nodiscard]] protocol::Totals totals() const;
  void log_records(protocol::ShardId id, OwnedShard& owned, std::vector<shard::Record> records);
  void sign_and_queue();
  void answer(Caller caller, const protocol::Answer& answer, bool made_record = true);
  void queue_effects();

  Parts parts_;
  std::vector<Message> messages_;
  std::deque<EffectsOut> own_;
  std::vector<ToSign> to_sign_;
  std::set<protocol::ShardId> touched_;  // shards whose outboxes may hold something to send
  std::set<std::pair<protocol::ShardId, protocol::ShardId>> in_flight_;  // (source, destination) under way
  std::vector<std::pair<protocol::ShardId, protocol::ShardId>> failed_;
  MonotonicTime now_;  // of this turn
  Metrics metrics_;
};

}  // namespace zef::worker
