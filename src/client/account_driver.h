// One account and its key: makes, signs and finishes its operations, one at a time, over a QuorumDriver. The wallet is
// this plus a storage that survives crashes; load generators use it without.
//
// Invariant: an order is saved before it is sent, and never are two different requests signed for one sequence number.
// An operation begins by finishing the pending one. A request that validators refuse after it was signed stays pending
// (nobody can know that it will never be certified); amounts are checked against a quorum's balance before signing, so
// this is rare.
//
// A LockInto stays pending until its instance has decided: then the derived request takes its place (docs/protocol.md,
// L2), made by whoever executes the decision. Thread rule: the executor's thread; the driver and storage outlive it.
#pragma once

#include <deque>
#include <optional>

#include "client/quorum_driver.h"
#include "crypto/keys.h"

namespace zef::client {

struct ChainState {
  Uid account;
  PublicKey owner;
  SequenceNumber next;
  Hash head;
  // What is known to be there at least: proven by more than f weight, less what was spent since. A refresh raises it.
  Balance balance = 0;
  bool closed = false;
  // Compared with the network at least once: a key that comes from elsewhere may have signed already.
  bool synced = false;
  friend bool operator==(const ChainState&, const ChainState&) = default;
};
// A genesis account before its first operation; `synced` only if nobody can have used its key yet.
[[nodiscard]] ChainState genesis_chain(const Genesis& genesis, const Network& network, std::uint64_t index,
                                       bool synced = false);
// The chain after this request.
[[nodiscard]] ChainState chain_after(const Network& network, ChainState chain, const Request& request);
// Amounts, funding and fee.
[[nodiscard]] Balance cost_of(const Network& network, const Request& request);

// Where orders and certificates survive a crash. What a task saved is durable when it returns; what it did not save
// has not happened.
class AccountStorage {
 public:
  virtual ~AccountStorage() = default;
  // Fails (refused) if another request of this account was saved for the same number.
  virtual Task<Result<void>> save_order(RequestOrder order) = 0;
  // The pending order was certified; the chain is `after` from now on (whether or not it was executed anywhere).
  virtual Task<Result<void>> save_certified(Proof proof, SequenceNumber at, ChainState after) = 0;
  // A quorum has executed it.
  virtual Task<Result<void>> save_executed(Uid account, SequenceNumber at) = 0;
  // The pending order, a LockInto, was certified: the account waits for its instance. A storage that keeps no locks can
  // get the certificate again.
  virtual Task<Result<void>> save_lock(Certificate lock);
  // The chain as the network has it. A pending order below `chain.next` can never be certified (I1) and is over.
  virtual Task<Result<void>> save_chain(ChainState chain) = 0;
};

// An operation that a quorum has executed.
struct Completed {
  Request request;
  Proof proof;  // with its certificate
  Amount fee;
  std::vector<ValidatorIndex> acknowledged;
};

class AccountDriver {
 public:
  // `storage` may be null: nothing survives. Without a key it can finish what was signed before, and nothing else.
  AccountDriver(QuorumDriver& quorum, ChainState chain, std::optional<crypto::SigningKey> key,
                AccountStorage* storage = nullptr);
  AccountDriver(const AccountDriver&) = delete;
  AccountDriver& operator=(const AccountDriver&) = delete;

  [[nodiscard]] const Uid& uid() const { return chain_.account; }
  [[nodiscard]] const ChainState& chain() const { return chain_; }
  [[nodiscard]] bool has_key() const { return key_.has_value(); }
  [[nodiscard]] bool owned() const { return key_ && chain_.owner == key_->public_key(); }
  // Sent, and not known to be executed by a quorum.
  [[nodiscard]] const std::optional<RequestOrder>& pending() const { return pending_; }
  [[nodiscard]] bool busy() const { return busy_; }
  // The instance that the account is being locked into, or is: nothing else can be done with it until settle().
  [[nodiscard]] std::optional<Uid> locked_into() const;
  [[nodiscard]] const std::optional<Certificate>& lock() const { return lock_; }

