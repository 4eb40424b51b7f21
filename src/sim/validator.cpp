#include "sim/validator.h"

#include <fmt/core.h>

#include <algorithm>
#include <bitset>
#include <utility>

#include "ledger/ownership.h"
#include "ledger/shard_map.h"

namespace zef::sim {

namespace {

constexpr Duration restart_min = std::chrono::milliseconds(50);
constexpr Duration restart_max = std::chrono::milliseconds(800);

// As the server commands open it; or writes soon give up, as what stands above has to be right with or without retries.
store::RetryOptions retry_options(bool patient) {
  const store::RetryPolicy reads{.deadline = std::chrono::seconds(30)};
  const store::RetryPolicy impatient{.deadline = std::chrono::milliseconds(50)};
  return {.put = patient ? store::RetryPolicy{} : impatient, .get = reads, .del = {}, .list = reads};
}

}  // namespace

std::string worker_host(std::size_t validator, std::size_t slot) { return fmt::format("v{}-w{}", validator, slot); }

// In the order of need: what stands below goes first.
struct Validator::WorkerProcess {
  WorkerProcess(Validator& v, SimExecutor& e, std::size_t slot, SimRng random)
      : executor(e),
        rng(random),
        store(v.bucket_.open(e), e, rng, retry_options(random.chance(700'000))),
        clients(v.network_.transport(e, v.sites_[slot])),
        internal(v.network_.transport(e, v.sites_[slot])),
        worker({e, rng, store, *clients, *internal}, v.genesis_, v.key_, options_of(v, slot)) {}
  ~WorkerProcess() { executor.kill(); }

  static worker::WorkerOptions options_of(const Validator& validator, std::size_t slot) {
    worker::WorkerOptions options;
    options.usage = [&validator, cpu = Duration{}, since = validator.supervisor_.now()]() mutable {
      const MonotonicTime now = validator.supervisor_.now();
      const std::uint64_t percent = std::min<std::uint64_t>(validator.load_percent_ / validator.count_, 100);
      cpu += (now - std::exchange(since, now)) * static_cast<Duration::rep>(percent) / 100;
      worker::WorkerOptions::Usage usage;
      usage.cpu = cpu;
      return usage;
    };
    options.name = validator.slots_[slot].name;
    options.client_address = {worker_host(validator.index_, slot), 0};
    options.internal_address = {worker_host(validator.index_, slot) + "-internal", 0};
    options.fee_period = validator.options_.fee_period;
    options.directory.period = validator.options_.map_period;
    options.directory.period_min = std::chrono::milliseconds(400);
    options.checkpoints.every = validator.options_.checkpoint_period;
    options.checkpoints.log_slots = validator.index_ % 2 == 0 ? 0 : 64;  // as on a disk, and as over a network
    options.garbage_grace = validator.options_.garbage_grace;
    options.moves.cancel_after = std::chrono::seconds(1);
    options.moves.rescue_after = std::chrono::seconds(1);
    options.drain_time_max = std::chrono::seconds(2);
    options.segment_cache_bytes = 4U << 20;
    options.validator_roots = 64;  // verifying costs less here than clearing, and missing in, the usual sizes
    options.client_roots = 64;
    return options;
  }

  SimExecutor& executor;
  SimRng rng;
  store::RetryingStore store;
  std::unique_ptr<net::Transport> clients;
  std::unique_ptr<net::Transport> internal;
  worker::Worker worker;
  bool serving = false;
  TaskScope scope;
};

struct Validator::BalancerProcess {
  BalancerProcess(Validator& v, SimExecutor& e, SimRng random)
      : executor(e),
        rng(random),
        store(v.bucket_.open(e), e, rng, retry_options(true)),
        transport(v.network_.transport(e, v.sites_.back())),
        balancer(e, rng, store, *transport, options_of(v)) {}
  ~BalancerProcess() { executor.kill(); }

  static balancer::Options options_of(const Validator& validator) {
    balancer::Options options;
    options.address = validator.inner_address_;
    options.directory.period = validator.options_.map_period;
    options.directory.period_min = std::chrono::milliseconds(400);
    options.answer_time_max = std::chrono::seconds(2);
    options.hold_time_max = std::chrono::seconds(4);
    return options;
  }

  SimExecutor& executor;
  SimRng rng;
  store::RetryingStore store;
  std::unique_ptr<net::Transport> transport;
  balancer::Balancer balancer;
};

Validator::Validator(Schedule& schedule, Network& network, SimRng rng, const protocol::Genesis& genesis,
                     const crypto::SigningKey& key, std::size_t index, const ValidatorOptions& options)
    : schedule_(schedule),
      network_(network),
      rng_(rng),
      genesis_(genesis),
      key_(key),
      index_(index),
      options_(options),
      supervisor_(schedule.make_process()),
      address_{fmt::format("v{}", index), 7000},
      inner_address_{fmt::format("v{}{}", index, options.behind_front ? "-inner" : ""), 7000},
      bucket_(schedule, rng_.fork()),
      count_(options.workers) {
  const std::size_t slots = options.workers + (options.controllers > 0 ? 1 : 0);
  for (std::size_t i = 0; i < slots; ++i) {
    slots_.push_back({.name = fmt::format("w{}", i), .process = nullptr, .strays = {}});
    sites_.push_back(network.new_site());
  }
  for (std::size_t i = 0; i < std::max<std::size_t>(options.controllers, 1); ++i) sites_.push_back(network.new_site());
  sites_.push_back(network.new_site());
  rescuers_store_ = bucket_.open(supervisor_);
  if (options.controllers > 0)
    make_controllers(options.controllers, static_cast<int>(options.workers_min), static_cast<int>(slots));
}
Validator::~Validator() = default;

void Validator::make_controllers(std::size_t count, int workers_min, int workers_max) {
  const auto first = sites_.begin() + static_cast<std::ptrdiff_t>(slots_.size());
  controllers_ = std::make_unique<Controllers>(
      Controllers::World{schedule_, network_, bucket_}, rng_.fork(),
      WorkerSlots{.count = [this] { return static_cast<int>(count_); },
                  .raise = [this](int to) { raise(static_cast<std::size_t>(to)); },
                  .end_last = [this] { end_last(); }},
      std::vector<Site>(first, first + static_cast<std::ptrdiff_t>(count)), workers_min, workers_max);
}

namespace {

Task<void> initialise(store::ObjectStore& store, Rng& rng, ledger::StoreIdentity identity,
                      std::vector<std::string> names, bool& done) {
  const auto made = co_await ledger::initialise_store(store, rng, identity, std::move(names));
  ZEF_CHECK(made);
  done = true;
}

}  // namespace

void Validator::start() {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count_; ++i) names.push_back(slots_[i].name);
  const auto store = store::make_memory_store(
      supervisor_, std::shared_ptr<store::MemoryState>(&bucket_.state(), [](store::MemoryState*) {}),
      {.immediate = true});
  bool done = false;
  TaskScope scope;
  scope.spawn(initialise(
      *store, rng_, {protocol::network_id_of(genesis_), protocol::ValidatorIndex(static_cast<std::uint16_t>(index_))},
      std::move(names), done));
  ZEF_CHECK(done);
  for (std::size_t i = 0; i < count_; ++i) start_worker(i);
  start_balancer();
  if (controllers_) controllers_->start();
}

void Validator::tidy_up() {
  if (controllers_ || !rescued_) return;
  make_controllers(1, static_cast<int>(count_), static_cast<int>(count_));
  controllers_->start();
}

namespace {

template <class Process, class Ended, class Serving>
Task<void> run_worker(Process& process, Ended ended, Serving serving) {
  const auto started = co_await process.worker.start();
  if (!started) co_return ended();
  process.serving = true;
  serving();
}

}  // namespace

void Validator::start_worker(std::size_t slot) {
  ++starts_;
  Slot& where = slots_[slot];
  ZEF_CHECK(!where.process);
  where.process = std::make_unique<WorkerProcess>(*this, schedule_.make_process(), slot, rng_.fork());
  WorkerProcess* process = where.process.get();
  const auto end = [this, slot, process] { ended(slot, process); };
  process->worker.on_fatal([end](const Error&) { end(); });
  process->scope.spawn(run_worker(*process, end, [this] {
    if (on_serving_) on_serving_();
  }));
}

// A process is never destroyed inside one of its own calls; from this moment on it does nothing any more.
void Validator::ended(std::size_t slot, const WorkerProcess* process) {
  const_cast<WorkerProcess*>(process)->executor.kill();
  supervisor_.post([this, slot, process] {
    Slot& where = slots_[slot];
    std::erase_if(where.strays, [process](const auto& stray) { return stray.get() == process; });
    if (where.process.get() != process) return;
    where.process.reset();
    restart_later(slot, rng_.between(restart_min, restart_max));
  });
}

void Validator::restart_later(std::size_t slot, Duration down) {
  supervisor_.after(down, [this, slot] {
    if (!slots_[slot].process && slot < count_) start_worker(slot);
  });
}

namespace {

template <class Process, class Ended>
Task<void> drain_worker(Process& process, Ended ended) {
  (void)co_await process.worker.drain();
  ended();
}

}  // namespace

// Not at once: a controller's call does this.
void Validator::raise(std::size_t count) {
  ZEF_CHECK(count > count_ && count <= slots_.size());
  added_ += count - std::exchange(count_, count);
  supervisor_.post([this] {
    for (std::size_t i = 0; i < count_; ++i)
      if (!slots_[i].process) start_worker(i);
  });
}

void Validator::end_last() {
  ++retired_;
  const std::size_t slot = --count_;
  supervisor_.post([this, slot] {
    Slot& where = slots_[slot];
    where.strays.clear();
    if (!where.process || slot < count_) return;
    WorkerProcess* process = where.process.get();
    if (!process->serving) return where.process.reset();
    process->scope.spawn(drain_worker(*process, [this, slot, process] { ended(slot, process); }));
  });
}

void Validator::start_balancer() {
  balancer_ = std::make_unique<BalancerProcess>(*this, schedule_.make_process(), rng_.fork());
  const auto started = balancer_->balancer.start();
  ZEF_CHECK(started);
}

// Those that were replaced count like all others: one that owns nothing does not learn of it.
template <class Visit>
void Validator::for_each_process(Visit visit) const {
  for (const Slot& slot : slots_) {
    if (slot.process) visit(*slot.process);
    for (const auto& stray : slot.strays) visit(*stray);
  }
}

bool Validator::complete() const {
  for (std::size_t i = 0; i < slots_.size(); ++i)
    if ((slots_[i].process != nullptr) != (i < count_)) return false;
  bool all_serve = true;
  std::size_t shards = 0;
  for_each_process([&](const WorkerProcess& process) {
    all_serve &= process.serving && !process.worker.moving();
    shards += process.worker.shard_count();
  });
  if (!all_serve || shards != protocol::shard_count) return false;
  std::bitset<protocol::shard_count> served;
  for_each_process([&](const WorkerProcess& process) {
    for (std::uint16_t i = 0; i < protocol::shard_count; ++i)
      if (process.worker.serves(protocol::ShardId(i))) served.set(i);
  });
  return served.all();
}

protocol::Totals Validator::totals() const {
  protocol::Totals sum;
  for_each_process([&](const WorkerProcess& process) { add_to(sum, process.worker.totals()); });
  return sum;
}

void Validator::count_up(std::map<std::string, std::uint64_t>& counters) const {
  for_each_process([&](const WorkerProcess& process) {
    const auto checkpoints = process.worker.checkpoint_metrics();
    counters["checkpoints: whole shards"] += checkpoints.whole_shards;
    counters["checkpoints: changed shards"] += checkpoints.changed_shards;
    counters["garbage: slots deleted"] += process.worker.garbage_metrics().slots;
  });
  if (!controllers_) return;
  counters["controllers: workers added"] += added_;
  counters["controllers: workers retired"] += retired_;
}

void Validator::crash_worker(std::size_t slot, Duration down, bool power) {
  Slot& where = slots_[slot];
  if (power) network_.silence(sites_[slot]);
  where.strays.clear();
  if (!where.process) return;
  where.process.reset();
  restart_later(slot, down);
}

void Validator::double_worker(std::size_t slot) {
  Slot& where = slots_[slot];
  if (!where.process) return;
  where.strays.push_back(std::move(where.process));
  start_worker(slot);
}

void Validator::stall_worker(std::size_t slot, Duration time) {
  if (slots_[slot].process) slots_[slot].process->executor.stand_still(time);
}

void Validator::crash_balancer(Duration down, bool power) {
  if (power) network_.silence(sites_.back());
  if (!balancer_) return;
  balancer_.reset();
  supervisor_.after(down, [this] {
    if (!balancer_) start_balancer();
  });
}

namespace {

Task<void> give_shards(worker::Worker& giver, std::vector<protocol::ShardId> shards, ledger::WorkerId to) {
  (void)co_await giver.give(std::move(shards), to);
}

ledger::WorkerId rescuer_id(Rng& rng) {
  ledger::WorkerId id;
  rng.fill(id.bytes);
  return id;
}

Task<void> rescue_shards(Executor& executor, store::ObjectStore& store, Rng& rng, ledger::WorkerId victim,
                         ledger::WorkerId heir) {
  (void)co_await ledger::rescue(executor, store, rng, rescuer_id(rng), victim,
                                [heir](protocol::ShardId) { return heir; });
}

}  // namespace

void Validator::move_shards(std::size_t from, std::size_t to) {
  WorkerProcess* giver = slots_[from].process.get();
  WorkerProcess* receiver = slots_[to].process.get();
  if (giver == nullptr || receiver == nullptr || !giver->serving || !receiver->serving) return;
  std::vector<protocol::ShardId> shards;
  const std::uint64_t chance = rng_.pick(4) == 0 ? 1'000'000 : rng_.between(1'000, 500'000);
  for (const worker::ShardReport& shard : giver->worker.report().shards)
    if (rng_.chance(chance)) shards.push_back(shard.shard);
  if (!shards.empty()) giver->scope.spawn(give_shards(giver->worker, std::move(shards), receiver->worker.id()));
}

void Validator::rescue_worker(std::size_t victim, std::size_t heir) {
  WorkerProcess* dead = slots_[victim].process.get();
  WorkerProcess* next = slots_[heir].process.get();
  if (dead == nullptr || next == nullptr || !dead->serving || !next->serving) return;
  rescued_ = true;
  rescuers_.spawn(rescue_shards(supervisor_, *rescuers_store_, rng_, dead->worker.id(), next->worker.id()));
}

void Validator::jump_clocks(Duration by) {
  for (const Slot& slot : slots_)
    if (slot.process) slot.process->executor.jump_wall(by);
}

}  // namespace zef::sim
