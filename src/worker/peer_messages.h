// What workers of one validator say to each other on the internal port (mutual TLS). The order of the alternatives is
// part of the wire format.
#pragma once

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

}  // namespace zef::worker

ZEF_CODEC_DECLARE(zef::worker::DeliverEffects);
ZEF_CODEC_DECLARE(zef::worker::DeliveryResults);
