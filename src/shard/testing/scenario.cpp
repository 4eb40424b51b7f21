#include "shard/testing/scenario.h"

#include <algorithm>

#include "protocol/testing/agreement.h"
#include "shard/testing/choices.h"
#include "shard/testing/local_validator.h"

namespace zef::shard::testing {

namespace {

using namespace protocol::testing;

const TestNetwork& network(bool with_fees) {
  static const TestNetwork free({.validators = 2, .accounts = 3, .balance = 1000});
  static const TestNetwork paid({.validators = 2, .accounts = 3, .balance = 5000, .fees = test_fees});
  return with_fees ? paid : free;
}

// What the rules say, in the plainest terms: everything is kept, nothing is computed ahead.
struct ModelAccount {
  std::optional<PublicKey> owner;
  bool closed = false;
  Balance balance = 0;
  Hash head;
  std::vector<Request> executed;
  std::optional<Request> pending;
  std::uint64_t received = 0;
  [[nodiscard]] SequenceNumber next() const { return SequenceNumber(executed.size()); }
};
struct ModelEffect {
  Uid target;
  Balance amount = 0;              // of a fee total: the total
  std::optional<PublicKey> opens;  // with head: an opening
  Hash head;
  bool fee_total = false;
};
struct ModelQueue {
  std::vector<ModelEffect> sent;
  std::size_t applied = 0;
  std::size_t acknowledged = 0;
};

// What an instance may never take back, whatever certificates come (even of both decisions).
struct ModelInstance {
  Round round;
  std::map<Round, Decision> precommitted;  // votes
  std::map<Round, Decision> committed;
  std::optional<Decision> decided;
  bool contradicted = false;
};

// Two instances of [0] and [1]: a swap, and payments.
const Agreement& instance_of_scenario(bool with_fees, bool swaps) {
  struct Two {
    explicit Two(const TestNetwork& net)
        : certifier(net),
          alice(net, 0),
          bob(net, 1),
          starter(net, Uid({2, 7}), Hash{}, net.account_key(2)),
          swap(net, starter, {&alice, &bob}, AtomicSwap{}, 7000, certify()),
          sale(net, starter, {&alice, &bob}, payments({{net.uid(0), net.uid(2), Amount(5)}}), 8000, certify()) {}
    Agreement::Certify certify() {
      return [this](const Value& value) { return certifier.certificate(value); };
    }
    Certifier certifier;
    Chain alice, bob, starter;
    Agreement swap, sale;
  };
  static const Two free(network(false));
  static const Two paid(network(true));
  const Two& two = with_fees ? paid : free;
  return swaps ? two.swap : two.sale;
}

class Scenario {
 public:
  explicit Scenario(ByteView bytes)
      : choices_(bytes), with_fees_(choices_.one_in(2)), net_(network(with_fees_)), validator_(net_) {
    for (std::uint64_t i = 0; i < 3; ++i) {
      ModelAccount& account = model_[net_.uid(i)];
      account.owner = net_.account_key(i).public_key();
      account.balance = net_.genesis().accounts[i].balance.value();
      account.head = Hash{net_.id().bytes};
      known_.push_back(net_.uid(i));
    }
    known_.push_back(net_.uid(0).child(SequenceNumber(1)));
  }

  void run() {
    while (choices_.left()) {
      switch (choices_.below(10)) {
        case 0:
        case 1: order(); break;
        case 2:
        case 3: execute_next(); break;
        case 4: execute_old(); break;
        case 5:
        case 6: deliver(); break;
        case 7:
        case 8: tell_instance(); break;
        default: queue_fee_totals(); break;
      }
    }
    for (const auto& [uid, account] : model_) check(uid);
    check_totals();
    must(validator_.replayed_digests() == validator_.digests());
  }

 private:
  PublicKey some_key() { return net_.account_key(choices_.below(3)).public_key(); }
  const Uid& some_uid() { return known_[choices_.below(known_.size())]; }

