// Taking a snapshot costs one pass over what it holds. Loading checks everything before it changes anything: the bytes
// are the validator's own, but a state that no history could have made must not be served.
#include "shard/snapshot.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/mutant.h"

namespace zef::shard {

namespace {

std::unexpected<Error> corrupt(std::string_view what) {
  return fail(ErrorKind::corrupt, fmt::format("a snapshot that cannot be: {}", what));
}

AccountSnapshot snapshot_of(const Uid& uid, const AccountRecord& account, std::uint64_t executed_before) {
  AccountSnapshot result;
  result.uid = uid;
  result.owner = account.owner;
  result.closed = account.closed;
  result.balance = account.balance;
  result.next = account.next;
  result.head = account.head;
  result.received = account.received;
  if (account.pending && !mutant("checkpoint_without_votes")) result.pending = account.pending->request;
  result.executed_before = executed_before;
  result.fingerprints.assign(account.executed.begin() + static_cast<std::ptrdiff_t>(executed_before),
                             account.executed.end());
  return result;
}

// The queues of these destinations; each proof once.
void add_outboxes(ShardSnapshot& snapshot, const Outboxes& outboxes, const std::vector<ShardId>& destinations) {
  std::unordered_map<const Proof*, std::uint32_t> places;
  for (const ShardId destination : destinations) {
    const Outbox& box = outboxes.to(destination);
    OutboxSnapshot& added = snapshot.outboxes.emplace_back(OutboxSnapshot{destination, box.first(), {}});
    added.effects.reserve(box.waiting());
    for (std::uint64_t index = box.first(); index < box.end(); ++index) {
      const WaitingEffect& waiting = box.at(index);
      if (const auto* total = std::get_if<FeeTotal>(&waiting.effect)) {
        added.effects.emplace_back(*total);
        continue;
      }
      const auto [place, fresh] =
          places.try_emplace(waiting.proof.get(), static_cast<std::uint32_t>(snapshot.proofs.size()));
      if (fresh) snapshot.proofs.push_back(*waiting.proof);
      CertifiedEffect effect = std::get<CertifiedEffect>(waiting.effect);
      effect.proof = place->second;
      added.effects.emplace_back(effect);
    }
  }
}

template <class Agreement>
bool is_of(const std::optional<Certificate>& certificate, const Uid& instance) {
  if (!certificate) return true;
  const auto* value = std::get_if<Agreement>(&certificate->value.kind);
  return value != nullptr && value->proposal.instance == instance;
}

// An instance as it would be in memory; nothing if there can be no such one.
std::optional<InstanceRecord> instance_from(const InstanceSnapshot& snapshot) {
  const InstanceState& state = snapshot.state;
  if (!std::holds_alternative<StartInstance>(state.start.operation)) return std::nullopt;
  InstanceRecord result(state.start);
  const Uid& uid = result.terms().new_id;
  if (!is_of<PreCommit>(state.lock, uid) || !is_of<Commit>(state.decided, uid)) return std::nullopt;
  std::size_t next_place = 0;
  for (const Certificate& shown : state.locks) {
    const auto* lock = std::get_if<Lock>(&shown.value.kind);
    const auto place = lock ? place_of_lock(result.terms(), lock->request) : std::nullopt;
    if (!place || *place < next_place) return std::nullopt;
    result.shown[*place] = shown;
    next_place = *place + 1;
  }
  if (snapshot.conflicted && !state.decided) return std::nullopt;
  result.round = state.round;
  result.voted = state.voted;
  result.lock = state.lock;
  result.decided = state.decided;
  result.conflicted = snapshot.conflicted;
  return result;
}

template <class List, class Key>
bool ascends(const List& list, Key key) {
  return std::ranges::adjacent_find(list, [&](const auto& a, const auto& b) { return !(key(a) < key(b)); }) ==
         list.end();
}

}  // namespace

bool Shard::changed() const { return state_->changes.any; }

Shard::Snapshot Shard::take_whole() {
  State& state = *state_;
  for (const auto& [uid, before] : state.changes.accounts) state.find(uid)->changed = false;
  for (const Uid& uid : state.changes.instances) state.find_instance(uid)->changed = false;
  state.changes = {};
  static_cast<void>(state.outboxes.take_changed());

  Snapshot result;
  result.accounts = accounts();
  ShardSnapshot snapshot;
  snapshot.network = state.network->id;
  snapshot.shard = state.id;
  snapshot.totals = totals();
  snapshot.fees_queued = state.fees_queued;
  snapshot.accounts.reserve(result.accounts.size());
  for (const Uid& uid : result.accounts) snapshot.accounts.push_back(snapshot_of(uid, *state.find(uid), 0));
  for (const Uid& uid : instances()) {
    const InstanceRecord& instance = *state.find_instance(uid);
    snapshot.instances.push_back({instance.state(), instance.conflicted});
  }
  std::vector<ShardId> destinations;
  for (const auto& [destination, box] : state.outboxes.all()) destinations.push_back(destination);
  add_outboxes(snapshot, state.outboxes, destinations);
  snapshot.marks.assign(state.marks.begin(), state.marks.end());
  std::ranges::sort(snapshot.marks);
  snapshot.fee_totals.assign(state.fee_totals.begin(), state.fee_totals.end());
  snapshot.conflicts.assign(state.conflicts.begin(), state.conflicts.end());
  result.bytes = codec::encode(snapshot);
  return result;
}

Shard::Snapshot Shard::take_changes() {
  State& state = *state_;
  Changes changes = std::exchange(state.changes, {});
  std::ranges::sort(changes.accounts);
  std::ranges::sort(changes.instances);

  Snapshot result;
  ShardSnapshot snapshot;
  snapshot.whole = false;
  snapshot.network = state.network->id;
  snapshot.shard = state.id;
  snapshot.totals = totals();
  snapshot.fees_queued = state.fees_queued;
  for (auto& [uid, executed_before] : changes.accounts) {
    AccountRecord& account = *state.find(uid);
    account.changed = false;
    snapshot.accounts.push_back(snapshot_of(uid, account, executed_before));
    result.accounts.push_back(std::move(uid));
  }
  for (const Uid& uid : changes.instances) {
    InstanceRecord& instance = *state.find_instance(uid);
    instance.changed = false;
    snapshot.instances.push_back({instance.state(), instance.conflicted});
  }
  add_outboxes(snapshot, state.outboxes, state.outboxes.take_changed());
  for (std::uint16_t source = 0; source < shard_count; ++source)
    if (changes.marks.test(source) && !mutant("checkpoint_without_marks"))
      snapshot.marks.emplace_back(source, state.marks.at(ShardId(source)));
  snapshot.fee_totals.assign(state.fee_totals.begin(), state.fee_totals.end());
  snapshot.conflicts.assign(state.conflicts.begin(), state.conflicts.end());
  result.bytes = codec::encode(snapshot);
  return result;
}

// Checks a snapshot against the state, and then makes it the state.
struct Shard::Loader {
  State& state;
  ShardSnapshot& snapshot;
  std::vector<InstanceRecord> instances{};
  std::uint64_t accounts_after = 0;
  Balance balances_after = 0;

