// What a shard writes to the worker's log. Everything that changes a shard's state is one of these records, and
// replaying them in order gives the state again, bit for bit (Shard::replay). The order of the alternatives is part of
// the stored format.
#pragma once

#include "protocol/effects.h"
#include "protocol/genesis.h"
#include "protocol/messages.h"

namespace zef::shard {

using namespace protocol;  // the shard room speaks of nothing else

// The first record of a shard in a log: the worker begins (or takes over) at this epoch.
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

using Record =
    std::variant<Adopted, VoteMade, Executed, EffectsReceived, EffectsAcknowledged, FeeTotalsQueued, ConflictSeen>;

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
