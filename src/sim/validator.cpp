#include "sim/validator.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>
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
    options.name = validator.slots_[slot].name;
    options.client_address = {worker_host(validator.index_, slot), 0};
    options.internal_address = {worker_host(validator.index_, slot) + "-internal", 0};
    options.fee_period = validator.options_.fee_period;
    options.directory.period = validator.options_.map_period;
    options.directory.period_min = std::chrono::milliseconds(400);
    options.checkpoints.every = validator.options_.checkpoint_period;
    options.garbage_grace = validator.options_.garbage_grace;
    options.moves.cancel_after = std::chrono::seconds(1);
    options.moves.rescue_after = std::chrono::seconds(1);
    options.segment_cache_bytes = 4U << 20;
    options.validator_roots = 512;  // the usual sizes cost more to clear than a small simulation takes
    options.client_roots = 256;
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
      bucket_(schedule, rng_.fork()) {
  for (std::size_t i = 0; i < options.workers; ++i) {
    slots_.push_back({.name = fmt::format("w{}", i), .process = nullptr, .strays = {}});
    sites_.push_back(network.new_site());
  }
  sites_.push_back(network.new_site());
  controllers_store_ = bucket_.open(supervisor_);
}
Validator::~Validator() = default;

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
  for (const Slot& slot : slots_) names.push_back(slot.name);
  const auto store = store::make_memory_store(
      supervisor_, std::shared_ptr<store::MemoryState>(&bucket_.state(), [](store::MemoryState*) {}),
      {.immediate = true});
  bool done = false;
  TaskScope scope;
  scope.spawn(initialise(
      *store, rng_, {protocol::network_id_of(genesis_), protocol::ValidatorIndex(static_cast<std::uint16_t>(index_))},
      std::move(names), done));
  ZEF_CHECK(done);
  for (std::size_t i = 0; i < slots_.size(); ++i) start_worker(i);
  start_balancer();
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
    if (!slots_[slot].process) start_worker(slot);
  });
}

void Validator::start_balancer() {
  balancer_ = std::make_unique<BalancerProcess>(*this, schedule_.make_process(), rng_.fork());
  const auto started = balancer_->balancer.start();
  ZEF_CHECK(started);
}

bool Validator::complete() const {
  std::set<protocol::ShardId> served;
  for (const Slot& slot : slots_) {
    if (!slot.process || !slot.process->serving || !slot.strays.empty() || slot.process->worker.moving()) return false;
    for (const worker::ShardReport& shard : slot.process->worker.report().shards)
      if (!served.insert(shard.shard).second) return false;
  }
  return served.size() == protocol::shard_count;
}

protocol::Totals Validator::totals() const {
  protocol::Totals sum;
  for (const Slot& slot : slots_) add_to(sum, slot.process->worker.totals());
  return sum;
}

void Validator::count_storage(std::map<std::string, std::uint64_t>& counters) const {
  for (const Slot& slot : slots_) {
    if (!slot.process) continue;
    const auto checkpoints = slot.process->worker.checkpoint_metrics();
    counters["checkpoints: whole shards"] += checkpoints.whole_shards;
    counters["checkpoints: changed shards"] += checkpoints.changed_shards;
    counters["garbage: slots deleted"] += slot.process->worker.garbage_metrics().slots;
  }
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
  controllers_.spawn(rescue_shards(supervisor_, *controllers_store_, rng_, dead->worker.id(), next->worker.id()));
}

void Validator::jump_clocks(Duration by) {
  for (const Slot& slot : slots_)
    if (slot.process) slot.process->executor.jump_wall(by);
}

}  // namespace zef::sim
