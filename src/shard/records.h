// What a shard writes to the worker's log. Everything that changes a shard's state is one of these records, and
// replaying them in order gives the state again, bit for bit (Shard::replay). The order of the alternatives is part of
// the stored format.
#pragma once

#include "protocol/effects.h"
#include "protocol/genesis.h"
#include "protocol/messages.h"

namespace zef::shard {

using namespace protocol;  // the shard room speaks of nothing else

// The first record of a shard at an epoch: the worker begins, takes over, receives a move or cancels its own.
struct Adopted {
  std::uint64_t epoch = 0;
  static constexpr auto fields = codec::fields<&Adopted::epoch>;
};
// R7: the vote was made; at most one for each account and sequence number, ever.
struct VoteMade {
  Request request;
  static constexpr auto fields = codec::fields<&VoteMade::request>;
};
// C3: those requests of the proof that are at or above the account's `next` were executed; the remote effects they
// caused are implied.
struct Executed {
  Proof proof;
  static constexpr auto fields = codec::fields<&Executed::proof>;
};
// Effects first..first + effects.size() - 1 of a source shard were applied, in order.
struct EffectsReceived {
  ShardId source;
  std::uint64_t first = 0;
  std::vector<Effect> effects;
  static constexpr auto fields =
      codec::fields<&EffectsReceived::source, &EffectsReceived::first, &EffectsReceived::effects>;
};
// The destination shard has durably applied all effects below `up_to`.
struct EffectsAcknowledged {
  ShardId destination;
  std::uint64_t up_to = 0;
  static constexpr auto fields = codec::fields<&EffectsAcknowledged::destination, &EffectsAcknowledged::up_to>;
};
// The running totals of the fee shares were put into the outboxes, where they changed since last time.
struct FeeTotalsQueued {
  static constexpr auto fields = codec::fields<>;
};
// C5: proof of more than f Byzantine validators. Kept; nothing was executed.
struct ConflictSeen {
  Proof proof;
  static constexpr auto fields = codec::fields<&ConflictSeen::proof>;
};

// L1: the request that starts an instance was shown before the effect of its creation arrived.
struct InstanceShown {
  Request start;
  static constexpr auto fields = codec::fields<&InstanceShown::start>;
};
// L4: what changed of an instance. `round`, `voted` and `lock` as they are from now on (`lock`: only if it is another
// one), `shown`: Lock certificates that were not known yet, in the order of their accounts.
struct InstanceChanged {
  Uid instance;
  Round round;
  std::optional<Decision> voted;
  std::optional<Certificate> lock;
  std::vector<Certificate> shown;
  std::optional<Certificate> decided;
  static constexpr auto fields =
      codec::fields<&InstanceChanged::instance, &InstanceChanged::round, &InstanceChanged::voted,
                    &InstanceChanged::lock, &InstanceChanged::shown, &InstanceChanged::decided>;
};
// A second decision, against the first: proof of more than f Byzantine validators. Kept; the first one stands.
struct InstanceConflictSeen {
  Uid instance;
  Certificate certificate;
  static constexpr auto fields = codec::fields<&InstanceConflictSeen::instance, &InstanceConflictSeen::certificate>;
};

// The last record of a shard at an epoch: its worker gives it to another one, in the state of this digest
// (Shard::digest). Nothing follows but what begins at another epoch.
struct HandedOff {
  Hash digest;
  static constexpr auto fields = codec::fields<&HandedOff::digest>;
};

using Record = std::variant<Adopted, VoteMade, Executed, EffectsReceived, EffectsAcknowledged, FeeTotalsQueued,
                            ConflictSeen, InstanceShown, InstanceChanged, InstanceConflictSeen, HandedOff>;

// ---- between workers ------------------------------------------------------------------------------------------------

// An effect on its way: its place in a certified request that the batch carries a proof of, or a fee total (which has
// no certificate: it speaks for the validator's own bookkeeping only).
struct CertifiedEffect {
  std::uint32_t proof = 0;  // index into EffectBatch::proofs
  SequenceNumber sequence_number;
  std::uint32_t ordinal = 0;  // in effects_of(request)
  static constexpr auto fields =
      codec::fields<&CertifiedEffect::proof, &CertifiedEffect::sequence_number, &CertifiedEffect::ordinal>;
};
using SentEffect = std::variant<CertifiedEffect, FeeTotal>;

// Effects first, first + 1, ... from one shard to another; each proof is carried once.
struct EffectBatch {
  ShardId source;
  ShardId destination;
  std::uint64_t first = 0;
  std::vector<SentEffect> effects;
  std::vector<Proof> proofs;
  static constexpr auto fields = codec::fields<&EffectBatch::source, &EffectBatch::destination, &EffectBatch::first,
                                               &EffectBatch::effects, &EffectBatch::proofs>;
};

}  // namespace zef::shard

ZEF_CODEC_DECLARE(zef::shard::Record);
ZEF_CODEC_DECLARE(zef::shard::EffectBatch);
