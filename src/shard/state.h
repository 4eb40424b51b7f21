// What a shard keeps in memory (Shard::State). Private to this room: the public face is shard/shard.h.
//
// The members named apply_... change the state and cannot fail: whoever calls them, live handling (orders.cpp,
// proofs.cpp, effects.cpp) or replay (replay.cpp), has checked first. Nothing else changes the state, except signatures
// attached to votes, which no record determines and no digest covers.
//
// Totals are kept as running sums, so I4 can be read at any moment without a scan.
#pragma once

#include <array>
#include <bitset>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <unordered_map>

#include "shard/outbox.h"
#include "shard/received.h"
#include "shard/shard.h"

namespace zef::shard {

// The first 128 bits of a request hash: tells an executed request from any other one. Two requests with the same
// fingerprint take 2^64 work to find, by a signer of both, and would only hide evidence against its maker's validators
// (C5): what was executed does not change.
using Fingerprint = FixedBytes<struct FingerprintTag, 16>;
[[nodiscard]] Fingerprint fingerprint_of(const Hash& request_hash);

// The set of received keys as one number: the sum, modulo 2^256, of SHA-256(BCS(key)), and how many there are. Sums do
// not depend on the order; each key is added once (marks). Compared between validators, never trusted for anything.
struct ReceivedSet {
  std::array<std::uint64_t, 4> sum{};  // little-endian
  std::uint64_t count = 0;
  void add(const ReceivedEntry& entry);
  void encode(codec::Writer& writer) const;
  static ReceivedSet decode(codec::Reader& reader);
};

// The one request that this validator voted on at `next`. After a replay the vote is unsigned again.
struct Pending {
  Request request;
  Hash hash;
  std::optional<Vote> vote;
};

// An account's record: some 180 bytes, as there may be millions that do nothing.
//   no owner, not closed   credited before it was opened (C4)
//   owner                  active
//   closed                 tombstone: keeps next and head, has neither owner nor balance, and is never removed
struct AccountRecord {
  Balance balance = 0;
  std::optional<PublicKey> owner;
  bool closed = false;
  bool changed = false;  // since the last checkpoint: it stands in Changes
  SequenceNumber next;
  Hash head;
  ReceivedSet received;
  std::unique_ptr<Pending> pending;
  std::vector<Fingerprint> executed;  // executed[i] is the request at sequence number i; executed.size() == next

  [[nodiscard]] AccountFacts facts() const { return {owner, balance, next, head}; }
};

// A protocol instance (L4). Everything but the time is durable.
struct InstanceRecord {
  Request start;
  Round round;
  std::optional<Decision> voted;  // PreCommit, in this round
  std::optional<Certificate> lock;
  std::vector<std::optional<Certificate>> shown;  // Lock certificates, by place of the account
  std::optional<Certificate> decided;
  bool conflicted = false;  // evidence of a second decision is in the log
  bool changed = false;     // since the last checkpoint: it stands in Changes
  // When the round was entered; nothing before the first message to this process: timers restart (L5).
  std::optional<MonotonicTime> entered;

  explicit InstanceRecord(Request request);
  [[nodiscard]] const StartInstance& terms() const { return started_by(start); }
  [[nodiscard]] InstanceState state() const;
};

// What the rules say about a proof, before anything is done.
struct AlreadyDone {};
struct Conflict {
  SequenceNumber at;
};
struct Executable {
  AccountRecord* account;
  std::size_t from;  // the first request that is new
};
using Verdict = std::variant<Refusal, AlreadyDone, Conflict, Executable>;

// What became different since the last checkpoint was taken or loaded, for the next one (snapshot.cpp). Which outboxes
// did, they know themselves.
struct Changes {
  bool any = false;
  std::vector<std::pair<Uid, std::uint64_t>> accounts;  // each once, and how many fingerprints it had
  std::vector<Uid> instances;                           // each once
  std::bitset<shard_count> marks;
};

struct Shard::State {
  State(ShardId shard, const Network& shard_network) : id(shard), network(&shard_network) {}

  ShardId id;
  const Network* network;

  std::unordered_map<Uid, AccountRecord> accounts;
  std::unordered_map<Uid, InstanceRecord> instances;
  Outboxes outboxes;
  std::unordered_map<ShardId, std::uint64_t> marks;       // by source: the next index expected
  std::map<std::pair<Uid, ShardId>, Balance> fee_totals;  // by reward account and source: the highest total seen
  std::set<std::pair<Uid, SequenceNumber>> conflicts;     // C5: positions of which evidence is in the log
  Balance fees_queued = 0;                                // of totals.fees, what queue_fee_totals has sent
  bool handed_off = false;  // nothing but Adopted may follow; says who may write, and is no part of the digest
  Totals totals;            // of this shard; effects_waiting is outboxes.waiting()
  Changes changes;

  [[nodiscard]] const AccountRecord* find(const Uid& uid) const;
  [[nodiscard]] AccountRecord* find(const Uid& uid);
  [[nodiscard]] AccountState account_state(const Uid& uid, const AccountRecord& account) const;

  // Rules R1 to R5, R3 for the key only. On success the account, whose pending request, if there is one, is this very
  // request.
  [[nodiscard]] Ruled<const AccountRecord*> check_order(const RequestOrder& order) const;
  [[nodiscard]] Verdict judge(const Uid& uid, std::span<const VerifiedProof::Item> items);  // C1, C2, C5

  void add_genesis_account(const Uid& uid, const GenesisAccount& genesis);
  void apply_vote(AccountRecord& account, const Request& request, const Hash& hash);
  void apply_execution(AccountRecord& account, const std::shared_ptr<const Proof>& proof,
                       std::span<const VerifiedProof::Item> items);
  void apply_effects(ShardId source, std::uint64_t first, std::span<const Effect> effects);
  void apply_acknowledgement(ShardId destination, std::uint64_t up_to);
  void apply_fee_totals();
  void apply_conflict(const Uid& account, SequenceNumber at);
  void apply_start(const Request& start);  // the first one counts
  void apply_instance_change(const InstanceChanged& change);
  void apply_instance_conflict(const Uid& instance);
  void touch(const Uid& uid, AccountRecord& account);
  void touch(InstanceRecord& instance);
  [[nodiscard]] const InstanceRecord* find_instance(const Uid& uid) const;
  [[nodiscard]] InstanceRecord* find_instance(const Uid& uid);

 private:
  void apply_request(AccountRecord& account, const std::shared_ptr<const Proof>& proof,
                     const VerifiedProof::Item& item);
  void apply_effect(ShardId source, const Effect& effect);
  void credit(AccountRecord& account, Balance amount);
  AccountRecord& find_or_add(const Uid& uid);
};

// Why no effect or record may carry this effect to this shard; nothing if it may.
[[nodiscard]] std::optional<std::string> effect_problem(const Network& network, ShardId destination,
                                                        const Effect& effect);

}  // namespace zef::shard
