// How C1 and R3 are kept cheaply: everything that needs no signature is checked first, in the order of its cost; roots
// that the caches know cost a look-up; what is left is verified in one call, each (key, root, signature) once.
//
// A request is encoded once. Its hash, its signing leaf and the leaf of its Confirm value are hashes of different
// prefixes before the same bytes: BCS(Value{Confirm{request}}) is the byte 0 and BCS(request).
#include "protocol/verification.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "crypto/batch_signer.h"
#include "protocol/effects.h"

namespace zef::protocol {
namespace {

std::unexpected<Refusal> invalid(std::string why) { return refuse(InvalidCertificate{std::move(why)}); }

// The prefixes of what is hashed on one network, made once for many messages.
class Hasher {
 public:
  explicit Hasher(const NetworkId& network)
      : request_prefix_(signing_prefix(network, codec::type_name<Request>)),
        request_leaf_prefix_(leaf_prefix(request_prefix_)),
        confirm_leaf_prefix_(leaf_prefix(signing_prefix(network, codec::type_name<Value>))) {
    confirm_leaf_prefix_.push_back(0);  // Confirm is the first kind of Value
  }

  // The request that the next three speak of.
  void set(const Request& request) {
    body_.clear();
    codec::encode_into(body_, request);
  }
  [[nodiscard]] Hash request_hash() const { return crypto::sha256(request_prefix_, body_); }
  [[nodiscard]] Hash request_leaf() const { return crypto::sha256(request_leaf_prefix_, body_); }
  [[nodiscard]] Hash confirm_leaf() const { return crypto::sha256(confirm_leaf_prefix_, body_); }

 private:
  static Bytes leaf_prefix(const Bytes& prefix) {
    Bytes result;
    result.reserve(prefix.size() + 2);
    result.push_back(0x00);  // RFC 9162
    append(result, prefix);
    return result;
  }

  Bytes request_prefix_;
  Bytes request_leaf_prefix_;
  Bytes confirm_leaf_prefix_;
  Bytes body_;
};

// The request that the certificate itself executes.
Ruled<const Request*> certified_request(const Proof& proof) {
  const auto& kind = proof.certificate.value.kind;
  if (std::holds_alternative<Lock>(kind)) return refuse(NotSupportedYet{"Lock certificates"});
  if (std::holds_alternative<Commit>(kind)) return refuse(NotSupportedYet{"Commit certificates"});
  const auto* confirm = std::get_if<Confirm>(&kind);
  if (!confirm) return invalid("this kind of certificate executes no request");
  if (proof.lock) return invalid("a lock certificate belongs to an aborted instance only");
  return &confirm->request;
}

// One request of a proof, apart from its place in the chain.
Ruled<> check_certified(const Proof& proof, const Request& request) {
  if (request.account != proof.account) return invalid("a request of another account");
  if (request.epoch != current_epoch) return invalid("a request of another epoch");
  if (request.sequence_number > sequence_number_last) return invalid("a sequence number beyond the last");
  if (encoded_size(request) > request_bytes_max) return invalid("a request that is too long");
  if (std::holds_alternative<LockInto>(request.operation)) return invalid("a lock is not executed itself");
  if (std::holds_alternative<StartInstance>(request.operation)) return refuse(NotSupportedYet{"protocol instances"});
  if (!amount_spent(request)) return invalid("a request that spends more than 64 bits can count");
  return {};
}

// The form of a proof, before anything is hashed: all its requests, ascending.
Ruled<std::vector<VerifiedProof::Item>> check_form(const Proof& proof) {
  if (!proof.earlier.in_bounds() || !proof.certificate.votes.in_bounds()) return invalid("too many requests or votes");
  const auto last = certified_request(proof);
  if (!last) return std::unexpected(last.error());

  std::vector<VerifiedProof::Item> items;
  items.reserve(proof.earlier.size() + 1);
  for (const Request& request : proof.earlier) items.push_back({.request = &request, .hash = {}});
  items.push_back({.request = *last, .hash = {}});

  const std::uint64_t first = items.front().request->sequence_number.value();
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (auto ok = check_certified(proof, *items[i].request); !ok) return std::unexpected(ok.error());
    if (items[i].request->sequence_number.value() != first + i) return invalid("requests that are not consecutive");
  }
  if (first / proof_requests_max != (*last)->sequence_number.value() / proof_requests_max)
    return invalid(fmt::format("a proof across a multiple of {} operations", proof_requests_max));
  return items;
}

// Fills in the hashes and checks that each request names the one before it. Leaves the hasher at the last request.
Ruled<> link(Hasher& hasher, std::vector<VerifiedProof::Item>& items) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0 && items[i].request->previous != items[i - 1].hash) return invalid("requests that are not linked");
    hasher.set(*items[i].request);
    items[i].hash = hasher.request_hash();
  }
  return {};
}

