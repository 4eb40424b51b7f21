// How C1 and R3 are kept cheaply: everything that needs no signature is checked first, in the order of its cost; roots
// that the caches know cost a look-up; what is left is verified in one call, each (key, root, signature) once.
//
// A request is encoded once. Its hash, its signing leaf and the leaf of its Confirm value are hashes of different
// prefixes before the same bytes: BCS(Value{Confirm{request}}) is the byte 0 and BCS(request).
#include "protocol/verification.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "base/mutant.h"
#include "crypto/batch_signer.h"
#include "protocol/effects.h"
#include "protocol/instance_rules.h"

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

// One request of a proof, apart from its place in the chain.
Ruled<> check_certified(const Proof& proof, const Request& request) {
  if (request.account != proof.account) return invalid("a request of another account");
  if (request.epoch != current_epoch) return invalid("a request of another epoch");
  if (request.sequence_number > sequence_number_last) return invalid("a sequence number beyond the last");
  if (encoded_size(request) > request_bytes_max) return invalid("a request that is too long");
  if (std::holds_alternative<LockInto>(request.operation) && !mutant("execute_a_lock"))
    return invalid("a lock is not executed itself");
  if (!amount_spent(request)) return invalid("a request that spends more than 64 bits can count");
  return {};
}

// What only the epoch and the kind of an agreement's value show.
template <class Agreement>
Ruled<> check_agreement(const Agreement& value) {
  if (value.epoch != current_epoch || value.proposal.epoch != current_epoch)
    return invalid("an agreement of another epoch");
  if (std::holds_alternative<Aborted>(value.proposal.decision) != value.requests.empty())
    return invalid("an agreement to abort executes nothing, one to confirm something");
  return {};
}

}  // namespace

// Reads a proof: its form, before anything is hashed, then its links. (A struct, so that ProvenRequests can name it.)
struct ProofReader {
  const Proof& proof;
  ProvenRequests result;
  const Request* follows = nullptr;  // the request of a Lock certificate: linked to, not executed

  void add(const Request& request) { result.items_.push_back({.request = &request, .hash = {}}); }

  // Which requests the certificate itself vouches for.
  Ruled<> add_certified(const Confirm& confirm) {
    if (proof.lock) return invalid("a lock certificate belongs to an aborted instance only");
    add(confirm.request);
    return {};
  }
  Ruled<> add_certified(const Lock& lock) {
    if (mutant("execute_a_lock")) return add(lock.request), Ruled<>{};
    if (proof.lock) return invalid("a lock certificate belongs to an aborted instance only");
    if (proof.earlier.empty()) return invalid("a lock vouches for the requests before it, and there are none");
    if (!std::holds_alternative<LockInto>(lock.request.operation)) return invalid("a Lock value of another operation");
    if (lock.request.account != proof.account) return invalid("a request of another account");
    if (lock.request.epoch != current_epoch) return invalid("a request of another epoch");
    follows = &lock.request;
    return {};
  }
  Ruled<> add_certified(const Commit& commit) {
    if (auto ok = check_agreement(commit); !ok) return ok;
    if (std::holds_alternative<Aborted>(commit.proposal.decision)) return add_aborted(commit);
    if (proof.lock) return invalid("a lock certificate belongs to an aborted instance only");
    const auto own = std::ranges::find(commit.requests, proof.account, &Request::account);
    if (own == commit.requests.end()) return invalid("the instance decided nothing about this account");
    add(*own);
    return {};
  }
  template <class Other>
  Ruled<> add_certified(const Other&) {
    return invalid("this kind of certificate executes no request");
  }
  Ruled<> add_aborted(const Commit& commit) {
    const auto* lock = proof.lock ? std::get_if<Lock>(&proof.lock->value.kind) : nullptr;
    if (lock == nullptr) return invalid("an aborted instance needs the account's Lock certificate");
    const auto* into = std::get_if<LockInto>(&lock->request.operation);
    if (into == nullptr || into->instance != commit.proposal.instance)
      return invalid("the Lock certificate is of another instance");
    result.derived_ = std::make_shared<const Request>(aborted_request(lock->request));
    add(*result.derived_);
    return {};
  }

