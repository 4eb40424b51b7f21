#include "cli/drill_stage.h"

#include <fmt/core.h>
#include <unistd.h>

#include <csignal>

#include "crypto/sealed.h"
#include "net/asio_transport.h"

namespace zef::cli {
namespace {

using ledger::WorkerId;
using namespace std::chrono_literals;

constexpr std::uint64_t validators = 4;
constexpr Duration observe_period = 100ms;

std::string label(const ledger::WorkerHead& head) {
  return fmt::format("{} ({})", head.name, head.worker.hex().substr(0, 6));
}

}  // namespace

Result<std::unique_ptr<DrillStage>> DrillStage::make(const DrillFlags& flags, std::uint64_t workers_min,
                                                     std::uint64_t workers_max, std::vector<std::string> worker_flags,
                                                     std::vector<std::string> controller_flags) {
  std::unique_ptr<DrillStage> stage(new DrillStage(flags));
  auto scratch = ScratchFolder::make("drill");
  if (!scratch) return std::unexpected(scratch.error());
  stage->scratch_ = std::move(*scratch);
  LocalNetworkOptions options;
  options.validators = validators;
  options.workers = workers_min;
  options.workers_max = workers_max;
  options.accounts = flags.accounts;
  if (!flags.store.empty()) options.store = stage->scratch_->store_url(flags.store);
  options.fee_period_ms = 1000;
  options.wallet = false;
  options.worker_flags = std::move(worker_flags);
  options.controller_flags = std::move(controller_flags);
  options.restart_delay = std::chrono::milliseconds(flags.restart_after_ms);
  options.flush_delay_ms = flags.flush_delay_ms;
  if (!options.flush_delay_ms && !flags.store.empty() && !flags.store.starts_with("file:")) options.flush_delay_ms = 25;
  auto network = LocalNetwork::open(
      stage->loop, flags.dir.empty() ? stage->scratch_->path() / "network" : std::filesystem::path(flags.dir), options);
  if (!network) return std::unexpected(network.error());
  stage->network = std::move(*network);
  stage->network->on_news([&stage = *stage](const std::string& line) { stage.note(line); });
  if (auto made = stage->make_load(); !made) return std::unexpected(made.error());
  return stage;
}

// The keys of the other validators are in the network's folder.
Result<void> DrillStage::make_load() {
  const auto passphrase = crypto::passphrase_from_file(network->passphrase_path());
  if (!passphrase) return std::unexpected(passphrase.error());
  std::vector<crypto::SigningKey> cosigners;
  for (std::size_t i = 1; i < network->size(); ++i) {
    auto key = crypto::read_sealed_file(network->dir() / fmt::format("validator-{}", i) / "key", *passphrase);
    if (!key) return std::unexpected(key.error());
    cosigners.push_back(std::move(*key));
  }
  std::vector<crypto::SigningKey> accounts;
  for (std::uint64_t i = 0; i < flags.accounts; ++i) accounts.push_back(network->account_key(i));
  tcp = net::make_tcp_transport(loop);
  load = std::make_unique<DrillLoad>(DrillLoad::Parts{loop, rng, *tcp, network->network(), network->genesis(),
                                                      network->addresses().front(), std::move(cosigners),
                                                      std::move(accounts)});
  load->set_rate(flags.rate);
  return {};
}

Task<Result<void>> DrillStage::start() {
  if (auto started = co_await network->start_validator(0); !started) co_return started;
  auto internal = open_internal(loop, network->tls_path(0), "controller");
  if (!internal) co_return std::unexpected(internal.error());
  internal_ = std::move(*internal);
  auto store = ServerStore::open(loop, rng, {.url = network->store_url(0)});
  if (!store) co_return std::unexpected(store.error());
  store_ = std::move(*store);
  fleet_ = std::make_unique<controller::Fleet>(loop, rng, store_->store(), *internal_,
                                               controller::FleetOptions{.report_every = 500ms, .find_every = 500ms});
  fleet_->start();
  began_ = loop.now();
  scope_.spawn(observe());
  co_return Result<void>{};
}

Task<DrillFindings> DrillStage::finish() {
  co_await load->stop();
  DrillFindings found = co_await load->check();
  scope_.clear();
  fleet_.reset();
  co_await network->stop();
  co_return found;
}

// ---- what happens ----

void DrillStage::note(std::string what) {
  if (began_ == MonotonicTime{}) return;
  const double at = std::chrono::duration<double>(loop.now() - began_).count();
  if (!flags.json) print_err(fmt::format("{:7.2f} s  {}\n", at, what));
  timeline_.push_back({at, std::move(what)});
}

Task<> DrillStage::observe() {
  for (;;) {
    (void)co_await fleet_->owners();
    compare_with_before();
    co_await sleep_for(loop, observe_period);
  }
}

// Workers that come and go, and those that get their first shard or lose their last one.
void DrillStage::compare_with_before() {
  std::map<std::string, std::size_t> now;
  for (const ledger::WorkerHead& head : fleet_->map().workers) now[label(head)] = shards_of(head.worker);
  for (const controller::FleetMember& member : fleet_->members()) now.emplace(label(member.head), 0);
  for (const auto& [name, count] : now) {
    const auto before = shards_before_.find(name);
    if (before == shards_before_.end())
      note(fmt::format("{} is there with {} shards", name, count));
    else if ((before->second == 0) != (count == 0))
      note(fmt::format("{} has {} shards now", name, count));
  }
  for (const auto& [name, count] : shards_before_)
    if (!now.contains(name)) note(fmt::format("{} is gone", name));
  shards_before_ = std::move(now);
}

std::size_t DrillStage::shards_of(const WorkerId& worker) const {
  std::size_t count = 0;
  for (const ledger::ShardEntry& entry : fleet_->map().entries) count += entry.owner == worker;
  return count;
}

std::size_t DrillStage::orphans() const {
  std::set<WorkerId> live;
  for (const ledger::WorkerHead& head : fleet_->map().workers)
    if (std::holds_alternative<ledger::Active>(head.state)) live.insert(head.worker);
  std::size_t count = 0;
  for (const ledger::ShardEntry& entry : fleet_->map().entries) count += !live.contains(entry.owner);
  return count;
}

std::size_t DrillStage::serving() const {
  std::set<WorkerId> owners;
  for (const ledger::ShardEntry& entry : fleet_->map().entries) owners.insert(entry.owner);
  return owners.size();
}

std::optional<controller::FleetMember> DrillStage::member(const std::string& name) const {
  for (const controller::FleetMember& member : fleet_->members())
    if (member.head.name == name) return member;
  return std::nullopt;
}

bool DrillStage::is_back(const ledger::WorkerHead& before) const {
  const auto now = member(before.name);
  return now && now->head.worker != before.worker && now->report;
}

std::size_t DrillStage::worker_processes() const {
  std::size_t count = 0;
  const auto views = network->validators();
  for (const ProcessView& worker : views.front().workers) count += worker.pid > 0;
  return count;
}

Task<bool> DrillStage::wait_until(std::function<bool()> holds, Duration limit) {
  const MonotonicTime until = loop.now() + limit;
  while (!holds()) {
    if (loop.now() >= until) co_return false;
    co_await sleep_for(loop, observe_period / 2);
  }
  co_return true;
}

void listen_to_signals(DrillStage& stage) {
  stage.loop.on_signals({SIGINT, SIGTERM, SIGHUP}, [&stage](int signal) {
    if (stage.asked.is_set()) ::_exit(128 + signal);  // impatient: the children are killed with this process
    stage.asked.set();
  });
}

void continue_store(const DrillFlags& flags) {
  for (const int pid : flags.store_pids) (void)::kill(pid, SIGCONT);
}

}  // namespace zef::cli
