#include "worker/worker.h"

#include "base/log.h"
#include "base/mutant.h"
#include "worker/history_reader.h"
#include "worker/tick.h"

namespace zef::worker {
namespace {

using namespace protocol;

constexpr std::uint32_t retry_after_ms = 50;
// A shard with more closed lineage than this is saved before it is served: what is to be replayed stays bounded.
constexpr std::size_t lineage_max = 4;
// Garbage is looked for several times in a grace period, but no more often than in this time, nor more rarely than
// that.
constexpr Duration garbage_period_min = std::chrono::seconds(1);
constexpr Duration garbage_period_max = std::chrono::minutes(10);

std::uint64_t microseconds(Duration time) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(time).count());
}

Bytes refusal(Refusal why) { return codec::encode(Answer(Refused{std::move(why)})); }

}  // namespace

struct Worker::State {
  State(World w, const Genesis& g, const crypto::SigningKey& k, WorkerOptions o)
      : world(w),
        genesis(g),
        key(k),
        options(std::move(o)),
        network(g),
        caches{crypto::RootCache(options.validator_roots), crypto::RootCache(options.client_roots)},
        segments(world.store, options.segment_cache_bytes),
        directory(world.executor, world.store, options.directory),
        peers(world.executor, world.internal_transport, directory,
              {.build =
                   [this](const EffectsOut& effects) {
                     const auto batch = tick->build_batch(effects);
                     return batch ? codec::encode(*batch) : Bytes{};
                   },
               .on_result = [this](DeliveryResult result) { on_result(std::move(result)); },
               .on_failed = [this](ShardId source, ShardId destination) { on_failed(source, destination); }},
              options.peers),
        clients(world.executor, world.client_transport, client_handlers()),
        internals(world.executor, world.internal_transport, internal_handlers()) {}

  World world;
  const Genesis& genesis;
  const crypto::SigningKey& key;
  WorkerOptions options;
  Network network;
  RootCaches caches;
  ledger::WorkerIdentity self;
  ShardTable shards;
  ReleaseQueue releases;
  ledger::SegmentCache segments;
  ledger::Directory directory;
  Peers peers;
  net::RpcServer clients;
  net::RpcServer internals;
  net::Address client_address;
  net::Address internal_address;
  std::unique_ptr<ledger::WorkerLog> log;
  std::unique_ptr<Tick> tick;
  std::unique_ptr<Checkpointer> checkpointer;
  std::unique_ptr<ledger::GarbageCollector> garbage;
  std::move_only_function<void(Error)> fatal;
  std::unique_ptr<Moves> moves;
  std::uint64_t reports = 0;
  std::size_t history_reads = 0;
  TimerId fee_timer = TimerId::none;
  bool serving = false;
  bool stopped = false;  // fenced: nothing leaves any more
  bool tick_scheduled = false;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  TaskScope scope;

  ~State() {
    *alive = false;
    world.executor.cancel(fee_timer);
  }

  // ---- what comes in ----

  net::RpcServer::Handlers client_handlers() {
    return {.on_call = [this](net::ConnectionId c, std::uint64_t id, ByteView body) { on_client_call({c, id}, body); },
            .on_batch_end = {},
            .on_opened = {},
            .on_closed = {},
            .refusal_body = [](const Error& why) { return refusal(Malformed{why.message}); }};
  }
  net::RpcServer::Handlers internal_handlers() {
    return {.on_call = [this](net::ConnectionId c, std::uint64_t id, ByteView body) { on_peer_call({c, id}, body); },
            .on_batch_end = {},
            .on_opened = {},
            .on_closed = {},
            .refusal_body = {}};
  }

  void on_client_call(Caller caller, ByteView body) {
    if (stopped) return;  // fenced: silence, whatever it is
    const auto respond = [&](Refusal why) {
      clients.respond(caller.connection, caller.request_id, refusal(std::move(why)));
    };
    if (!serving) return respond(Unavailable{"this worker is starting"});
    if (releases.size() >= options.releases_max || log->backlog_bytes() >= options.log.backlog_bytes_max)
      return respond(Overloaded{retry_after_ms});
    auto query = codec::decode<Query>(body);
    if (!query) return respond(Malformed{std::string(to_string(query.error()))});
    tick->add(caller, std::move(*query));
    schedule_tick();
  }