  // All its requests, ascending.
  Ruled<> check_form() {
    if (!proof.earlier.in_bounds() || !proof.certificate.votes.in_bounds())
      return invalid("too many requests or votes");
    result.items_.reserve(proof.earlier.size() + 1);
    for (const Request& request : proof.earlier) add(request);
    if (auto ok = std::visit([this](const auto& kind) { return add_certified(kind); }, proof.certificate.value.kind);
        !ok)
      return ok;

    const std::uint64_t first = result.front().request->sequence_number.value();
    for (std::size_t i = 0; i < result.size(); ++i) {
      if (auto ok = check_certified(proof, *result[i].request); !ok) return ok;
      if (result[i].request->sequence_number.value() != first + i) return invalid("requests that are not consecutive");
    }
    if (follows && follows->sequence_number.value() != first + result.size())
      return invalid("requests that are not consecutive");
    if (first / proof_requests_max != result.back().request->sequence_number.value() / proof_requests_max)
      return invalid(fmt::format("a proof across a multiple of {} operations", proof_requests_max));
    return {};
  }

  // Fills in the hashes and checks that each request names the one before it. Leaves the hasher at the last request.
  Ruled<> link(Hasher& hasher) {
    auto& items = result.items_;
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0 && items[i].request->previous != items[i - 1].hash) return invalid("requests that are not linked");
      hasher.set(*items[i].request);
      items[i].hash = hasher.request_hash();
    }
    if (follows && follows->previous != items.back().hash) return invalid("requests that are not linked");
    return {};
  }
};

namespace {

// C1: distinct known signers and a quorum of weight, before anything is hashed.
Ruled<> check_quorum(const Committee& committee, const Certificate& certificate) {
  unsigned __int128 weight = 0;
  std::optional<ValidatorIndex> before;
  for (const auto& [index, signature] : certificate.votes) {
    if (before && index == *before && !mutant("repeated_signer"))
      return invalid(fmt::format("validator {} signed twice", index.value()));
    if (before && index < *before) return invalid("signers that are not in ascending order");
    before = index;
    const ValidatorInfo* validator = committee.find(index);
    if (!validator) return invalid(fmt::format("validator {} does not exist", index.value()));
    if (validator->weight == 0) return invalid(fmt::format("validator {} has no weight", index.value()));
    weight += validator->weight;
  }
  if (weight + (mutant("quorum_minus_one") ? 1 : 0) < committee.quorum()) return invalid("the signers are no quorum");
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

// What one message needs to be valid: perhaps a client's signature, and the votes of certificates.
struct Checks {
  bool by_client = false;
  std::optional<std::size_t> signature;  // by_client; nothing: the batch signature has a wrong form
  struct Vote {
    std::size_t root;
    ValidatorIndex signer;
  };
  std::vector<Vote> votes;
  Ruled<> form;  // of all but the client's signature
};

// The request of a verified proof that starts the instance.
Ruled<std::optional<Request>> shown_start(const std::optional<Proof>& proof, const Uid& instance) {
  if (!proof) return std::optional<Request>();
  const Request* start = find_start(*proof, instance);
  if (start == nullptr)
    return invalid(fmt::format("the proof does not show what started instance {}", instance.text()));
  return *start;
}

}  // namespace

Ruled<ProvenRequests> requests_of(const Network& network, const Proof& proof) {
  ProofReader reader{proof, {}, nullptr};
  if (auto ok = reader.check_form(); !ok) return std::unexpected(ok.error());
  Hasher hasher(network.id);
  if (auto ok = reader.link(hasher); !ok) return std::unexpected(ok.error());
  return std::move(reader.result);
}

Ruled<ProvenRequests> form_of(const Proof& proof) {
  ProofReader reader{proof, {}, nullptr};
  if (auto ok = reader.check_form(); !ok) return std::unexpected(ok.error());
  return std::move(reader.result);
}

struct VerificationBatch::State {
  struct PendingOrder {
    RequestOrder order;
    Hash hash;
    bool proof_too;
    Checks checks;
    bool taken = false;
  };
  struct PendingProof {
    std::shared_ptr<const Proof> proof;
    ProvenRequests items;
    Checks checks;
    bool taken = false;
  };
  struct PendingMessage {
    InstanceMessage message;
    Checks checks;
    bool taken = false;
  };

