#include "worker/moves.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/log.h"
#include "base/mutant.h"
#include "ledger/objects.h"
#include "worker/tick.h"

namespace zef::worker {
namespace {

using namespace protocol;
using ledger::WorkerId;

constexpr std::size_t sessions_max = 32;
// Whoever gets shards reads every slot since the last checkpoint of any of them. From some number on, a checkpoint
// before a move, and after an adoption, is quicker and costs less: a GET is a tenth of a PUT.
constexpr ledger::Slot slots_worth_reading = 128;
constexpr Duration settle_pause = std::chrono::milliseconds(200);

template <class Answer>
Task<Result<Answer>> call(net::RpcClient& client, PeerRequest request, Duration time_max) {
  auto bytes = co_await client.call(codec::encode(request), time_max);
  if (!bytes) co_return std::unexpected(std::move(bytes.error()));
  auto answer = codec::decode<Answer>(*bytes);
  if (!answer) co_return fail(ErrorKind::corrupt, "an answer on the internal port does not decode");
  co_return std::move(*answer);
}

}  // namespace

Moves::Moves(Parts parts, Handlers handlers, MoveOptions options)
    : parts_(std::move(parts)),
      handlers_(std::move(handlers)),
      options_(options),
      genesis_accounts_(shard::genesis_by_shard(parts_.genesis)),
      wanted_(parts_.executor) {}

OwnedShard* Moves::leaving(ShardId shard) {
  const auto found = leaving_.find(shard);
  return found == leaving_.end() ? nullptr : &found->second;
}

Task<Result<Moves::Arriving>> Moves::load(const std::vector<ledger::OwnedShard>& shards) {
  Arriving arriving;
  for (const auto& [id, entry] : shards) {
    Arrival arrival{{shard::Shard(id, parts_.network), 0, {}, 0}, {}};
    if (entry.checkpoint)
      arrival.objects = entry.checkpoint->objects;
    else
      arrival.owned.shard.apply_genesis(parts_.genesis, genesis_accounts_[id.value()]);
    arriving.emplace(id, std::move(arrival));
  }
  const auto load_part = [&arriving](ShardId id, const ledger::Checkpoint::Part& part) -> Result<void> {
    Arrival& arrival = arriving.at(id);
    (part.whole ? arrival.whole_bytes : arrival.changes_bytes) += part.state.size() + part.history.size();
    if (auto state = arrival.owned.shard.load(part.state); !state) return state;
    return arrival.owned.history.load(part.history);
  };
  auto loaded = co_await ledger::load_checkpoints(parts_.executor, parts_.store, shards, load_part);
  if (!loaded) co_return std::unexpected(std::move(loaded.error()));
  co_return arriving;
}

Result<void> Moves::replay(OwnedShard& owned, const ledger::ReadPlace& place, ByteView body, bool& handed_off) {
  auto record = codec::decode<shard::Record>(body);
  if (!record)
    return fail(ErrorKind::corrupt, fmt::format("worker {}, slot {}, record {} does not decode: {}", place.worker.hex(),
                                                place.slot, place.index, to_string(record.error())));
  if (auto applied = owned.shard.replay(*record); !applied) return applied;
  handed_off = std::holds_alternative<shard::HandedOff>(*record);
  owned.history.note(place, *record);
  return {};
}

// The first record of each epoch: this worker serves the shard from here on.
void Moves::begin(ShardId shard, OwnedShard owned, std::uint64_t epoch) {
  ZEF_CHECK((known_[shard.value()] < epoch || mutant("resume_without_epoch")) && !parts_.shards.find(shard));
  known_[shard.value()] = epoch;
  const shard::Record adopted = shard::Adopted{epoch};
  const auto applied = owned.shard.replay(adopted);
  ZEF_CHECK(applied);
  owned.epoch = epoch;
  parts_.shards.add(shard, std::move(owned));
  parts_.log.append({.shard = shard, .shard_epoch = epoch, .body = codec::encode(adopted)});
  parts_.tick.touch(shard);
}

// The map names this worker in this entry, and `arrival` is the state of the shard up to it. Its next checkpoint goes
// on from the one that the map names, if that is the one that was loaded.
void Moves::arrive(const ledger::OwnedShard& one, Arrival arrival) {
  const auto& checkpoint = one.entry.checkpoint;
  if (arrival.objects == (checkpoint ? checkpoint->objects : std::vector<ledger::CheckpointName>{}))
    parts_.checkpoints.loaded(one.shard, one.entry.epoch, std::move(arrival.objects), arrival.whole_bytes,
                              arrival.changes_bytes);
  begin(one.shard, std::move(arrival.owned), one.entry.epoch);
}

// ---- what the map gives ----

Task<Result<void>> Moves::adopt(std::vector<ledger::OwnedShard> owned) {
  std::erase_if(owned, [this](const ledger::OwnedShard& one) {
    return one.entry.epoch <= known_[one.shard.value()] || leaving_.contains(one.shard);
  });
  auto arriving = co_await load(owned);
  if (!arriving) co_return std::unexpected(std::move(arriving.error()));
  auto count = co_await ledger::replay_lineage(parts_.executor, parts_.store, owned,
                                               [&arriving](ShardId id, const ledger::ReadPlace& place, ByteView body) {
                                                 bool handed_off = false;
                                                 return replay(arriving->at(id).owned, place, body, handed_off);
                                               });
  if (!count) co_return std::unexpected(std::move(count.error()));
  replayed_ += *count;
  for (const ledger::OwnedShard& one : owned) arrive(one, std::move(arriving->at(one.shard)));
  handlers_.on_came();
  co_return Result<void>{};
}

void Moves::start() { scope_.spawn(watch()); }

Task<> Moves::watch() {
  for (;;) {
    co_await wanted_.wait_for(options_.watch_period);
    wanted_.reset();
    const auto head = co_await ledger::read_head(parts_.store, parts_.self.id);
    if (head && !std::holds_alternative<ledger::Active>(head->value.state)) {
      handlers_.on_sealed({ErrorKind::fenced, "another process has sealed this worker's log"});
      co_return;
    }
    co_await look_at_map();
  }
}

Task<> Moves::look_at_map() {
  std::erase_if(sessions_, [this](const auto& session) {
    return parts_.executor.now() - session.second->since > 2 * options_.prepare_time_max;
  });
  if (!parts_.directory.known()) co_return;
  co_await adopt_named();
  if (!draining()) co_await rescue_sealed();
}

Task<> Moves::adopt_named() {
  std::vector<ShardId> named;
  const auto& entries = parts_.directory.snapshot().entries;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const ShardId shard(static_cast<std::uint16_t>(i));
    if (entries[i].owner == parts_.self.id && entries[i].epoch > known_[i] && !being_received_.contains(shard))
      named.push_back(shard);
  }
  if (named.empty()) co_return;
  auto owned = co_await ledger::read_entries(parts_.executor, parts_.store, std::move(named));
  if (!owned) co_return;  // looked at again soon
  std::erase_if(*owned, [this](const ledger::OwnedShard& one) {
    return one.entry.owner != parts_.self.id || being_received_.contains(one.shard);
  });
  std::vector<ShardId> shards;
  for (const ledger::OwnedShard& one : *owned) shards.push_back(one.shard);
  if (const auto adopted = co_await adopt(std::move(*owned)); !adopted) {
    log::error("worker", "shards that the map gives to {} cannot be replayed: {}", parts_.self.name,
               adopted.error().message);
    co_return;
  }
  log::info("worker", "{} adopts {} shards that the map gives it", parts_.self.name, shards.size());
  // Else whoever takes over from this one soon would read the other's log again, and all of this one's too.
  scope_.spawn(shorten_tails(std::move(shards)));
}

