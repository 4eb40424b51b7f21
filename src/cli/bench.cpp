// Thread rule: the main thread: the clients of the load live in this process, the validators in others.
#include "cli/bench.h"

#include <fmt/core.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "cli/bench_core.h"
#include "cli/bench_cost.h"
#include "cli/bench_load.h"
#include "cli/demo_check.h"
#include "cli/flow.h"
#include "cli/local_network.h"
#include "cli/scratch_folder.h"
#include "net/asio_transport.h"
#include "net/system_rng.h"

namespace zef::cli {
namespace {

struct BenchFlags {
  std::uint64_t validators = 4;
  std::uint64_t workers = 2;
  std::uint64_t accounts = 2000;
  std::uint64_t concurrency = 256;
  std::uint64_t seconds = 10;
  std::uint64_t warm_up = 3;
  std::string store;
  std::optional<std::uint64_t> flush_delay_ms;
  bool json = false;
};

constexpr Duration quiet_time_max = std::chrono::seconds(60);
constexpr std::uint64_t fee_period_ms = 1000;

double own_processor_us() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto us = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
  };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

struct Usage {
  double workers_us = 0;  // of all validators
  double balancers_us = 0;
  double client_us = 0;
};
Usage usage_now(const LocalNetwork& network) {
  Usage usage{.client_us = own_processor_us()};
  for (std::size_t i = 0; i < network.size(); ++i) {
    const ProcessorTime time = network.processor_time(i);
    usage.workers_us += static_cast<double>(time.workers_us);
    usage.balancers_us += static_cast<double>(time.balancer_us);
  }
  return usage;
}

struct BenchResult {
  LoadResult load;
  Usage used;  // in the measured time
  bool quiet = false;
  bool supply_ok = false;
  std::uint64_t store_puts = 0;  // of all validators, from the first start on
};

// All that runs; members end in the opposite order.
struct Stage {
  const BenchFlags& flags;
  net::Loop loop{};
  net::SystemRng rng{};
  Event asked{loop};
  std::unique_ptr<LocalNetwork> network{};
  std::unique_ptr<net::Transport> transport{};
  std::unique_ptr<client::QuorumDriver> quorum{};
  std::unique_ptr<Load> load{};
};

Result<void> make_network(Stage& stage, ScratchFolder& folder) {
  const BenchFlags& flags = stage.flags;
  LocalNetworkOptions options;
  options.validators = flags.validators;
  options.workers = flags.workers;
  options.accounts = flags.accounts;
  options.store = folder.store_url(flags.store);
  options.fee_period_ms = fee_period_ms;
  options.flush_delay_ms = flags.flush_delay_ms;
  options.wallet = false;
  Progress progress(stage.loop, "keys made");
  auto network =
      LocalNetwork::open(stage.loop, folder.path() / "network", options,
                         [&](std::string_view, std::uint64_t done, std::uint64_t all) { progress.update(done, all); });
  if (!network) return std::unexpected(network.error());
  stage.network = std::move(*network);
  stage.network->on_news([](const std::string& line) { print_err(line + "\n"); });
  return {};
}

void make_clients(Stage& stage) {
  LocalNetwork& network = *stage.network;
  stage.transport = net::make_tcp_transport(stage.loop);
  stage.quorum = std::make_unique<client::QuorumDriver>(stage.loop, stage.rng, *stage.transport, network.network(),
                                                        network.addresses());
  Load::Accounts accounts;
  for (std::uint64_t i = 0; i < stage.flags.accounts; ++i)
    accounts.push_back(std::make_unique<client::AccountDriver>(
        *stage.quorum, client::genesis_chain(network.genesis(), network.network(), i, true), network.account_key(i)));
  stage.load = std::make_unique<Load>(*stage.quorum, std::move(accounts));
}

Task<Result<BenchResult>> measure(Stage& stage) {
  LocalNetwork& network = *stage.network;
  if (auto started = co_await network.start(); !started) co_return std::unexpected(started.error());
  make_clients(stage);
  BenchResult result;
  Usage before;
  Progress progress(stage.loop, "transfers confirmed");
  Load::Callbacks callbacks{.on_begin = [&] { before = usage_now(network); },
                            .on_end =
                                [&] {
                                  const Usage after = usage_now(network);
                                  result.used = {.workers_us = after.workers_us - before.workers_us,
                                                 .balancers_us = after.balancers_us - before.balancers_us,
                                                 .client_us = after.client_us - before.client_us};
                                },
                            .on_progress = [&](std::uint64_t confirmed) { progress.update(confirmed, 0); }};
  result.load = co_await stage.load->run(stage.flags.concurrency, std::chrono::seconds(stage.flags.warm_up),
                                         std::chrono::seconds(stage.flags.seconds), std::move(callbacks));

  // The supply is compared when everybody has executed everything.
  static_cast<void>(co_await stage.quorum->finish_background(quiet_time_max));
  result.quiet = co_await wait_until_quiet(*stage.quorum, quiet_time_max);
  const NetworkCheck check =
      co_await check_network(*stage.quorum, protocol::supply_of(network.genesis()), std::vector<protocol::Uid>{});
  result.supply_ok = check.supply_ok;
  for (const std::string& difference : check.unequal) print_err(difference + "\n");
  co_await network.stop();
  for (std::size_t i = 0; i < network.size(); ++i) result.store_puts += network.store_puts(i);
  co_return result;
}

double rounded(double value) { return static_cast<double>(static_cast<std::int64_t>(value * 100 + 0.5)) / 100; }
double ms(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

// The same figures for people and for programs.
struct Figures {
  explicit Figures(const BenchFlags& flags, const BenchResult& result) {
    const double count = std::max<double>(static_cast<double>(result.load.confirmed), 1);
    const double each = count * static_cast<double>(flags.validators);
    per_second = rounded(static_cast<double>(result.load.confirmed) / std::max(result.load.seconds, 0.001));
    p50 = rounded(ms(result.load.latencies.quantile(0.5)));
    p99 = rounded(ms(result.load.latencies.quantile(0.99)));
    worker = rounded(result.used.workers_us / each);
    balancer = rounded(result.used.balancers_us / each);
    client = rounded(result.used.client_us / count);
    const double all = std::max<double>(static_cast<double>(result.load.all_confirmed), 1);
    puts = static_cast<double>(static_cast<std::int64_t>(
               static_cast<double>(result.store_puts) / (all * static_cast<double>(flags.validators)) * 10000 + 0.5)) /
           10000;
  }
  double per_second, p50, p99, worker, balancer, client, puts;
};

void print_result(const BenchFlags& flags, const BenchResult& result) {
  const Figures figures(flags, result);
  if (flags.json) {
    print_json({{"validators", flags.validators},
                {"workers", flags.workers},
                {"accounts", flags.accounts},
                {"concurrency", flags.concurrency},
                {"seconds", rounded(result.load.seconds)},
                {"transfers", result.load.confirmed},
                {"failed", result.load.failed},
                {"transfers_per_second", figures.per_second},
                {"p50_ms", figures.p50},
                {"p99_ms", figures.p99},
                {"cpu_us_per_transfer_and_validator", rounded(figures.worker + figures.balancer)},
                {"worker_cpu_us", figures.worker},
                {"balancer_cpu_us", figures.balancer},
                {"client_cpu_us_per_transfer", figures.client},
                {"store_puts_per_transfer_and_validator", figures.puts},
                {"quiet", result.quiet},
                {"supply_ok", result.supply_ok}});
    return;
  }
  Table table({{"figure"}, {"value", true}, {"unit"}});
  table.add({"confirmed transfers", fmt::format("{:.0f}", figures.per_second), "a second"});
  table.add({"latency, half are faster", fmt::format("{:.1f}", figures.p50), "ms"});
  table.add({"latency, 99 of 100 are faster", fmt::format("{:.1f}", figures.p99), "ms"});
  table.add(
      {"processor time of a validator", fmt::format("{:.0f}", figures.worker + figures.balancer), "us a transfer"});
  table.add({"  of that its workers", fmt::format("{:.0f}", figures.worker), "us a transfer"});
  table.add({"  of that its balancer", fmt::format("{:.0f}", figures.balancer), "us a transfer"});
  table.add({"processor time of the clients", fmt::format("{:.0f}", figures.client), "us a transfer"});
  table.add({"writes to a validator's store", fmt::format("{:.4f}", figures.puts), "a transfer"});
  print_out(fmt::format(
      "{} validators, {} workers each, {} accounts, {} transfers at a time, {} in {:.1f} s\n\n{}"
      "\nsupply exact on all validators: {}\n",
      flags.validators, flags.workers, grouped(flags.accounts), flags.concurrency, grouped(result.load.confirmed),
      result.load.seconds, table.text(), result.supply_ok && result.quiet ? "yes" : "NO"));
}

Result<ExitCode> bench(const BenchFlags& flags) {
  if (flags.accounts < 2) return fail(ErrorKind::invalid_input, "--accounts: money moves between at least 2");
  auto folder = ScratchFolder::make("bench");
  if (!folder) return std::unexpected(folder.error());
  Stage stage{.flags = flags};
  stage.loop.on_signals({SIGINT, SIGTERM, SIGHUP}, [&stage](int signal) {
    if (stage.asked.is_set()) ::_exit(128 + signal);  // impatient: the children are killed with this process
    stage.asked.set();
  });
  if (auto made = make_network(stage, **folder); !made) return std::unexpected(made.error());
  std::optional<Result<BenchResult>> result;
  {
    TaskScope scope;
    scope.spawn(detail::keep_result(measure(stage), result));
    while (!result && !stage.asked.is_set()) stage.loop.turn();
  }
  if (!result) return fail(ErrorKind::cancelled, "the measurement was interrupted");
  if (!*result) return std::unexpected(result->error());
  const BenchResult& measured = **result;
  print_result(flags, measured);
  if (measured.load.failed > 0)
    print_err(fmt::format("{} transfers failed; the first: {}\n", measured.load.failed, measured.load.first_failure));
  const bool held = measured.quiet && measured.supply_ok && measured.load.failed == 0 && measured.load.confirmed > 0;
  return held ? ExitCode::ok : ExitCode::failed;
}

}  // namespace

void add_bench_command(Program& program) {
  const auto flags = std::make_shared<BenchFlags>();
  CLI::App& app =
      add_command(program, program.app, "bench",
                  "Runs a network of its own under load and measures it; 'bench core': one worker; 'bench cost': "
                  "what the store is asked for",
                  [flags] { return bench(*flags); });
  app.require_subcommand(0, 1);
  app.add_option("--validators", flags->validators, "How many")->check(CLI::Range(1, 32))->capture_default_str();
  app.add_option("--workers", flags->workers, "Of each validator")->check(CLI::Range(1, 64))->capture_default_str();
  app.add_option("--accounts", flags->accounts, "That pay and are paid")
      ->check(CLI::Range(2, 1'000'000))
      ->capture_default_str();
  app.add_option("--concurrency", flags->concurrency, "Transfers under way at a time, each of another account")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--seconds", flags->seconds, "How long is measured")
      ->check(CLI::Range(1, 86'400))
      ->capture_default_str();
  app.add_option("--warm-up", flags->warm_up, "Seconds before that")->check(CLI::Range(0, 3600))->capture_default_str();
  app.add_option("--store", flags->store, "A store URL (without it: in a temporary folder)");
  app.add_option("--flush-delay-ms", flags->flush_delay_ms, "How long a worker's log gathers records")
      ->check(CLI::Range(0, 10'000));
  add_json_flag(app, flags->json);
  add_bench_core_command(program, app);
  add_bench_cost_command(program, app);
}

}  // namespace zef::cli