  void on_peer_call(Caller caller, ByteView body) {
    if (stopped) return;
    auto request = codec::decode<PeerRequest>(body);
    if (!request) {
      log::error("worker", "a message on the internal port does not decode: {}", to_string(request.error()));
      return answer_peer(caller, DeliveryResults{});
    }
    std::visit([&](auto& what) { on_peer(caller, what); }, *request);
  }
  template <class T>
  void answer_peer(Caller caller, const T& answer) {
    internals.respond(caller.connection, caller.request_id, codec::encode(answer));
  }
  void on_peer(Caller caller, DeliverEffects& effects) {
    if (!serving) return answer_peer(caller, DeliveryResults{});
    tick->add(caller, std::move(effects));
    schedule_tick();
  }
  void on_peer(Caller caller, const AskReport&) { answer_peer(caller, report()); }
  void on_peer(Caller caller, Give& give) {
    if (!serving) return answer_peer(caller, CommandAnswer{"this worker starts, or drains"});
    answer_peer(caller, CommandAnswer{});
    scope.spawn(give_asked({give.shards.begin(), give.shards.end()}, give.to));
  }
  void on_peer(Caller caller, const Retire& retire) {
    if (!serving) return answer_peer(caller, CommandAnswer{"this worker starts, or drains"});
    moves->retire(retire.away);
    answer_peer(caller, CommandAnswer{});
  }
  void on_peer(Caller caller, const LookAtMap&) {
    directory.refresh_soon();
    answer_peer(caller, CommandAnswer{});
  }
  void on_peer(Caller caller, Take& take) {
    if (!serving) return answer_peer(caller, TakeAnswer{"this worker starts, or drains"});
    scope.spawn(answer_when_done(caller, moves->prepare(std::move(take))));
  }
  void on_peer(Caller caller, HandedOver& handed) {
    if (!serving) return answer_peer(caller, HandedOverAnswer{});
    scope.spawn(answer_when_done(caller, moves->receive(std::move(handed))));
  }
  template <class T>
  Task<> answer_when_done(Caller caller, Task<T> task) {
    const T answer = co_await std::move(task);
    if (!stopped) answer_peer(caller, answer);
  }
  Task<> give_asked(std::vector<ShardId> ids, ledger::WorkerId to) {
    const auto given = co_await moves->give(std::move(ids), to);
    if (!given && given.error().kind == ErrorKind::refused)  // told again, or what it was told is no longer so
      log::debug("worker", "{} does not give: {}", options.name, given.error().message);
    else if (!given)
      log::warning("worker", "{} did not give: {}", options.name, given.error().message);
  }

  Report report() {
    Report out;
    out.worker = self.id;
    out.name = options.name;
    out.counter = ++reports;
    out.millicores = static_cast<std::uint64_t>(options.cores * 1000);
    out.queries_max = options.queries_max;
    if (options.usage) {
      const WorkerOptions::Usage usage = options.usage();
      out.cpu_us = microseconds(usage.cpu);
      out.memory_bytes = usage.memory_bytes;
      out.store = usage.store;
    }
    if (tick) out.answered = tick->metrics().queries;
    if (checkpointer) out.checkpoints = checkpointer->metrics().objects;
    if (log) {
      out.backlog_bytes = log->backlog_bytes();
      out.backlog_us = microseconds(log->waiting());
      out.flush_us = microseconds(log->flush_interval());
    }
    if (moves) {
      out.leaving = static_cast<std::uint32_t>(moves->leaving_count());
      out.draining = moves->draining();
      out.retiring = moves->retiring();
    }
    shards.for_each([&](ShardId id, const OwnedShard& owned) {
      out.shards.push_back({id, owned.epoch, owned.work, owned.shard.account_count()});
    });
    return out;
  }

  void on_result(DeliveryResult result) {
    tick->add_result(std::move(result));
    schedule_tick();
  }
  void on_failed(ShardId source, ShardId destination) {
    tick->add_resend(source, destination);
    schedule_tick();
  }

  // ---- the turn ----

  void schedule_tick() {
    if (std::exchange(tick_scheduled, true)) return;
    world.executor.at_turn_end([this, still = alive] {
      if (!*still) return;
      tick_scheduled = false;
      if (stopped || tick->empty()) return;
      tick->run(world.executor.now());
      for (const auto& [source, destination] : tick->take_failed()) peers.fail_later(source, destination);
      release();  // what needed no record may leave at once
      if (!tick->empty()) schedule_tick();
    });
  }

  // ---- what leaves ----

