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
#include "protocol/refusal.h"
#include "protocol/signing.h"

namespace zef::protocol {

// An order whose signature by order.owner is valid (R3; whether that key owns the account is the shard's to say).
class VerifiedOrder {
 public:
  [[nodiscard]] const RequestOrder& order() const { return order_; }
  [[nodiscard]] const Request& request() const { return order_.request; }
  [[nodiscard]] const Hash& request_hash() const { return hash_; }

 private:
  friend class VerificationBatch;
  VerifiedOrder(RequestOrder order, const Hash& hash) : order_(std::move(order)), hash_(hash) {}
  RequestOrder order_;
  Hash hash_;
};

// A proof whose chain and certificates are valid (C1): every request it vouches for is certified.
class VerifiedProof {
 public:
  struct Item {
    const Request* request;  // into proof()
    Hash hash;
  };
  [[nodiscard]] const Proof& proof() const { return *proof_; }
  // The certified requests, ascending by sequence number.
  [[nodiscard]] const std::vector<Item>& requests() const { return requests_; }

 private:
  friend class VerificationBatch;
  VerifiedProof(std::shared_ptr<const Proof> proof, std::vector<Item> requests)
      : proof_(std::move(proof)), requests_(std::move(requests)) {}
  std::shared_ptr<const Proof> proof_;  // shared with the outbox, which keeps it until its effects are acknowledged
  std::vector<Item> requests_;

 public:
  [[nodiscard]] const std::shared_ptr<const Proof>& shared_proof() const { return proof_; }
};

// The requests that a proof would vouch for and the form it must have; no signature is checked. Fails with
// InvalidCertificate (empty, not consecutive, not linked, across a multiple of 256, wrong account, wrong kind) or
// NotSupportedYet (Lock and Commit certificates).
[[nodiscard]] Ruled<std::vector<VerifiedProof::Item>> requests_of(const Network& network, const Proof& proof);

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

  // Each returns the place of its result. Nothing is verified before run().
  std::size_t add(RequestOrder order);
  std::size_t add(Proof proof);

  void run();

  // After run(), each at most once. Errors: InvalidSignature; InvalidCertificate{why}, NotSupportedYet.
  [[nodiscard]] Ruled<VerifiedOrder> take_order(std::size_t place);
  [[nodiscard]] Ruled<VerifiedProof> take_proof(std::size_t place);

 private:
  struct State;
  std::unique_ptr<State> state_;

 public:
  VerificationBatch(const VerificationBatch&) = delete;
  VerificationBatch& operator=(const VerificationBatch&) = delete;
  ~VerificationBatch();
};

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
