// Thread rule: the main thread: the clients of the load live in this process, the validator in others.
#include "cli/bench_cost.h"

#include <fmt/core.h>

#include <csignal>

#include "cli/drill_stage.h"
#include "cli/flow.h"

namespace zef::cli {
namespace {

// S3 Standard, us-east-1: dollars for a PUT or LIST, and for a GET (aws.amazon.com/s3/pricing).
constexpr double dollars_per_put = 0.005 / 1000;
constexpr double dollars_per_get = 0.0004 / 1000;
constexpr double as_much_as_possible = 1e9;

struct CostFlags : DrillFlags {
  std::vector<double> rates{100, 1000, 0};
  std::uint64_t seconds = 10;
  std::uint64_t warm_up = 3;
  double flushes_per_second = 40;
};

// At one rate.
struct Cost {
  double asked = 0;  // 0: as much as possible
  double seconds = 0;
  std::uint64_t operations = 0;
  worker::StoreUsage used;  // by all workers
  double cpu = 0;           // of the workers
  Latencies latencies;

  [[nodiscard]] double per_second(std::uint64_t count) const { return static_cast<double>(count) / seconds; }
  [[nodiscard]] double per_thousand(std::uint64_t count) const {
    return static_cast<double>(count) * 1000 / static_cast<double>(std::max<std::uint64_t>(operations, 1));
  }
  [[nodiscard]] double dollars_per_million() const {
    return (per_thousand(used.puts + used.lists) * dollars_per_put + per_thousand(used.gets) * dollars_per_get) * 1000;
  }
};

worker::StoreUsage usage_of(const controller::Fleet& fleet) {
  worker::StoreUsage sum;
  for (const controller::FleetMember& member : fleet.members()) {
    if (!member.report) continue;
    const worker::StoreUsage& one = member.report->store;
    sum.puts += one.puts;
    sum.gets += one.gets;
    sum.lists += one.lists;
    sum.deletes += one.deletes;
    sum.bytes_written += one.bytes_written;
    sum.bytes_read += one.bytes_read;
  }
  return sum;
}

Task<Result<Cost>> measure_at(DrillStage& stage, const CostFlags& flags, double rate) {
  Cost cost;
  cost.asked = rate;
  stage.load->set_rate(rate > 0 ? rate : as_much_as_possible);
  co_await sleep_for(stage.loop, std::chrono::seconds(flags.warm_up));
  if (auto looked = co_await stage.fleet().look(); !looked) co_return std::unexpected(looked.error());
  const worker::StoreUsage before = usage_of(stage.fleet());
  const std::uint64_t operations = stage.load->acknowledged();
  const std::uint64_t cpu = stage.network->processor_time(0).workers_us;
  const MonotonicTime began = stage.loop.now();
  (void)stage.load->take_latencies();
  co_await sleep_for(stage.loop, std::chrono::seconds(flags.seconds));
  if (auto looked = co_await stage.fleet().look(); !looked) co_return std::unexpected(looked.error());
  const worker::StoreUsage after = usage_of(stage.fleet());
  cost.latencies = stage.load->take_latencies();
  cost.seconds = std::chrono::duration<double>(stage.loop.now() - began).count();
  cost.operations = stage.load->acknowledged() - operations;
  cost.cpu = static_cast<double>(stage.network->processor_time(0).workers_us - cpu) / 1e6 / cost.seconds;
  cost.used = {.puts = after.puts - before.puts,
               .gets = after.gets - before.gets,
               .lists = after.lists - before.lists,
               .deletes = after.deletes - before.deletes,
               .bytes_written = after.bytes_written - before.bytes_written,
               .bytes_read = after.bytes_read - before.bytes_read};
  co_return cost;
}

struct CostReport {
  std::vector<Cost> costs;
  DrillFindings found;
};

Task<Result<CostReport>> measure(DrillStage& stage, const CostFlags& flags) {
  if (auto started = co_await stage.start(); !started) co_return std::unexpected(started.error());
  stage.load->start();
  CostReport report;
  for (const double rate : flags.rates) {
    auto cost = co_await measure_at(stage, flags, rate);
    if (!cost) co_return std::unexpected(cost.error());
    report.costs.push_back(std::move(*cost));
  }
  report.found = co_await stage.finish();
  co_return report;
}

double ms(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

void print_costs(const CostFlags& flags, const CostReport& report) {
  codec::Json rows = codec::Json::array();
  Table table({{"operations/s", true},
               {"PUT/s a worker", true},
               {"PUTs", true},
               {"GETs", true},
               {"LISTs", true},
               {"KB written", true},
               {"KB read", true},
               {"$ a million", true},
               {"p50 ms", true},
               {"p99 ms", true},
               {"cores", true}});
  for (const Cost& cost : report.costs) {
    const double puts_of_one = cost.per_second(cost.used.puts) / static_cast<double>(flags.workers);
    rows.push_back({{"asked_per_second", cost.asked},
                    {"operations_per_second", cost.per_second(cost.operations)},
                    {"puts_per_second_and_worker", puts_of_one},
                    {"puts_per_1000", cost.per_thousand(cost.used.puts)},
                    {"gets_per_1000", cost.per_thousand(cost.used.gets)},
                    {"lists_per_1000", cost.per_thousand(cost.used.lists)},
                    {"deletes_per_1000", cost.per_thousand(cost.used.deletes)},
                    {"bytes_written_per_1000", cost.per_thousand(cost.used.bytes_written)},
                    {"bytes_read_per_1000", cost.per_thousand(cost.used.bytes_read)},
                    {"dollars_per_million", cost.dollars_per_million()},
                    {"p50_ms", ms(cost.latencies.quantile(0.5))},
                    {"p99_ms", ms(cost.latencies.quantile(0.99))},
                    {"cores", cost.cpu}});
    table.add({fmt::format("{:.0f}", cost.per_second(cost.operations)), fmt::format("{:.1f}", puts_of_one),
               fmt::format("{:.1f}", cost.per_thousand(cost.used.puts)),
               fmt::format("{:.1f}", cost.per_thousand(cost.used.gets)),
               fmt::format("{:.1f}", cost.per_thousand(cost.used.lists)),
               fmt::format("{:.0f}", cost.per_thousand(cost.used.bytes_written) / 1000),
               fmt::format("{:.0f}", cost.per_thousand(cost.used.bytes_read) / 1000),
               fmt::format("{:.2f}", cost.dollars_per_million()),
               fmt::format("{:.1f}", ms(cost.latencies.quantile(0.5))),
               fmt::format("{:.1f}", ms(cost.latencies.quantile(0.99))), fmt::format("{:.2f}", cost.cpu)});
  }
  if (flags.json)
    return print_json({{"workers", flags.workers},
                       {"flush_delay_ms", *flags.flush_delay_ms},
                       {"flushes_per_second_max", flags.flushes_per_second},
                       {"costs", std::move(rows)},
                       {"lost", report.found.lost},
                       {"client_errors", report.found.errors},
                       {"supply_ok", report.found.supply_ok}});
  print_out(fmt::format(
      "{} workers of one validator; the log gathers for {} ms, at most {} writes a second; figures of requests and "
      "bytes "
      "are for 1,000 operations\n\n{}\nrequests at the list prices of S3 Standard, us-east-1; supply exact: {}\n",
      flags.workers, *flags.flush_delay_ms, flags.flushes_per_second, table.text(),
      report.found.supply_ok ? "yes" : "NO"));
}

Result<ExitCode> bench_cost(const CostFlags& flags) {
  auto stage = DrillStage::make(flags, flags.workers, flags.workers,
                                {"--flushes-per-second", fmt::format("{}", flags.flushes_per_second)}, {});
  if (!stage) return std::unexpected(stage.error());
  const auto report = run_stage(**stage, measure(**stage, flags));
  if (!report) return std::unexpected(report.error());
  print_costs(flags, *report);
  const DrillFindings& found = report->found;
  if (found.errors > 0) print_err(fmt::format("{} errors; the first: {}\n", found.errors, found.first_error));
  return found.supply_ok && found.lost == 0 && found.errors == 0 ? ExitCode::ok : ExitCode::failed;
}

}  // namespace

void add_bench_cost_command(Program& program, CLI::App& bench) {
  const auto flags = std::make_shared<CostFlags>();
  flags->workers = 1;
  flags->accounts = 1024;
  flags->flush_delay_ms = 25;
  CLI::App& app = add_command(program, bench, "cost", "What one validator asks of its store for an operation",
                              [flags] { return bench_cost(*flags); });
  app.add_option("--store", flags->store, "A store URL (without it: in a temporary folder)");
  app.add_option("--workers", flags->workers, "Of the validator")->check(CLI::Range(1, 64))->capture_default_str();
  app.add_option("--accounts", flags->accounts, "Clients")->check(CLI::Range(2, 100'000))->capture_default_str();
  app.add_option("--rates", flags->rates, "Operations a second, one after the other; 0: as many as possible")
      ->delimiter(',')
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  app.add_option("--seconds", flags->seconds, "How long each is measured")
      ->check(CLI::Range(1, 86'400))
      ->capture_default_str();
  app.add_option("--warm-up", flags->warm_up, "Seconds before that")->check(CLI::Range(0, 3600))->capture_default_str();
  app.add_option("--flush-delay-ms", *flags->flush_delay_ms, "How long the log gathers records")
      ->check(CLI::Range(0, 10'000))
      ->capture_default_str();
  app.add_option("--flushes-per-second", flags->flushes_per_second, "Most log writes a second; 0: no limit")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  add_json_flag(app, flags->json);
}

}  // namespace zef::cli
