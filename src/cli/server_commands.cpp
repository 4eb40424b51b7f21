#include "cli/server_commands.h"

#include <fmt/core.h>
#include <unistd.h>

#include "balancer/balancer.h"
#include "base/log.h"
#include "cli/flow.h"
#include "cli/genesis_file.h"
#include "cli/server_common.h"
#include "crypto/sealed.h"
#include "ledger/shard_map.h"
#include "net/asio_transport.h"
#include "net/system_rng.h"
#include "store/conformance_probe.h"
#include "store/open_store.h"
#include "worker/worker.h"

namespace zef::cli {
namespace {

using std::chrono::milliseconds;

constexpr Duration drain_time_max = std::chrono::seconds(15);

struct ServerFlags {
  StoreFlags store;
  std::string listen = "127.0.0.1:0";
  LogFlags log;

  void add_to(CLI::App& app) {
    store.add_to(app);
    log.add_to(app);
  }
};

// ---- worker ----

constexpr std::uint64_t log_slots_over_a_network = 320;

struct WorkerFlags : ServerFlags {
  std::filesystem::path genesis;
  std::filesystem::path key;
  PassphraseOptions passphrase;
  std::string name;
  std::string internal_listen = "127.0.0.1:0";
  std::filesystem::path tls;
  std::uint64_t flush_delay_ms = 25;
  std::uint64_t fee_period_ms = 10'000;
  std::uint64_t checkpoint_every_ms = 30'000;
  std::uint64_t checkpoint_log_mib = 256;
  std::optional<std::uint64_t> checkpoint_log_slots;
  std::uint64_t garbage_grace_s = 3600;
  double flushes_per_second_max = 0;
  std::size_t in_flight_max = ledger::slots_in_flight_max;
  double cores = 1;
  std::uint64_t queries_max = 0;
};

Result<worker::WorkerOptions> worker_options(const WorkerFlags& flags) {
  const auto client = net::parse_address(flags.listen);
  if (!client) return std::unexpected(Error{client.error().kind, "--listen: " + client.error().message});
  const auto internal = net::parse_address(flags.internal_listen);
  if (!internal) return std::unexpected(Error{internal.error().kind, "--internal-listen: " + internal.error().message});
  worker::WorkerOptions options;
  options.name = flags.name;
  options.client_address = *client;
  options.internal_address = *internal;
  options.log.flush_delay = milliseconds(flags.flush_delay_ms);
  options.log.flushes_per_second_max = flags.flushes_per_second_max;
  options.log.in_flight_max = flags.in_flight_max;
  options.fee_period = milliseconds(flags.fee_period_ms);
  options.checkpoints.every = milliseconds(flags.checkpoint_every_ms);
  options.checkpoints.log_bytes = flags.checkpoint_log_mib << 20;
  // A slot on a disk is read in 0.1 ms, so that many of them cost nothing to whoever takes over.
  options.checkpoints.log_slots =
      flags.checkpoint_log_slots.value_or(store::is_remote_store(flags.store.url) ? log_slots_over_a_network : 0);
  options.garbage_grace = std::chrono::seconds(flags.garbage_grace_s);
  options.cores = flags.cores;
  options.queries_max = flags.queries_max;
  return options;
}

// What this process has used so far, for the controller and for operators.
worker::WorkerOptions::Usage usage_of(const ServerStore& store) {
  const auto us = [](Duration time) {
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(time).count());
  };
  const store::StoreMetrics& asked = store.metrics();
  const store::HedgeMetrics hedges = store.hedges();
  return {.cpu = processor_time(),
          .memory_bytes = memory_bytes(),
          .store = {.puts = asked.put.requests,
                    .gets = asked.get.requests,
                    .lists = asked.list.requests,
                    .deletes = asked.del.requests,
                    .bytes_written = asked.bytes_written,
                    .bytes_read = asked.bytes_read,
                    .put_us = us(asked.put.latency.total()),
                    .get_us = us(asked.get.latency.total()),
                    .failed = asked.put.failures + asked.get.failures + asked.list.failures + asked.del.failures,
                    .hedged = hedges.second_reads,
                    .hedged_first = hedges.second_was_first}};
}

// All that a worker stands on, in the order of need.
struct WorkerProcess {
  net::Loop loop;
  net::SystemRng rng;
  StopSignals stop{loop};
  std::unique_ptr<ServerStore> store;
  std::unique_ptr<net::Transport> clients = net::make_tcp_transport(loop);
  std::unique_ptr<net::Transport> internal;
};

Task<Result<void>> probe_store(WorkerProcess& process) {
  auto probed = co_await store::probe(process.store->store(), process.loop, process.rng, "probe");
  if (!probed) co_return fail(probed.error().kind, "the store is not fit for a validator: " + probed.error().message);
  co_return Result<void>{};
}

Task<Result<ExitCode>> serve_worker(WorkerProcess& process, worker::Worker& worker, const WorkerFlags& flags) {
  if (auto probed = co_await probe_store(process); !probed) co_return std::unexpected(probed.error());
  if (auto started = co_await worker.start(); !started) co_return std::unexpected(started.error());
  process.stop.serving();
  print_json({{"ready", true},
              {"worker", flags.name},
              {"client", net::to_string(worker.client_address())},
              {"internal", net::to_string(worker.internal_address())},
              {"shards", worker.shard_count()},
              {"replayed", worker.replayed_records()}});
  co_await process.stop.asked().wait();
  log::info("cli", "worker {} drains", flags.name);
  const auto drained = co_await worker.drain();
  const store::StoreMetrics& metrics = process.store->metrics();
  print_json({{"stopped", true}, {"store_puts", metrics.put.requests}, {"store_bytes_written", metrics.bytes_written}});
  // Everything acknowledged is durable; what is left undone is the seal, which the next worker makes.
  if (!drained) co_return std::unexpected(drained.error());
  log::info("cli", "worker {} has sealed its log and ends", flags.name);
  co_return ExitCode::ok;
}

Result<ExitCode> run_worker(const WorkerFlags& flags) {
  flags.log.apply();
  auto options = worker_options(flags);
  if (!options) return std::unexpected(options.error());
  const auto genesis = read_genesis(flags.genesis);
  if (!genesis) return std::unexpected(genesis.error());
  const auto passphrase = flags.passphrase.read("Passphrase of the validator's key: ");
  if (!passphrase) return std::unexpected(passphrase.error());
  const auto key = crypto::read_sealed_file(flags.key, *passphrase);
  if (!key) return std::unexpected(key.error());

  WorkerProcess process;
  auto internal = open_internal(process.loop, flags.tls, flags.name);
  if (!internal) return std::unexpected(internal.error());
  process.internal = std::move(*internal);
  auto store = ServerStore::open(process.loop, process.rng, flags.store);
  if (!store) return std::unexpected(store.error());
  process.store = std::move(*store);

  options->usage = [&store = *process.store] { return usage_of(store); };
  worker::Worker worker({process.loop, process.rng, process.store->store(), *process.clients, *process.internal},
                        *genesis, *key, std::move(*options));
  worker.on_fatal([](Error why) {  // at once: nothing may leave this process any more
    print_err(fmt::format("zef: {}\n", why.message));
    ::_exit(static_cast<int>(exit_code_of(why.kind)));
  });
  return run_flow(process.loop, serve_worker(process, worker, flags));
}

// ---- balancer ----

struct BalancerFlags : ServerFlags {
  std::size_t connections_max = 4096;
  std::size_t calls_per_connection_max = 1024;
  std::uint64_t hold_ms = 15'000;
  std::size_t held_mib_max = 256;
};

// A store that does not answer now may answer later, which the balancer waits for; one that is nobody's stays so.
Task<Result<void>> check_store(ServerStore& store) {
  auto checked = co_await ledger::check_initialised(store.without_retries());
  if (!checked && checked.error().kind == ErrorKind::refused) co_return checked;
  if (!checked) log::warning("cli", "the store does not answer yet: {}", checked.error().message);
  co_return Result<void>{};
}

Task<Result<ExitCode>> serve_balancer(net::Loop& loop, StopSignals& stop, ServerStore& store,
                                      balancer::Balancer& balancer) {
  if (auto checked = co_await check_store(store); !checked) co_return std::unexpected(checked.error());
  const auto address = balancer.start();
  if (!address) co_return std::unexpected(address.error());
  stop.serving();
  print_json({{"ready", true}, {"client", net::to_string(*address)}});
  log::info("cli", "the balancer serves at {}", net::to_string(*address));
  co_await stop.asked().wait();
  Event done(loop);
  balancer.drain([&done] { done.set(); });
  if (!co_await done.wait_for(drain_time_max)) {
    log::warning("cli", "the balancer ends with queries unanswered");
    ::_exit(static_cast<int>(ExitCode::ok));  // its callback refers to this flow
  }
  co_return ExitCode::ok;
}

Result<ExitCode> run_balancer(const BalancerFlags& flags) {
  flags.log.apply();
  const auto address = net::parse_address(flags.listen);
  if (!address) return std::unexpected(Error{address.error().kind, "--listen: " + address.error().message});
  net::Loop loop;
  net::SystemRng rng;
  StopSignals stop(loop);
  const auto transport = net::make_tcp_transport(loop);
  auto store = ServerStore::open(loop, rng, flags.store);
  if (!store) return std::unexpected(store.error());
  balancer::Options options;
  options.address = *address;
  options.server.connections_max = flags.connections_max;
  options.server.calls_per_connection_max = flags.calls_per_connection_max;
  options.hold_time_max = milliseconds(flags.hold_ms);
  options.held_bytes_max = flags.held_mib_max << 20;
  balancer::Balancer balancer(loop, rng, (*store)->store(), *transport, std::move(options));
  return run_flow(loop, serve_balancer(loop, stop, **store, balancer));
}

// ---- store ----

struct InitFlags {
  StoreFlags store;
  std::filesystem::path genesis;
  std::uint64_t validator = 0;
  std::uint64_t workers = 2;
};

Result<ExitCode> run_init(const InitFlags& flags) {
  const auto genesis = read_genesis(flags.genesis);
  if (!genesis) return std::unexpected(genesis.error());
  if (flags.validator >= genesis->validators.size())
    return fail(ErrorKind::invalid_input, fmt::format("--validator {}: this network has validators 0 to {}",
                                                      flags.validator, genesis->validators.size() - 1));
  net::Loop loop;
  net::SystemRng rng;
  auto store = ServerStore::open(loop, rng, flags.store);
  if (!store) return std::unexpected(store.error());
  std::vector<std::string> names;
  for (std::uint64_t i = 0; i < flags.workers; ++i) names.push_back(fmt::format("w{}", i));
  const ledger::StoreIdentity identity{protocol::network_id_of(*genesis),
                                       protocol::ValidatorIndex(static_cast<std::uint16_t>(flags.validator))};
  auto made = run_flow(loop, ledger::initialise_store((*store)->store(), rng, identity, std::move(names)));
  if (!made) return std::unexpected(made.error());
  print_out(fmt::format("the store belongs to {} of network {}\n", genesis->validators[flags.validator].name,
                        identity.network.hex()));
  return ExitCode::ok;
}

// ---- flags ----

void add_worker(Program& program) {
  const auto flags = std::make_shared<WorkerFlags>();
  CLI::App& app = add_command(program, program.app, "worker", "Runs one worker of a validator",
                              [flags] { return run_worker(*flags); });
  app.add_option("--name", flags->name, "Its slot name, w0, w1, ...: which shards it serves")->required();
  app.add_option("--genesis", flags->genesis, "The network's genesis file")->required();
  app.add_option("--key", flags->key, "The validator's sealed signing key")->required();
  flags->passphrase.add_to(app);
  app.add_option("--tls", flags->tls, "Folder with ca.pem and this worker's NAME.pem and NAME.key")->required();
  app.add_option("--listen", flags->listen, "For the balancers; port 0: any")->capture_default_str();
  app.add_option("--internal-listen", flags->internal_listen, "For other workers, mutual TLS")->capture_default_str();
  app.add_option("--flush-delay-ms", flags->flush_delay_ms, "How long the log gathers records while one is written")
      ->check(CLI::Range(0, 10'000))
      ->capture_default_str();
  app.add_option("--flushes-per-second", flags->flushes_per_second_max,
                 "Most log writes a second; 0: no limit. For stores that bill requests")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--log-slots-in-flight", flags->in_flight_max, "Log writes at a time")
      ->check(CLI::Range(std::size_t{1}, ledger::slots_in_flight_max))
      ->capture_default_str();
  app.add_option("--cores", flags->cores, "Processor cores that it may use: what the controller reckons with")
      ->check(CLI::Range(0.001, 1024.0))
      ->capture_default_str();
  app.add_option(
      "--queries-max", flags->queries_max,
      "Queries a second that are all it can do, if something else than the processor is scarce: the controller "
      "counts with what is fuller; 0: only the processor");
  app.add_option("--fee-period-ms", flags->fee_period_ms, "How often fees go to the reward accounts")
      ->check(CLI::Range(10, 86'400'000))
      ->capture_default_str();
  app.add_option(
         "--checkpoint-every-ms", flags->checkpoint_every_ms,
         "How often each shard is saved, and at the end, so that a restart has so much less to replay; 0: never")
      ->check(CLI::Range(0, 86'400'000))
      ->capture_default_str();
  app.add_option("--checkpoint-log-mib", flags->checkpoint_log_mib, "Sooner when so much was logged since")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--checkpoint-log-slots", flags->checkpoint_log_slots,
                 "Or when so many slots were written since, each of which a takeover reads; 0: however many; by "
                 "default 320, and 0 on file://")
      ->check(CLI::Range(0, 1'000'000));
  app.add_option("--garbage-grace-s", flags->garbage_grace_s,
                 "How long what nobody needs stays in the store; 0: for ever")
      ->check(CLI::Range(0, 31'536'000))
      ->capture_default_str();
  flags->add_to(app);
}

void add_balancer(Program& program) {
  const auto flags = std::make_shared<BalancerFlags>();
  CLI::App& app = add_command(program, program.app, "balancer", "Runs a balancer, the public front of a validator",
                              [flags] { return run_balancer(*flags); });
  app.add_option("--listen", flags->listen, "For clients; port 0: any")->capture_default_str();
  app.add_option("--max-connections", flags->connections_max, "More are refused")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--max-calls-per-connection", flags->calls_per_connection_max, "Unanswered ones; reading pauses there")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--hold-ms", flags->hold_ms, "How long a query waits for a worker that is away")
      ->check(CLI::Range(0, 600'000))
      ->capture_default_str();
  app.add_option("--held-mib", flags->held_mib_max, "Most memory of queries under way")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  flags->add_to(app);
}

void add_store(Program& program) {
  CLI::App& group = add_group(program.app, "store", "Object stores of validators");
  const auto flags = std::make_shared<InitFlags>();
  CLI::App& app =
      add_command(program, group, "init", "Prepares a validator's store: whose it is, and which worker serves what",
                  [flags] { return run_init(*flags); });
  app.add_option("--genesis", flags->genesis, "The network's genesis file")->required();
  app.add_option("--validator", flags->validator, "The validator's place in the committee, from 0 on")->required();
  app.add_option("--workers", flags->workers, "How many; they are named w0, w1, ...")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  flags->store.add_to(app);
}

}  // namespace

void add_server_commands(Program& program) {
  add_worker(program);
  add_balancer(program);
  add_store(program);
}

}  // namespace zef::cli
