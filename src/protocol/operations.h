// What an owner asks of an account: operations, requests, signed orders (docs/protocol.md, section 2).
//
// Limits that are part of a type are kept by its decoder; everything else of R1 stands in request_rules.h.
#pragma once

#include "protocol/types.h"

namespace zef::protocol {

inline constexpr std::size_t request_bytes_max = 8 * 1024;

struct Payment {
  Address recipient;
  Amount amount;
  codec::Bounded<std::uint8_t, 0, 64> memo;
  friend bool operator==(const Payment&, const Payment&) = default;
  static constexpr auto fields = codec::fields<&Payment::recipient, &Payment::amount, &Payment::memo>;
};

struct Transfer {
  codec::Bounded<Payment, 1, 256> payments;
  friend bool operator==(const Transfer&, const Transfer&) = default;
  static constexpr auto fields = codec::fields<&Transfer::payments>;
};

struct OpenAccount {
  Uid new_id;
  PublicKey new_owner;
  Amount funding;
  friend bool operator==(const OpenAccount&, const OpenAccount&) = default;
  static constexpr auto fields = codec::fields<&OpenAccount::new_id, &OpenAccount::new_owner, &OpenAccount::funding>;
};

struct ChangeOwner {
  PublicKey new_owner;
  friend bool operator==(const ChangeOwner&, const ChangeOwner&) = default;
  static constexpr auto fields = codec::fields<&ChangeOwner::new_owner>;
};

struct CloseAccount {
  friend bool operator==(const CloseAccount&, const CloseAccount&) = default;
  static constexpr auto fields = codec::fields<>;
};

struct Skip {
  friend bool operator==(const Skip&, const Skip&) = default;
  static constexpr auto fields = codec::fields<>;
};

struct AtomicSwap {
  friend bool operator==(const AtomicSwap&, const AtomicSwap&) = default;
  static constexpr auto fields = codec::fields<>;
};

struct Leg {
  Uid from;
  Uid recipient;
  Amount amount;
  friend bool operator==(const Leg&, const Leg&) = default;
  static constexpr auto fields = codec::fields<&Leg::from, &Leg::recipient, &Leg::amount>;
};

struct AtomicPayments {
  codec::Bounded<Leg, 1, 256> legs;
  friend bool operator==(const AtomicPayments&, const AtomicPayments&) = default;
  static constexpr auto fields = codec::fields<&AtomicPayments::legs>;
};

using Functionality = std::variant<AtomicSwap, AtomicPayments>;

struct Participant {
  Uid account;
  SequenceNumber sequence_number;
  friend bool operator==(const Participant&, const Participant&) = default;
  static constexpr auto fields = codec::fields<&Participant::account, &Participant::sequence_number>;
};

struct StartInstance {
  Uid new_id;
  Functionality functionality;
  codec::Bounded<Participant, 2, 16> accounts;
  friend bool operator==(const StartInstance&, const StartInstance&) = default;
  static constexpr auto fields =
      codec::fields<&StartInstance::new_id, &StartInstance::functionality, &StartInstance::accounts>;
};

struct LockInto {
  Uid instance;
  PublicKey delegate;
  friend bool operator==(const LockInto&, const LockInto&) = default;
  static constexpr auto fields = codec::fields<&LockInto::instance, &LockInto::delegate>;
};

using Operation = std::variant<Transfer, OpenAccount, ChangeOwner, CloseAccount, Skip, StartInstance, LockInto>;

// What an owner signs, and nothing else.
struct Request {
  Epoch epoch;
  Uid account;
  SequenceNumber sequence_number;
  Hash previous;  // the account's head: links every operation to the genesis
  Operation operation;
  friend bool operator==(const Request&, const Request&) = default;
  static constexpr auto fields = codec::fields<&Request::epoch, &Request::account, &Request::sequence_number,
                                               &Request::previous, &Request::operation>;
};

// The length of BCS(request), counted without encoding it: limits and fees need it for every request.
[[nodiscard]] std::size_t encoded_size(const Request& request);

}  // namespace zef::protocol
