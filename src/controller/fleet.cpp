#include "controller/fleet.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/log.h"
#include "ledger/objects.h"

namespace zef::controller {
namespace {

constexpr std::uint64_t bytes_per_account = 300;  // of a shard's state, about

WorkerId random_worker(Rng& rng) {
  WorkerId id;
  rng.fill(id.bytes);
  return id;
}

template <class Answer>
Result<Answer> decoded(const Result<Bytes>& bytes) {
  if (!bytes) return std::unexpected(bytes.error());
  auto answer = codec::decode<Answer>(*bytes);
  if (!answer) return fail(ErrorKind::corrupt, "an answer on the internal port does not decode");
  return std::move(*answer);
}

double rate(std::uint64_t now, std::uint64_t before, Duration time) {
  if (now < before || time <= Duration::zero()) return 0;
  return static_cast<double>(now - before) / std::chrono::duration<double>(time).count();
}

}  // namespace

struct Fleet::Member {
  Member(Executor& executor, net::Transport& transport, const net::Address& address, ledger::WorkerHead head)
      : client(executor, transport, address) {
    what.head = std::move(head);
  }
  FleetMember what;
  net::RpcClient client;
  bool asking = false;
};

struct Fleet::Batch {
  explicit Batch(Executor& executor) : done(executor) {}
  std::vector<ShardId> shards;
  std::map<ShardId, WorkerId> owners;  // in the end
  std::optional<Error> failure;        // of all
  Event done;
};

struct Fleet::Dealing {
  explicit Dealing(Executor& executor) : done(executor) {}
  std::map<ShardId, WorkerId> owners;
  std::optional<Error> failure;
  Event done;
};

Fleet::Fleet(Executor& executor, Rng& rng, store::ObjectStore& store, net::Transport& internal, FleetOptions options)
    : executor_(executor),
      rng_(rng),
      store_(store),
      internal_(internal),
      options_(options),
      me_(random_worker(rng)),
      map_(executor, store),
      loads_(protocol::shard_count) {}

Fleet::~Fleet() = default;

// ---- who there is ----

void Fleet::start() {
  scope_.spawn(find_again_and_again());
  scope_.spawn(ask_again_and_again());
}

Task<> Fleet::find_again_and_again() {
  for (;;) {
    if (const auto found = co_await find(); !found)
      log::warning("controller", "the workers cannot be listed: {}", found.error().message);
    co_await sleep_for(executor_, options_.find_every);
  }
}

Task<Result<void>> Fleet::find() {
  auto active = co_await ledger::active_workers(store_, sealed_);
  if (!active) co_return std::unexpected(std::move(active.error()));
  std::set<WorkerId> known;
  for (ledger::WorkerHead& head : *active) {
    known.insert(head.worker);
    meet(std::move(head));
  }
  std::erase_if(members_, [&](const auto& member) { return !known.contains(member.first); });
  co_return Result<void>{};
}

void Fleet::meet(ledger::WorkerHead head) {
  if (members_.contains(head.worker)) return;
  const auto address = net::parse_address(head.internal_address);
  if (!address) return;
  const WorkerId worker = head.worker;
  members_.emplace(worker, std::make_shared<Member>(executor_, internal_, *address, std::move(head)));
}

// ---- what they say ----

Task<> Fleet::ask_again_and_again() {
  for (;;) {
    for (const auto& [id, member] : members_)
      if (!member->asking) scope_.spawn(ask(member));
    co_await sleep_for(executor_, options_.report_every);
  }
}

Task<> Fleet::ask(std::shared_ptr<Member> member) {
  member->asking = true;
  const Bytes question = codec::encode(worker::PeerRequest(worker::AskReport{}));
  auto report = decoded<worker::Report>(co_await member->client.call(question, options_.call_time_max));
  member->asking = false;
  if (report && report->worker == member->what.head.worker) take(*member, std::move(*report));
}

// Loads are rates between two reports, in cores; a shard's part of the worker's load is its part of the messages.
void Fleet::take(Member& member, worker::Report report) {
  FleetMember& what = member.what;
  const MonotonicTime now = executor_.now();
  if (what.report) {
    const Duration time = now - what.heard;
    what.cpu = rate(report.cpu_us, what.report->cpu_us, time) / 1e6;
    what.answered = rate(report.answered, what.report->answered, time);
  }
  // What is scarce need not be the processor: the queries answered, as a part of those that it can answer, count too.
  double busy = what.cpu;
  if (report.queries_max > 0)
    busy = std::max(
        busy, static_cast<double>(report.millicores) / 1000 * what.answered / static_cast<double>(report.queries_max));
  // The part of a new value in the average.
  double newest = 1;
  if (what.report && options_.smoothing > Duration::zero())
    newest = 1 - std::exp(-std::chrono::duration<double>(now - what.heard) / options_.smoothing);
  std::vector<const worker::ShardReport*> before(protocol::shard_count);
  if (what.report)
    for (const worker::ShardReport& shard : what.report->shards)
      if (shard.shard.value() < before.size()) before[shard.shard.value()] = &shard;
  std::uint64_t sum = 0;
  std::vector<std::uint64_t> work;
  for (const worker::ShardReport& shard : report.shards) {
    const auto* known = shard.shard.value() < before.size() ? before[shard.shard.value()] : nullptr;
    const bool goes_on = known != nullptr && known->epoch == shard.epoch && known->work <= shard.work;
    work.push_back(goes_on ? shard.work - known->work : 0);
    sum += work.back();
  }
  what.shards.clear();
  for (std::size_t i = 0; i < work.size(); ++i) {
    const worker::ShardReport& shard = report.shards[i];
    const double part = sum == 0 ? 0 : static_cast<double>(work[i]) / static_cast<double>(sum);
    double& load = loads_[std::min<std::size_t>(shard.shard.value(), protocol::shard_count - 1)];
    load += (busy * part - load) * newest;
    what.shards.push_back({.shard = shard.shard, .load = load, .bytes = shard.accounts * bytes_per_account});
  }
  what.heard = now;
  what.report = std::move(report);
}

Task<Result<void>> Fleet::look() {
  if (auto found = co_await find(); !found) co_return found;
  for (const auto& [id, member] : std::map(members_))
    if (!member->asking) scope_.spawn(ask(member));
  const MonotonicTime until = executor_.now() + options_.call_time_max;
  const auto waiting = [this] {
    return std::ranges::any_of(members_, [](const auto& member) { return member.second->asking; });
  };
  while (waiting() && executor_.now() < until) co_await sleep_for(executor_, std::chrono::milliseconds(5));
  const auto read = co_await owners();
  if (!read) co_return std::unexpected(read.error());
  co_return Result<void>{};
}

std::vector<FleetMember> Fleet::members() const {
  std::vector<FleetMember> out;
  for (const auto& [id, member] : members_) out.push_back(member->what);
  return out;
}

std::vector<WorkerReport> Fleet::reports() {
  std::vector<WorkerReport> out;
  for (const auto& [id, member] : members_) {
    const FleetMember& what = member->what;
    if (!what.report) continue;
    out.push_back({.worker = id,
                   .name = what.report->name,
                   .counter = what.report->counter,
                   .cores = static_cast<double>(what.report->millicores) / 1000,
                   .shards = what.shards,
                   .log_backlog = std::chrono::microseconds(what.report->backlog_us),
                   .flush_interval = std::chrono::microseconds(what.report->flush_us),
                   .memory_bytes = what.report->memory_bytes,
                   .draining = what.report->draining,
                   .retiring = what.report->retiring});
  }
  return out;
}

Task<Result<ShardOwners>> Fleet::owners() {
  if (const auto read = co_await map_.read(); !read) co_return std::unexpected(read.error());
  ShardOwners out;
  for (const ledger::ShardEntry& entry : map().entries) out.push_back(entry.owner);
  for (const ledger::WorkerHead& head : map().workers)
    if (std::holds_alternative<ledger::Active>(head.state)) meet(head);
  co_return out;
}

// ---- what they are told ----

Task<Result<void>> Fleet::command(WorkerId worker, worker::PeerRequest request) {
  const auto found = members_.find(worker);
  if (found == members_.end()) co_return fail(ErrorKind::unavailable, "nothing is known of worker " + worker.hex());
  const auto member = found->second;
  const auto answer =
      decoded<worker::CommandAnswer>(co_await member->client.call(codec::encode(request), options_.call_time_max));
  if (!answer) co_return std::unexpected(answer.error());
  if (!answer->refused.empty()) co_return fail(ErrorKind::refused, answer->refused);
  co_return Result<void>{};
}

Task<Result<void>> Fleet::retire(WorkerId worker, bool away) { return command(worker, worker::Retire{away}); }

Task<> Fleet::tell_to_look(WorkerId worker) { (void)co_await command(worker, worker::LookAtMap{}); }

// By what it has said since then: it drains, or is no member any more.
bool Fleet::takes_nothing(WorkerId worker, MonotonicTime since) const {
  const auto found = members_.find(worker);
  if (found == members_.end()) return true;
  const FleetMember& what = found->second->what;
  return what.report && what.heard > since && what.report->draining;
}

// Until none of these shards is owned by `from` any more, or the time is up, or `to` takes nothing. A giver that cannot
// give now, because these shards are on their way already, or the receiver is busy, only says so in its log: it is told
// again.
Task<Result<std::vector<ledger::OwnedShard>>> Fleet::make_move(WorkerId from, WorkerId to,
                                                               std::vector<ShardId> shards) {
  const MonotonicTime begun = executor_.now();
  const MonotonicTime until = begun + options_.move_time_max;
  std::vector<ShardId> left = shards;
  MonotonicTime told{};
  for (;;) {
    if (told == MonotonicTime{} || executor_.now() - told >= options_.tell_again) {
      told = executor_.now();
      const auto done = co_await command(from, worker::Give{.to = to, .shards = {left.begin(), left.end()}});
      if (!done && left.size() == shards.size()) co_return std::unexpected(done.error());
      if (const auto receiver = members_.find(to); receiver != members_.end() && !receiver->second->asking)
        scope_.spawn(ask(receiver->second));
    }
    co_await sleep_for(executor_, options_.look_every);
    auto entries = co_await ledger::read_entries(executor_, store_, shards);
    if (!entries) co_return entries;
    left.clear();
    for (const ledger::OwnedShard& one : *entries)
      if (one.entry.owner == from) left.push_back(one.shard);
    if (left.empty() || executor_.now() >= until || !members_.contains(from) || takes_nothing(to, begun))
      co_return entries;
  }
}

template <class Key, class What>
std::shared_ptr<What> Fleet::join(std::map<Key, std::shared_ptr<What>>& open, const Key& key,
                                  Task<> (Fleet::*flow)(Key, std::shared_ptr<What>)) {
  std::shared_ptr<What>& what = open[key];
  if (!what) {
    what = std::make_shared<What>(executor_);
    executor_.post([this, key, flow, still = std::weak_ptr(what)] {
      if (auto there = still.lock()) scope_.spawn((this->*flow)(key, std::move(there)));
    });
  }
  return what;
}

Task<> Fleet::carry_out(std::pair<WorkerId, WorkerId> who, std::shared_ptr<Batch> batch) {
  batches_.erase(who);  // who comes later begins another one
  const auto entries = co_await make_move(who.first, who.second, batch->shards);
  std::size_t elsewhere = 0;
  if (entries) {
    for (const ledger::OwnedShard& one : *entries) {
      batch->owners[one.shard] = one.entry.owner;
      elsewhere += one.entry.owner != who.second;
    }
  } else {
    batch->failure = entries.error();
    elsewhere = batch->shards.size();
  }
  if (elsewhere > 0)
    log::warning("controller", "{} of {} shards did not go from {} to {}: {}", elsewhere, batch->shards.size(),
                 who.first.hex(), who.second.hex(),
                 entries ? "cancelled, or another move came first, or who gets them drains" : entries.error().message);
  batch->done.set();
}

Task<Result<void>> Fleet::move(Move move) {
  const std::pair who(move.from, move.to);
  const auto mine = join(batches_, who, &Fleet::carry_out);
  mine->shards.push_back(move.shard);
  co_await mine->done.wait();
  if (mine->failure) co_return std::unexpected(*mine->failure);
  if (mine->owners.at(move.shard) != move.to)
    co_return fail(ErrorKind::refused,
                   fmt::format("the move to {} was cancelled, or another one came first", move.to.hex()));
  co_return Result<void>{};
}

Task<Result<std::size_t>> Fleet::give(WorkerId from, WorkerId to, std::vector<ShardId> shards) {
  const auto entries = co_await make_move(from, to, std::move(shards));
  if (!entries) co_return std::unexpected(entries.error());
  co_return static_cast<std::size_t>(
      std::ranges::count_if(*entries, [&](const ledger::OwnedShard& one) { return one.entry.owner == to; }));
}

// One pass over the map, however many rescuers share the victim's shards.
Task<> Fleet::deal(WorkerId victim, std::shared_ptr<Dealing> dealing) {
  dealings_.erase(victim);  // who comes later begins another one
  const auto choose = [&](ShardId shard) {
    const auto found = dealing->owners.find(shard);
    return found == dealing->owners.end() ? WorkerId{} : found->second;
  };
  const auto changed = co_await ledger::rescue(executor_, store_, rng_, me_, victim, choose);
  if (!changed) dealing->failure = changed.error();
  dealing->done.set();
}

Task<Result<void>> Fleet::rescue(Rescue rescue) {
  const auto mine = join(dealings_, rescue.victim, &Fleet::deal);
  for (const ShardId shard : rescue.shards) mine->owners[shard] = rescue.by;
  co_await mine->done.wait();
  if (mine->failure) co_return std::unexpected(*mine->failure);
  scope_.spawn(tell_to_look(rescue.by));
  co_return Result<void>{};
}

}  // namespace zef::controller
