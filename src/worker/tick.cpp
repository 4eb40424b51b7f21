#include "worker/tick.h"

#include "base/log.h"
#include "base/mutant.h"
#include "crypto/batch_signer.h"

namespace zef::worker {
namespace {

using namespace protocol;

Refused refused(Refusal why) { return Refused{std::move(why)}; }

// The message to an instance that a query is, if it is one.
std::optional<InstanceMessage> instance_message(const Query& query) {
  if (const auto* q = std::get_if<SubmitProposal>(&query)) return *q;
  if (const auto* q = std::get_if<SubmitInstanceCertificate>(&query)) return *q;
  if (const auto* q = std::get_if<AskTimeout>(&query)) return *q;
  if (const auto* q = std::get_if<ShowLocks>(&query)) return *q;
  return std::nullopt;
}

// The account or instance that a query is about; nothing for those about the whole validator.
const Uid* target_of(const Query& query) {
  if (const auto* q = std::get_if<SubmitOrder>(&query)) return &q->order.request.account;
  if (const auto* q = std::get_if<SubmitProof>(&query)) return &q->proof.account;
  if (const auto* q = std::get_if<QueryAccount>(&query)) return &q->account;
  if (const auto* q = std::get_if<QueryExecuted>(&query)) return &q->account;
  if (const auto* q = std::get_if<QueryReceived>(&query)) return &q->account;
  if (const auto* q = std::get_if<SubmitProposal>(&query)) return &q->proposal.instance;
  if (const auto* q = std::get_if<SubmitInstanceCertificate>(&query)) return &q->instance;
  if (const auto* q = std::get_if<AskTimeout>(&query)) return &q->instance;
  if (const auto* q = std::get_if<QueryInstance>(&query)) return &q->instance;
  if (const auto* q = std::get_if<ShowLocks>(&query)) return &q->instance;
  return nullptr;
}

// Between shards of one worker, in one turn: what is built beyond waits for the next.
constexpr std::size_t own_bytes_per_turn_max = 8U << 20;

// An upper bound of the bytes that a proof takes in a message.
std::size_t size_of(const Proof& proof) {
  std::size_t bytes = 512;
  for (const auto& [validator, signature] : proof.certificate.votes) bytes += 96 + 32 * signature.path.size();
  for (const Request& request : proof.earlier) bytes += encoded_size(request);
  if (proof.lock) bytes += request_bytes_max + proof.lock->votes.size() * 512;
  const auto& kind = proof.certificate.value.kind;
  if (const auto* confirm = std::get_if<Confirm>(&kind)) bytes += encoded_size(confirm->request);
  if (const auto* commit = std::get_if<Commit>(&kind))
    for (const Request& request : commit->requests) bytes += encoded_size(request);
  return bytes;
}

}  // namespace

void Tick::add(Caller caller, Query query) { messages_.emplace_back(FromClient{caller, std::move(query)}); }
void Tick::add(Caller caller, DeliverEffects effects) { messages_.emplace_back(FromPeer{caller, std::move(effects)}); }
void Tick::add_own(const EffectsOut& effects) { own_.push_back(effects); }
void Tick::add_result(DeliveryResult result) { messages_.emplace_back(Result{std::move(result)}); }
void Tick::add_fee_totals() { messages_.emplace_back(FeeTime{}); }

void Tick::add_resend(ShardId source, ShardId destination) {
  in_flight_.erase({source, destination});
  touched_.insert(source);
}

void Tick::touch(ShardId id) { touched_.insert(id); }

void Tick::forget(ShardId id) {
  touched_.erase(id);
  in_flight_.erase(in_flight_.lower_bound({id, ShardId(0)}), in_flight_.upper_bound({id, ShardId(shard_count - 1)}));
}

void Tick::run(MonotonicTime now) {
  now_ = now;
  ++metrics_.turns;
  std::vector<Message> messages = std::exchange(messages_, {});
  take_own(messages);
  VerificationBatch batch(parts_.network, parts_.caches);
  std::vector<Prepared> prepared;
  prepared.reserve(messages.size());
  for (const Message& message : messages) prepared.push_back(prepare(message, batch));
  batch.run();
  for (std::size_t i = 0; i < messages.size(); ++i) handle(messages[i], prepared[i], batch);
  sign_and_queue();
  queue_effects();
}

void Tick::take_own(std::vector<Message>& messages) {
  std::size_t bytes = 0;
  while (!own_.empty() && bytes < own_bytes_per_turn_max) {
    const EffectsOut next = own_.front();
    own_.pop_front();
    auto batch = build_batch(next);
    if (!batch) {
      failed_.emplace_back(next.source, next.destination);
      continue;
    }
    for (const Proof& proof : batch->proofs) bytes += size_of(proof);
    messages.emplace_back(FromSelf{std::move(*batch)});
  }
}

Tick::Prepared Tick::prepare(const Message& message, VerificationBatch& batch) {
  Prepared prepared;
  if (const auto* client = std::get_if<FromClient>(&message)) return prepare_query(client->query, batch);
  const auto add_batch = [&](const shard::EffectBatch& effects) {
    BatchPlaces places;
    for (const Proof& proof : effects.proofs) places.proofs.push_back(batch.add(proof));
    prepared.batches.push_back(std::move(places));
  };
  if (const auto* peer = std::get_if<FromPeer>(&message)) {
    for (const shard::EffectBatch& effects : peer->effects.batches) add_batch(effects);
  } else if (const auto* own = std::get_if<FromSelf>(&message)) {
    add_batch(own->batch);
  }
  return prepared;
}

// For a mutant: L2 lets a lock be made whatever is known of its instance here, as others know less.
bool Tick::decided_here(const RequestOrder& order) const {
  const auto* lock = std::get_if<LockInto>(&order.request.operation);
  const OwnedShard* owned = lock ? parts_.shards.find(shard_of(lock->instance)) : nullptr;
  const auto state = owned ? owned->shard.instance(lock->instance) : std::nullopt;
  return state && state->decided;
}

Tick::Prepared Tick::prepare_query(const Query& query, VerificationBatch& batch) {
  Prepared prepared;
  const Uid* target = target_of(query);
  if (!target) return prepared;
  const ShardId id = shard_of(*target);
  OwnedShard* owned = parts_.shards.find(id);
  if (owned) ++owned->work;  // questions and what is refused cost time too
  if (!owned) {
    prepared.answer = refused(Moved{id});
  } else if (const auto* submit = std::get_if<SubmitOrder>(&query)) {
    auto early = owned->shard.look_up(submit->order);  // R1 to R5, no signature needed
    if (mutant("lock_looks_at_instance") && decided_here(submit->order)) {
      prepared.answer = refused(InvalidOperation{"the instance is decided"});
    } else if (!early) {
      prepared.place = batch.add(submit->order, owned->shard.affordable(submit->order));
    } else if (auto* refusal = std::get_if<Refusal>(&*early)) {
      prepared.answer = refused(std::move(*refusal));
    } else if (auto* vote = std::get_if<Vote>(&*early)) {
      prepared.answer = Voted{std::move(*vote)};
    } else {
      prepared.repeat = std::get<shard::VoteToSign>(std::move(*early));
    }
  } else if (const auto* proof = std::get_if<SubmitProof>(&query)) {
    auto early = owned->shard.look_up(proof->proof);  // C1, C2
    if (!early) {
      prepared.place = batch.add(proof->proof);
    } else if (auto* refusal = std::get_if<Refusal>(&*early)) {
      prepared.answer = refused(std::move(*refusal));
    } else {
      prepared.state = std::get<AccountState>(std::move(*early));
    }
  } else if (auto message = instance_message(query)) {
    return prepare_instance(*message, *owned, batch);
  }
  return prepared;
}

Tick::Prepared Tick::prepare_instance(const InstanceMessage& message, const OwnedShard& owned,
                                      VerificationBatch& batch) {
  Prepared prepared;
  if (auto refusal = owned.shard.look_up(message))
    prepared.answer = refused(std::move(*refusal));
  else
    prepared.place = batch.add(message);
  return prepared;
}

void Tick::handle(Message& message, Prepared& prepared, VerificationBatch& batch) {
  if (auto* client = std::get_if<FromClient>(&message)) {
    handle_query(*client, prepared, batch);
  } else if (auto* peer = std::get_if<FromPeer>(&message)) {
    DeliveryResults results;
    for (std::size_t i = 0; i < peer->effects.batches.size(); ++i)
      results.results.push_back(apply_effects(peer->effects.batches[i], prepared.batches[i], batch));
    parts_.releases.push(parts_.log.appended(), PeerAnswer{peer->caller, codec::encode(results)});
  } else if (auto* own = std::get_if<FromSelf>(&message)) {
    // The acknowledgement's record follows the effects' record in the same log: it can never be durable alone.
    apply_result(apply_effects(own->batch, prepared.batches.front(), batch));
  } else if (auto* result = std::get_if<Result>(&message)) {
    apply_result(result->result);
  } else {
    parts_.shards.for_each([&](ShardId id, OwnedShard& owned) {
      if (!owned.shard.fee_totals_changed()) return;
      log_records(id, owned, owned.shard.queue_fee_totals().records);
      touched_.insert(id);
    });
  }
}

void Tick::handle_query(FromClient& message, Prepared& prepared, VerificationBatch& batch) {
  ++metrics_.queries;
  const Caller caller = message.caller;
  if (prepared.answer) return answer(caller, *prepared.answer, false);
  if (prepared.repeat) return to_sign_.push_back({caller, std::move(prepared.repeat->value)});
  if (prepared.state) return to_sign_.push_back({caller, std::move(*prepared.state)});

  if (prepared.place && std::holds_alternative<SubmitOrder>(message.query)) {
    auto order = batch.take_order(*prepared.place);
    if (!order) return answer(caller, refused(std::move(order.error())));
    const ShardId id = shard_of(order->request().account);
    return finish_client(caller, id, parts_.shards.find(id)->shard.handle(*order));
  }
  if (prepared.place && std::holds_alternative<SubmitProof>(message.query)) {
    auto proof = batch.take_proof(*prepared.place);
    if (!proof) return answer(caller, refused(std::move(proof.error())));
    const ShardId id = shard_of(proof->proof().account);
    return finish_client(caller, id, parts_.shards.find(id)->shard.execute(*proof));
  }
  if (prepared.place) {
    auto verified = batch.take_instance_message(*prepared.place);
    if (!verified) return answer(caller, refused(std::move(verified.error())));
    const ShardId id = shard_of(instance_of(verified->message()));
    return finish_client(caller, id, parts_.shards.find(id)->shard.handle(*verified, now_));
  }
  if (const auto* query = std::get_if<QueryInstance>(&message.query)) {
    auto state = parts_.shards.find(shard_of(query->instance))->shard.instance(query->instance);
    if (!state) return answer(caller, refused(NotFound{}));
    return answer(caller, std::move(*state));
  }
  if (const auto* query = std::get_if<QueryAccount>(&message.query)) {
    auto state = parts_.shards.find(shard_of(query->account))->shard.account(query->account);
    if (!state) return answer(caller, refused(NotFound{}));
    state->nonce = query->nonce;
    return to_sign_.push_back({caller, std::move(*state)});
  }
  if (auto* executed = std::get_if<QueryExecuted>(&message.query))
    return parts_.releases.push(parts_.log.appended(), HistoryRead{caller, std::move(*executed)});
  if (auto* received = std::get_if<QueryReceived>(&message.query))
    return parts_.releases.push(parts_.log.appended(), HistoryRead{caller, std::move(*received)});
  if (std::holds_alternative<QueryNetwork>(message.query))
    return answer(caller, NetworkInfo{parts_.network.id, parts_.validator, "zef/0.1"});
  ZEF_CHECK(std::holds_alternative<QueryTotals>(message.query));
  answer(caller, totals());
}

void Tick::finish_client(Caller caller, ShardId id, shard::Outcome outcome) {
  OwnedShard& owned = *parts_.shards.find(id);
  const bool executed = !outcome.records.empty() && std::holds_alternative<AccountState>(outcome.answer);
  log_records(id, owned, std::move(outcome.records));
  if (executed) {
    ++metrics_.executions;
    touched_.insert(id);
  }
  if (auto* refusal = std::get_if<Refusal>(&outcome.answer)) {
    answer(caller, refused(std::move(*refusal)));
  } else if (auto* vote = std::get_if<Vote>(&outcome.answer)) {
    answer(caller, Voted{std::move(*vote)});
  } else if (auto* fresh = std::get_if<shard::VoteToSign>(&outcome.answer)) {
    ++metrics_.votes;
    to_sign_.push_back({caller, std::move(fresh->value)});
  } else if (auto* instance = std::get_if<InstanceState>(&outcome.answer)) {
    answer(caller, std::move(*instance));
  } else {
    to_sign_.push_back({caller, std::get<AccountState>(std::move(outcome.answer))});
  }
}

DeliveryResult Tick::apply_effects(const shard::EffectBatch& effects, const BatchPlaces& places,
                                   VerificationBatch& batch) {
  const auto result = [&](std::variant<Accepted, NotMine, Rejected> what) {
    return DeliveryResult{effects.source, effects.destination, std::move(what)};
  };
  const auto rejected = [&](const Refusal& why) {
    ++metrics_.rejected;
    log::error("worker", "effects of shard {} for shard {} do not verify: {}", effects.source.value(),
               effects.destination.value(), describe(why));
    return result(Rejected{describe(why)});
  };
  std::vector<VerifiedProof> proofs;
  proofs.reserve(places.proofs.size());
  for (const std::size_t place : places.proofs) {
    auto proof = batch.take_proof(place);
    if (!proof) return rejected(proof.error());
    proofs.push_back(std::move(*proof));
  }
  OwnedShard* owned = parts_.shards.find(effects.destination);
  if (!owned) return result(NotMine{});
  const auto verified = shard::VerifiedEffects::derive(parts_.network, effects, proofs);
  if (!verified) return rejected(verified.error());
  shard::Outcome outcome = owned->shard.receive(*verified);
  if (!outcome.records.empty()) metrics_.effects_applied += effects.effects.size();
  log_records(effects.destination, *owned, std::move(outcome.records));
  return result(Accepted{owned->shard.mark(effects.source)});
}

void Tick::apply_result(const DeliveryResult& result) {
  OwnedShard* owned = parts_.shards.find(result.source);
  if (!owned) return;
  const auto* accepted = std::get_if<Accepted>(&result.result);
  if (!accepted) return failed_.emplace_back(result.source, result.destination), void();
  shard::Outcome outcome = owned->shard.acknowledge(result.destination, accepted->up_to);
  if (outcome.records.empty()) {  // not at once again: it would turn in a circle
    log::error("worker", "shard {} acknowledged effects of shard {} below {}: none of those sent",
               result.destination.value(), result.source.value(), accepted->up_to);
    return failed_.emplace_back(result.source, result.destination), void();
  }
  in_flight_.erase({result.source, result.destination});
  touched_.insert(result.source);
  log_records(result.source, *owned, std::move(outcome.records));
}

Totals Tick::totals() const {
  Totals sum;
  parts_.shards.for_each([&](ShardId, const OwnedShard& owned) { add_to(sum, owned.shard.totals()); });
  return sum;
}

void Tick::log_records(ShardId id, OwnedShard& owned, std::vector<shard::Record> records) {
  ++owned.work;
  for (shard::Record& record : records) {
    const auto number = parts_.log.append({.shard = id, .shard_epoch = owned.epoch, .body = codec::encode(record)});
    if (std::holds_alternative<shard::Executed>(record) || std::holds_alternative<shard::EffectsReceived>(record))
      parts_.releases.push(number + 1, HistoryNote{id, number, std::move(record)});
  }
}

void Tick::sign_and_queue() {
  if (to_sign_.empty()) return;
  std::vector<ToSign> items = std::exchange(to_sign_, {});
  std::vector<Hash> leaves;
  leaves.reserve(items.size());
  for (const ToSign& item : items)
    leaves.push_back(std::visit([&](const auto& what) { return signing_leaf(parts_.network.id, what); }, item.what));
  auto signatures = crypto::sign_batch(parts_.key, leaves, batch_root_prefix(parts_.network.id));
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (auto* state = std::get_if<AccountState>(&items[i].what)) {
      answer(items[i].caller, SignedAccountState{std::move(*state), parts_.validator, std::move(signatures[i])});
      continue;
    }
    Vote vote{std::get<Value>(std::move(items[i].what)), parts_.validator, std::move(signatures[i])};
    // Votes of instances are signed afresh each time: what is signed is the same.
    const auto* confirm = std::get_if<Confirm>(&vote.value.kind);
    const auto* lock = std::get_if<Lock>(&vote.value.kind);
    if (confirm != nullptr || lock != nullptr) {
      const Request& request = confirm != nullptr ? confirm->request : lock->request;
      if (OwnedShard* owned = parts_.shards.find(shard_of(request.account)))
        owned->shard.attach_signature(request.account, request.sequence_number, vote);
    }
    answer(items[i].caller, Voted{std::move(vote)});
  }
}

