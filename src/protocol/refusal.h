// Why a validator says no, with what the client needs to go on (docs/protocol.md, sections 4 and 5). The order of the
// alternatives is part of the wire format.
#pragma once

#include "protocol/certificate.h"

namespace zef::protocol {

struct Malformed {
  std::string why;
  friend bool operator==(const Malformed&, const Malformed&) = default;
  static constexpr auto fields = codec::fields<&Malformed::why>;
};  // R1
struct WrongEpoch {
  Epoch current;
  friend bool operator==(const WrongEpoch&, const WrongEpoch&) = default;
  static constexpr auto fields = codec::fields<&WrongEpoch::current>;
};  // R1
struct InactiveAccount {
  Uid account;
  friend bool operator==(const InactiveAccount&, const InactiveAccount&) = default;
  static constexpr auto fields = codec::fields<&InactiveAccount::account>;
};  // R2, C2
struct AccountClosed {
  SequenceNumber next;
  Hash head;
  friend bool operator==(const AccountClosed&, const AccountClosed&) = default;
  static constexpr auto fields = codec::fields<&AccountClosed::next, &AccountClosed::head>;
};  // R2
struct InvalidOwner {
  friend bool operator==(const InvalidOwner&, const InvalidOwner&) = default;
  static constexpr auto fields = codec::fields<>;
};  // R3
struct InvalidSignature {
  friend bool operator==(const InvalidSignature&, const InvalidSignature&) = default;
  static constexpr auto fields = codec::fields<>;
};  // R3
struct UnexpectedSequenceNumber {
  SequenceNumber expected;
  friend bool operator==(const UnexpectedSequenceNumber&, const UnexpectedSequenceNumber&) = default;
  static constexpr auto fields = codec::fields<&UnexpectedSequenceNumber::expected>;
};  // R4
struct UnexpectedPrevious {
  Hash head;
  friend bool operator==(const UnexpectedPrevious&, const UnexpectedPrevious&) = default;
  static constexpr auto fields = codec::fields<&UnexpectedPrevious::head>;
};  // R4
struct PreviousRequestPending {
  Request pending;
  friend bool operator==(const PreviousRequestPending&, const PreviousRequestPending&) = default;
  static constexpr auto fields = codec::fields<&PreviousRequestPending::pending>;
};  // R5
struct InsufficientFunds {
  Balance balance;
  Balance needed;
  friend bool operator==(const InsufficientFunds&, const InsufficientFunds&) = default;
  static constexpr auto fields = codec::fields<&InsufficientFunds::balance, &InsufficientFunds::needed>;
};  // R6
struct InvalidOperation {
  std::string why;
  friend bool operator==(const InvalidOperation&, const InvalidOperation&) = default;
  static constexpr auto fields = codec::fields<&InvalidOperation::why>;
};  // R6
struct InvalidCertificate {
  std::string why;
  friend bool operator==(const InvalidCertificate&, const InvalidCertificate&) = default;
  static constexpr auto fields = codec::fields<&InvalidCertificate::why>;
};  // C1
struct MissingOperations {
  SequenceNumber next;
  friend bool operator==(const MissingOperations&, const MissingOperations&) = default;
  static constexpr auto fields = codec::fields<&MissingOperations::next>;
};  // C2
struct ConflictingCertificate {
  SequenceNumber sequence_number;
  friend bool operator==(const ConflictingCertificate&, const ConflictingCertificate&) = default;
  static constexpr auto fields = codec::fields<&ConflictingCertificate::sequence_number>;
};  // C5
struct NotSupportedYet {
  std::string what;
  friend bool operator==(const NotSupportedYet&, const NotSupportedYet&) = default;
  static constexpr auto fields = codec::fields<&NotSupportedYet::what>;
};
struct NotFound {
  friend bool operator==(const NotFound&, const NotFound&) = default;
  static constexpr auto fields = codec::fields<>;
};
// The three below come from the house, not from the rules: the client tries again.
struct Overloaded {
  std::uint32_t retry_after_ms = 0;
  friend bool operator==(const Overloaded&, const Overloaded&) = default;
  static constexpr auto fields = codec::fields<&Overloaded::retry_after_ms>;
};
struct Unavailable {
  std::string why;
  friend bool operator==(const Unavailable&, const Unavailable&) = default;
  static constexpr auto fields = codec::fields<&Unavailable::why>;
};
struct Moved {
  ShardId shard;
  friend bool operator==(const Moved&, const Moved&) = default;
  static constexpr auto fields = codec::fields<&Moved::shard>;
};  // worker to balancer: not mine

// L3 to L6: the message does not fit the state of the instance, which comes along so that the client can go on.
struct InstanceRefused {
  std::string why;
  std::uint32_t retry_after_ms = 0;  // L5: the round is too young for a Timeout vote; 0: nothing to wait for
  InstanceState state;
  friend bool operator==(const InstanceRefused&, const InstanceRefused&) = default;
  static constexpr auto fields =
      codec::fields<&InstanceRefused::why, &InstanceRefused::retry_after_ms, &InstanceRefused::state>;
};

using Refusal = std::variant<Malformed, WrongEpoch, InactiveAccount, AccountClosed, InvalidOwner, InvalidSignature,
                             UnexpectedSequenceNumber, UnexpectedPrevious, PreviousRequestPending, InsufficientFunds,
                             InvalidOperation, InvalidCertificate, MissingOperations, ConflictingCertificate,
                             NotSupportedYet, NotFound, Overloaded, Unavailable, Moved, InstanceRefused>;

// One sentence for people: what happened and what to do.
[[nodiscard]] std::string describe(const Refusal& refusal);

// For rules: nothing, or why not.
template <class T = void>
using Ruled = std::expected<T, Refusal>;
template <class R>
[[nodiscard]] std::unexpected<Refusal> refuse(R&& refusal) {
  return std::unexpected<Refusal>(std::forward<R>(refusal));
}

}  // namespace zef::protocol
