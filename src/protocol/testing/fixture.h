// A test network: validators and accounts with keys made from a seed, so that the same options give the same bytes on
// every run, and builders for what they sign. For tests and benchmarks only.
//
//   TestNetwork net;                                  // 4 validators, 8 accounts, fees of 0
//   Chain alice(net, 0);                              // account [0] as its owner sees it
//   const Request request = alice.next(pay(net.uid(1), 10));
//   const RequestOrder order = net.order(request, alice.key());
//   const Proof proof = net.proof(request);           // with a certificate by a quorum
#pragma once

#include <deque>
#include <span>

#include "crypto/batch_signer.h"
#include "crypto/keys.h"
#include "protocol/request_rules.h"
#include "protocol/verification.h"

namespace zef::protocol::testing {

struct TestNetworkOptions {
  std::size_t validators = 4;
  std::size_t accounts = 8;  // the reward account of validator i is account [i % accounts]
  std::uint64_t balance = 1'000'000;
  FeeSchedule fees = {};               // free, min_credit 1
  std::vector<std::uint64_t> weights;  // 1 each if empty
  std::uint64_t seed = 1;
};

// Fees that differ in every term, for tests that count them.
inline constexpr FeeSchedule test_fees{.base = 5,
                                       .per_byte = 1,
                                       .per_remote_effect = 10,
                                       .per_creation = 100,
                                       .per_instance_account = 1000,
                                       .min_credit = Amount(2)};

class TestNetwork {
 public:
  explicit TestNetwork(const TestNetworkOptions& options = {});

  [[nodiscard]] const Genesis& genesis() const { return genesis_; }
  [[nodiscard]] const Network& network() const { return network_; }
  [[nodiscard]] const NetworkId& id() const { return network_.id; }
  [[nodiscard]] Uid uid(std::uint64_t account) const { return Uid::genesis(account); }
  [[nodiscard]] const crypto::SigningKey& validator_key(std::size_t index) const { return validator_keys_.at(index); }
  [[nodiscard]] const crypto::SigningKey& account_key(std::size_t index) const { return account_keys_.at(index); }
  // The fewest first validators that are a quorum: 3 of 4.
  [[nodiscard]] const std::vector<std::size_t>& quorum() const { return quorum_; }

  // Any value, signed alone: BatchSignature of size 1.
  template <class T>
  [[nodiscard]] BatchSignature sign(const T& value, const crypto::SigningKey& key) const {
    const Hash leaf = signing_leaf(id(), value);
    return crypto::sign_batch(key, std::span(&leaf, 1), root_prefix_).front();
  }
  // Many values of one type in one batch.
  template <class T>
  [[nodiscard]] std::vector<BatchSignature> sign_all(std::span<const T> values, const crypto::SigningKey& key) const {
    std::vector<Hash> leaves;
    for (const T& value : values) leaves.push_back(signing_leaf(id(), value));
    return crypto::sign_batch(key, leaves, root_prefix_);
  }

  [[nodiscard]] RequestOrder order(const Request& request, const crypto::SigningKey& key) const;
  // One client batch over all of them.
  [[nodiscard]] std::vector<RequestOrder> orders(std::span<const Request> requests,
                                                 const crypto::SigningKey& key) const;

  [[nodiscard]] Vote vote(const Value& value, std::size_t validator) const;
  // In batches of that size, as a validator's ticks make them.
  [[nodiscard]] std::vector<Vote> votes(std::span<const Value> values, std::size_t validator,
                                        std::size_t batch_size) const;

  // Signed by those validators, in the order given (no check); by quorum() if none are named.
  [[nodiscard]] Certificate certificate(const Value& value, std::vector<std::size_t> signers = {}) const;
  [[nodiscard]] std::vector<Certificate> certificates(std::span<const Value> values, std::size_t batch_size,
                                                      std::vector<std::size_t> signers = {}) const;

  // A Confirm certificate of the request, alone.
  [[nodiscard]] Proof proof(const Request& request, std::vector<std::size_t> signers = {}) const;
  // Consecutive requests of one account with a certificate for the last.
  [[nodiscard]] Proof chain_proof(std::span<const Request> requests, std::vector<std::size_t> signers = {}) const;
  // One proof for each request, the votes in batches of that size.
  [[nodiscard]] std::vector<Proof> proofs(std::span<const Request> requests, std::size_t batch_size,
                                          std::vector<std::size_t> signers = {}) const;

  // The same as what verification gives to a shard. They must be valid: otherwise the test fails at once.
  [[nodiscard]] VerifiedOrder verified(RequestOrder order) const;
  [[nodiscard]] VerifiedProof verified(Proof proof) const;

 private:
  std::deque<crypto::SigningKey> validator_keys_;
  std::deque<crypto::SigningKey> account_keys_;
  Genesis genesis_;
  Network network_;
  Bytes root_prefix_;
  std::vector<std::size_t> quorum_;
};

// A key that depends on its seed only; for owners that are not in the genesis.
[[nodiscard]] crypto::SigningKey test_key(std::uint64_t seed);

// Fresh caches of a size for tests.
[[nodiscard]] RootCaches test_caches(std::size_t entries = 1024);

// An account as its owner sees it: makes requests that continue its chain.
class Chain {
 public:
  Chain(const TestNetwork& net, std::uint64_t genesis_account);
  // A created account: its head is the hash of the request that created it.
  Chain(const TestNetwork& net, const Uid& account, const Hash& head, const crypto::SigningKey& key);

  // The request at the account's next sequence number; the chain is then one longer.
  Request next(Operation operation);
  // The same without moving on.
  [[nodiscard]] Request peek(Operation operation) const;
  void advance(const Request& executed);

  // That order signed by the owner: net.order(next(operation), key()).
  RequestOrder order(Operation operation) { return net_->order(next(std::move(operation)), *key_); }
  // Executed by a quorum: net.proof(next(operation)).
  Proof proof(Operation operation) { return net_->proof(next(std::move(operation))); }

  // Opens a child and gives its chain. `key` must outlive the child's chain.
  Request open_child(const crypto::SigningKey& key, Amount funding = Amount(0));
  [[nodiscard]] Chain child_of(const Request& opening, const crypto::SigningKey& key) const;

  [[nodiscard]] const Uid& account() const { return account_; }
  [[nodiscard]] SequenceNumber sequence_number() const { return next_; }  // of the next request
  [[nodiscard]] const Hash& head() const { return head_; }
  [[nodiscard]] const crypto::SigningKey& key() const { return *key_; }
  void set_key(const crypto::SigningKey& key) { key_ = &key; }  // after ChangeOwner

 private:
  const TestNetwork* net_;
  Uid account_;
  SequenceNumber next_;
  Hash head_;
  const crypto::SigningKey* key_;
};

// Operations.
[[nodiscard]] Operation pay(const Uid& recipient, std::uint64_t amount);
[[nodiscard]] Operation pay_all(const std::vector<std::pair<Uid, std::uint64_t>>& payments);
[[nodiscard]] Operation burn(std::uint64_t amount);
[[nodiscard]] Operation open_account(const Uid& new_id, const PublicKey& new_owner, std::uint64_t funding = 0);
[[nodiscard]] Operation change_owner(const PublicKey& new_owner);
[[nodiscard]] Operation close_account();
[[nodiscard]] Operation skip();

// The value that a validator votes for when it accepts the request (R7).
[[nodiscard]] Value value_of(const Request& request);

}  // namespace zef::protocol::testing
