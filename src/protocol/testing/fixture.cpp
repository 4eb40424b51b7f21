#include "protocol/testing/fixture.h"

#include "base/testing/seeded_rng.h"

namespace zef::protocol::testing {
namespace {

crypto::SigningKey key_from(zef::testing::SeededRng& rng) {
  std::array<std::uint8_t, 32> seed;
  rng.fill(seed);
  return crypto::SigningKey::from_seed(seed);
}

std::deque<crypto::SigningKey> keys_from(std::uint64_t seed, std::size_t count) {
  zef::testing::SeededRng rng(seed);
  std::deque<crypto::SigningKey> keys;
  for (std::size_t i = 0; i < count; ++i) keys.push_back(key_from(rng));
  return keys;
}

Genesis genesis_of(const TestNetworkOptions& options, const std::deque<crypto::SigningKey>& validators,
                   const std::deque<crypto::SigningKey>& accounts) {
  ZEF_CHECK(options.weights.empty() || options.weights.size() == options.validators);
  Genesis genesis;
  genesis.network_name = "test";
  genesis.nonce.bytes[0] = static_cast<std::uint8_t>(options.seed);
  for (std::size_t i = 0; i < validators.size(); ++i) {
    ValidatorInfo& info = genesis.validators.emplace_back();
    info.name = "validator-" + std::to_string(i);
    info.public_key = validators[i].public_key();
    info.weight = options.weights.empty() ? 1 : options.weights[i];
    info.reward_account = Uid::genesis(i % options.accounts);
  }
  genesis.fees = options.fees;
  for (const crypto::SigningKey& key : accounts)
    genesis.accounts.push_back({.owner = key.public_key(), .balance = Amount(options.balance)});
  ZEF_CHECK(check_genesis(genesis).has_value());
  return genesis;
}

}  // namespace

TestNetwork::TestNetwork(const TestNetworkOptions& options)
    : validator_keys_(keys_from(options.seed * 2, options.validators)),
      account_keys_(keys_from(options.seed * 2 + 1, options.accounts)),
      genesis_(genesis_of(options, validator_keys_, account_keys_)),
      network_(genesis_),
      root_prefix_(batch_root_prefix(network_.id)) {
  unsigned __int128 weight = 0;
  for (std::size_t i = 0; i < options.validators && weight < network_.committee.quorum(); ++i) {
    if (genesis_.validators[i].weight == 0) continue;
    quorum_.push_back(i);
    weight += genesis_.validators[i].weight;
  }
}

RequestOrder TestNetwork::order(const Request& request, const crypto::SigningKey& key) const {
  return {.request = request, .owner = key.public_key(), .signature = sign(request, key), .proof = {}};
}

std::vector<RequestOrder> TestNetwork::orders(std::span<const Request> requests, const crypto::SigningKey& key) const {
  const auto signatures = sign_all(requests, key);
  std::vector<RequestOrder> orders;
  for (std::size_t i = 0; i < requests.size(); ++i)
    orders.push_back({.request = requests[i], .owner = key.public_key(), .signature = signatures[i], .proof = {}});
  return orders;
}

Vote TestNetwork::vote(const Value& value, std::size_t validator) const {
  return votes(std::span(&value, 1), validator, 1).front();
}

std::vector<Vote> TestNetwork::votes(std::span<const Value> values, std::size_t validator,
                                     std::size_t batch_size) const {
  ZEF_CHECK(batch_size > 0);
  std::vector<Vote> votes;
  for (std::size_t at = 0; at < values.size(); at += batch_size) {
    const auto batch = values.subspan(at, std::min(batch_size, values.size() - at));
    const auto signatures = sign_all(batch, validator_key(validator));
    for (std::size_t i = 0; i < batch.size(); ++i)
      votes.push_back({.value = batch[i],
                       .validator = ValidatorIndex(static_cast<std::uint16_t>(validator)),
                       .signature = signatures[i]});
  }
  return votes;
}

Certificate TestNetwork::certificate(const Value& value, std::vector<std::size_t> signers) const {
  return certificates(std::span(&value, 1), 1, std::move(signers)).front();
}

std::vector<Certificate> TestNetwork::certificates(std::span<const Value> values, std::size_t batch_size,
                                                   std::vector<std::size_t> signers) const {
  if (signers.empty()) signers = quorum_;
  std::vector<Certificate> certificates;
  for (const Value& value : values) certificates.push_back({.value = value, .votes = {}});
  for (const std::size_t signer : signers) {
    const auto cast = votes(values, signer, batch_size);
    for (std::size_t i = 0; i < cast.size(); ++i)
      certificates[i].votes.emplace_back(cast[i].validator, cast[i].signature);
  }
  return certificates;
}

Proof TestNetwork::proof(const Request& request, std::vector<std::size_t> signers) const {
  return chain_proof(std::span(&request, 1), std::move(signers));
}

Proof TestNetwork::chain_proof(std::span<const Request> requests, std::vector<std::size_t> signers) const {
  ZEF_CHECK(!requests.empty());
  Proof proof;
  proof.account = requests.back().account;
  proof.earlier.assign(requests.begin(), requests.end() - 1);
  proof.certificate = certificate(Value{Confirm{requests.back()}}, std::move(signers));
  return proof;
}

std::vector<Proof> TestNetwork::proofs(std::span<const Request> requests, std::size_t batch_size,
                                       std::vector<std::size_t> signers) const {
  std::vector<Value> values;
  for (const Request& request : requests) values.push_back(Value{Confirm{request}});
  std::vector<Proof> proofs;
  for (Certificate& certificate : certificates(values, batch_size, std::move(signers))) {
    const Uid account = std::get<Confirm>(certificate.value.kind).request.account;
    proofs.push_back({.account = account, .earlier = {}, .certificate = std::move(certificate), .lock = {}});
  }
  return proofs;
}

VerifiedOrder TestNetwork::verified(RequestOrder order) const {
  RootCaches caches = test_caches(4);
  VerificationBatch batch(network_, caches);
  const std::size_t place = batch.add(std::move(order));
  batch.run();
  auto result = batch.take_order(place);
  ZEF_CHECK(result.has_value());
  return std::move(*result);
}

VerifiedProof TestNetwork::verified(Proof proof) const {
  RootCaches caches = test_caches(4);
  VerificationBatch batch(network_, caches);
  const std::size_t place = batch.add(std::move(proof));
  batch.run();
  auto result = batch.take_proof(place);
  ZEF_CHECK(result.has_value());
  return std::move(*result);
}

crypto::SigningKey test_key(std::uint64_t seed) {
  zef::testing::SeededRng rng(seed ^ 0x6b65792d73656564U);  // apart from the keys of the networks
  return key_from(rng);
}

RootCaches test_caches(std::size_t entries) {
  return {.validators = crypto::RootCache(entries), .clients = crypto::RootCache(entries)};
}

Chain::Chain(const TestNetwork& net, std::uint64_t genesis_account)
    : net_(&net),
      account_(Uid::genesis(genesis_account)),
      head_(Hash{net.id().bytes}),
      key_(&net.account_key(genesis_account)) {}

Chain::Chain(const TestNetwork& net, const Uid& account, const Hash& head, const crypto::SigningKey& key)
    : net_(&net), account_(account), head_(head), key_(&key) {}

Request Chain::peek(Operation operation) const {
  return {.epoch = current_epoch,
          .account = account_,
          .sequence_number = next_,
          .previous = head_,
          .operation = std::move(operation)};
}

void Chain::advance(const Request& executed) {
  ZEF_CHECK(executed.sequence_number == next_);
  next_ = SequenceNumber(next_.value() + 1);
  head_ = hash_of(net_->id(), executed);
}

Request Chain::next(Operation operation) {
  Request request = peek(std::move(operation));
  advance(request);
  return request;
}

Request Chain::open_child(const crypto::SigningKey& key, Amount funding) {
  return next(OpenAccount{.new_id = account_.child(next_), .new_owner = key.public_key(), .funding = funding});
}

Chain Chain::child_of(const Request& opening, const crypto::SigningKey& key) const {
  return {*net_, std::get<OpenAccount>(opening.operation).new_id, hash_of(net_->id(), opening), key};
}

Operation pay(const Uid& recipient, std::uint64_t amount) { return pay_all({{recipient, amount}}); }

Operation pay_all(const std::vector<std::pair<Uid, std::uint64_t>>& payments) {
  Transfer transfer;
  for (const auto& [recipient, amount] : payments)
    transfer.payments.push_back({.recipient = Account{recipient}, .amount = Amount(amount), .memo = {}});
  return transfer;
}

Operation burn(std::uint64_t amount) {
  Transfer transfer;
  transfer.payments.push_back({.recipient = Burn{}, .amount = Amount(amount), .memo = {}});
  return transfer;
}

Operation open_account(const Uid& new_id, const PublicKey& new_owner, std::uint64_t funding) {
  return OpenAccount{.new_id = new_id, .new_owner = new_owner, .funding = Amount(funding)};
}
Operation change_owner(const PublicKey& new_owner) { return ChangeOwner{.new_owner = new_owner}; }
Operation close_account() { return CloseAccount{}; }
Operation skip() { return Skip{}; }

Value value_of(const Request& request) {
  if (std::holds_alternative<LockInto>(request.operation)) return Value{Lock{request}};
  return Value{Confirm{request}};
}

}  // namespace zef::protocol::testing