  void release() {
    if (stopped) return;
    releases.release(log->confirmed(), [this](Release item) { std::visit([this](auto& what) { leave(what); }, item); });
  }
  void leave(ClientAnswer& answer) { clients.respond(answer.caller.connection, answer.caller.request_id, answer.body); }
  void leave(PeerAnswer& answer) { internals.respond(answer.caller.connection, answer.caller.request_id, answer.body); }
  void leave(EffectsOut& out) {
    if (!shards.find(out.destination)) return peers.send(out);
    tick->add_own(out);
    schedule_tick();
  }
  void leave(HistoryNote& note) {
    OwnedShard* owned = shards.find(note.shard);
    if (owned == nullptr) owned = moves->leaving(note.shard);
    if (owned == nullptr) return;  // whoever has it now reads the log
    const auto place = log->place_of(note.number);
    owned->history.note({.worker = self.id, .slot = place.slot, .index = place.index}, note.record);
  }
  void leave(HistoryRead& read) {
    if (history_reads >= options.history_reads_max)
      return clients.respond(read.caller.connection, read.caller.request_id, refusal(Overloaded{retry_after_ms}));
    const ShardId id = std::visit([](const auto& query) { return shard_of(query.account); }, read.query);
    if (!shards.find(id)) return clients.respond(read.caller.connection, read.caller.request_id, refusal(Moved{id}));
    ++history_reads;
    scope.spawn(serve_history(std::move(read)));
  }
  Task<> serve_history(HistoryRead read) {
    const ShardId id = std::visit([](const auto& query) { return shard_of(query.account); }, read.query);
    const History& history = shards.find(id)->history;  // found just now, and not used after the first wait
    Answer answer = std::holds_alternative<QueryExecuted>(read.query)
                        ? co_await read_executed(history, segments, std::get<QueryExecuted>(read.query))
                        : co_await read_received(history, segments, std::get<QueryReceived>(read.query));
    --history_reads;
    if (!stopped) clients.respond(read.caller.connection, read.caller.request_id, codec::encode(answer));
  }

  // ---- begin ----

  Task<Result<void>> start() {
    const auto index = network.committee.index_of(key.public_key());
    if (!index)
      co_return fail(ErrorKind::refused, "the signing key " + key.public_key().hex() +
                                             " is not of this network's committee: give the key "
                                             "file that was made with this genesis");
    if (auto same = co_await ledger::check_identity(world.store, {network.id, *index}); !same) co_return same;

    auto client = clients.listen(options.client_address);
    if (!client) co_return std::unexpected(client.error());
    client_address = *client;
    auto internal = internals.listen(options.internal_address);
    if (!internal) co_return std::unexpected(internal.error());
    internal_address = *internal;

    self.name = options.name;
    self.client_address = net::to_string(client_address);
    self.internal_address = net::to_string(internal_address);
    world.rng.fill(self.id.bytes);
    if (mutant("reused_worker_id")) self.id.bytes.fill(static_cast<std::uint8_t>(options.name.back()));
    auto owned = co_await ledger::begin_worker(world.executor, world.store, world.rng, self);
    if (!owned) co_return std::unexpected(owned.error());
    log = std::make_unique<ledger::WorkerLog>(world.executor, world.store, self.id, options.log);
    checkpointer = std::make_unique<Checkpointer>(
        Checkpointer::Parts{world.executor, world.store, world.rng, self.id, shards, *log,
                            [this] {
                              release();
                              return !stopped;
                            }},
        options.checkpoints);

    log->on_confirmed([this](ledger::RecordNumber) { release(); });
    log->on_fenced([this](Error why) { stop_at_once(std::move(why)); });
    log->on_trouble([](const Error& why) { log::error("worker", "the log cannot be written: {}", why.message); });
    tick = std::make_unique<Tick>(Tick::Parts{network, *index, key, caches, shards, *log, releases});
    moves = std::make_unique<Moves>(Moves::Parts{world.executor, world.rng, world.store, world.internal_transport,
                                                 network, genesis, directory, self, shards, *log, *tick, *checkpointer},
                                    Moves::Handlers{.on_came = [this] { schedule_tick(); },
                                                    .on_sealed = [this](Error why) { stop_at_once(std::move(why)); }},
                                    options.moves);
    if (auto adopted = co_await moves->adopt(*owned); !adopted) co_return adopted;
    if (auto durable = co_await log->drain(); !durable) co_return durable;
    if (auto saved = co_await save_long_lineage(*owned); !saved) co_return saved;

    directory.on_change([this] {
      peers.forget_gone();
      check_ownership();
      moves->look_soon();
    });
    directory.start();
    moves->start();
    serving = true;
    schedule_tick();
    schedule_fee_totals();
    checkpointer->start();
    if (options.garbage_grace > Duration::zero()) {
      garbage = std::make_unique<ledger::GarbageCollector>(
          ledger::GarbageCollector::Parts{world.executor, world.store, world.rng, self.id, &History::keeps},
          options.garbage_grace);
      scope.spawn(collect_garbage());
    }
    log::info("worker", "{} serves {} shards as worker {} at {}; {} records replayed", options.name, owned->size(),
              self.id.hex(), self.client_address, moves->replayed());
    co_return Result<void>{};
  }

  Task<> collect_garbage() {
    const Duration period = std::clamp<Duration>(options.garbage_grace / 4, garbage_period_min, garbage_period_max);
    for (;;) {
      co_await sleep_for(world.executor, period);
      if (stopped || !serving) co_return;
      if (const auto done = co_await garbage->collect(log->slots_confirmed()); !done)
        log::warning("worker", "a search for garbage ended early: {}", done.error().message);
    }
  }