  // After a crash: what was saved and is not known to be executed, with its certificate if that was saved (the chain
  // given to the constructor is then the one after it), and the key that it hands the account to, if that is known.
  void restore(RequestOrder pending, std::optional<Proof> proof, std::optional<crypto::SigningKey> next_key);
  // Likewise: the Lock certificate of the pending order.
  void restore_lock(Certificate lock) {
    if (pending_lock()) lock_ = std::move(lock);
  }

  // Signs, saves, gets the certificate, has it executed by a quorum. Concurrent calls run one after the other.
  [[nodiscard]] Task<Outcome<Completed>> run(Operation operation);
  [[nodiscard]] Task<Outcome<Completed>> transfer(std::vector<Payment> payments);
  // Opens an account owned by `owner`; its UID stands in the result's request.
  [[nodiscard]] Task<Outcome<Completed>> open(PublicKey owner, Amount funding);
  // Hands the account to a new key that signs from then on. The caller keeps the new key safe *before* calling.
  [[nodiscard]] Task<Outcome<Completed>> rotate(crypto::SigningKey new_key);
  // Refuses (invalid) if a quorum shows a balance that would be destroyed, unless told so.
  [[nodiscard]] Task<Outcome<Completed>> close(bool burn_balance);
  // As run, but the certificate is not executed: whoever gets it may do that (or the next run does).
  [[nodiscard]] Task<Outcome<Proof>> certify(Operation operation);
  // Starts an instance among these accounts; if this one is among them, its number is the one after the start.
  [[nodiscard]] Task<Outcome<Completed>> start_instance(Functionality functionality, std::vector<Participant> accounts);
  // Locks the account, at this number, into the instance that `start` proves. Repeated: the same lock. The caller keeps
  // the delegate's key safe before calling.
  [[nodiscard]] Task<Outcome<Certificate>> lock_into(Uid instance, SequenceNumber number, PublicKey delegate,
                                                     Proof start);
  // What the instance decided for this account (decided_proof()): the chain goes on with it, executed by a quorum.
  [[nodiscard]] Task<Outcome<ExecutionSummary>> settle(Proof proof);
  // Finishes what is pending; nothing is no failure. Of a lock: only its certificate, the rest is the instance's.
  [[nodiscard]] Task<Outcome<void>> finish_pending();
  // Asks the validators how the account stands and adopts it.
  [[nodiscard]] Task<Outcome<AccountSummary>> refresh();

 private:
  class Turn;
  Task<Turn> take_turn();
  void end_turn();
  // All below: inside of a turn.
  Task<Outcome<void>> prepare();  // finishes what is pending; compares with the network if that was never done
  Task<Outcome<Completed>> run_prepared(Operation operation);
  Task<Outcome<void>> sign_and_save(Operation operation, std::optional<Proof> start = std::nullopt);
  Task<Outcome<void>> certify_pending();
  Task<Outcome<void>> settle_refused(Failure why);
  Task<Outcome<ExecutionSummary>> execute_pending();
  Task<Outcome<AccountSummary>> adopt_network();
  Task<Outcome<void>> adopt_certified(Proof proof);
  Task<Outcome<void>> check_against_rules(Request request, const Request* start);
  // Of the pending request's number in this proof, if it may have been executed in its place; nullptr: another one.
  [[nodiscard]] const Request* find_ours(const ProvenRequests& requests) const;
  [[nodiscard]] bool pending_lock() const { return locked_into().has_value(); }
  void forget_pending() {
    pending_.reset();
    proof_.reset();
    lock_.reset();
  }
  [[nodiscard]] Request make_request(Operation operation) const;

  QuorumDriver& quorum_;
  ChainState chain_;
  std::optional<crypto::SigningKey> key_;
  std::optional<crypto::SigningKey> next_key_;
  AccountStorage* storage_;
  std::optional<RequestOrder> pending_;
  std::optional<Proof> proof_;       // of pending_; the chain is the one after it
  std::optional<Certificate> lock_;  // of pending_, a LockInto that is not decided
  bool busy_ = false;
  std::deque<std::weak_ptr<Event>> waiting_;
};

}  // namespace zef::client