  Operation some_operation(const Uid& account, SequenceNumber at) {
    switch (choices_.below(8)) {
      case 0: return burn(choices_.below(200));
      case 1: return open_account(account.child(at), some_key(), choices_.below(256) * 3);
      case 2: return change_owner(some_key());
      case 3: return choices_.one_in(4) ? close_account() : skip();
      case 4: return pay_all({{some_uid(), 1 + choices_.below(256)}, {some_uid(), 2}, {some_uid(), 3}});
      default: return pay(some_uid(), choices_.below(256) * 9);
    }
  }
  Request some_request(const Uid& uid) {
    const ModelAccount& account = model_[uid];
    Request request{.epoch = current_epoch,
                    .account = uid,
                    .sequence_number = account.next(),
                    .previous = account.head,
                    .operation = some_operation(uid, account.next())};
    return request;
  }

  // ---- orders ----
  void order() {
    const Uid uid = some_uid();
    Request request = some_request(uid);
    if (model_[uid].pending && choices_.one_in(2)) request = *model_[uid].pending;
    if (choices_.one_in(8)) request.sequence_number = SequenceNumber(choices_.below(5));
    if (choices_.one_in(8)) request.previous.bytes[0] ^= 1;
    const PublicKey owner = choices_.one_in(8) ? some_key() : model_[uid].owner.value_or(some_key());

    const Outcome outcome = validator_.order(request, owner);
    const std::optional<Refusal> expected = refusal_of(model_[uid], request, owner);
    if (expected) {
      must(outcome.records.empty());
      const auto& refusal = std::get<Refusal>(outcome.answer);
      must(refusal.index() == expected->index());
      if (!std::holds_alternative<InvalidOperation>(refusal)) must(refusal == *expected);
    } else {
      must(std::get<VoteToSign>(outcome.answer).value == value_of(request));
      must(outcome.records.size() == (model_[uid].pending ? 0 : 1));
      model_[uid].pending = request;
    }
    check(uid);
  }

  std::optional<Refusal> refusal_of(const ModelAccount& account, const Request& request, const PublicKey& owner) {
    if (account.closed) return AccountClosed{account.next(), account.head};
    if (!account.owner) return InactiveAccount{request.account};
    if (*account.owner != owner) return InvalidOwner{};
    if (request.sequence_number != account.next()) return UnexpectedSequenceNumber{account.next()};
    if (request.previous != account.head) return UnexpectedPrevious{account.head};
    if (account.pending == request) return std::nullopt;
    if (account.pending) return PreviousRequestPending{*account.pending};
    const Balance needed = Balance{amount_spent(request)->value()} + fee_of(net_.network(), request).value();
    if (needed > account.balance) return InsufficientFunds{account.balance, needed};
    const Amount least = net_.network().fees.min_credit;
    if (const auto* transfer = std::get_if<Transfer>(&request.operation)) {
      for (const Payment& payment : transfer->payments) {
        const bool burns = std::holds_alternative<Burn>(payment.recipient);
        if (payment.amount < (burns ? Amount(1) : least)) return InvalidOperation{};
      }
    }
    if (const auto* open = std::get_if<OpenAccount>(&request.operation)) {
      if (open->funding != Amount(0) && open->funding < least) return InvalidOperation{};
    }
    return std::nullopt;
  }

