#include "client/testing/local_network.h"

namespace zef::client::testing {

using shard::EffectBatch;
using shard::EffectsReceived;
using shard::Executed;
using shard::OutgoingEffect;
using shard::Record;
using shard::Shard;
using shard::VerifiedEffects;
using shard::VoteToSign;

TestValidator::TestValidator(Executor& executor, net::Transport& transport, const TestNetwork& network,
                             std::size_t index)
    : executor_(executor),
      network_(&network),
      index_(index),
      caches_(protocol::testing::test_caches()),
      genesis_(shard::genesis_by_shard(network.genesis())) {
  net::RpcServer::Handlers handlers;
  handlers.on_call = [this](net::ConnectionId connection, std::uint64_t id, ByteView body) {
    ++answered_;
    if (fault_ == Fault::silent) return server_->forget(connection);
    if (fault_ == Fault::garbage) return server_->respond(connection, id, as_bytes("garbage"));
    const auto query = codec::decode<Query>(body);
    const auto said = query ? answer(*query) : Answer(Refused{Malformed{"no query"}});
    if (!said) return server_->forget(connection);
    server_->respond(connection, id, codec::encode(*said));
  };
  server_ = std::make_unique<net::RpcServer>(executor, transport, std::move(handlers));
  const auto listening = server_->listen({"127.0.0.1", 0});
  ZEF_CHECK(listening);
  address_ = *listening;
}

void TestValidator::hold_effects(bool hold) {
  hold_ = hold;
  deliver_effects();
}

Shard& TestValidator::shard_at(ShardId id) {
  const auto found = shards_.find(id);
  if (found != shards_.end()) return found->second;
  Shard& added = shards_.emplace(id, Shard(id, network_->network())).first->second;
  added.apply_genesis(network_->genesis(), genesis_[id.value()]);
  return added;
}

std::optional<AccountState> TestValidator::account(const Uid& uid) { return shard_of_account(uid).account(uid); }

Totals TestValidator::totals() const {
  Totals sum;
  for (const auto& [id, shard] : shards_) {
    const Totals one = shard.totals();
    sum.accounts += one.accounts;
    sum.balances += one.balances;
    sum.burned += one.burned;
    sum.caused += one.caused;
    sum.received += one.received;
    sum.fees += one.fees;
    sum.fees_credited += one.fees_credited;
    sum.executed += one.executed;
    sum.effects_waiting += one.effects_waiting;
    sum.conflicts += one.conflicts;
  }
  return sum;
}

std::map<Uid, Hash> TestValidator::digests() {
  for (std::uint16_t id = 0; id < shard_count; ++id)
    if (!genesis_[id].empty()) static_cast<void>(shard_at(ShardId(id)));
  std::map<Uid, Hash> digests;
  for (const auto& [id, shard] : shards_)
    for (const Uid& uid : shard.accounts()) digests.emplace(uid, *shard.account_digest(uid));
  return digests;
}

void TestValidator::took(const std::vector<Record>& records) {
  for (const Record& record : records) {
    if (const auto* executed = std::get_if<Executed>(&record)) {
      const auto proof = std::make_shared<const Proof>(executed->proof);
      const auto requests = requests_of(network_->network(), *proof);
      for (const auto& item : *requests) executed_[proof->account].try_emplace(item.request->sequence_number, proof);
    }
    if (const auto* received = std::get_if<EffectsReceived>(&record))
      for (const Effect& effect : received->effects)
        if (const auto* credit = std::get_if<Credit>(&effect))
          received_[credit->recipient].push_back({credit->sender, credit->sequence_number, credit->amount});
  }
}

void TestValidator::deliver_effects() {
  if (hold_) return;
  std::vector<ShardId> sources;
  for (const auto& [id, shard] : shards_) sources.push_back(id);
  for (const ShardId source : sources)
    for (const ShardId destination : shard_at(source).destinations()) {
      EffectBatch batch{.source = source, .destination = destination, .first = 0, .effects = {}, .proofs = {}};
      std::vector<VerifiedProof> verified;
      std::uint64_t up_to = 0;
      for (const OutgoingEffect& outgoing : shard_at(source).outgoing(destination, 0, 1000)) {
        if (batch.effects.empty()) batch.first = outgoing.index;
        up_to = outgoing.index + 1;
        if (const auto* total = std::get_if<FeeTotal>(&outgoing.effect)) {
          batch.effects.emplace_back(*total);
          continue;
        }
        auto effect = std::get<shard::CertifiedEffect>(outgoing.effect);
        effect.proof = static_cast<std::uint32_t>(batch.proofs.size());
        batch.proofs.push_back(*outgoing.proof);
        verified.push_back(network_->verified(*outgoing.proof));
        batch.effects.emplace_back(effect);
      }
      const auto effects = VerifiedEffects::derive(network_->network(), batch, verified);
      ZEF_CHECK(effects);
      took(shard_at(destination).receive(*effects).records);
      static_cast<void>(shard_at(source).acknowledge(destination, up_to));
    }
}

Vote TestValidator::make_vote(const Value& value) {
  Vote vote = network_->vote(value, index_);
  if (fault_ == Fault::bad_signature) vote.signature.signature.bytes[0] ^= 1;
  if (fault_ == Fault::other_validator)
    vote.validator = ValidatorIndex(static_cast<std::uint16_t>((index_ + 1) % network_->genesis().validators.size()));
  return vote;
}

Answer TestValidator::signed_state(AccountState state) {
  if (fault_ == Fault::old_states) {
    state.next = SequenceNumber(0);
    state.balance = 1'000'000'000;
    state.head.bytes = network_->id().bytes;
  }
  if (fault_ == Fault::inventing) state.next = SequenceNumber(state.next.value() + 1'000'000);
  BatchSignature signature = network_->sign(state, network_->validator_key(index_));
  if (fault_ == Fault::bad_signature) signature.signature.bytes[0] ^= 1;
  return SignedAccountState{std::move(state), ValidatorIndex(static_cast<std::uint16_t>(index_)), std::move(signature)};
}

std::optional<Answer> TestValidator::answer(const Query& query) {
  return std::visit([this](const auto& one) { return on(one); }, query);
}

Answer TestValidator::on(const SubmitOrder& query) {
  const Request& request = query.order.request;
  seen_[{request.account, request.sequence_number}].insert(hash_of(network_->id(), request));
  if (fault_ == Fault::busy) return Refused{Overloaded{10}};
  if (fault_ == Fault::poor) return Refused{InsufficientFunds{0, 1}};
  if (fault_ == Fault::wrong_value) {
    Request other = request;
    other.operation = Skip{};
    return Voted{network_->vote(Value{Confirm{other}}, index_)};
  }
  VerificationBatch batch(network_->network(), caches_);
  const std::size_t place = batch.add(query.order);
  batch.run();
  const auto verified = batch.take_order(place);
  if (!verified) return Refused{verified.error()};
  Shard& shard = shard_of_account(request.account);
  const auto outcome = shard.handle(*verified);
  if (const auto* refusal = std::get_if<Refusal>(&outcome.answer)) return Refused{*refusal};
  if (const auto* vote = std::get_if<Vote>(&outcome.answer)) return Voted{make_vote(vote->value)};
  const Value value = std::get<VoteToSign>(outcome.answer).value;
  voted_[{request.account, request.sequence_number}].insert(hash_of(network_->id(), request));
  took(outcome.records);
  shard.attach_signature(request.account, request.sequence_number, network_->vote(value, index_));
  return Voted{make_vote(value)};
}

Answer TestValidator::on(const SubmitProof& query) {
  if (fault_ == Fault::busy) return Refused{Overloaded{10}};
  VerificationBatch batch(network_->network(), caches_);
  const std::size_t place = batch.add(query.proof);
  batch.run();
  const auto verified = batch.take_proof(place);
  if (!verified) return Refused{verified.error()};
  const auto outcome = shard_of_account(query.proof.account).execute(*verified);
  took(outcome.records);
  if (const auto* refusal = std::get_if<Refusal>(&outcome.answer)) return Refused{*refusal};
  deliver_effects();
  return signed_state(std::get<AccountState>(outcome.answer));
}

Answer TestValidator::on(const QueryAccount& query) {
  auto state = account(query.account);
  if (!state) return Refused{NotFound{}};
  state->nonce = query.nonce;
  return signed_state(std::move(*state));
}

Answer TestValidator::on(const QueryExecuted& query) {
  ExecutedPage page;
  if (fault_ == Fault::forgetful) return page;
  SequenceNumber next = query.from;
  const auto& history = executed_[query.account];
  constexpr std::size_t page_max = 4;  // small, so that tests turn pages
  for (auto at = history.find(next); at != history.end(); at = history.find(next)) {
    if (page.proofs.size() == std::min<std::size_t>(query.limit, page_max)) {
      page.more_from = next;
      break;
    }
    page.proofs.push_back(*at->second);
    const auto requests = requests_of(network_->network(), *at->second);
    next = SequenceNumber(requests->back().request->sequence_number.value() + 1);
  }
  if (fault_ == Fault::inventing && page.proofs.empty() && !history.empty())
    page.proofs.push_back(*history.begin()->second);
  return page;
}

Answer TestValidator::on(const QueryReceived& query) {
  std::vector<ReceivedCredit> all = received_[query.account];
  if (fault_ == Fault::forgetful) all.clear();
  if (fault_ == Fault::inventing) all.insert(all.begin(), {network_->uid(0), SequenceNumber(999), Amount(1'000'000)});
  constexpr std::size_t page_max = 4;
  ReceivedPage page{.credits = {}, .next = query.from, .total = all.size()};
  while (page.next < all.size() && page.credits.size() < std::min<std::size_t>(query.limit, page_max))
    page.credits.push_back(all[page.next++]);
  return page;
}

Answer TestValidator::on(const QueryNetwork& /*query*/) {
  return NetworkInfo{network_->id(), ValidatorIndex(static_cast<std::uint16_t>(index_)), "test"};
}

Answer TestValidator::on(const QueryTotals& /*query*/) { return totals(); }

// ---- instances
// -----------------------------------------------------------------------------------------------------

std::optional<InstanceState> TestValidator::instance(const Uid& uid) { return shard_of_account(uid).instance(uid); }

Answer TestValidator::on(const QueryInstance& query) {
  auto state = instance(query.instance);
  if (!state) return Refused{NotFound{}};
  if (fault_ == Fault::secretive) return InstanceState{state->start, Round(0), {}, {}, {}, {}};
  if (fault_ == Fault::inventing) {
    state->round = Round(1000);
    state->voted = Decision(Confirmed{});
    state->locks.assign(100, state->locks.empty() ? Certificate{} : state->locks.front());
  }
  return std::move(*state);
}

Answer TestValidator::on_instance(InstanceMessage message) {
  if (fault_ == Fault::busy) return Refused{Overloaded{10}};
  const Uid uid = instance_of(message);
  if (const auto* proposed = std::get_if<SubmitProposal>(&message); proposed && fault_ == Fault::obliging) {
    PreCommit value{current_epoch, proposed->proposal, {}};
    std::vector<const Request*> locks;
    for (const Certificate& lock : proposed->locks) locks.push_back(&std::get<Lock>(lock.value.kind).request);
    if (const auto known = instance(uid); known && std::holds_alternative<Confirmed>(proposed->proposal.decision))
      for (Request& request : confirmed_requests(started_by(known->start), locks))
        value.requests.push_back(std::move(request));
    return Voted{make_vote(Value{std::move(value)})};
  }
  Shard& shard = shard_of_account(uid);
  if (auto refusal = shard.look_up(message)) return Refused{std::move(*refusal)};
  VerificationBatch batch(network_->network(), caches_);
  const std::size_t place = batch.add(std::move(message));
  batch.run();
  const auto verified = batch.take_instance_message(place);
  if (!verified) return Refused{verified.error()};
  auto outcome = shard.handle(*verified, executor_.now());
  took(outcome.records);
  if (auto* refusal = std::get_if<Refusal>(&outcome.answer)) return Refused{std::move(*refusal)};
  if (auto* state = std::get_if<InstanceState>(&outcome.answer)) return std::move(*state);
  const Value& value = std::get<VoteToSign>(outcome.answer).value;
  if (const auto* precommit = std::get_if<PreCommit>(&value.kind))
    precommitted_[{uid, precommit->proposal.round}].insert(precommit->proposal.decision.index());
  return Voted{make_vote(value)};
}

// ---- the network
// -----------------------------------------------------------------------------------------------------

LocalNetwork::LocalNetwork(const TestNetworkOptions& options) : network(options) {
  for (std::size_t i = 0; i < network.genesis().validators.size(); ++i)
    validators.push_back(std::make_unique<TestValidator>(executor, *transport, network, i));
}

std::vector<net::Address> LocalNetwork::addresses() const {
  std::vector<net::Address> addresses;
  for (const auto& validator : validators) addresses.push_back(validator->address());
  return addresses;
}

std::unique_ptr<QuorumDriver> LocalNetwork::driver(DriverOptions options) {
  return std::make_unique<QuorumDriver>(executor, rng, *transport, network.network(), addresses(), std::move(options));
}

void LocalNetwork::set_away(std::size_t index, bool away) {
  wires.deny(validators[index]->address(), away);
  if (away) wires.cut(validators[index]->address());
}

crypto::SigningKey LocalNetwork::key(std::size_t account) const {
  return crypto::SigningKey::from_seed(network.account_key(account).seed());
}

std::unique_ptr<AccountDriver> LocalNetwork::account(QuorumDriver& quorum, std::size_t index, AccountStorage* storage) {
  return std::make_unique<AccountDriver>(quorum, genesis_chain(network.genesis(), network.network(), index, true),
                                         key(index), storage);
}

std::vector<Payment> to(const Uid& recipient, std::uint64_t amount) {
  return {Payment{Account{recipient}, Amount(amount), {}}};
}

}  // namespace zef::client::testing
