// The shards of one validator in one process, without signatures, worker or log: for tests, benchmarks and fuzzers of
// this and higher rooms. What is executed is certified by made-up signatures that the caches of verified roots are told
// of, so a step costs microseconds.
//
// After every step the supply must be exact (I4): a test that breaks it fails at once, by an exception (must.h).
#pragma once

#include <map>
#include <set>
#include <span>

#include "protocol/testing/fixture.h"
#include "shard/shard.h"
#include "shard/testing/must.h"

namespace zef::shard::testing {

using protocol::testing::TestNetwork;

// Makes what verification gives to a shard out of requests alone.
class Certifier {
 public:
  explicit Certifier(const TestNetwork& net);

  [[nodiscard]] VerifiedOrder order(const Request& request, const PublicKey& owner);
  // Whatever its signature is; the proof that it carries only with `proof_too`.
  [[nodiscard]] VerifiedOrder order(const RequestOrder& order, bool proof_too = true);
  [[nodiscard]] Certificate certificate(const Value& value) const;
  // Consecutive requests of one account, all vouched for by a quorum's certificate of the last.
  [[nodiscard]] Proof proof(std::span<const Request> requests) const;
  [[nodiscard]] VerifiedProof verified(const Proof& proof);
  [[nodiscard]] VerifiedInstanceMessage verified(const InstanceMessage& message);

 private:
  void trust(const Certificate& certificate);
  void trust(const Proof& proof);
  template <class T>
  void trust(const T& value, const PublicKey& signer, const BatchSignature& signature);

  const TestNetwork* net_;
  RootCaches caches_;
};

class LocalValidator {
 public:
  explicit LocalValidator(const TestNetwork& net);  // must outlive the validator

  [[nodiscard]] const TestNetwork& net() const { return *net_; }
  [[nodiscard]] Certifier& certifier() { return certifier_; }
  [[nodiscard]] Shard& shard(ShardId id);
  [[nodiscard]] Shard& shard_with(const Uid& account) { return shard(shard_of(account)); }
  [[nodiscard]] std::optional<AccountState> account(const Uid& uid) { return shard_with(uid).account(uid); }
  [[nodiscard]] std::vector<ShardId> shards() const;

  // Rules R: look_up, then handle, as a worker does; both must say the same where both speak.
  Outcome order(const RequestOrder& order);
  Outcome order(const Request& request, const PublicKey& owner);
  // Rules C: look_up, then execute.
  Outcome execute(const Proof& proof);
  Outcome execute(std::span<const Request> requests) { return execute(certifier_.proof(requests)); }
  Outcome execute(const Request& request) { return execute(std::span(&request, 1)); }
  // Rules L: look_up, then handle. The clock stands still but for pass().
  Outcome tell(const InstanceMessage& message);
  void pass(Duration time) { now_ += time; }
  [[nodiscard]] std::optional<InstanceState> instance(const Uid& uid) { return shard_with(uid).instance(uid); }

  // At most `limit` effects that wait for that destination, from that index on. They stay until acknowledged.
  [[nodiscard]] EffectBatch batch(ShardId source, ShardId destination, std::uint64_t from, std::size_t limit);
  Ruled<Outcome> receive(const EffectBatch& batch);
  Outcome acknowledge(ShardId source, ShardId destination, std::uint64_t up_to);
  // The next effects, delivered; their acknowledgement may get lost.
  void deliver(ShardId source, ShardId destination, std::size_t limit, bool acknowledged = true);
  void deliver_all();
  // Fee totals too: afterwards nothing is under way.
  void settle();
  void queue_fee_totals();

  [[nodiscard]] Totals totals() const;
  [[nodiscard]] const std::vector<std::pair<ShardId, Bytes>>& log() const { return log_; }  // encoded records
  [[nodiscard]] std::map<ShardId, Hash> digests() const;
  // Of new shards after a replay of the whole log; they must take every record.
  [[nodiscard]] std::map<ShardId, Hash> replayed_digests() const;
  // Goes on with new shards after a replay of the whole log, as after a restart; their digests must be the same.
  void restart();
  // Takes a snapshot of that shard: what changed since the one before, or all with `whole` (and the first time).
  void checkpoint(ShardId id, bool whole);
  // Goes on with new shards after loading their snapshots and replaying what came later; their digests must be the
  // same.
  void restart_from_checkpoints();
  // What I3 compares: every account's digest, and the decisions that are known.
  [[nodiscard]] std::map<Uid, Hash> account_digests() const;
  [[nodiscard]] std::map<Uid, Decision> decisions() const;

 private:
  // Snapshots of a shard, the first of them whole, and where in the log what came later begins.
  struct Checkpoints {
    std::vector<Bytes> chain;
    std::size_t log_from = 0;
  };
  Outcome took(ShardId shard, Outcome outcome);
  void replay_all(const LocalValidator& other);

  const TestNetwork* net_;
  Certifier certifier_;
  std::vector<std::vector<std::uint64_t>> genesis_;
  std::map<ShardId, Shard> shards_;
  std::vector<std::pair<ShardId, Bytes>> log_;
  std::map<ShardId, Checkpoints> checkpoints_;
  MonotonicTime now_{std::chrono::hours(1)};
};

}  // namespace zef::shard::testing
