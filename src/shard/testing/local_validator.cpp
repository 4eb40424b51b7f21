#include "shard/testing/local_validator.h"

namespace zef::shard::testing {

namespace {

// Never verified: the caches say that they were. Another one for each signer, so that the votes of one certificate are
// spread over the caches.
BatchSignature made_up_signature(std::size_t signer = 0) {
  BatchSignature signature;
  signature.signature.bytes.fill(7);
  signature.signature.bytes[0] = static_cast<std::uint8_t>(signer);
  return signature;
}

}  // namespace

// What is trusted must stay in the caches until it is verified: room enough that the roots of one message, some tens,
// do not push each other out.
Certifier::Certifier(const TestNetwork& net)
    : net_(&net), caches_{.validators = crypto::RootCache(4096), .clients = crypto::RootCache(64)} {}

template <class T>
void Certifier::trust(const T& value, const PublicKey& signer, const BatchSignature& signature) {
  if (const auto root = crypto::batch_root(signing_leaf(net_->id(), value), signature))
    caches_.clients.insert(signer, *root, signature.signature);
}

void Certifier::trust(const Certificate& certificate) {
  const Hash leaf = signing_leaf(net_->id(), certificate.value);
  for (const auto& [signer, signature] : certificate.votes) {
    if (const auto root = crypto::batch_root(leaf, signature))
      caches_.validators.insert(net_->validator_key(signer.value()).public_key(), *root, signature.signature);
  }
}

void Certifier::trust(const Proof& proof) {
  trust(proof.certificate);
  if (proof.lock) trust(*proof.lock);
}

VerifiedOrder Certifier::order(const Request& request, const PublicKey& owner) {
  return order({.request = request, .owner = owner, .signature = made_up_signature(), .proof = {}});
}

VerifiedOrder Certifier::order(const RequestOrder& order, bool proof_too) {
  trust(order.request, order.owner, order.signature);
  if (order.proof) trust(*order.proof);
  VerificationBatch batch(net_->network(), caches_);
  const auto place = batch.add(order, proof_too);
  batch.run();
  auto verified = batch.take_order(place);
  must(verified.has_value());
  return std::move(*verified);
}

Certificate Certifier::certificate(const Value& value) const {
  Certificate certificate{.value = value, .votes = {}};
  for (const std::size_t signer : net_->quorum())
    certificate.votes.emplace_back(ValidatorIndex(static_cast<std::uint16_t>(signer)), made_up_signature(signer));
  return certificate;
}

Proof Certifier::proof(std::span<const Request> requests) const {
  ZEF_CHECK(!requests.empty());
  Proof proof;
  proof.account = requests.back().account;
  proof.earlier.assign(requests.begin(), requests.end() - 1);
  proof.certificate = certificate(Value{Confirm{requests.back()}});
  return proof;
}

VerifiedProof Certifier::verified(const Proof& proof) {
  trust(proof);
  VerificationBatch batch(net_->network(), caches_);
  const auto place = batch.add(proof);
  batch.run();
  auto verified = batch.take_proof(place);
  must(verified.has_value());
  return std::move(*verified);
}

VerifiedInstanceMessage Certifier::verified(const InstanceMessage& message) {
  if (const auto& start = start_of(message)) trust(*start);
  if (const auto* it = std::get_if<SubmitProposal>(&message)) {
    trust(it->proposal, it->delegate, it->signature);
    for (const Certificate& lock : it->locks) trust(lock);
    if (it->carried) trust(*it->carried);
  } else if (const auto* certified = std::get_if<SubmitInstanceCertificate>(&message)) {
    trust(certified->certificate);
  } else if (const auto* ask = std::get_if<AskTimeout>(&message)) {
    trust(AskedTimeout{current_epoch, ask->instance, ask->round}, ask->delegate, ask->signature);
    trust(ask->lock);
  } else if (const auto* shown = std::get_if<ShowLocks>(&message)) {
    for (const Certificate& lock : shown->locks) trust(lock);
  }
  VerificationBatch batch(net_->network(), caches_);
  const auto place = batch.add(message);
  batch.run();
  auto verified = batch.take_instance_message(place);
  must(verified.has_value());
  return std::move(*verified);
}

LocalValidator::LocalValidator(const TestNetwork& net)
    : net_(&net), certifier_(net), genesis_(genesis_by_shard(net.genesis())) {
  for (std::uint16_t id = 0; id < shard_count; ++id) {
    if (!genesis_[id].empty()) static_cast<void>(shard(ShardId(id)));
  }
}

Shard& LocalValidator::shard(ShardId id) {
  const auto found = shards_.find(id);
  if (found != shards_.end()) return found->second;
  Shard& added = shards_.emplace(id, Shard(id, net_->network())).first->second;
  added.apply_genesis(net_->genesis(), genesis_[id.value()]);
  return added;
}

std::vector<ShardId> LocalValidator::shards() const {
  std::vector<ShardId> result;
  for (const auto& [id, shard] : shards_) result.push_back(id);
  return result;
}

Outcome LocalValidator::took(ShardId shard, Outcome outcome) {
  for (const Record& record : outcome.records) log_.emplace_back(shard, codec::encode(record));
  const Totals t = totals();
  must(t.balances + (t.caused - t.received) + (t.fees - t.fees_credited) + t.burned ==
       supply_of(net_->genesis()));  // I4
  return outcome;
}

Outcome LocalValidator::order(const Request& request, const PublicKey& owner) {
  return order({.request = request, .owner = owner, .signature = made_up_signature(), .proof = {}});
}

Outcome LocalValidator::order(const RequestOrder& order) {
  Shard& shard = shard_with(order.request.account);
  const auto early = shard.look_up(order);
  const VerifiedOrder verified = certifier_.order(order, early || shard.affordable(order));
  Outcome outcome = took(shard.id(), shard.handle(verified));
  if (early) {
    must(outcome.records.empty());
    if (const auto* refusal = std::get_if<Refusal>(&*early)) must(*refusal == std::get<Refusal>(outcome.answer));
    if (const auto* vote = std::get_if<Vote>(&*early)) must(*vote == std::get<Vote>(outcome.answer));
    if (const auto* vote = std::get_if<VoteToSign>(&*early))
      must(vote->value == std::get<VoteToSign>(outcome.answer).value);
  }
  return outcome;
}

Outcome LocalValidator::execute(const Proof& proof) {
  Shard& shard = shard_with(proof.account);
  const auto early = shard.look_up(proof);
  const VerifiedProof verified = certifier_.verified(proof);
  Outcome outcome = took(shard.id(), shard.execute(verified));
  if (early) {
    must(outcome.records.empty());
    if (const auto* refusal = std::get_if<Refusal>(&*early)) must(*refusal == std::get<Refusal>(outcome.answer));
    if (const auto* state = std::get_if<AccountState>(&*early)) must(*state == std::get<AccountState>(outcome.answer));
  }
  return outcome;
}

Outcome LocalValidator::tell(const InstanceMessage& message) {
  Shard& shard = shard_with(instance_of(message));
  const auto early = shard.look_up(message);
  Outcome outcome = took(shard.id(), shard.handle(certifier_.verified(message), now_));
  if (early) must(outcome.records.empty() && *early == std::get<Refusal>(outcome.answer));
  return outcome;
}

EffectBatch LocalValidator::batch(ShardId source, ShardId destination, std::uint64_t from, std::size_t limit) {
  EffectBatch batch{.source = source, .destination = destination, .first = from, .effects = {}, .proofs = {}};
  std::map<const Proof*, std::uint32_t> places;
  for (const OutgoingEffect& outgoing : shard(source).outgoing(destination, from, limit)) {
    if (batch.effects.empty()) batch.first = outgoing.index;
    if (const auto* total = std::get_if<FeeTotal>(&outgoing.effect)) {
      batch.effects.emplace_back(*total);
      continue;
    }
    auto certified = std::get<CertifiedEffect>(outgoing.effect);
    const auto [place, added] =
        places.try_emplace(outgoing.proof.get(), static_cast<std::uint32_t>(batch.proofs.size()));
    if (added) batch.proofs.push_back(*outgoing.proof);
    certified.proof = place->second;
    batch.effects.emplace_back(certified);
  }
  return batch;
}

Ruled<Outcome> LocalValidator::receive(const EffectBatch& batch) {
  std::vector<VerifiedProof> proofs;
  for (const Proof& proof : batch.proofs) proofs.push_back(certifier_.verified(proof));
  auto effects = VerifiedEffects::derive(net_->network(), batch, proofs);
  if (!effects) return std::unexpected(effects.error());
  return took(batch.destination, shard(batch.destination).receive(*effects));
}

Outcome LocalValidator::acknowledge(ShardId source, ShardId destination, std::uint64_t up_to) {
  return took(source, shard(source).acknowledge(destination, up_to));
}

void LocalValidator::deliver(ShardId source, ShardId destination, std::size_t limit, bool acknowledged) {
  const std::uint64_t mark = shard(destination).mark(source);
  must(receive(batch(source, destination, mark, limit)).has_value());
  if (acknowledged) acknowledge(source, destination, shard(destination).mark(source));
}

void LocalValidator::deliver_all() {
  for (const ShardId source : shards()) {
    for (const ShardId destination : shard(source).destinations()) deliver(source, destination, SIZE_MAX);
  }
}

void LocalValidator::queue_fee_totals() {
  for (const ShardId id : shards()) took(id, shard(id).queue_fee_totals());
}

void LocalValidator::settle() {
  queue_fee_totals();
  deliver_all();
}

Totals LocalValidator::totals() const {
  Totals sum;
  for (const auto& [id, shard] : shards_) add_to(sum, shard.totals());
  return sum;
}

std::map<ShardId, Hash> LocalValidator::digests() const {
  std::map<ShardId, Hash> result;
  for (const auto& [id, shard] : shards_) result.emplace(id, shard.digest());
  return result;
}

std::map<ShardId, Hash> LocalValidator::replayed_digests() const {
  LocalValidator again(*net_);
  again.replay_all(*this);
  return again.digests();
}

void LocalValidator::replay_all(const LocalValidator& other) {
  for (const ShardId id : other.shards()) static_cast<void>(shard(id));
  for (const auto& [id, bytes] : other.log_) {
    const auto record = codec::decode<Record>(bytes);
    must(record.has_value());
    must(shard(id).replay(*record).has_value());
  }
}

void LocalValidator::restart() {
  LocalValidator again(*net_);
  again.replay_all(*this);
  must(again.digests() == digests());
  shards_ = std::move(again.shards_);
  checkpoints_.clear();  // these shards count their changes from the beginning
}

void LocalValidator::checkpoint(ShardId id, bool whole) {
  Checkpoints& kept = checkpoints_[id];
  Shard& its = shard(id);
  whole |= kept.chain.empty();
  const Hash before = its.digest();
  if (whole) kept.chain.clear();
  kept.chain.push_back(whole ? its.take_whole().bytes : its.take_changes().bytes);
  kept.log_from = log_.size();
  must(!its.changed() && its.digest() == before);
}

void LocalValidator::restart_from_checkpoints() {
  std::map<ShardId, Shard> again;
  for (const auto& [id, old] : shards_) {
    Shard& fresh = again.emplace(id, Shard(id, net_->network())).first->second;
    const auto kept = checkpoints_.find(id);
    if (kept == checkpoints_.end()) {
      fresh.apply_genesis(net_->genesis(), genesis_[id.value()]);
    } else {
      for (const Bytes& snapshot : kept->second.chain) must(fresh.load(snapshot).has_value());
    }
  }
  for (std::size_t i = 0; i < log_.size(); ++i) {
    const auto& [id, bytes] = log_[i];
    const auto kept = checkpoints_.find(id);
    if (kept != checkpoints_.end() && i < kept->second.log_from) continue;
    must(again.at(id).replay(codec::decode<Record>(bytes).value()).has_value());
  }
  for (const auto& [id, fresh] : again) must(fresh.digest() == shards_.at(id).digest());
  shards_ = std::move(again);
}

std::map<Uid, Hash> LocalValidator::account_digests() const {
  std::map<Uid, Hash> result;
  for (const auto& [id, shard] : shards_) {
    for (const Uid& uid : shard.accounts()) result.emplace(uid, *shard.account_digest(uid));
  }
  return result;
}

std::map<Uid, Decision> LocalValidator::decisions() const {
  std::map<Uid, Decision> result;
  for (const auto& [id, shard] : shards_) {
    for (const Uid& uid : shard.instances()) {
      const auto decided = shard.instance(uid)->decided;
      if (decided) result.emplace(uid, std::get<Commit>(decided->value.kind).proposal.decision);
    }
  }
  return result;
}

}  // namespace zef::shard::testing
