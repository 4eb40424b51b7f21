// One shard of a validator: the accounts whose UIDs hash to it, what they owe other shards (outboxes) and what they
// have received from them (marks). Pure: a message in, an outcome out; it never sends, sleeps or writes.
//
// Thread rule: one thread owns a shard. Everything is checked first, then the record is made and applied; live handling
// and replay go through the same apply(), so a replayed shard is the same, bit for bit. The caller must make the
// outcome's records durable before anything of the outcome leaves (R7, output commit).
#pragma once

#include <memory>

#include "base/executor.h"
#include "base/result.h"
#include "protocol/request_rules.h"
#include "protocol/verification.h"
#include "shard/records.h"

namespace zef::shard {

// A vote still to be signed: the worker signs all votes of a turn together and gives the signature back with
// Shard::attach_signature, so that a repeated request gets the identical vote.
struct VoteToSign {
  Value value;
};

struct Outcome {
  // Refusal: nothing was done. Two kinds come with records: ConflictingCertificate (the evidence, C5) and
  // InstanceRefused (what the message showed by the way is kept). VoteToSign / Vote: a
  // new vote / the one made before. AccountState: after an execution, or of an account that had executed all of it
  // already (unsigned: the worker signs). monostate: done (effects, acknowledgements), or nothing to do.
  // InstanceState: of an instance that took a certificate or Lock certificates in.
  std::variant<std::monostate, Refusal, VoteToSign, Vote, AccountState, InstanceState> answer;
  std::vector<Record> records;
};

// An effect of the outbox, as the worker needs it to build an EffectBatch.
struct OutgoingEffect {
  std::uint64_t index = 0;
  std::variant<FeeTotal, CertifiedEffect> effect;  // CertifiedEffect::proof is not filled in
  std::shared_ptr<const Proof> proof;              // of the certified effect; nullptr for a fee total
};

// A batch of effects whose proofs were verified and whose effects were derived from them.
class VerifiedEffects {
 public:
  // Fails with InvalidCertificate if an effect names a proof, sequence number or ordinal that does not exist, a sender
  // or target of another shard than the batch says, or a fee total of no reward account. `proofs` are the verified
  // proofs of batch.proofs, in order.
  static Ruled<VerifiedEffects> derive(const Network& network, const EffectBatch& batch,
                                       const std::vector<VerifiedProof>& proofs);
  [[nodiscard]] ShardId source() const { return source_; }
  [[nodiscard]] ShardId destination() const { return destination_; }
  [[nodiscard]] std::uint64_t first() const { return first_; }
  [[nodiscard]] const std::vector<Effect>& effects() const { return effects_; }

 private:
  VerifiedEffects() = default;
  ShardId source_;
  ShardId destination_;
  std::uint64_t first_ = 0;
  std::vector<Effect> effects_;
};

// For each of the 1024 shards, the indexes of its genesis accounts, ascending: one pass over a genesis of millions.
[[nodiscard]] std::vector<std::vector<std::uint64_t>> genesis_by_shard(const Genesis& genesis);

class Shard {
 public:
  // The network must outlive the shard.
  Shard(ShardId id, const Network& network);
  ~Shard();
  Shard(Shard&&) noexcept;
  Shard& operator=(Shard&&) noexcept;

  [[nodiscard]] ShardId id() const;

  // Genesis accounts of this shard, by their index (genesis_by_shard); on a new shard only, before anything else. Not a
  // record: it follows from the network.
  void apply_genesis(const Genesis& genesis, const std::vector<std::uint64_t>& indexes);

  // Before any signature is verified: an answer that needs none (R1 to R5, C1, C2), or nothing: verify, then call
  // handle or execute. Changes nothing. Costs look-ups only.
  [[nodiscard]] std::optional<std::variant<Refusal, VoteToSign, Vote>> look_up(const RequestOrder& order) const;
  [[nodiscard]] std::optional<std::variant<Refusal, AccountState>> look_up(const Proof& proof) const;

  // Whether the account could pay for the order's operation if its proof is valid: else the proof need not be verified
  // (R6: it is checked last).
  [[nodiscard]] bool affordable(const RequestOrder& order) const;
  // Of a message to an instance: unknown here and no proof of its start, or decided (rules L).
  [[nodiscard]] std::optional<Refusal> look_up(const InstanceMessage& message) const;

  [[nodiscard]] Outcome handle(const VerifiedOrder& order);   // rules R
  [[nodiscard]] Outcome execute(const VerifiedProof& proof);  // rules C
  // Rules L. `now` only times rounds (L5).
  [[nodiscard]] Outcome handle(const VerifiedInstanceMessage& message, MonotonicTime now);
  // Applies what is new: indexes below the mark are skipped, a gap after it is ignored (it will be sent again).
  [[nodiscard]] Outcome receive(const VerifiedEffects& effects);
  // The destination durably applied everything below up_to. Refused if so much was never sent.
  [[nodiscard]] Outcome acknowledge(ShardId destination, std::uint64_t up_to);
  // Puts fee totals that changed into the outboxes, one for each distinct reward account; no record if none did.
  [[nodiscard]] Outcome queue_fee_totals();
  // The shard goes to another worker: the last record of this epoch. Afterwards only replay(Adopted) may follow, when
  // the move was cancelled.
  [[nodiscard]] Outcome hand_off();
  // The vote for the request that is pending at this account and sequence number, if it still is.
  void attach_signature(const Uid& account, SequenceNumber at, const Vote& vote);

  // Applies a record of the log. Fails (corrupt) on a record that the state excludes.
  [[nodiscard]] Result<void> replay(const Record& record);

  // Checkpoints (shard/snapshot.h): the state as bytes, whole or what changed since the last one was taken or loaded.
  // Between two records only, as everything here.
  struct Snapshot {
    Bytes bytes;
    std::vector<Uid> accounts;  // whose state stands in it, ascending
  };
  [[nodiscard]] bool changed() const;  // since the last one
  [[nodiscard]] Snapshot take_whole();
  [[nodiscard]] Snapshot take_changes();
  // A whole one on a new shard, changes on the state that they were counted from. Fails (corrupt) on anything else, and
  // changes nothing then.
  [[nodiscard]] Result<void> load(ByteView snapshot);

  // Reads.
  [[nodiscard]] std::optional<AccountState> account(const Uid& uid) const;    // nothing: never heard of
  [[nodiscard]] std::optional<InstanceState> instance(const Uid& uid) const;  // nothing: never heard of
  [[nodiscard]] std::uint64_t mark(ShardId source) const;                     // next effect index expected from there
  [[nodiscard]] std::vector<ShardId> destinations() const;                    // with effects not acknowledged
  [[nodiscard]] std::vector<OutgoingEffect> outgoing(ShardId destination, std::uint64_t from_index,
                                                     std::size_t limit) const;
  [[nodiscard]] bool fee_totals_changed() const;
  [[nodiscard]] Totals totals() const;
  [[nodiscard]] std::uint64_t account_count() const;  // totals().accounts, without looking at the rest
  [[nodiscard]] std::vector<Uid> accounts() const;    // sorted; for checks
  [[nodiscard]] std::vector<Uid> instances() const;   // sorted; for checks
  // Of everything that records determine, pending requests, outboxes and marks included.
  [[nodiscard]] Hash digest() const;
  // Of what I3 compares, of one account: owner, closed, balance, next, head, set of received keys.
  [[nodiscard]] std::optional<Hash> account_digest(const Uid& uid) const;

 private:
  struct State;
  struct Replay;
  struct Loader;
  std::unique_ptr<State> state_;
};

}  // namespace zef::shard
