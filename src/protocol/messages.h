// What clients and validators say to each other. On the wire: a frame is u64 request id, BCS(Query) one way, and the
// same id, BCS(Answer) the other way (net/rpc.h). The order of the alternatives is part of the wire format.
#pragma once

#include "protocol/refusal.h"

namespace zef::protocol {

// ---- what a client asks --------------------------------------------------------------------------------------------

struct SubmitOrder {  // -> Voted (rules R)
  RequestOrder order;
  static constexpr auto fields = codec::fields<&SubmitOrder::order>;
};
struct SubmitProof {  // -> AccountState once executed and durable (rules C)
  Proof proof;
  static constexpr auto fields = codec::fields<&SubmitProof::proof>;
};
struct QueryAccount {  // -> AccountState
  Uid account;
  FixedBytes<struct QueryNonceTag, 16> nonce;  // comes back in the signed answer: it is not an old one
  static constexpr auto fields = codec::fields<&QueryAccount::account, &QueryAccount::nonce>;
};
struct QueryExecuted {  // -> ExecutedPage: what the account executed, from a sequence number on
  Uid account;
  SequenceNumber from;
  std::uint32_t limit = 0;  // of proofs; the validator gives at most its own bound
  static constexpr auto fields = codec::fields<&QueryExecuted::account, &QueryExecuted::from, &QueryExecuted::limit>;
};
struct QueryReceived {  // -> ReceivedPage: credits that the account received, in this validator's own order
  Uid account;
  std::uint64_t from = 0;
  std::uint32_t limit = 0;
  static constexpr auto fields = codec::fields<&QueryReceived::account, &QueryReceived::from, &QueryReceived::limit>;
};
struct QueryNetwork {  // -> NetworkInfo
  static constexpr auto fields = codec::fields<>;
};
struct QueryTotals {  // -> Totals, summed over all workers of the validator
  static constexpr auto fields = codec::fields<>;
};
// Messages to an instance (rules L). Each may carry the proof of the request that started it.
struct SubmitProposal {  // -> Voted (PreCommit)
  Proposal proposal;
  PublicKey delegate;
  BatchSignature signature;                  // over Proposal
  codec::Bounded<Certificate, 1, 16> locks;  // the delegate's Lock certificate; for Confirmed those of all accounts
  std::optional<Certificate> carried;        // a PreCommit certificate, rule L4 (a)
  std::optional<Proof> start;                // creates the instance where it is not known yet
  static constexpr auto fields =
      codec::fields<&SubmitProposal::proposal, &SubmitProposal::delegate, &SubmitProposal::signature,
                    &SubmitProposal::locks, &SubmitProposal::carried, &SubmitProposal::start>;
};
struct SubmitInstanceCertificate {  // PreCommit -> Voted (Commit); Commit, Timeout -> InstanceState
  Uid instance;
  Certificate certificate;
  std::optional<Proof> start;
  static constexpr auto fields =
      codec::fields<&SubmitInstanceCertificate::instance, &SubmitInstanceCertificate::certificate,
                    &SubmitInstanceCertificate::start>;
};
struct AskTimeout {  // rule L5 -> Voted (Timeout)
  Uid instance;
  Round round;
  PublicKey delegate;
  BatchSignature signature;  // over AskedTimeout
  Certificate lock;
  std::optional<Proof> start;
  static constexpr auto fields = codec::fields<&AskTimeout::instance, &AskTimeout::round, &AskTimeout::delegate,
                                               &AskTimeout::signature, &AskTimeout::lock, &AskTimeout::start>;
};
struct ShowLocks {  // keeps Lock certificates for the other participants -> InstanceState
  Uid instance;
  codec::Bounded<Certificate, 1, 16> locks;
  std::optional<Proof> start;
  static constexpr auto fields = codec::fields<&ShowLocks::instance, &ShowLocks::locks, &ShowLocks::start>;
};
struct QueryInstance {  // -> InstanceState
  Uid instance;
  static constexpr auto fields = codec::fields<&QueryInstance::instance>;
};

using Query =
    std::variant<SubmitOrder, SubmitProof, QueryAccount, QueryExecuted, QueryReceived, QueryNetwork, QueryTotals,
                 SubmitProposal, SubmitInstanceCertificate, AskTimeout, QueryInstance, ShowLocks>;

// Those that change an instance.
using InstanceMessage = std::variant<SubmitProposal, SubmitInstanceCertificate, AskTimeout, ShowLocks>;
[[nodiscard]] const Uid& instance_of(const InstanceMessage& message);
[[nodiscard]] const std::optional<Proof>& start_of(const InstanceMessage& message);

// ---- what a validator answers --------------------------------------------------------------------------------------

struct Voted {
  Vote vote;
  static constexpr auto fields = codec::fields<&Voted::vote>;
};

// What a validator signs about an account.
struct AccountState {
  Uid account;
  std::optional<PublicKey> owner;
  Balance balance = 0;
  SequenceNumber next;
  Hash head;
  bool closed = false;
  std::optional<Hash> pending;                 // hash of the request it voted on at `next`
  std::uint64_t received = 0;                  // number of credits received so far: the end of QueryReceived
  FixedBytes<struct QueryNonceTag, 16> nonce;  // of the query; zeros in the answer to SubmitProof
  friend bool operator==(const AccountState&, const AccountState&) = default;
  static constexpr auto fields = codec::fields<&AccountState::account, &AccountState::owner, &AccountState::balance,
                                               &AccountState::next, &AccountState::head, &AccountState::closed,
                                               &AccountState::pending, &AccountState::received, &AccountState::nonce>;
};
struct SignedAccountState {
  AccountState state;
  ValidatorIndex validator;
  BatchSignature signature;  // over AccountState
  static constexpr auto fields =
      codec::fields<&SignedAccountState::state, &SignedAccountState::validator, &SignedAccountState::signature>;
};

struct ExecutedPage {
  std::vector<Proof> proofs;                // ascending, each continues the one before
  std::optional<SequenceNumber> more_from;  // where the next page starts
  static constexpr auto fields = codec::fields<&ExecutedPage::proofs, &ExecutedPage::more_from>;
};

// One credit: the payments of one request to one recipient, as one sum; its key is (sender, sequence number,
// recipient).
struct ReceivedCredit {
  Uid sender;
  SequenceNumber sequence_number;
  Amount amount;
  friend bool operator==(const ReceivedCredit&, const ReceivedCredit&) = default;
  static constexpr auto fields =
      codec::fields<&ReceivedCredit::sender, &ReceivedCredit::sequence_number, &ReceivedCredit::amount>;
};
struct ReceivedPage {
  std::vector<ReceivedCredit> credits;
  std::uint64_t next = 0;  // where the next page starts: from + credits.size()
  std::uint64_t total = 0;
  static constexpr auto fields = codec::fields<&ReceivedPage::credits, &ReceivedPage::next, &ReceivedPage::total>;
};

struct NetworkInfo {
  NetworkId network;
  ValidatorIndex validator;
  std::string version;
  static constexpr auto fields = codec::fields<&NetworkInfo::network, &NetworkInfo::validator, &NetworkInfo::version>;
};

// I4: balances + (caused - received) + (fees - fees_credited) + burned = genesis supply, at any consistent cut.
struct Totals {
  std::uint64_t accounts = 0;  // with a record of any kind, closed ones included
  Balance balances = 0;
  Balance burned = 0;
  Balance caused = 0;                 // by remote effects so far
  Balance received = 0;               // remote effects applied so far
  Balance fees = 0;                   // paid so far
  Balance fees_credited = 0;          // shares that reward accounts were credited
  std::uint64_t executed = 0;         // requests
  std::uint64_t effects_waiting = 0;  // not acknowledged yet
  std::uint64_t conflicts = 0;        // C5
  friend bool operator==(const Totals&, const Totals&) = default;
  static constexpr auto fields = codec::fields<&Totals::accounts, &Totals::balances, &Totals::burned, &Totals::caused,
                                               &Totals::received, &Totals::fees, &Totals::fees_credited,
                                               &Totals::executed, &Totals::effects_waiting, &Totals::conflicts>;
};

// Adds the figures of one shard or worker to a sum.
void add_to(Totals& sum, const Totals& more);

struct Refused {
  Refusal why;
  static constexpr auto fields = codec::fields<&Refused::why>;
};

using Answer =
    std::variant<Refused, Voted, SignedAccountState, ExecutedPage, ReceivedPage, NetworkInfo, Totals, InstanceState>;

}  // namespace zef::protocol

ZEF_CODEC_DECLARE(zef::protocol::Refusal);
ZEF_CODEC_DECLARE(zef::protocol::AccountState);
ZEF_CODEC_DECLARE(zef::protocol::Query);
ZEF_CODEC_DECLARE(zef::protocol::Answer);