  Task<Result<void>> save_long_lineage(const std::vector<ledger::OwnedShard>& owned) {
    std::set<std::size_t> groups;
    for (const ledger::OwnedShard& one : owned)
      if (one.entry.lineage.size() > lineage_max + 1) groups.insert(ledger::group_of(one.shard));
    for (const std::size_t group : groups)
      if (auto saved = co_await checkpointer->save(group); !saved) co_return saved;
    co_return Result<void>{};
  }

  void schedule_fee_totals() {
    fee_timer = world.executor.after(options.fee_period, [this] {
      tick->add_fee_totals();
      schedule_tick();
      schedule_fee_totals();
    });
  }

  // The map says who owns a shard, and our head whether our log still takes records. A worker that finds itself
  // replaced or sealed stops, whether its log noticed yet or not: nobody is sent to a sealed one, so it might never
  // write again.
  void check_ownership() {
    bool lost = false;
    shards.for_each([&](ShardId id, const OwnedShard& shard) {
      const ledger::ShardEntry* entry = directory.entry_of(id);
      lost |= entry && entry->epoch > shard.epoch && entry->owner != self.id;
    });
    for (const ledger::WorkerHead& head : directory.snapshot().workers)
      lost |= head.worker == self.id && !std::holds_alternative<ledger::Active>(head.state);
    if (lost) stop_at_once({ErrorKind::fenced, "another worker has taken over shards of this one"});
  }

  void stop_at_once(Error why) {
    if (std::exchange(stopped, true)) return;
    log::error("worker", "{} stops at once: {}", options.name, why.message);
    if (fatal) fatal(std::move(why));
  }

  Task<Result<void>> drain() {
    if (moves && !stopped) co_await moves->give_all(options.drain_time_max);
    serving = false;
    // Shared: a connection that closes only after the time is up still sets it.
    const auto done = std::make_shared<Event>(world.executor);
    clients.drain([done] { done->set(); });
    co_await done->wait_for(std::chrono::seconds(10));
    if (stopped) co_return fail(ErrorKind::fenced, "fenced while draining");
    if (log) {
      if (auto durable = co_await log->drain(); !durable) co_return durable;
      release();  // what waited for the last records
    }
    if (log && !stopped && options.checkpoints.every > Duration::zero()) {  // the successor has nothing to replay then
      checkpointer->stop();
      if (const auto saved = co_await checkpointer->save_all(); !saved)
        log::warning("worker", "the last checkpoint failed, the next worker replays the log: {}",
                     saved.error().message);
    }
    if (std::exchange(stopped, true)) co_return fail(ErrorKind::fenced, "fenced while draining");
    // A long log has many slots: the search for the first free one begins where ours are known to end.
    co_return co_await ledger::seal_self(world.store, world.rng, self, log ? log->slots_confirmed() : 0);
  }
};

Worker::Worker(World world, const Genesis& genesis, const crypto::SigningKey& key, WorkerOptions options)
    : state_(std::make_unique<State>(world, genesis, key, std::move(options))) {}
Worker::~Worker() = default;

Task<Result<void>> Worker::start() { return state_->start(); }
void Worker::on_fatal(std::move_only_function<void(Error)> callback) { state_->fatal = std::move(callback); }
Task<Result<void>> Worker::drain() { return state_->drain(); }
net::Address Worker::client_address() const { return state_->client_address; }
net::Address Worker::internal_address() const { return state_->internal_address; }
Totals Worker::totals() const {
  Totals sum;
  state_->shards.for_each([&](ShardId, const OwnedShard& owned) { add_to(sum, owned.shard.totals()); });
  return sum;
}
std::size_t Worker::shard_count() const { return state_->shards.size(); }
bool Worker::serves(ShardId shard) const { return state_->shards.find(shard) != nullptr; }
std::uint64_t Worker::replayed_records() const { return state_->moves ? state_->moves->replayed() : 0; }
bool Worker::moving() const { return state_->moves && state_->moves->leaving_count() > 0; }
ledger::WorkerId Worker::id() const { return state_->self.id; }
Report Worker::report() { return state_->report(); }
Task<Result<void>> Worker::give(std::vector<ShardId> shards, ledger::WorkerId to) {
  return state_->moves->give(std::move(shards), to);
}
ledger::GarbageCollector::Metrics Worker::garbage_metrics() const {
  return state_->garbage ? state_->garbage->metrics() : ledger::GarbageCollector::Metrics{};
}
Checkpointer::Metrics Worker::checkpoint_metrics() const {
  return state_->checkpointer ? state_->checkpointer->metrics() : Checkpointer::Metrics{};
}

}  // namespace zef::worker