  // ---- proofs ----
  void execute_next() {
    const Uid uid = some_uid();
    ModelAccount& account = model_[uid];
    std::vector<Request> requests;
    if (account.pending && choices_.one_in(2)) {
      requests.push_back(*account.pending);
    } else {
      requests.push_back(some_request(uid));
    }
    const bool forked = choices_.one_in(8);
    if (forked) requests[0].previous.bytes[0] ^= 1;
    const std::size_t more = choices_.below(4);
    for (std::size_t i = 0; i < more && requests.back().sequence_number.value() % proof_requests_max < 255; ++i) {
      const SequenceNumber at(requests.back().sequence_number.value() + 1);
      requests.push_back({.epoch = current_epoch,
                          .account = uid,
                          .sequence_number = at,
                          .previous = hash_of(net_.id(), requests.back()),
                          .operation = some_operation(uid, at)});
    }
    const bool skips_one = choices_.one_in(8) && requests.size() > 1;
    if (skips_one) requests.erase(requests.begin());

    const Outcome outcome = validator_.execute(requests);
    const auto closing = std::ranges::find_if(
        requests, [](const Request& r) { return std::holds_alternative<CloseAccount>(r.operation); });
    if (!account.owner && !account.closed) {
      must(std::get<Refusal>(outcome.answer) == Refusal(InactiveAccount{uid}));
    } else if (account.closed) {
      expect_conflict(outcome, uid, requests[0].sequence_number);
    } else if (skips_one) {
      must(std::get<Refusal>(outcome.answer) == Refusal(MissingOperations{account.next()}));
    } else if (forked) {
      expect_conflict(outcome, uid, requests[0].sequence_number);
    } else if (closing != requests.end() && closing + 1 != requests.end()) {
      expect_conflict(outcome, uid, (closing + 1)->sequence_number);
    } else {
      must(outcome.records.size() == 1);
      for (const Request& request : requests) apply(account, request);
      must(std::get<AccountState>(outcome.answer) == validator_.account(uid));
    }
    check(uid);
  }

  // What was executed, or something else at its place.
  void execute_old() {
    const Uid uid = some_uid();
    const ModelAccount& account = model_[uid];
    if (account.executed.empty()) return;
    Request request = account.executed[choices_.below(account.executed.size())];
    const bool another = choices_.one_in(2);
    if (another) request.previous.bytes[1] ^= 1;
    const Outcome outcome = validator_.execute(request);
    if (another) {
      expect_conflict(outcome, uid, request.sequence_number);
    } else {
      must(outcome.records.empty());
      must(std::get<AccountState>(outcome.answer) == validator_.account(uid));
    }
    check(uid);
  }

  void expect_conflict(const Outcome& outcome, const Uid& uid, SequenceNumber at) {
    must(std::get<Refusal>(outcome.answer) == Refusal(ConflictingCertificate{at}));
    must(outcome.records.size() == (conflicts_.emplace(uid, at).second ? 1 : 0));
  }

  void apply(ModelAccount& account, const Request& request) {
    const Hash hash = hash_of(net_.id(), request);
    const ShardId home = shard_of(request.account);
    const auto send = [&](ModelEffect effect) { queues_[{home, shard_of(effect.target)}].sent.push_back(effect); };
    const Balance fee = fee_of(net_.network(), request).value();
    account.balance -= fee;
    fees_[home] += fee;
    if (const auto* transfer = std::get_if<Transfer>(&request.operation)) {
      std::vector<ModelEffect> credits;
      for (const Payment& payment : transfer->payments) {
        account.balance -= payment.amount.value();
        const auto* to = std::get_if<Account>(&payment.recipient);
        if (to == nullptr) {
          burned_ += payment.amount.value();
          continue;
        }
        auto same = std::ranges::find(credits, to->uid, &ModelEffect::target);
        if (same == credits.end()) same = credits.insert(same, ModelEffect{.target = to->uid});
        same->amount += payment.amount.value();
      }
      for (const ModelEffect& credit : credits) send(credit);
    } else if (const auto* open = std::get_if<OpenAccount>(&request.operation)) {
      account.balance -= open->funding.value();
      if (std::ranges::find(known_, open->new_id) == known_.end() && known_.size() < 12) known_.push_back(open->new_id);
      send({.target = open->new_id, .amount = open->funding.value(), .opens = open->new_owner, .head = hash});
    } else if (const auto* change = std::get_if<ChangeOwner>(&request.operation)) {
      account.owner = change->new_owner;
    } else if (std::holds_alternative<CloseAccount>(request.operation)) {
      account.owner.reset();
      account.closed = true;
      burned_ += account.balance;
      account.balance = 0;
    }
    account.executed.push_back(request);
    account.head = hash;
    account.pending.reset();
  }