// C1: distinct known signers and a quorum of weight, before anything is hashed.
Ruled<> check_quorum(const Committee& committee, const Certificate& certificate) {
  unsigned __int128 weight = 0;
  std::optional<ValidatorIndex> before;
  for (const auto& [index, signature] : certificate.votes) {
    if (before && index == *before) return invalid(fmt::format("validator {} signed twice", index.value()));
    if (before && index < *before) return invalid("signers that are not in ascending order");
    before = index;
    const ValidatorInfo* validator = committee.find(index);
    if (!validator) return invalid(fmt::format("validator {} does not exist", index.value()));
    if (validator->weight == 0) return invalid(fmt::format("validator {} has no weight", index.value()));
    weight += validator->weight;
  }
  if (weight < committee.quorum()) return invalid("the signers are no quorum");
  return {};
}

struct SignedRoot {
  PublicKey key;
  Hash root;
  Signature signature;
  friend bool operator==(const SignedRoot&, const SignedRoot&) = default;
};

// Somebody can choose signatures whose beginnings are equal. It gains nothing: each such entry costs a comparison of a
// few nanoseconds for every other in the same turn, far less than the verification that it costs anyway.
struct HashSignedRoot {
  std::size_t operator()(const SignedRoot& signed_root) const {
    return std::hash<Signature>{}(signed_root.signature) ^ std::hash<Hash>{}(signed_root.root);
  }
};

constexpr std::size_t known_root = ~std::size_t{0};  // the place of a root that a cache knows

// The roots of a turn that no cache knows, each once.
class RootChecks {
 public:
  std::size_t place_of(crypto::RootCache& cache, const SignedRoot& signed_root) {
    if (cache.contains(signed_root.key, signed_root.root, signed_root.signature)) return known_root;
    const auto [found, is_new] = places_.try_emplace(signed_root, checks_.size());
    if (is_new) checks_.push_back({.signed_root = &found->first, .cache = &cache, .valid = false});
    return found->second;
  }

  // Those at these places that were not checked yet, in one call; valid ones go to the cache of whoever asked first.
  void run(const Bytes& prefix, const std::vector<std::size_t>& places) {
    std::vector<Check*> wanted;
    for (const std::size_t place : places) {
      if (place == known_root || std::exchange(checks_[place].done, true)) continue;
      wanted.push_back(&checks_[place]);
    }
    const std::size_t message_size = prefix.size() + Hash::size;
    Bytes messages;
    messages.reserve(wanted.size() * message_size);
    for (const Check* check : wanted) {
      append(messages, prefix);
      append(messages, check->signed_root->root.view());
    }
    std::vector<crypto::SignedItem> items;
    items.reserve(wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const SignedRoot& signed_root = *wanted[i]->signed_root;
      items.push_back({.key = signed_root.key,
                       .message = ByteView(messages).subspan(i * message_size, message_size),
                       .signature = signed_root.signature});
    }
    const std::vector<bool> valid = crypto::verify_many(items);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      Check& check = *wanted[i];
      check.valid = valid[i];
      if (check.valid)
        check.cache->insert(check.signed_root->key, check.signed_root->root, check.signed_root->signature);
    }
  }

  [[nodiscard]] bool valid(std::size_t place) const { return place == known_root || checks_[place].valid; }

 private:
  struct Check {
    const SignedRoot* signed_root;  // into places_, whose nodes do not move
    crypto::RootCache* cache;
    bool valid;
    bool done = false;
  };
  std::unordered_map<SignedRoot, std::size_t, HashSignedRoot> places_;
  std::vector<Check> checks_;
};

}  // namespace

Ruled<std::vector<VerifiedProof::Item>> requests_of(const Network& network, const Proof& proof) {
  auto items = check_form(proof);
  if (!items) return items;
  Hasher hasher(network.id);
  if (auto ok = link(hasher, *items); !ok) return std::unexpected(ok.error());
  return items;
}

struct VerificationBatch::State {
  struct PendingOrder {
    RequestOrder order;
    Hash hash;
    std::optional<std::size_t> check;  // nothing: the batch signature has a wrong form
    bool taken = false;
  };
  struct PendingProof {
    std::shared_ptr<const Proof> proof;
    Ruled<std::vector<VerifiedProof::Item>> items;
    std::vector<std::size_t> checks;  // one for each vote, unless the form is wrong
    bool taken = false;
  };

  State(const Network& the_network, RootCaches& the_caches)
      : network(the_network), caches(the_caches), hasher(the_network.id) {}

  // C1 up to the signatures: form, signers, links, paths.
  Ruled<std::vector<VerifiedProof::Item>> prepare(const Proof& proof, std::vector<std::size_t>& places) {
    auto items = check_form(proof);
    if (!items) return items;
    if (auto ok = check_quorum(network.committee, proof.certificate); !ok) return std::unexpected(ok.error());
    if (auto ok = link(hasher, *items); !ok) return std::unexpected(ok.error());

    const Hash leaf = hasher.confirm_leaf();
    places.reserve(proof.certificate.votes.size());
    // All paths before any root is put on the list: a certificate of a wrong form must not cost verifications.
    std::vector<Hash> roots;
    roots.reserve(proof.certificate.votes.size());
    for (const auto& [index, signature] : proof.certificate.votes) {
      const auto root = crypto::batch_root(leaf, signature);
      if (!root) return invalid(fmt::format("the batch signature of validator {} has a wrong form", index.value()));
      roots.push_back(*root);
    }
    for (std::size_t i = 0; i < roots.size(); ++i) {
      const auto& [index, signature] = proof.certificate.votes[i];
      places.push_back(checks.place_of(
          caches.validators,
          {.key = network.committee.find(index)->public_key, .root = roots[i], .signature = signature.signature}));
    }
    return items;
  }