// While the map names a worker that was sealed, anyone resumes: whoever began its takeover may be dead.
Task<> Moves::rescue_sealed() {
  std::vector<WorkerId> live{parts_.self.id};
  std::map<WorkerId, MonotonicTime> sealed;
  const MonotonicTime now = parts_.executor.now();
  for (const ledger::WorkerHead& head : parts_.directory.snapshot().workers) {
    if (std::holds_alternative<ledger::Active>(head.state)) {
      if (head.worker != parts_.self.id) live.push_back(head.worker);
      continue;
    }
    const auto before = sealed_since_.find(head.worker);
    sealed.emplace(head.worker, before == sealed_since_.end() ? now : before->second);
  }
  sealed_since_ = std::move(sealed);
  std::ranges::sort(live);
  for (const auto& [victim, since] : std::map(sealed_since_)) {
    if (now - since < options_.rescue_after) continue;
    const auto changed = co_await ledger::rescue(parts_.executor, parts_.store, parts_.rng, parts_.self.id, victim,
                                                 [live](ShardId shard) { return live[shard.value() % live.size()]; });
    if (!changed) log::warning("worker", "worker {} cannot be rescued: {}", victim.hex(), changed.error().message);
    sealed_since_.erase(victim);
    parts_.directory.refresh_soon();
  }
}