  // ---- instances ----
  InstanceMessage some_message(const Agreement& instance) {
    const Round round(static_cast<std::uint32_t>(choices_.below(4)));
    const Decision decision = choices_.one_in(2) ? Decision(Aborted{}) : Decision(Confirmed{});
    const std::size_t place = choices_.below(2);
    switch (choices_.below(8)) {
      case 0: return instance.show_locks({place});
      case 1: return instance.show(instance.timeout(round));
      case 2: return instance.ask_timeout(round, place);
      case 3: return instance.show(instance.commit(round, decision));
      case 4: return instance.show(instance.precommit(round, decision));
      case 5: {
        const Round carried(static_cast<std::uint32_t>(choices_.below(4)));
        return instance.propose(round, decision, place, instance.certificate(instance.precommit(carried, decision)));
      }
      default: return instance.propose(round, decision, place);
    }
  }
  void tell_instance() {
    const bool swaps = choices_.one_in(2);
    const Agreement& instance = instance_of_scenario(with_fees_, swaps);
    ModelInstance& model = instances_[swaps];
    InstanceMessage message = some_message(instance);
    if (choices_.one_in(2)) message = instance.with_start(std::move(message));
    validator_.pass(std::chrono::milliseconds(100 * choices_.below(100)));
    const Outcome outcome = validator_.tell(message);
    const auto state = validator_.instance(instance.uid());
    if (!state) return must(std::get<Refusal>(outcome.answer) == Refusal(NotFound{}));
    must(state->round >= model.round);
    model.round = state->round;
    must(!state->lock || std::get<PreCommit>(state->lock->value.kind).proposal.round <= model.round);

    if (const auto* vote = std::get_if<VoteToSign>(&outcome.answer)) {
      must(!state->decided);
      if (const auto* precommit = std::get_if<PreCommit>(&vote->value.kind)) {
        must(precommit->proposal.round == model.round && state->voted == precommit->proposal.decision);
        const auto [first, added] = model.precommitted.emplace(model.round, precommit->proposal.decision);
        must(first->second == precommit->proposal.decision);
      } else if (const auto* commit = std::get_if<Commit>(&vote->value.kind)) {
        must(commit->proposal.round == model.round && state->lock.has_value());
        const auto [first, added] = model.committed.emplace(model.round, commit->proposal.decision);
        must(first->second == commit->proposal.decision);
      } else {
        must(std::get<Timeout>(vote->value.kind).round <= model.round);  // L5: also for rounds that are over
      }
    }
    if (model.decided) must(refused_as_decided(outcome));
    const bool contradicts =
        !outcome.records.empty() && std::holds_alternative<InstanceConflictSeen>(outcome.records[0]);
    must(!contradicts || (model.decided && !model.contradicted));
    model.contradicted |= contradicts;
    if (state->decided) {
      const Decision& decided = std::get<Commit>(state->decided->value.kind).proposal.decision;
      must(model.decided.value_or(decided) == decided);
      model.decided = decided;
    }
  }
  static bool refused_as_decided(const Outcome& outcome) {
    const auto* refusal = std::get_if<Refusal>(&outcome.answer);
    const auto* refused = refusal ? std::get_if<InstanceRefused>(refusal) : nullptr;
    return refused != nullptr && refused->state.decided.has_value();
  }

  // ---- effects ----
  void deliver() {
    std::vector<std::pair<ShardId, ShardId>> busy;
    for (const ShardId source : validator_.shards()) {
      for (const ShardId destination : validator_.shard(source).destinations()) busy.emplace_back(source, destination);
    }
    if (busy.empty()) return;
    const auto pair = busy[choices_.below(busy.size())];
    const auto [source, destination] = pair;
    ModelQueue& queue = queues_[pair];
    // From the oldest that waits, from what is new, or with a gap.
    const std::size_t how = choices_.below(4);
    const std::uint64_t from = how == 0 ? queue.acknowledged : queue.applied + (how == 3 ? 1 : 0);
    const EffectBatch batch = validator_.batch(source, destination, from, 1 + choices_.below(8));
    if (batch.effects.empty()) return;
    const auto outcome = validator_.receive(batch);
    must(outcome.has_value());
    const std::uint64_t end = batch.first + batch.effects.size();
    const bool applies = batch.first <= queue.applied && end > queue.applied;
    must(outcome->records.size() == (applies ? 1 : 0));
    for (; applies && queue.applied < end; ++queue.applied) apply(source, queue.sent.at(queue.applied));
    must(validator_.shard(destination).mark(source) == queue.applied);
    if (!choices_.one_in(3)) {
      validator_.acknowledge(source, destination, queue.applied);
      queue.acknowledged = queue.applied;
    }
    for (const auto& sent : queue.sent) check(sent.target);
  }