  State(const Network& the_network, RootCaches& the_caches)
      : network(the_network), caches(the_caches), hasher(the_network.id) {}

  // C1 up to the signatures: signers and paths. All paths before any root is put on the list: a certificate of a wrong
  // form must not cost verifications.
  Ruled<> prepare(const Certificate& certificate, const Hash& leaf, std::vector<Checks::Vote>& votes) {
    if (!certificate.votes.in_bounds()) return invalid("too many votes");
    if (auto ok = check_quorum(network.committee, certificate); !ok) return ok;
    std::vector<Hash> roots;
    roots.reserve(certificate.votes.size());
    for (const auto& [index, signature] : certificate.votes) {
      const auto root = crypto::batch_root(leaf, signature);
      if (!root) return invalid(fmt::format("the batch signature of validator {} has a wrong form", index.value()));
      roots.push_back(*root);
    }
    votes.reserve(votes.size() + roots.size());
    for (std::size_t i = 0; i < roots.size(); ++i) {
      const auto& [index, signature] = certificate.votes[i];
      const std::size_t root = roots_to_check.place_of(
          caches.validators,
          {.key = network.committee.find(index)->public_key, .root = roots[i], .signature = signature.signature});
      votes.push_back({root, index});
    }
    return {};
  }
  Ruled<> prepare(const Certificate& certificate, std::vector<Checks::Vote>& votes) {
    return prepare(certificate, signing_leaf(network.id, certificate.value), votes);
  }
  Ruled<ProvenRequests> prepare(const Proof& proof, std::vector<Checks::Vote>& votes) {
    ProofReader reader{proof, {}, nullptr};
    if (auto ok = reader.check_form(); !ok) return std::unexpected(ok.error());
    if (auto ok = reader.link(hasher); !ok) return std::unexpected(ok.error());
    const Certificate& certificate = proof.certificate;
    // The hasher stands at the request of a Confirm value.
    const bool confirm = std::holds_alternative<Confirm>(certificate.value.kind);
    const Hash leaf = confirm ? hasher.confirm_leaf() : signing_leaf(network.id, certificate.value);
    if (auto ok = prepare(certificate, leaf, votes); !ok) return std::unexpected(ok.error());
    if (proof.lock)
      if (auto ok = prepare(*proof.lock, votes); !ok) return std::unexpected(ok.error());
    return std::move(reader.result);
  }

  // Messages to instances: the certificates that each kind carries.
  Ruled<> prepare(const SubmitProposal& it, std::vector<Checks::Vote>& votes) {
    if (!it.locks.in_bounds()) return invalid("1 to 16 Lock certificates");
    for (const Certificate& lock : it.locks)
      if (auto ok = prepare_lock(lock, votes); !ok) return ok;
    return it.carried ? prepare_agreement(*it.carried, votes) : Ruled<>{};
  }
  Ruled<> prepare(const SubmitInstanceCertificate& it, std::vector<Checks::Vote>& votes) {
    return prepare_agreement(it.certificate, votes);
  }
  Ruled<> prepare(const AskTimeout& it, std::vector<Checks::Vote>& votes) { return prepare_lock(it.lock, votes); }
  Ruled<> prepare(const ShowLocks& it, std::vector<Checks::Vote>& votes) {
    if (!it.locks.in_bounds()) return invalid("1 to 16 Lock certificates");
    for (const Certificate& lock : it.locks)
      if (auto ok = prepare_lock(lock, votes); !ok) return ok;
    return {};
  }
  Ruled<> prepare_lock(const Certificate& certificate, std::vector<Checks::Vote>& votes) {
    const auto* lock = std::get_if<Lock>(&certificate.value.kind);
    if (lock == nullptr) return invalid("not a Lock certificate");
    if (lock->request.epoch != current_epoch) return invalid("a request of another epoch");
    return prepare(certificate, votes);
  }
  Ruled<> prepare_agreement(const Certificate& certificate, std::vector<Checks::Vote>& votes) {
    const auto& kind = certificate.value.kind;
    Ruled<> form = invalid("not a certificate of an agreement");
    if (const auto* precommit = std::get_if<PreCommit>(&kind)) form = check_agreement(*precommit);
    if (const auto* commit = std::get_if<Commit>(&kind)) form = check_agreement(*commit);
    if (const auto* timeout = std::get_if<Timeout>(&kind))
      form = timeout->epoch == current_epoch ? Ruled<>{} : invalid("a Timeout of another epoch");
    if (!form) return form;
    return prepare(certificate, votes);
  }