// ---- the receiver ----

Task<TakeAnswer> Moves::prepare(Take take) {
  if (draining()) co_return TakeAnswer{"this worker drains"};
  if (sessions_.size() >= sessions_max) co_return TakeAnswer{"this worker receives other moves"};
  std::vector<ShardId> shards;
  for (const OfferedShard& offered : take.shards) {
    if (offered.shard.value() >= shard_count || parts_.shards.find(offered.shard) || leaving_.contains(offered.shard))
      co_return TakeAnswer{"this worker has one of these shards, or has just given it away"};
    shards.push_back(offered.shard);
  }
  if (take.giver == WorkerId{} || shards.empty()) co_return TakeAnswer{"nobody gives"};
  const auto session = std::make_shared<Session>();
  session->since = parts_.executor.now();
  auto entries = co_await ledger::read_entries(parts_.executor, parts_.store, shards);
  if (!entries) co_return TakeAnswer{entries.error().message};
  ledger::LogFollower::Shards wanted;
  ledger::Slot from = std::numeric_limits<ledger::Slot>::max();
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const ledger::ShardEntry& entry = (*entries)[i].entry;
    const std::uint64_t epoch = take.shards[i].epoch;
    if (entry.owner != take.giver || entry.epoch != epoch) co_return TakeAnswer{"the map says otherwise"};
    from = std::min(from, entry.lineage.back().from);
    ledger::LogPosition first{.slot = entry.lineage.back().from, .record = 0};
    if (entry.checkpoint && entry.checkpoint->epoch == epoch)
      first = {entry.checkpoint->slot, entry.checkpoint->record};
    if (!wanted.emplace(shards[i], ledger::LogFollower::Wanted{epoch, first}).second)
      co_return TakeAnswer{"a shard is named twice"};
  }
  // Slots that its worker has deleted hold no records of epochs that came later.
  const auto giver = co_await ledger::read_head(parts_.store, take.giver);
  if (!giver) co_return TakeAnswer{giver.error().message};
  from = std::max(from, giver->value.trim);
  auto loaded = co_await load(*entries);
  if (!loaded) co_return TakeAnswer{loaded.error().message};
  session->arriving = std::move(*loaded);
  const auto deliver = [session = session.get()](ShardId id, const ledger::ReadPlace& place, ByteView body) {
    bool handed_off = false;
    auto done = replay(session->arriving.at(id).owned, place, body, handed_off);
    if (done && handed_off) session->handed_off.insert(id);
    if (done && !handed_off) session->handed_off.erase(id);
    return done;
  };
  const auto closed = co_await ledger::replay_lineage(parts_.executor, parts_.store, std::move(*entries), deliver);
  if (!closed) co_return TakeAnswer{closed.error().message};
  session->follower = std::make_unique<ledger::LogFollower>(parts_.executor, parts_.store, take.giver, from,
                                                            std::move(wanted), deliver);
  // Twice: what was written during a long first reading is short.
  for (int i = 0; i < 2; ++i)
    if (auto read = co_await session->follower->catch_up(); !read) co_return TakeAnswer{read.error().message};
  sessions_[{take.giver, take.move}] = session;
  co_return TakeAnswer{};
}