  void apply(ShardId source, const ModelEffect& effect) {
    ModelAccount& account = model_[effect.target];
    Balance amount = effect.amount;
    if (effect.fee_total) {
      Balance& known = fee_totals_[{effect.target, source}];
      amount = std::max<Balance>(0, effect.amount - known);
      known += amount;
      fees_credited_ += amount;
    } else if (effect.opens) {
      account.owner = effect.opens;
      account.head = effect.head;
    }
    // Every credit counts, whatever a quorum certified; an opening only with funding.
    if (!effect.fee_total && (!effect.opens || amount > 0)) ++account.received;
    (account.closed ? burned_ : account.balance) += amount;
  }

  void queue_fee_totals() {
    validator_.queue_fee_totals();
    for (auto& [shard, paid] : fees_) {
      if (paid == fees_queued_[shard]) continue;
      fees_queued_[shard] = paid;
      for (std::uint64_t i = 0; i < 2; ++i)
        queues_[{shard, shard_of(net_.uid(i))}].sent.push_back(
            {.target = net_.uid(i), .amount = paid / 2, .opens = {}, .head = {}, .fee_total = true});
    }
  }

  // ---- what must be equal ----
  void check(const Uid& uid) {
    const ModelAccount& expected = model_[uid];
    const auto state = validator_.account(uid);
    if (!state) {
      must(!expected.owner && !expected.closed && expected.received == 0 && expected.balance == 0);
      return;
    }
    must(state->owner == expected.owner);
    must(state->closed == expected.closed);
    must(state->balance == expected.balance);
    must(state->next == expected.next());
    must(state->head == expected.head);
    must(state->received == expected.received);
    must(state->pending.has_value() == expected.pending.has_value());
    if (state->pending) must(*state->pending == hash_of(net_.id(), *expected.pending));
  }
  void check_totals() {
    const Totals totals = validator_.totals();
    std::uint64_t executed = 0;
    for (const auto& [uid, account] : model_) executed += account.executed.size();
    std::uint64_t waiting = 0;
    for (const auto& [pair, queue] : queues_) waiting += queue.sent.size() - queue.acknowledged;
    Balance fees = 0;
    for (const auto& [shard, paid] : fees_) fees += paid;
    must(totals.executed == executed);
    must(totals.effects_waiting == waiting);
    must(totals.burned == burned_);
    must(totals.fees == fees);
    must(totals.fees_credited == fees_credited_);
    must(totals.conflicts == conflicts_.size() + instances_[0].contradicted + instances_[1].contradicted);
  }

  Choices choices_;
  bool with_fees_;
  const TestNetwork& net_;
  LocalValidator validator_;
  std::map<Uid, ModelAccount> model_;
  std::vector<Uid> known_;
  std::map<std::pair<ShardId, ShardId>, ModelQueue> queues_;
  std::map<ShardId, Balance> fees_;
  std::map<ShardId, Balance> fees_queued_;
  std::map<std::pair<Uid, ShardId>, Balance> fee_totals_;
  std::set<std::pair<Uid, SequenceNumber>> conflicts_;
  std::array<ModelInstance, 2> instances_;
  Balance burned_ = 0;
  Balance fees_credited_ = 0;
};

}  // namespace

void run_scenario(ByteView choices) { Scenario(choices).run(); }

}  // namespace zef::shard::testing