  template <class T>
  void prepare_signature(Checks& checks, const T& value, const PublicKey& key, const BatchSignature& signature) {
    prepare_signature(checks, signing_leaf(network.id, value), key, signature);
  }
  void prepare_signature(Checks& checks, const Hash& leaf, const PublicKey& key, const BatchSignature& signature) {
    checks.by_client = true;
    if (const auto root = crypto::batch_root(leaf, signature))
      checks.signature =
          roots_to_check.place_of(caches.clients, {.key = key, .root = *root, .signature = signature.signature});
  }

  // What a message needs, step by step, each only if it passed the one before: the client's signature, if it has one;
  // one unknown root; all its votes. So a worthless certificate costs one verification, however many signers it names
  // (C1: stop at the first bad one), and whoever sends it: anybody can sign a message to an instance.
  static constexpr std::size_t steps = 3;
  void collect(const Checks& checks, std::size_t step, std::vector<std::size_t>& places) const {
    if (checks.by_client) {
      if (step == 0) {
        if (checks.signature) places.push_back(*checks.signature);
        return;
      }
      if (!signature_valid(checks)) return;
      --step;
    }
    const auto* vote = first_unknown(checks);
    if (vote == nullptr) return;
    if (step == 0) {
      places.push_back(vote->root);
    } else if (roots_to_check.valid(vote->root)) {
      for (const Checks::Vote& each : checks.votes) places.push_back(each.root);
    }
  }
  static const Checks::Vote* first_unknown(const Checks& checks) {
    if (!checks.form) return nullptr;
    const auto found = std::ranges::find_if(checks.votes, [](const auto& vote) { return vote.root != known_root; });
    return found == checks.votes.end() ? nullptr : &*found;
  }
  bool signature_valid(const Checks& checks) const {
    return checks.signature.has_value() && roots_to_check.valid(*checks.signature);
  }
  // The outcome of all checks of one message.
  Ruled<> verdict(const Checks& checks) const {
    if (checks.by_client && !signature_valid(checks) && !mutant("skip_order_signature"))
      return refuse(InvalidSignature{});
    if (!checks.form) return checks.form;
    for (const Checks::Vote& vote : checks.votes)
      if (!roots_to_check.valid(vote.root))
        return invalid(fmt::format("the signature of validator {} is not valid", vote.signer.value()));
    return {};
  }

  template <class Collect>
  void for_all(Collect collect) const {
    for (const PendingOrder& order : orders) collect(order.checks);
    for (const PendingProof& proof : proofs) collect(proof.checks);
    for (const PendingMessage& message : messages) collect(message.checks);
  }

