// An instance as its participants see it: what they sign and what a quorum certifies for them (rules L), for tests and
// benchmarks of this and higher rooms.
//
//   Chain alice(net, 0), bob(net, 1);
//   Agreement swap(net, alice, {&alice, &bob});           // [0] starts it, [0] and [1] take part
//   swap.lock_order(1);                                   // bob's order, with the proof of the start
//   swap.propose(Round(0), Confirmed{}, 1);               // bob's delegate proposes
//   swap.show(swap.commit(Round(0), Confirmed{}));        // a quorum decided
//   swap.proof(0, Confirmed{});                           // executes alice's part
#pragma once

#include <functional>

#include "protocol/instance_rules.h"
#include "protocol/testing/fixture.h"

namespace zef::protocol::testing {

class Agreement {
 public:
  using Certify = std::function<Certificate(const Value&)>;  // the default: net.certificate

  // `starter` starts the instance at its next number and moves on; the participants lock at their next numbers, but do
  // not move before execute(). The network must outlive this, the chains its constructor and execute().
  // `delegates`: the seed of the first delegate's key.
  Agreement(const TestNetwork& net, Chain& starter, std::vector<Chain*> participants,
            Functionality functionality = AtomicSwap{}, std::uint64_t delegates = 7000, Certify certify = {});

  [[nodiscard]] const Uid& uid() const { return terms().new_id; }
  [[nodiscard]] const Request& start() const { return start_; }
  [[nodiscard]] const StartInstance& terms() const { return started_by(start_); }
  [[nodiscard]] Proof start_proof() const;
  [[nodiscard]] std::size_t size() const { return locks_.size(); }
  [[nodiscard]] const crypto::SigningKey& delegate(std::size_t place) const { return delegates_.at(place); }

  [[nodiscard]] const Request& lock_request(std::size_t place) const { return locks_.at(place); }
  [[nodiscard]] RequestOrder lock_order(std::size_t place) const;  // by the account's owner, with the start's proof
  [[nodiscard]] Certificate lock(std::size_t place) const;
  [[nodiscard]] std::vector<Certificate> all_locks() const;

  // What is executed in place of the lock.
  [[nodiscard]] Request derived(std::size_t place, const Decision& decision) const;
  // Executes it: with the Commit certificate and, if aborted, the account's Lock. `earlier` are the requests before it.
  [[nodiscard]] Proof proof(std::size_t place, const Decision& decision, std::span<const Request> earlier = {},
                            Round round = Round(0)) const;
  // Vouches for `earlier`, by the Lock certificate that follows them.
  [[nodiscard]] Proof proof_by_lock(std::size_t place, std::span<const Request> earlier) const;
  // The participants' chains move on, with a new key where a swap gives one.
  void execute(const Decision& decision);

  // Values that validators vote on.
  [[nodiscard]] Proposal proposal(Round round, const Decision& decision) const;
  [[nodiscard]] Value precommit(Round round, const Decision& decision) const;
  [[nodiscard]] Value commit(Round round, const Decision& decision) const;
  [[nodiscard]] Value timeout(Round round) const;
  [[nodiscard]] Certificate certificate(const Value& value) const { return certify_(value); }

  // Messages, signed by the delegate of a place; without the proof of the start. A proposal shows all locks to confirm,
  // and the delegate's own to abort.
  [[nodiscard]] SubmitProposal propose(Round round, const Decision& decision, std::size_t place,
                                       std::optional<Certificate> carried = {}) const;
  [[nodiscard]] SubmitInstanceCertificate show(const Value& value) const;
  [[nodiscard]] AskTimeout ask_timeout(Round round, std::size_t place) const;
  [[nodiscard]] ShowLocks show_locks(const std::vector<std::size_t>& places) const;
  [[nodiscard]] InstanceMessage with_start(InstanceMessage message) const;

 private:
  const TestNetwork* net_;
  Certify certify_;
  std::vector<Chain*> participants_;
  std::deque<crypto::SigningKey> delegates_;
  std::vector<const crypto::SigningKey*> owners_;
  Request start_;
  std::vector<Request> locks_;

 public:
  Agreement(const Agreement&) = delete;  // chains may hold its keys
  Agreement& operator=(const Agreement&) = delete;
};

// Operations of instances.
[[nodiscard]] Operation start_instance(const Uid& new_id, std::vector<Participant> accounts,
                                       Functionality functionality = AtomicSwap{});
[[nodiscard]] Operation lock_into(const Uid& instance, const PublicKey& delegate);
[[nodiscard]] AtomicPayments payments(const std::vector<Leg>& legs);

// What verification gives to a shard. It must be valid: otherwise the test fails at once.
[[nodiscard]] VerifiedInstanceMessage verified(const TestNetwork& net, InstanceMessage message);

}  // namespace zef::protocol::testing
