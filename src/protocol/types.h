// Identifiers and quantities of the protocol (docs/protocol.md, section 1). Values only.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/strong.h"
#include "codec/bcs.h"
#include "crypto/types.h"

namespace zef::protocol {

using crypto::BatchSignature;
using crypto::Hash;
using crypto::PublicKey;
using crypto::Signature;

using NetworkId = FixedBytes<struct NetworkIdTag, 32>;  // SHA-256 of the BCS genesis

using Amount = Strong<struct AmountTag, std::uint64_t>;  // in the smallest unit
using Balance = __int128;                                // may be negative for a while on a validator that lags
using SequenceNumber = Strong<struct SequenceNumberTag, std::uint64_t, (1ULL << 63) - 1>;
// The largest number that a request can have: after it `next` is SequenceNumber::max, the account's end.
inline constexpr SequenceNumber sequence_number_last{SequenceNumber::max - 1};
using Epoch = Strong<struct EpochTag, std::uint64_t>;
using Round = Strong<struct RoundTag, std::uint32_t>;
using ValidatorIndex = Strong<struct ValidatorIndexTag, std::uint16_t>;  // place in the committee

// 10 bits of SHA-256(BCS(UID)), for ever; shards are never split.
using ShardId = Strong<struct ShardIdTag, std::uint16_t, 1023>;
inline constexpr std::size_t shard_count = 1024;

inline constexpr Epoch current_epoch{0};  // this version has one: a change of committee or fees is a new genesis

// Unique identifier of a replicated account or instance: 1 to 32 numbers. Genesis accounts are [0], [1], ...; a child
// is parent ++ [sequence number of the operation that created it]. Text form: "3/0/17".
class Uid {
 public:
  static constexpr std::size_t depth_max = 32;

  Uid() : parts_{0} {}
  explicit Uid(std::vector<std::uint64_t> parts);  // 1 to 32 of them
  static Uid genesis(std::uint64_t index) { return Uid({index}); }

  [[nodiscard]] const std::vector<std::uint64_t>& parts() const { return parts_; }
  [[nodiscard]] std::size_t depth() const { return parts_.size(); }
  // This account's child made at that sequence number; depth() < depth_max.
  [[nodiscard]] Uid child(SequenceNumber created_at) const;
  // Nothing for a genesis account.
  [[nodiscard]] std::optional<Uid> parent() const;

  [[nodiscard]] std::string text() const;
  static std::optional<Uid> parse(std::string_view text);

  void encode(codec::Writer& writer) const;
  static Uid decode(codec::Reader& reader);

  friend auto operator<=>(const Uid&, const Uid&) = default;

 private:
  std::vector<std::uint64_t> parts_;
};

[[nodiscard]] ShardId shard_of(const Uid& uid);

// Where a payment goes: nowhere (it is destroyed) or to an account.
struct Burn {
  friend auto operator<=>(const Burn&, const Burn&) = default;
  static constexpr auto fields = codec::fields<>;
};
struct Account {
  Uid uid;
  friend auto operator<=>(const Account&, const Account&) = default;
  static constexpr auto fields = codec::fields<&Account::uid>;
};
using Address = std::variant<Burn, Account>;

}  // namespace zef::protocol

template <>
struct std::hash<zef::protocol::Uid> {
  std::size_t operator()(const zef::protocol::Uid& uid) const;
};
