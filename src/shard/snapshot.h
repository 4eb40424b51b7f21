// The state of a shard as bytes, for checkpoints: whole, or what changed since the snapshot before it. BCS of
// ShardSnapshot. Private to this room: the public face is Shard::take_whole, take_changes and load.
//
// Everything that Shard::digest covers is in it, so that a shard that is loaded has the same digest and goes on as the
// one it was taken from. Lists ascend and name nothing twice: a state has one whole snapshot. Signatures of votes are
// not in it, as they are not in the log.
#pragma once

#include "shard/state.h"

namespace zef::shard {

inline constexpr std::uint16_t snapshot_version = 1;

struct AccountSnapshot {
  Uid uid;
  std::optional<PublicKey> owner;
  bool closed = false;
  Balance balance = 0;
  SequenceNumber next;
  Hash head;
  ReceivedSet received;
  std::optional<Request> pending;
  std::uint64_t executed_before = 0;      // so many fingerprints stand in earlier snapshots; 0 in a whole one
  std::vector<Fingerprint> fingerprints;  // of the requests at executed_before and after
  static constexpr auto fields =
      codec::fields<&AccountSnapshot::uid, &AccountSnapshot::owner, &AccountSnapshot::closed, &AccountSnapshot::balance,
                    &AccountSnapshot::next, &AccountSnapshot::head, &AccountSnapshot::received,
                    &AccountSnapshot::pending, &AccountSnapshot::executed_before, &AccountSnapshot::fingerprints>;
};

struct InstanceSnapshot {
  InstanceState state;  // its UID is in the request that started it
  bool conflicted = false;
  static constexpr auto fields = codec::fields<&InstanceSnapshot::state, &InstanceSnapshot::conflicted>;
};

// One queue, with all that waits in it.
struct OutboxSnapshot {
  ShardId destination;
  std::uint64_t first = 0;
  std::vector<SentEffect> effects;  // CertifiedEffect::proof: index into ShardSnapshot::proofs
  static constexpr auto fields =
      codec::fields<&OutboxSnapshot::destination, &OutboxSnapshot::first, &OutboxSnapshot::effects>;
};

struct ShardSnapshot {
  std::uint16_t version = snapshot_version;
  bool whole = true;
  NetworkId network;
  ShardId shard;
  Totals totals;
  Balance fees_queued = 0;
  std::vector<AccountSnapshot> accounts;
  std::vector<InstanceSnapshot> instances;
  std::vector<Proof> proofs;
  std::vector<OutboxSnapshot> outboxes;
  std::vector<std::pair<ShardId, std::uint64_t>> marks;
  std::vector<std::pair<std::pair<Uid, ShardId>, Balance>> fee_totals;  // all, always: few shards have any
  std::vector<std::pair<Uid, SequenceNumber>> conflicts;                // all, always
  static constexpr auto fields =
      codec::fields<&ShardSnapshot::version, &ShardSnapshot::whole, &ShardSnapshot::network, &ShardSnapshot::shard,
                    &ShardSnapshot::totals, &ShardSnapshot::fees_queued, &ShardSnapshot::accounts,
                    &ShardSnapshot::instances, &ShardSnapshot::proofs, &ShardSnapshot::outboxes, &ShardSnapshot::marks,
                    &ShardSnapshot::fee_totals, &ShardSnapshot::conflicts>;
};

}  // namespace zef::shard