// The hand-overs are read from the giver's log, and with them everything before: its word is not needed for safety.
Task<HandedOverAnswer> Moves::receive(HandedOver handed) {
  const auto found = sessions_.find({handed.giver, handed.move});
  if (found == sessions_.end()) co_return HandedOverAnswer{};
  const auto session = found->second;
  sessions_.erase(found);
  const ledger::Slot end = mutant("take_unread") ? 0 : handed.end;
  if (auto read = co_await session->follower->read_to(end); !read) {
    log::warning("worker", "a move from worker {} ends: {}", handed.giver.hex(), read.error().message);
    co_return HandedOverAnswer{};
  }
  std::vector<ledger::OwnerChange> changes;
  for (const ShardId shard : handed.shards) {
    const auto arriving = session->arriving.find(shard);
    if (arriving == session->arriving.end()) continue;
    if (!session->handed_off.contains(shard) && !mutant("take_unread")) continue;
    if (draining_ || parts_.shards.find(shard) || leaving_.contains(shard) || !being_received_.insert(shard).second)
      continue;
    changes.push_back({shard, handed.giver, session->follower->epoch_of(shard), parts_.self.id, handed.end,
                       parts_.log.slots_confirmed()});
  }
  const auto changed = co_await ledger::change_owners(parts_.executor, parts_.store, parts_.rng, changes);
  for (const ledger::OwnerChange& change : changes) being_received_.erase(change.shard);
  if (!changed) {  // the map tells whether it happened: adopt_named then reads all of it again
    log::warning("worker", "a move from worker {} is in doubt: {}", handed.giver.hex(), changed.error().message);
    look_soon();
    co_return HandedOverAnswer{};
  }
  HandedOverAnswer answer;
  for (const ledger::OwnedShard& one : changed->made) {
    if (one.entry.owner != parts_.self.id || one.entry.epoch <= known_[one.shard.value()]) continue;
    arrive(one, std::move(session->arriving.at(one.shard)));
    ++answer.taken;
  }
  handlers_.on_came();
  parts_.directory.refresh_soon();
  log::info("worker", "{} has taken {} shards from worker {}", parts_.self.name, answer.taken, handed.giver.hex());
  co_return answer;
}

// ---- the giver ----

Task<Result<TakeAnswer>> Moves::offer(net::RpcClient& receiver, std::uint64_t move,
                                      const std::vector<ShardId>& shards) {
  Take take{.giver = parts_.self.id, .move = move, .shards = {}};
  for (const ShardId shard : shards)
    if (const OwnedShard* owned = parts_.shards.find(shard)) take.shards.push_back({shard, owned->epoch});
  if (take.shards.empty()) co_return fail(ErrorKind::refused, "none of these shards is served here");
  co_return co_await call<TakeAnswer>(receiver, take, options_.prepare_time_max);
}