  const Network& network;
  RootCaches& caches;
  Hasher hasher;
  RootChecks checks;
  std::vector<PendingOrder> orders;
  std::vector<PendingProof> proofs;
  bool ran = false;
};

VerificationBatch::VerificationBatch(const Network& network, RootCaches& caches)
    : state_(std::make_unique<State>(network, caches)) {}
VerificationBatch::~VerificationBatch() = default;

std::size_t VerificationBatch::add(RequestOrder order) {
  ZEF_CHECK(!state_->ran);
  Hasher& hasher = state_->hasher;
  hasher.set(order.request);
  std::optional<std::size_t> check;
  if (const auto root = crypto::batch_root(hasher.request_leaf(), order.signature)) {
    check = state_->checks.place_of(state_->caches.clients,
                                    {.key = order.owner, .root = *root, .signature = order.signature.signature});
  }
  state_->orders.push_back({.order = std::move(order), .hash = hasher.request_hash(), .check = check});
  return state_->orders.size() - 1;
}

std::size_t VerificationBatch::add(Proof proof) {
  ZEF_CHECK(!state_->ran);
  auto shared = std::make_shared<const Proof>(std::move(proof));
  std::vector<std::size_t> places;
  auto items = state_->prepare(*shared, places);
  state_->proofs.push_back({.proof = std::move(shared), .items = std::move(items), .checks = std::move(places)});
  return state_->proofs.size() - 1;
}

void VerificationBatch::run() {
  ZEF_CHECK(!state_->ran);
  state_->ran = true;
  const Bytes prefix = batch_root_prefix(state_->network.id);
  // First the orders and one unknown root of each certificate; then the others of those certificates that passed. So a
  // worthless certificate costs one verification, however many signers it names (C1: stop at the first bad one).
  std::vector<std::size_t> first;
  for (const State::PendingOrder& order : state_->orders)
    if (order.check) first.push_back(*order.check);
  const auto unknown = [](const State::PendingProof& proof) {
    return std::ranges::find_if(proof.checks, [](std::size_t place) { return place != known_root; });
  };
  for (const State::PendingProof& proof : state_->proofs)
    if (const auto found = unknown(proof); found != proof.checks.end()) first.push_back(*found);
  state_->checks.run(prefix, first);
  std::vector<std::size_t> rest;
  for (const State::PendingProof& proof : state_->proofs)
    if (const auto found = unknown(proof); found != proof.checks.end() && state_->checks.valid(*found))
      rest.insert(rest.end(), std::next(found), proof.checks.end());
  state_->checks.run(prefix, rest);
}

Ruled<VerifiedOrder> VerificationBatch::take_order(std::size_t place) {
  ZEF_CHECK(state_->ran && place < state_->orders.size());
  State::PendingOrder& pending = state_->orders[place];
  ZEF_CHECK(!std::exchange(pending.taken, true));
  if (!pending.check || !state_->checks.valid(*pending.check)) return refuse(InvalidSignature{});
  return VerifiedOrder(std::move(pending.order), pending.hash);
}

Ruled<VerifiedProof> VerificationBatch::take_proof(std::size_t place) {
  ZEF_CHECK(state_->ran && place < state_->proofs.size());
  State::PendingProof& pending = state_->proofs[place];
  ZEF_CHECK(!std::exchange(pending.taken, true));
  if (!pending.items) return std::unexpected(pending.items.error());
  for (std::size_t i = 0; i < pending.checks.size(); ++i) {
    if (state_->checks.valid(pending.checks[i])) continue;
    const ValidatorIndex signer = pending.proof->certificate.votes[i].first;
    return invalid(fmt::format("the signature of validator {} is not valid", signer.value()));
  }
  return VerifiedProof(std::move(pending.proof), std::move(*pending.items));
}

bool verify_vote(const Network& network, RootCaches& caches, const Vote& vote) {
  const ValidatorInfo* validator = network.committee.find(vote.validator);
  if (!validator || validator->weight == 0) return false;
  return verify_signed(network, caches.validators, validator->public_key, vote.value, vote.signature);
}

bool verify_leaf(const NetworkId& network, crypto::RootCache& cache, const PublicKey& key, const Hash& leaf,
                 const BatchSignature& signature) {
  const auto root = crypto::batch_root(leaf, signature);
  if (!root) return false;
  if (cache.contains(key, *root, signature.signature)) return true;
  if (!crypto::verify(key, crypto::root_message(batch_root_prefix(network), *root), signature.signature)) return false;
  cache.insert(key, *root, signature.signature);
  return true;
}

}  // namespace zef::protocol
