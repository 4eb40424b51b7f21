// A protocol instance as its participants drive it over all validators at once (docs/protocol.md, sections 6 and 7):
// looks at it, collects Lock certificates, and leads it to its decision. It keeps no state of its own between calls and
// holds no keys: whoever calls it again with the same keys goes on where the network stands (wallet.h).
//
// No validator is believed: what is known of an instance is what certificates in its answers prove, verified here. What
// validators tell of rounds and votes only chooses the next step. With a quorum reachable, drive() ends with a decision
// whatever other participants do: it takes the highest PreCommit certificate to everybody, proposes when its account
// may, and else ends the round by a Timeout certificate (L5).
//
// Thread rule: the executor's thread. The quorum driver outlives it; its tasks must not outlive it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "client/quorum_driver.h"
#include "crypto/keys.h"

namespace zef::client {

// What is proven of an instance, and what validators tell of it.
struct InstanceView {
  Uid instance;
  Proof start;  // vouches for the request that started it
  StartInstance terms;
  std::vector<std::optional<Certificate>> locks;  // Lock certificates by place
  std::optional<Certificate> precommit;           // of the highest round seen
  std::optional<Certificate> decided;             // a Commit certificate: the end
  // What each validator told last; believed for progress only.
  struct Position {
    Round round;
    std::optional<Decision> voted;  // in that round
  };
  std::map<ValidatorIndex, Position> positions;

  [[nodiscard]] bool all_locked() const;
  [[nodiscard]] std::optional<Decision> decision() const;
  // The place of an account; nothing: it does not take part.
  [[nodiscard]] std::optional<std::size_t> place_of(const Uid& account) const;
  // The round that more than f weight has reached.
  [[nodiscard]] Round round(const Network& network) const;
};

// The request that a decision executes in place of a lock, with its proof: Commit(Confirmed), or Commit(Aborted) with
// the account's Lock certificate. Nothing while undecided, or aborted without a known lock of that account.
[[nodiscard]] std::optional<Proof> decided_proof(const InstanceView& view, std::size_t place);
// The account whose ownership the one at `place` receives when a swap is confirmed.
[[nodiscard]] std::size_t received_place(const StartInstance& terms, std::size_t place);

enum class Wish { confirm, abort };

// The right to act for one account of an instance: its delegate key.
struct Delegate {
  Uid account;
  const crypto::SigningKey* key = nullptr;
};

class InstanceDriver {
 public:
  explicit InstanceDriver(QuorumDriver& quorum);
  ~InstanceDriver();
  InstanceDriver(const InstanceDriver&) = delete;
  InstanceDriver& operator=(const InstanceDriver&) = delete;

  // A verified proof of the request that starts the instance, from its creator's chain; not_found: nobody has it.
  [[nodiscard]] Task<Outcome<Proof>> start_proof(Uid instance);
  // Asks all validators; unavailable without answers of a quorum. Validators that do not know the instance count.
  [[nodiscard]] Task<Outcome<InstanceView>> query(Uid instance);
  // A Lock certificate for this order of LockInto, which carries the start's proof.
  [[nodiscard]] Task<Outcome<Certificate>> lock(RequestOrder order);
  // Shows Lock certificates to all validators (creating the instance where it is not known); done when a quorum has
  // them. The others follow in the background.
  [[nodiscard]] Task<Outcome<void>> show_locks(Uid instance, std::vector<Certificate> locks);

  // Leads the instance to its decision for these accounts (one at least, all locked: `locks` are their certificates,
  // which the network may not have seen yet). The view it returns is decided, and everybody who answers in time knows
  // the decision; or `unavailable` when `time` is over, with a sentence that says what is missing. May be repeated at
  // any time.
  [[nodiscard]] Task<Outcome<InstanceView>> drive(Uid instance, std::vector<Delegate> delegates,
                                                  std::vector<Certificate> locks, Wish wish, Duration time);

  // Executes the decision on all accounts whose locks are known, for those whose owners are gone; waits at most `time`.
  // How many accounts a quorum has executed it on.
  [[nodiscard]] Task<std::size_t> execute_all(InstanceView decided, Duration time);

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace zef::client
