// From one request to a certificate and its execution by a quorum, over all validators at once (docs/protocol.md,
// section 7). It holds no keys and no chain: account_driver.h does.
//
// A validator that lags is brought up to date with proofs: of this account, of the accounts whose credits it lacks, of
// the parents up to one that it knows. Votes for another value, bad signatures and answers that are none are dropped
// and counted; no single validator is believed, and none can hold up a quorum of the others. What is not finished when
// a quorum has executed goes on in the background: per validator a bounded list of accounts that it has to hear about
// (the newest proof each), worked through by a few tasks, given up a bounded time after the last success and taken up
// again with the next operation.
//
// Thread rule: the executor's thread. Tasks of a driver must not outlive it.
#pragma once

#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/task.h"
#include "client/validator_connection.h"

namespace zef::client {

struct DriverOptions {
  Duration operation_time_max = std::chrono::seconds(30);    // submit() and execute(), each
  Duration answer_time_max = std::chrono::seconds(10);       // one question
  Duration query_time_max = std::chrono::seconds(5);         // query_account() and pages
  Duration straggler_time = std::chrono::milliseconds(250);  // queries: how long to wait for the rest after a quorum
  Duration retry_delay_min = std::chrono::milliseconds(20);  // doubles
  Duration retry_delay_max = std::chrono::seconds(1);
  Duration effect_time_max = std::chrono::seconds(5);       // for an effect to travel inside a validator brought up
  Duration credit_time_max = std::chrono::seconds(1);       // for a credit that some validators have already
  Duration background_time_max = std::chrono::seconds(60);  // since the last success with that validator
  std::size_t background_accounts_max = 65536;              // per validator
  std::size_t background_tasks_max = 8;                     // per validator
  std::uint32_t page_limit = 256;                           // proofs or credits asked for at once
  std::size_t catch_up_credits_max = 100'000;               // compared when a validator lacks funds, newest first
  std::size_t root_cache_entries = 16384;                   // of verified batch roots
  net::RpcClientOptions rpc;
};

struct DriverCounters {
  std::uint64_t certificates = 0;        // made
  std::uint64_t executions = 0;          // acknowledged by a quorum
  std::uint64_t votes_dropped = 0;       // for another value, or badly signed
  std::uint64_t proofs_uploaded = 0;     // to validators that lagged
  std::uint64_t background_done = 0;     // accounts brought up to date after a quorum had executed
  std::uint64_t background_dropped = 0;  // forgotten: too many
};

// What a quorum is known to have executed.
struct ExecutionSummary {
  Uid account;
  SequenceNumber next;                       // after the last request of the proof
  Hash head;                                 // hash of that request
  std::vector<ValidatorIndex> acknowledged;  // at the moment when the quorum was complete
};

// What several validators say about an account.
struct AccountSummary {
  Uid account;
  // Of the highest `next` for which validators of more than f weight gave equal signed answers:
  std::optional<PublicKey> owner;
  SequenceNumber next;
  Hash head;
  bool closed = false;
  // The highest balance that a quorum of the committee has at least: validators that did not answer, or do not know the
  // account, count as lowest. {3,4,4,4} -> 4, {0,3,4,4} -> 3, {0,3,4} of three -> 0; nothing without a quorum.
  Balance balance = 0;
  // The highest balance that validators of more than f weight, all of them at `next` or beyond, have at least: one of
  // them is honest, so certified requests put it there, and whoever lags can be brought up to date.
  Balance proven_balance = 0;
  std::optional<Hash> pending;                                   // a request that more than f weight voted on at `next`
  std::vector<std::pair<ValidatorIndex, AccountState>> answers;  // all that were valid
};

// A credit and the certified request behind it.
struct CertifiedCredit {
  ReceivedCredit credit;
  Proof proof;  // of one request, or the shortest that a validator had
};

// Where proofs are looked for before validators are asked: a wallet's own certificates.
class ProofSource {
 public:
  virtual ~ProofSource() = default;
  // A proof that vouches for this request, if there is one here.
  [[nodiscard]] virtual std::optional<Proof> find_proof(const Uid& account, SequenceNumber at) = 0;
};

class QuorumDriver {
 public:
  // One address per validator, in the order of the committee. The network, transport, rng and source outlive it.
  QuorumDriver(Executor& executor, Rng& rng, net::Transport& transport, const Network& network,
               const std::vector<net::Address>& addresses, DriverOptions options = {});
  QuorumDriver(const QuorumDriver&) = delete;
  QuorumDriver& operator=(const QuorumDriver&) = delete;
  ~QuorumDriver();

  void set_proof_source(ProofSource* source);  // nullptr: none

  [[nodiscard]] Executor& executor() const;
  [[nodiscard]] Rng& rng() const;
  [[nodiscard]] const Network& network() const;
  [[nodiscard]] const DriverOptions& options() const;
  [[nodiscard]] const DriverCounters& counters() const;
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] ValidatorConnection& validator(std::size_t index);

  // A quorum of votes for this order's request. Fails with what validators of more than f weight agree on, as soon as
  // they do; with `unavailable` when time is over.
  [[nodiscard]] Task<Outcome<Certificate>> submit(RequestOrder order);
  // Executed by a quorum: the signed states say so. Repeating it is harmless. The rest goes on in the background.
  [[nodiscard]] Task<Outcome<ExecutionSummary>> execute(Proof proof);
  [[nodiscard]] Task<Outcome<ExecutionSummary>> execute(Certificate certificate);  // of a Confirm

  // Fails with not_found if more than f weight does not know the account and no quorum does, or `unavailable`.
  [[nodiscard]] Task<Outcome<AccountSummary>> query_account(Uid account);
  // Verified proofs of requests from..(to - 1), ascending and linked; fewer if no validator has more.
  [[nodiscard]] Task<Outcome<std::vector<Proof>>> fetch_executed(Uid account, SequenceNumber from, SequenceNumber to);
  // A verified proof that vouches for that request (certificate retrievable): not_found if nobody has it.
  [[nodiscard]] Task<Outcome<Proof>> fetch_proof(Uid account, SequenceNumber at);
  // What a credit says is checked against its sender's certificate; refused with `invalid` if they differ.
  [[nodiscard]] Task<Outcome<CertifiedCredit>> certify_credit(Uid recipient, ReceivedCredit credit);

  // Brings all validators as far as the best of them with this account (and, as needed, its parents); what remains
  // unreachable is counted in the result: how many validators agree in the end.
  [[nodiscard]] Task<Outcome<std::size_t>> bring_up_to_date(Uid account);
  // Waits for the background work to end, at most `limit`; whether it did.
  [[nodiscard]] Task<bool> finish_background(Duration limit);
  [[nodiscard]] std::size_t background_accounts() const;  // waiting, over all validators

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace zef::client