Task<> Moves::shorten_tails(std::vector<ShardId> shards) {
  const auto entries = co_await ledger::read_entries(parts_.executor, parts_.store, std::move(shards));
  if (!entries) co_return;  // whoever needs them reads them again
  const ledger::Slot end = parts_.log.slots_confirmed();
  std::set<std::size_t> groups;
  for (const auto& [shard, entry] : *entries) {
    if (entry.owner != parts_.self.id) continue;
    ledger::Slot slots = 0;
    for (const ledger::LineageEntry& line : entry.lineage)
      slots += line.to.value_or(std::max(end, line.from)) - line.from;
    if (slots > slots_worth_reading) groups.insert(ledger::group_of(shard));
  }
  if (groups.empty()) co_return;
  const auto done = std::make_shared<Event>(parts_.executor);
  scope_.spawn(save_groups({groups.begin(), groups.end()}, done));
  co_await done->wait_for(options_.save_time_max);  // a store that is slower than this makes the reading long, no more
}

Task<> Moves::save_groups(std::vector<std::size_t> groups, std::shared_ptr<Event> done) {
  co_await parts_.checkpoints.save_some(std::move(groups));
  done->set();
}

std::vector<ShardId> Moves::freeze(const std::vector<ShardId>& shards) {
  std::vector<ShardId> frozen;
  for (const ShardId shard : shards) {
    OwnedShard* owned = parts_.shards.find(shard);
    if (owned == nullptr || leaving_.contains(shard)) continue;
    for (const shard::Record& record : owned->shard.hand_off().records)
      parts_.log.append({.shard = shard, .shard_epoch = owned->epoch, .body = codec::encode(record)});
    leaving_.emplace(shard, parts_.shards.remove(shard));
    parts_.tick.forget(shard);
    frozen.push_back(shard);
  }
  return frozen;
}

Task<Result<void>> Moves::give(std::vector<ShardId> shards, WorkerId to) {
  if (to == parts_.self.id) co_return fail(ErrorKind::refused, "a worker gives nothing to itself");
  std::ranges::sort(shards);
  const auto twice = std::ranges::unique(shards);
  shards.erase(twice.begin(), twice.end());
  std::erase_if(shards, [](ShardId shard) { return shard.value() >= shard_count; });
  // Who asks may ask again before the receiver has read everything: once is enough.
  if (std::erase_if(shards, [this](ShardId shard) { return being_given_.contains(shard); }) > 0 && shards.empty())
    co_return fail(ErrorKind::refused, "these shards are on their way already");
  being_given_.insert(shards.begin(), shards.end());
  auto given = co_await hand_over(shards, to);
  for (const ShardId shard : shards) being_given_.erase(shard);
  co_return given;
}

Task<Result<void>> Moves::hand_over(const std::vector<ShardId>& shards, WorkerId to) {
  const auto head = co_await ledger::read_head(parts_.store, to);
  if (!head) co_return std::unexpected(head.error());
  const auto address = net::parse_address(head->value.internal_address);
  if (!std::holds_alternative<ledger::Active>(head->value.state) || !address)
    co_return fail(ErrorKind::refused, "the receiver is not alive");
  co_await shorten_tails(shards);
  net::RpcClient receiver(parts_.executor, parts_.internal_transport, *address);
  const std::uint64_t move = ++last_move_;
  const auto ready = co_await offer(receiver, move, shards);
  if (!ready) co_return std::unexpected(ready.error());
  if (!ready->refused.empty()) co_return fail(ErrorKind::refused, ready->refused);

  const std::vector<ShardId> frozen = freeze(shards);
  if (frozen.empty()) co_return fail(ErrorKind::refused, "the shards have left meanwhile");
  if (auto durable = co_await parts_.log.drain(); !durable) co_return durable;
  const MonotonicTime cancel_at = parts_.executor.now() + options_.cancel_after;
  HandedOver handed{.giver = parts_.self.id, .move = move, .end = parts_.log.slots_confirmed(), .shards = {}};
  for (const ShardId shard : frozen) handed.shards.push_back(shard);
  // Whatever it answers, the map decides.
  (void)co_await call<HandedOverAnswer>(receiver, handed, options_.cancel_after);
  co_await settle(frozen, handed.end, cancel_at);
  co_return Result<void>{};
}