  [[nodiscard]] Result<void> check() {
    if (snapshot.version != snapshot_version) return corrupt("a version that this program does not read");
    if (snapshot.network != state.network->id || snapshot.shard != state.id)
      return corrupt("of another network or shard");
    const bool fresh = state.accounts.empty() && state.instances.empty() && state.marks.empty() &&
                       state.outboxes.all().empty() && state.fee_totals.empty() && state.conflicts.empty();
    if (snapshot.whole && !fresh) return corrupt("a whole state on top of another one");
    for (auto step : {&Loader::check_accounts, &Loader::check_instances, &Loader::check_outboxes, &Loader::check_rest})
      if (auto ok = (this->*step)(); !ok) return ok;
    return {};
  }

  Result<void> check_accounts() {
    if (!ascends(snapshot.accounts, [](const auto& it) -> const Uid& { return it.uid; }))
      return corrupt("accounts that do not ascend");
    accounts_after = state.accounts.size();
    balances_after = state.totals.balances;
    for (const AccountSnapshot& it : snapshot.accounts) {
      const AccountRecord* known = state.find(it.uid);
      if (known == nullptr) ++accounts_after;
      if (shard_of(it.uid) != state.id) return corrupt("an account of another shard");
      if (it.executed_before != (known != nullptr ? known->executed.size() : 0))
        return corrupt("executed requests that do not follow those before");
      if (it.next.value() != it.executed_before + it.fingerprints.size())
        return corrupt("an account with another number of executed requests than it says");
      if (!it.owner && !it.closed && it.next.value() != 0) return corrupt("an account that acted before it was opened");
      if (it.closed && (it.owner || it.balance != 0)) return corrupt("a tombstone that owns something");
      if (it.pending && (!it.owner || it.pending->account != it.uid || it.pending->sequence_number != it.next))
        return corrupt("a vote of an account that could not make it");
      constexpr Balance far = Balance{1} << 120;  // far from any overflow, with all accounts that fit into memory
      if (it.balance > far >> 40 || it.balance < -(far >> 40) || balances_after > far || balances_after < -far)
        return corrupt("a balance out of range");
      balances_after += it.balance - (known != nullptr ? known->balance : 0);
    }
    if (snapshot.totals.accounts != accounts_after || snapshot.totals.balances != balances_after)
      return corrupt("totals that are not those of the accounts");
    return {};
  }

  Result<void> check_instances() {
    for (const InstanceSnapshot& it : snapshot.instances) {
      auto instance = instance_from(it);
      if (!instance || instance->terms().new_id.depth() == 1 || shard_of(instance->terms().new_id) != state.id)
        return corrupt("an instance that cannot be here");
      instances.push_back(std::move(*instance));
    }
    if (!ascends(instances, [](const auto& it) -> const Uid& { return it.terms().new_id; }))
      return corrupt("instances that do not ascend");
    return {};
  }

