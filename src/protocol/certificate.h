// Values that validators vote on, votes, certificates and proofs (docs/protocol.md, sections 2 and 3).
#pragma once

#include "protocol/operations.h"

namespace zef::protocol {

inline constexpr std::size_t committee_size_max = 256;
inline constexpr std::size_t proof_requests_max = 256;  // never across a multiple of it

struct Confirmed {
  friend bool operator==(const Confirmed&, const Confirmed&) = default;
  static constexpr auto fields = codec::fields<>;
};
struct Aborted {
  friend bool operator==(const Aborted&, const Aborted&) = default;
  static constexpr auto fields = codec::fields<>;
};

using Decision = std::variant<Confirmed, Aborted>;

// A delegate's proposal to an instance (rules L3).
struct Proposal {
  Epoch epoch;
  Uid instance;
  Round round;
  Decision decision;
  friend bool operator==(const Proposal&, const Proposal&) = default;
  static constexpr auto fields =
      codec::fields<&Proposal::epoch, &Proposal::instance, &Proposal::round, &Proposal::decision>;
};

struct Confirm {
  Request request;
  friend bool operator==(const Confirm&, const Confirm&) = default;
  static constexpr auto fields = codec::fields<&Confirm::request>;
};
struct Lock {
  Request request;
  friend bool operator==(const Lock&, const Lock&) = default;
  static constexpr auto fields = codec::fields<&Lock::request>;
};
struct PreCommit {
  Epoch epoch;
  Proposal proposal;
  codec::Bounded<Request, 0, 16> requests;
  friend bool operator==(const PreCommit&, const PreCommit&) = default;
  static constexpr auto fields = codec::fields<&PreCommit::epoch, &PreCommit::proposal, &PreCommit::requests>;
};
struct Commit {
  Epoch epoch;
  Proposal proposal;
  codec::Bounded<Request, 0, 16> requests;
  friend bool operator==(const Commit&, const Commit&) = default;
  static constexpr auto fields = codec::fields<&Commit::epoch, &Commit::proposal, &Commit::requests>;
};
struct Timeout {
  Epoch epoch;
  Uid instance;
  Round round;
  friend bool operator==(const Timeout&, const Timeout&) = default;
  static constexpr auto fields = codec::fields<&Timeout::epoch, &Timeout::instance, &Timeout::round>;
};

// What a delegate signs to ask for a Timeout vote (rules L5).
struct AskedTimeout {
  Epoch epoch;
  Uid instance;
  Round round;
  friend bool operator==(const AskedTimeout&, const AskedTimeout&) = default;
  static constexpr auto fields = codec::fields<&AskedTimeout::epoch, &AskedTimeout::instance, &AskedTimeout::round>;
};

struct Value {
  std::variant<Confirm, Lock, PreCommit, Commit, Timeout> kind;
  friend bool operator==(const Value&, const Value&) = default;
  static constexpr auto fields = codec::fields<&Value::kind>;
};

struct Vote {
  Value value;
  ValidatorIndex validator;
  BatchSignature signature;  // over Value
  friend bool operator==(const Vote&, const Vote&) = default;
  static constexpr auto fields = codec::fields<&Vote::value, &Vote::validator, &Vote::signature>;
};

struct Certificate {
  Value value;
  // Validators strictly increasing. Never identify a certificate by its votes: many sets certify one value.
  codec::Bounded<std::pair<ValidatorIndex, BatchSignature>, 1, committee_size_max> votes;
  friend bool operator==(const Certificate&, const Certificate&) = default;
  static constexpr auto fields = codec::fields<&Certificate::value, &Certificate::votes>;
};

// Consecutive requests of one account and the certificate that vouches for them:
//   Confirm(r)             vouches for `earlier` and r, which follows them
//   Lock(r)                vouches for `earlier` only (at least one); r is not executed
//   Commit of Confirmed    vouches for `earlier` and the account's request among those it contains
//   Commit of Aborted      with `lock`, the account's Lock certificate: vouches for `earlier` and the derived Skip
// A certificate alone is the proof with empty `earlier`.
struct Proof {
  Uid account;                                             // first, so that a balancer routes without reading on
  codec::Bounded<Request, 0, proof_requests_max> earlier;  // linked by `previous`, ascending
  Certificate certificate;
  std::optional<Certificate> lock;
  friend bool operator==(const Proof&, const Proof&) = default;
  static constexpr auto fields = codec::fields<&Proof::account, &Proof::earlier, &Proof::certificate, &Proof::lock>;
};

// What an instance tells (rules L4). The certificates speak for themselves; the rest is believed for progress only.
struct InstanceState {
  Request start;  // its operation is StartInstance
  Round round;
  std::optional<Decision> voted;       // the one PreCommit decision that this validator voted for in `round`
  std::optional<Certificate> lock;     // a PreCommit certificate
  std::vector<Certificate> locks;      // the Lock certificates shown so far, in the order of the accounts
  std::optional<Certificate> decided;  // a Commit certificate: the end
  friend bool operator==(const InstanceState&, const InstanceState&) = default;
  static constexpr auto fields = codec::fields<&InstanceState::start, &InstanceState::round, &InstanceState::voted,
                                               &InstanceState::lock, &InstanceState::locks, &InstanceState::decided>;
};

// A request with its owner's signature, as a client sends it.
struct RequestOrder {
  Request request;
  PublicKey owner;
  BatchSignature signature;    // over Request
  std::optional<Proof> proof;  // for LockInto: of the request that started the instance
  friend bool operator==(const RequestOrder&, const RequestOrder&) = default;
  static constexpr auto fields =
      codec::fields<&RequestOrder::request, &RequestOrder::owner, &RequestOrder::signature, &RequestOrder::proof>;
};

}  // namespace zef::protocol

ZEF_CODEC_DECLARE(zef::protocol::Request);
ZEF_CODEC_DECLARE(zef::protocol::Value);
ZEF_CODEC_DECLARE(zef::protocol::Vote);
ZEF_CODEC_DECLARE(zef::protocol::Certificate);
ZEF_CODEC_DECLARE(zef::protocol::Proof);
ZEF_CODEC_DECLARE(zef::protocol::RequestOrder);
ZEF_CODEC_DECLARE(zef::protocol::InstanceState);