Task<> Moves::settle(std::vector<ShardId> shards, ledger::Slot end, MonotonicTime cancel_at) {
  for (;;) {
    std::erase_if(shards, [this](ShardId shard) { return !leaving_.contains(shard); });
    if (shards.empty()) break;
    if (const auto entries = co_await ledger::read_entries(parts_.executor, parts_.store, shards))
      if (sort_out(*entries)) break;
    std::erase_if(shards, [this](ShardId shard) { return !leaving_.contains(shard); });
    if (parts_.executor.now() >= cancel_at) {
      if (mutant("resume_without_epoch")) {
        for (const ShardId shard : shards) come_back(shard, leaving_.at(shard).epoch);
        break;
      }
      std::vector<ledger::OwnerChange> changes;
      for (const ShardId shard : shards)
        changes.push_back({shard, parts_.self.id, leaving_.at(shard).epoch, parts_.self.id, end, end});
      // Done, lost or in doubt: the entries tell, when they are read again.
      (void)co_await ledger::change_owners(parts_.executor, parts_.store, parts_.rng, std::move(changes));
      if (const auto entries = co_await ledger::read_entries(parts_.executor, parts_.store, shards))
        if (sort_out(*entries)) break;
    }
    co_await sleep_for(parts_.executor, settle_pause);
  }
  parts_.directory.refresh_soon();
  handlers_.on_came();
}

bool Moves::sort_out(const std::vector<ledger::OwnedShard>& entries) {
  bool all = true;
  for (const ledger::OwnedShard& one : entries) {
    const auto found = leaving_.find(one.shard);
    if (found == leaving_.end()) continue;
    const std::uint64_t epoch = found->second.epoch;
    if (one.entry.owner == parts_.self.id && one.entry.epoch == epoch) {
      all = false;  // unchanged
    } else if (one.entry.owner == parts_.self.id && one.entry.epoch == epoch + 1) {
      come_back(one.shard, epoch + 1);  // nobody but us names us at this epoch: our cancelling
    } else {
      leaving_.erase(found);
    }
  }
  return all;
}

void Moves::come_back(ShardId shard, std::uint64_t epoch) {
  auto node = leaving_.extract(shard);
  log::info("worker", "the move of shard {} was cancelled by {}", shard.value(), parts_.self.name);
  begin(shard, std::move(node.mapped()), epoch);
}

// ---- draining ----

Task<> Moves::give_some(std::vector<ShardId> shards, WorkerId to, std::shared_ptr<std::size_t> running) {
  const auto given = co_await give(std::move(shards), to);
  if (!given)
    log::info("worker", "{} gives nothing to worker {}: {}", parts_.self.name, to.hex(), given.error().message);
  --*running;
}

Task<void> Moves::give_all(Duration limit) {
  draining_ = true;
  std::vector<ShardId> shards;
  parts_.shards.for_each([&](ShardId id, const OwnedShard&) { shards.push_back(id); });
  std::vector<WorkerId> others;
  for (const ledger::WorkerHead& head : parts_.directory.snapshot().workers)
    if (head.worker != parts_.self.id && std::holds_alternative<ledger::Active>(head.state))
      others.push_back(head.worker);
  if (others.empty()) co_return;
  const auto running = std::make_shared<std::size_t>(others.size());
  for (std::size_t i = 0; i < others.size(); ++i) {
    const auto at = [&](std::size_t k) {
      return shards.begin() + static_cast<std::ptrdiff_t>(shards.size() * k / others.size());
    };
    scope_.spawn(give_some({at(i), at(i + 1)}, others[i], running));
  }
  const MonotonicTime until = parts_.executor.now() + limit;
  // Also for what was on its way before.
  while ((*running > 0 || !being_given_.empty()) && parts_.executor.now() < until)
    co_await sleep_for(parts_.executor, std::chrono::milliseconds(50));
}

}  // namespace zef::worker
