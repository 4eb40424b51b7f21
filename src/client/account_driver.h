// One account and its key: makes, signs and finishes its operations, one at a time, over a QuorumDriver. The wallet is
// this plus a storage that survives crashes; load generators use it without.
//
// Invariant: an order is saved before it is sent, and never are two different requests signed for one sequence number.
// An operation begins by finishing the pending one. A request that validators refuse after it was signed stays pending
// (nobody can know that it will never be certified); amounts are checked against a quorum's balance before signing, so
// this is rare. Thread rule: the executor's thread; the driver and storage outlive it.
#pragma once

#include <deque>
#include <optional>

#include "client/quorum_driver.h"
#include "crypto/keys.h"

namespace zef::client {

struct ChainState {
  Uid account;
  SequenceNumber next;
  Hash head;
  // What is known to be there at least: of a quorum, less what was spent since. A refresh raises it.
  Balance balance = 0;
  bool closed = false;
  friend bool operator==(const ChainState&, const ChainState&) = default;
};
// A genesis account before its first operation.
[[nodiscard]] ChainState genesis_chain(const Genesis& genesis, const Network& network, std::uint64_t index);

// Where orders and certificates survive a crash. What a task saved is durable when it returns; what it did not save
// has not happened.
class AccountStorage {
 public:
  virtual ~AccountStorage() = default;
  // Fails (refused) if another request of this account was saved for the same number.
  virtual Task<Result<void>> save_order(RequestOrder order) = 0;
  // The pending order was certified; the chain is `after` from now on (whether or not it was executed anywhere).
  virtual Task<Result<void>> save_certified(Certificate certificate, ChainState after) = 0;
  // A quorum has executed it.
  virtual Task<Result<void>> save_executed(Uid account, SequenceNumber at) = 0;
  // The chain as the network has it: the pending order, if it is below `chain.next`, can never be certified.
  virtual Task<Result<void>> save_chain(ChainState chain) = 0;
};

// An operation that a quorum has executed.
struct Completed {
  Request request;
  Certificate certificate;
  Amount fee;
  std::vector<ValidatorIndex> acknowledged;
};

class AccountDriver {
 public:
  // `storage` may be null: nothing survives.
  AccountDriver(QuorumDriver& quorum, ChainState chain, crypto::SigningKey key, AccountStorage* storage = nullptr);
  AccountDriver(const AccountDriver&) = delete;
  AccountDriver& operator=(const AccountDriver&) = delete;
  ~AccountDriver();

  [[nodiscard]] const Uid& uid() const { return chain_.account; }
  [[nodiscard]] const ChainState& chain() const { return chain_; }
  [[nodiscard]] const PublicKey& public_key() const { return key_.public_key(); }
  [[nodiscard]] const std::optional<RequestOrder>& pending() const { return pending_; }
  // The number that the next operation will have, once what is pending is finished: an account opened by it is
  // uid().child(that). Right only while this driver is not running an operation.
  [[nodiscard]] SequenceNumber next_number() const;

  // After a crash: what was saved and is not known to be executed.
  void restore(RequestOrder pending, std::optional<Certificate> certificate);
  // The key to sign with from the next request on (after a ChangeOwner to it).
  void set_key(crypto::SigningKey key);

  // Signs, saves, gets the certificate, has it executed by a quorum. Concurrent calls run one after the other.
  [[nodiscard]] Task<Outcome<Completed>> run(Operation operation);
  [[nodiscard]] Task<Outcome<Completed>> transfer(std::vector<Payment> payments);
  // Opens an account owned by `owner`: its UID depends on the number at which the request runs.
  [[nodiscard]] Task<Outcome<Completed>> open(PublicKey owner, Amount funding);
  // Makes the new key sign from then on. The caller keeps the new key safe *before* calling.
  [[nodiscard]] Task<Outcome<Completed>> rotate(crypto::SigningKey new_key);
  // As run, but the certificate is not executed: whoever gets it may do that (or the next run does).
  [[nodiscard]] Task<Outcome<Certificate>> certify(Operation operation);
  // Finishes what is pending; nothing is no failure.
  [[nodiscard]] Task<Outcome<void>> finish_pending();
  // Asks the validators how the account stands and adopts it.
  [[nodiscard]] Task<Outcome<AccountSummary>> refresh();

 private:
  class Turn;
  Task<Turn> take_turn();
  Task<Outcome<Completed>> run_in_turn(Operation operation);
  Task<Outcome<void>> certify_in_turn(Operation operation);
  Task<Outcome<void>> sign_and_save(Operation operation);
  Task<Outcome<void>> certify_pending();
  Task<Outcome<void>> settle_pending(Failure why);
  Task<Outcome<ExecutionSummary>> execute_pending();
  Task<Outcome<AccountSummary>> refresh_in_turn();
  Task<Outcome<void>> check_affordable(Amount needed);
  void adopt_certified(const Request& request);

  QuorumDriver& quorum_;
  ChainState chain_;
  crypto::SigningKey key_;
  AccountStorage* storage_;
  std::optional<RequestOrder> pending_;
  std::optional<Certificate> certificate_;  // of pending_
  bool busy_ = false;
  std::deque<std::move_only_function<void(bool)>> waiting_;
};

}  // namespace zef::client
