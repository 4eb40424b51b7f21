// From received to verified. Only this file's classes can make a Verified..., and only that can be handed to a shard:
// the compiler says what is trusted.
//
// A turn of the worker adds everything that needs a signature check to one VerificationBatch and runs it once, so that
// all signatures are verified together; roots of batch signatures that were verified before are found in the caches.
#pragma once

#include <memory>

#include "crypto/root_cache.h"
#include "crypto/verify.h"
#include "protocol/genesis.h"
#include "protocol/messages.h"
#include "protocol/signing.h"

namespace zef::protocol {

// The certified requests of a proof, ascending by sequence number: pointers into the proof, which must outlive this,
// but for the Skip of an aborted lock, which stands in no message.
class ProvenRequests {
 public:
  struct Item {
    const Request* request;
    Hash hash;
  };
  [[nodiscard]] auto begin() const { return items_.begin(); }
  [[nodiscard]] auto end() const { return items_.end(); }
  [[nodiscard]] const Item* data() const { return items_.data(); }
  [[nodiscard]] std::size_t size() const { return items_.size(); }
  [[nodiscard]] bool empty() const { return items_.empty(); }
  [[nodiscard]] const Item& operator[](std::size_t i) const { return items_[i]; }
  [[nodiscard]] const Item& front() const { return items_.front(); }
  [[nodiscard]] const Item& back() const { return items_.back(); }

 private:
  friend struct ProofReader;
  std::vector<Item> items_;
  std::shared_ptr<const Request> derived_;
};

// An order whose signature by order.owner is valid (R3; whether that key owns the account is the shard's to say), and
// so is the proof that it carries, if it was asked to be verified.
class VerifiedOrder {
 public:
  // The request that starts the instance of a LockInto, from the verified proof; nullptr: not shown, or not verified.
  [[nodiscard]] const Request* start() const { return start_ ? &*start_ : nullptr; }
  [[nodiscard]] const RequestOrder& order() const { return order_; }
  [[nodiscard]] const Request& request() const { return order_.request; }
  [[nodiscard]] const Hash& request_hash() const { return hash_; }

 private:
  friend class VerificationBatch;
  VerifiedOrder(RequestOrder order, const Hash& hash, std::optional<Request> start)
      : order_(std::move(order)), hash_(hash), start_(std::move(start)) {}
  RequestOrder order_;
  Hash hash_;
  std::optional<Request> start_;
};

// A proof whose chain and certificates are valid (C1): every request it vouches for is certified.
class VerifiedProof {
 public:
  using Item = ProvenRequests::Item;
  [[nodiscard]] const Proof& proof() const { return *proof_; }
  [[nodiscard]] const ProvenRequests& requests() const { return requests_; }

 private:
  friend class VerificationBatch;
  VerifiedProof(std::shared_ptr<const Proof> proof, ProvenRequests requests)
      : proof_(std::move(proof)), requests_(std::move(requests)) {}
  std::shared_ptr<const Proof> proof_;  // shared with the outbox, which keeps it until its effects are acknowledged
  ProvenRequests requests_;

 public:
  [[nodiscard]] const std::shared_ptr<const Proof>& shared_proof() const { return proof_; }
};

// The requests that a proof would vouch for and the form it must have; no signature is checked. Fails with
// InvalidCertificate (empty, not consecutive, not linked, across a multiple of 256, wrong account, wrong kind).
[[nodiscard]] Ruled<ProvenRequests> requests_of(const Network& network, const Proof& proof);

// The same without hashes and links: which requests it would vouch for.
[[nodiscard]] Ruled<ProvenRequests> form_of(const Proof& proof);

// The fewest proofs that vouch for what these do, in the same order: neighbours become one chain under the newest
// certificate of it, as long as the rules allow (never across a multiple of 256) and the requests of one take at most
// `bytes_max`. What has not the form of a proof stays as it is.
[[nodiscard]] std::vector<Proof> merge_proofs(std::vector<Proof> proofs, std::size_t bytes_max);

// A message to an instance whose certificates are valid, whose delegate's signature is (where it has one), and whose
// proof of the start vouches for it. What the instance makes of it is the shard's to say.
class VerifiedInstanceMessage {
 public:
  [[nodiscard]] const InstanceMessage& message() const { return message_; }
  // From the verified proof; nullptr: none was shown.
  [[nodiscard]] const Request* start() const { return start_ ? &*start_ : nullptr; }

 private:
  friend class VerificationBatch;
  VerifiedInstanceMessage(InstanceMessage message, std::optional<Request> start)
      : message_(std::move(message)), start_(std::move(start)) {}
  InstanceMessage message_;
  std::optional<Request> start_;
};

// Caches of verified roots, bounded; those of validators apart from those of clients, so that no client can push out
// what certificates need.
struct RootCaches {
  crypto::RootCache validators;
  crypto::RootCache clients;
};

class VerificationBatch {
 public:
  // Both must outlive the batch.
  VerificationBatch(const Network& network, RootCaches& caches);

  // Each returns the place of its result. Nothing is verified before run(). The proof that an order carries is verified
  // only with `proof_too`, and only if the order's own signature is valid (R6: attached proofs are checked last).
  std::size_t add(RequestOrder order, bool proof_too = true);
  std::size_t add(Proof proof);
  std::size_t add(InstanceMessage message);

  void run();

  // After run(), each at most once. Errors: InvalidSignature; InvalidCertificate{why}.
  [[nodiscard]] Ruled<VerifiedOrder> take_order(std::size_t place);
  [[nodiscard]] Ruled<VerifiedProof> take_proof(std::size_t place);
  [[nodiscard]] Ruled<VerifiedInstanceMessage> take_instance_message(std::size_t place);

 private:
  struct State;
  std::unique_ptr<State> state_;

 public:
  VerificationBatch(const VerificationBatch&) = delete;
  VerificationBatch& operator=(const VerificationBatch&) = delete;
  ~VerificationBatch();
};

// For clients: whether a certificate of a Lock, PreCommit, Commit or Timeout value is valid.
[[nodiscard]] bool verify_certificate(const Network& network, RootCaches& caches, const Certificate& certificate);
// For clients: whether a vote is by that validator of the committee (weight > 0) and validly signed. One at a time.
[[nodiscard]] bool verify_vote(const Network& network, RootCaches& caches, const Vote& vote);
// Any value signed in a batch: AccountState answers, for instance.
template <class T>
[[nodiscard]] bool verify_signed(const Network& network, crypto::RootCache& cache, const PublicKey& key, const T& value,
                                 const BatchSignature& signature);
[[nodiscard]] bool verify_leaf(const NetworkId& network, crypto::RootCache& cache, const PublicKey& key,
                               const Hash& leaf, const BatchSignature& signature);

template <class T>
bool verify_signed(const Network& network, crypto::RootCache& cache, const PublicKey& key, const T& value,
                   const BatchSignature& signature) {
  return verify_leaf(network.id, cache, key, signing_leaf(network.id, value), signature);
}

}  // namespace zef::protocol