  Result<void> check_outboxes() {
    std::vector<std::pair<SequenceNumber, std::size_t>> vouched;  // by each proof: first request, how many
    for (const Proof& proof : snapshot.proofs) {
      const auto requests = form_of(proof);
      if (!requests || requests->empty() || shard_of(proof.account) != state.id)
        return corrupt("a proof that could not be waiting here");
      vouched.emplace_back(requests->front().request->sequence_number, requests->size());
    }
    if (!ascends(snapshot.outboxes, [](const auto& it) { return it.destination; }))
      return corrupt("outboxes that do not ascend");
    std::uint64_t waiting = state.outboxes.waiting();
    for (const OutboxSnapshot& it : snapshot.outboxes) {
      const Outbox& known = state.outboxes.to(it.destination);
      if (it.first > UINT64_MAX - it.effects.size() || it.first < known.first() ||
          it.first + it.effects.size() < known.end())
        return corrupt("an outbox that goes back");
      waiting += it.effects.size() - known.waiting();
      for (const SentEffect& sent : it.effects) {
        if (const auto* total = std::get_if<FeeTotal>(&sent)) {
          if (effect_problem(*state.network, it.destination, *total)) return corrupt("a fee total that cannot be");
          continue;
        }
        const auto& effect = std::get<CertifiedEffect>(sent);
        if (effect.proof >= vouched.size()) return corrupt("an effect without a proof");
        const auto [first, count] = vouched[effect.proof];
        if (effect.sequence_number < first || effect.sequence_number.value() - first.value() >= count)
          return corrupt("an effect that its proof does not vouch for");
      }
    }
    if (snapshot.totals.effects_waiting != waiting) return corrupt("totals that are not those of the outboxes");
    return {};
  }

  Result<void> check_rest() {
    if (!ascends(snapshot.marks, [](const auto& it) { return it.first; })) return corrupt("marks that do not ascend");
    for (const auto& [source, mark] : snapshot.marks) {
      const auto known = state.marks.find(source);
      if (known != state.marks.end() && mark < known->second) return corrupt("a mark that goes back");
    }
    const auto itself = [](const auto& it) -> const auto& { return it; };
    if (!ascends(snapshot.fee_totals, [](const auto& it) -> const auto& { return it.first; }) ||
        snapshot.fee_totals.size() < state.fee_totals.size())
      return corrupt("fee totals that do not ascend");
    if (!ascends(snapshot.conflicts, itself) || snapshot.conflicts.size() < state.conflicts.size())
      return corrupt("evidence that does not ascend");
    return {};
  }

  void apply() {
    for (AccountSnapshot& it : snapshot.accounts) {
      AccountRecord& account = state.accounts[it.uid];
      account.owner = it.owner;
      account.closed = it.closed;
      account.balance = it.balance;
      account.next = it.next;
      account.head = it.head;
      account.received = it.received;
      account.pending.reset();
      if (it.pending) {
        const Hash hash = hash_of(state.network->id, *it.pending);
        account.pending = std::make_unique<Pending>(Pending{std::move(*it.pending), hash, std::nullopt});
      }
      account.executed.insert(account.executed.end(), it.fingerprints.begin(), it.fingerprints.end());
    }
    for (InstanceRecord& instance : instances) {
      const Uid uid = instance.terms().new_id;
      state.instances.insert_or_assign(uid, std::move(instance));
    }
    std::vector<std::shared_ptr<const Proof>> proofs;
    for (Proof& proof : snapshot.proofs) proofs.push_back(std::make_shared<const Proof>(std::move(proof)));
    for (const OutboxSnapshot& it : snapshot.outboxes) {
      std::vector<WaitingEffect> items;
      items.reserve(it.effects.size());
      for (const SentEffect& sent : it.effects) {
        if (const auto* total = std::get_if<FeeTotal>(&sent)) {
          items.push_back({.effect = *total, .proof = {}});
          continue;
        }
        CertifiedEffect effect = std::get<CertifiedEffect>(sent);
        const auto& proof = proofs[std::exchange(effect.proof, 0)];
        items.push_back({.effect = effect, .proof = proof});
      }
      state.outboxes.restore(it.destination, Outbox(it.first, std::move(items)));
    }
    for (const auto& [source, mark] : snapshot.marks) state.marks[source] = mark;
    state.fee_totals = {snapshot.fee_totals.begin(), snapshot.fee_totals.end()};
    state.conflicts = {snapshot.conflicts.begin(), snapshot.conflicts.end()};
    state.fees_queued = snapshot.fees_queued;
    state.totals = snapshot.totals;
    state.totals.effects_waiting = 0;
  }
};

Result<void> Shard::load(ByteView bytes) {
  auto snapshot = codec::decode<ShardSnapshot>(bytes);
  if (!snapshot) return corrupt(codec::to_string(snapshot.error()));
  if (state_->changes.any) return corrupt("a state that has changed since takes no snapshot");
  Loader loader{*state_, *snapshot};
  if (auto ok = loader.check(); !ok) return ok;
  loader.apply();
  return {};
}

}  // namespace zef::shard