void Tick::answer(Caller caller, const Answer& answer, bool made_record) {
  if (std::holds_alternative<Refused>(answer)) ++metrics_.refusals;
  const bool early = !made_record && mutant("repeat_before_durable");
  parts_.releases.push(early ? 0 : parts_.log.appended(), ClientAnswer{caller, codec::encode(answer)});
}

void Tick::queue_effects() {
  for (const ShardId source : std::exchange(touched_, {})) {
    OwnedShard* owned = parts_.shards.find(source);
    if (!owned) continue;
    for (const ShardId destination : owned->shard.destinations()) {
      // One batch at a time for each pair keeps its order; what gathers meanwhile goes with the next one.
      if (!in_flight_.insert({source, destination}).second) continue;
      // `end` is fixed now: what gathers later is not durable when this leaves.
      const std::uint64_t end = owned->shard.outgoing(destination, 0, effects_per_batch_max).back().index + 1;
      parts_.releases.push(parts_.log.appended(), EffectsOut{source, destination, end});
    }
  }
}

std::optional<shard::EffectBatch> Tick::build_batch(const EffectsOut& effects) const {
  const OwnedShard* owned = parts_.shards.find(effects.source);
  if (!owned) return std::nullopt;
  shard::EffectBatch batch{
      .source = effects.source, .destination = effects.destination, .first = 0, .effects = {}, .proofs = {}};
  const Proof* last = nullptr;
  bool first = true;
  std::size_t bytes = 0;
  for (shard::OutgoingEffect& outgoing : owned->shard.outgoing(effects.destination, 0, effects_per_batch_max)) {
    if (outgoing.index >= effects.end) break;  // its record may not be durable yet
    if (std::exchange(first, false)) batch.first = outgoing.index;
    if (auto* certified = std::get_if<shard::CertifiedEffect>(&outgoing.effect)) {
      if (outgoing.proof.get() != last) {  // effects of one proof follow each other
        if (bytes > batch_bytes_max) break;
        last = outgoing.proof.get();
        bytes += size_of(*last);
        batch.proofs.push_back(*last);
      }
      certified->proof = static_cast<std::uint32_t>(batch.proofs.size() - 1);
      batch.effects.emplace_back(*certified);
    } else {
      batch.effects.emplace_back(std::get<FeeTotal>(std::move(outgoing.effect)));
    }
  }
  if (batch.effects.empty()) return std::nullopt;
  return batch;
}

}  // namespace zef::worker
