#include "shard/testing/local_validator.h"

namespace zef::shard::testing {

namespace {

// Never verified: the caches say that they were.
BatchSignature made_up_signature() {
  BatchSignature signature;
  signature.signature.bytes.fill(7);
  return signature;
}

}  // namespace

Certifier::Certifier(const TestNetwork& net) : net_(&net), caches_(protocol::testing::test_caches(64)) {}

VerifiedOrder Certifier::order(const Request& request, const PublicKey& owner) {
  const BatchSignature signature = made_up_signature();
  caches_.clients.insert(owner, signing_leaf(net_->id(), request), signature.signature);
  VerificationBatch batch(net_->network(), caches_);
  const auto place = batch.add(RequestOrder{.request = request, .owner = owner, .signature = signature, .proof = {}});
  batch.run();
  auto verified = batch.take_order(place);
  ZEF_CHECK(verified.has_value());
  return std::move(*verified);
}

Proof Certifier::proof(std::span<const Request> requests) const {
  ZEF_CHECK(!requests.empty());
  Proof proof;
  proof.account = requests.back().account;
  proof.earlier.assign(requests.begin(), requests.end() - 1);
  proof.certificate.value = Value{Confirm{requests.back()}};
  for (const std::size_t signer : net_->quorum())
    proof.certificate.votes.emplace_back(ValidatorIndex(static_cast<std::uint16_t>(signer)), made_up_signature());
  return proof;
}

VerifiedProof Certifier::verified(const Proof& proof) {
  const Hash leaf = signing_leaf(net_->id(), proof.certificate.value);
  for (const auto& [signer, signature] : proof.certificate.votes)
    caches_.validators.insert(net_->validator_key(signer.value()).public_key(), leaf, signature.signature);
  VerificationBatch batch(net_->network(), caches_);
  const auto place = batch.add(proof);
  batch.run();
  auto verified = batch.take_proof(place);
  ZEF_CHECK(verified.has_value());
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
  ZEF_CHECK(t.balances + (t.caused - t.received) + (t.fees - t.fees_credited) + t.burned ==
            supply_of(net_->genesis()));  // I4
  return outcome;
}

Outcome LocalValidator::order(const Request& request, const PublicKey& owner) {
  Shard& shard = shard_with(request.account);
  const VerifiedOrder verified = certifier_.order(request, owner);
  const auto early = shard.look_up(verified.order());
  Outcome outcome = took(shard.id(), shard.handle(verified));
  if (early) {
    ZEF_CHECK(outcome.records.empty());
    if (const auto* refusal = std::get_if<Refusal>(&*early)) ZEF_CHECK(*refusal == std::get<Refusal>(outcome.answer));
    if (const auto* vote = std::get_if<Vote>(&*early)) ZEF_CHECK(*vote == std::get<Vote>(outcome.answer));
    if (const auto* vote = std::get_if<VoteToSign>(&*early))
      ZEF_CHECK(vote->value == std::get<VoteToSign>(outcome.answer).value);
  }
  return outcome;
}

Outcome LocalValidator::execute(std::span<const Request> requests) {
  const Proof proof = certifier_.proof(requests);
  Shard& shard = shard_with(proof.account);
  const auto early = shard.look_up(proof);
  const VerifiedProof verified = certifier_.verified(proof);
  Outcome outcome = took(shard.id(), shard.execute(verified));
  if (early) {
    ZEF_CHECK(outcome.records.empty());
    if (const auto* refusal = std::get_if<Refusal>(&*early)) ZEF_CHECK(*refusal == std::get<Refusal>(outcome.answer));
    if (const auto* state = std::get_if<AccountState>(&*early))
      ZEF_CHECK(*state == std::get<AccountState>(outcome.answer));
  }
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
  ZEF_CHECK(receive(batch(source, destination, mark, limit)).has_value());
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
  for (const ShardId id : shards()) static_cast<void>(again.shard(id));
  for (const auto& [id, bytes] : log_) {
    const auto record = codec::decode<Record>(bytes);
    ZEF_CHECK(record.has_value());
    ZEF_CHECK(again.shard(id).replay(*record).has_value());
  }
  return again.digests();
}

std::map<Uid, Hash> LocalValidator::account_digests() const {
  std::map<Uid, Hash> result;
  for (const auto& [id, shard] : shards_) {
    for (const Uid& uid : shard.accounts()) result.emplace(uid, *shard.account_digest(uid));
  }
  return result;
}

}  // namespace zef::shard::testing