  const Network& network;
  RootCaches& caches;
  Hasher hasher;
  RootChecks roots_to_check;
  std::vector<PendingOrder> orders;
  std::vector<PendingProof> proofs;
  std::vector<PendingMessage> messages;
  bool ran = false;
};

VerificationBatch::VerificationBatch(const Network& network, RootCaches& caches)
    : state_(std::make_unique<State>(network, caches)) {}
VerificationBatch::~VerificationBatch() = default;

std::size_t VerificationBatch::add(RequestOrder order, bool proof_too) {
  ZEF_CHECK(!state_->ran);
  Hasher& hasher = state_->hasher;
  hasher.set(order.request);
  const Hash hash = hasher.request_hash();
  Checks checks;
  state_->prepare_signature(checks, hasher.request_leaf(), order.owner, order.signature);
  if (order.proof && proof_too) {
    auto proof = state_->prepare(*order.proof, checks.votes);
    if (!proof) checks.form = std::unexpected(proof.error());
  }
  state_->orders.push_back({std::move(order), hash, proof_too, std::move(checks)});
  return state_->orders.size() - 1;
}

std::size_t VerificationBatch::add(Proof proof) {
  ZEF_CHECK(!state_->ran);
  auto shared = std::make_shared<const Proof>(std::move(proof));
  Checks checks;
  auto items = state_->prepare(*shared, checks.votes);
  if (!items) checks.form = std::unexpected(items.error());
  state_->proofs.push_back({std::move(shared), items ? std::move(*items) : ProvenRequests(), std::move(checks)});
  return state_->proofs.size() - 1;
}

std::size_t VerificationBatch::add(InstanceMessage message) {
  ZEF_CHECK(!state_->ran);
  Checks checks;
  if (const auto* proposal = std::get_if<SubmitProposal>(&message)) {
    state_->prepare_signature(checks, proposal->proposal, proposal->delegate, proposal->signature);
  } else if (const auto* ask = std::get_if<AskTimeout>(&message)) {
    state_->prepare_signature(checks, AskedTimeout{current_epoch, ask->instance, ask->round}, ask->delegate,
                              ask->signature);
  }
  checks.form = std::visit([&](const auto& it) { return state_->prepare(it, checks.votes); }, message);
  if (const auto& start = start_of(message); start && checks.form) {
    auto proof = state_->prepare(*start, checks.votes);
    if (!proof) checks.form = std::unexpected(proof.error());
  }
  state_->messages.push_back({std::move(message), std::move(checks)});
  return state_->messages.size() - 1;
}

void VerificationBatch::run() {
  ZEF_CHECK(!state_->ran);
  state_->ran = true;
  const Bytes prefix = batch_root_prefix(state_->network.id);
  std::vector<std::size_t> places;
  for (std::size_t step = 0; step < State::steps; ++step) {
    places.clear();
    state_->for_all([&](const Checks& checks) { state_->collect(checks, step, places); });
    state_->roots_to_check.run(prefix, places);
  }
}

Ruled<VerifiedOrder> VerificationBatch::take_order(std::size_t place) {
  ZEF_CHECK(state_->ran && place < state_->orders.size());
  State::PendingOrder& pending = state_->orders[place];
  ZEF_CHECK(!std::exchange(pending.taken, true));
  if (auto ok = state_->verdict(pending.checks); !ok) return std::unexpected(ok.error());
  std::optional<Request> start;
  if (const auto* lock = std::get_if<LockInto>(&pending.order.request.operation); lock && pending.proof_too) {
    auto shown = shown_start(pending.order.proof, lock->instance);
    if (!shown) return std::unexpected(shown.error());
    start = std::move(*shown);
  }
  return VerifiedOrder(std::move(pending.order), pending.hash, std::move(start));
}

Ruled<VerifiedProof> VerificationBatch::take_proof(std::size_t place) {
  ZEF_CHECK(state_->ran && place < state_->proofs.size());
  State::PendingProof& pending = state_->proofs[place];
  ZEF_CHECK(!std::exchange(pending.taken, true));
  if (auto ok = state_->verdict(pending.checks); !ok) return std::unexpected(ok.error());
  return VerifiedProof(std::move(pending.proof), std::move(pending.items));
}

Ruled<VerifiedInstanceMessage> VerificationBatch::take_instance_message(std::size_t place) {
  ZEF_CHECK(state_->ran && place < state_->messages.size());
  State::PendingMessage& pending = state_->messages[place];
  ZEF_CHECK(!std::exchange(pending.taken, true));
  if (auto ok = state_->verdict(pending.checks); !ok) return std::unexpected(ok.error());
  auto start = shown_start(start_of(pending.message), instance_of(pending.message));
  if (!start) return std::unexpected(start.error());
  return VerifiedInstanceMessage(std::move(pending.message), std::move(*start));
}

bool verify_certificate(const Network& network, RootCaches& caches, const Certificate& certificate) {
  if (!certificate.votes.in_bounds() || !check_quorum(network.committee, certificate)) return false;
  const Hash leaf = signing_leaf(network.id, certificate.value);
  return std::ranges::all_of(certificate.votes, [&](const auto& vote) {
    const ValidatorInfo* validator = network.committee.find(vote.first);
    return verify_leaf(network.id, caches.validators, validator->public_key, leaf, vote.second);
  });
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
