#include "cli/controller_commands.h"

#include <fmt/core.h>
#include <unistd.h>

#include "cli/fleet_access.h"
#include "cli/flow.h"
#include "cli/server_common.h"
#include "controller/controller.h"
#include "controller/fleet.h"
#include "ledger/shard_map.h"
#include "net/system_rng.h"

namespace zef::cli {
namespace {

using std::chrono::milliseconds;

// Moves of one worker that are planned at a time; those between the same two workers go together.
constexpr std::size_t moves_per_worker = 64;
// What a shard does in one second says little of what it will do in the next.
constexpr Duration smoothing = std::chrono::seconds(10);

struct ControllerFlags {
  StoreFlags store;
  std::string name = "controller";
  std::filesystem::path tls;
  std::filesystem::path workers_file;
  std::string stateful_set;
  int workers_min = 1;
  int workers_max = 8;
  std::uint64_t stall_ms = 3000;
  std::uint64_t tick_ms = 500;
  std::uint64_t report_ms = 1000;
  std::uint64_t lease_ms = 1000;
  std::uint64_t law_ms = 5000;
  double target = 0.60, up_above = 0.70, down_below = 0.50;
  std::uint64_t up_after_ms = 15'000, cool_down_ms = 30'000, down_window_ms = 600'000, down_every_ms = 120'000;
  LogFlags log;
};

Result<controller::ControllerOptions> options_of(const ControllerFlags& flags) {
  if (flags.workers_max < flags.workers_min)
    return fail(ErrorKind::invalid_input,
                fmt::format("--workers-max {} is less than --workers-min {}", flags.workers_max, flags.workers_min));
  if (!(flags.down_below < flags.target && flags.target < flags.up_above))
    return fail(ErrorKind::invalid_input,
                "--down-below must be less than --target, and that less than --up-above: else the number of workers "
                "never rests");
  controller::ControllerOptions options;
  options.law = {.min = flags.workers_min,
                 .max = flags.workers_max,
                 .target = flags.target,
                 .up_above = flags.up_above,
                 .up_after = milliseconds(flags.up_after_ms),
                 .cool_down = milliseconds(flags.cool_down_ms),
                 .down_below = flags.down_below,
                 .down_window = milliseconds(flags.down_window_ms),
                 .down_every = milliseconds(flags.down_every_ms)};
  options.placement.moves_per_worker = moves_per_worker;
  char host[256] = "";
  (void)::gethostname(host, sizeof host - 1);
  options.lease.name = fmt::format("{} {} at {}", flags.name, ::getpid(), host);
  options.stall = milliseconds(flags.stall_ms);
  options.tick_every = milliseconds(flags.tick_ms);
  options.lease_every = milliseconds(flags.lease_ms);
  options.law_every = milliseconds(flags.law_ms);
  return options;
}

struct ControllerProcess {
  net::Loop loop;
  net::SystemRng rng;
  StopSignals stop{loop};
  std::unique_ptr<ServerStore> store;
  std::unique_ptr<net::Transport> internal;
  std::unique_ptr<controller::Driver> driver;
};

Task<Result<ExitCode>> serve(ControllerProcess& process, controller::ControllerOptions options,
                             const ControllerFlags& flags) {
  if (auto checked = co_await ledger::check_initialised(process.store->store()); !checked)
    co_return std::unexpected(checked.error());
  controller::Fleet fleet(process.loop, process.rng, process.store->store(), *process.internal,
                          {.report_every = milliseconds(flags.report_ms), .smoothing = smoothing});
  controller::Controller controller(process.loop, process.rng, process.store->store(), fleet, *process.driver,
                                    std::move(options));
  fleet.start();
  controller.start();
  process.stop.serving();
  print_json({{"ready", true}});
  co_await process.stop.asked().wait();
  co_await controller.stop();
  co_return ExitCode::ok;
}

Result<ExitCode> run(const ControllerFlags& flags) {
  flags.log.apply();
  auto options = options_of(flags);
  if (!options) return std::unexpected(options.error());
  ControllerProcess process;
  auto driver = open_driver(process.loop, flags.workers_file, flags.stateful_set);
  if (!driver) return std::unexpected(driver.error());
  if (*driver == nullptr && flags.workers_min != flags.workers_max)
    return fail(ErrorKind::invalid_input,
                "give one of --workers-file (processes of this machine) and --stateful-set (a Kubernetes cluster), or "
                "equal --workers-min and --workers-max for a number that is fixed");
  if (*driver == nullptr) *driver = std::make_unique<controller::FixedDriver>(flags.workers_min);
  process.driver = std::move(*driver);
  auto internal = open_internal(process.loop, flags.tls, flags.name);
  if (!internal) return std::unexpected(internal.error());
  process.internal = std::move(*internal);
  auto store = ServerStore::open(process.loop, process.rng, flags.store);
  if (!store) return std::unexpected(store.error());
  process.store = std::move(*store);
  return run_flow(process.loop, serve(process, std::move(*options), flags));
}

void add_time(CLI::App& app, const char* name, std::uint64_t& ms, const char* what) {
  app.add_option(name, ms, what)->check(CLI::Range(10, 86'400'000))->capture_default_str();
}

}  // namespace

void add_controller_commands(Program& program) {
  const auto flags = std::make_shared<ControllerFlags>();
  CLI::App& app =
      add_command(program, program.app, "controller", "Runs a controller of a validator: any number, of which one acts",
                  [flags] { return run(*flags); });
  app.add_option("--tls", flags->tls, "Folder with ca.pem and this process' NAME.pem and NAME.key")->required();
  app.add_option("--name", flags->name, "Of its certificate")->capture_default_str();
  app.add_option("--workers-min", flags->workers_min, "Workers that run at least")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--workers-max", flags->workers_max, "And at most")->check(CLI::Range(1, 1024))->capture_default_str();
  app.add_option("--workers-file", flags->workers_file,
                 "File with the number of workers, which whoever supervises this machine's processes follows");
  app.add_option("--stateful-set", flags->stateful_set, "Of the workers, in this pod's Kubernetes cluster");
  add_time(app, "--stall-ms", flags->stall_ms, "A worker that is silent for so long is taken for dead");
  add_time(app, "--report-ms", flags->report_ms, "How often workers are asked");
  add_time(app, "--tick-ms", flags->tick_ms, "How often it looks for what is to do");
  add_time(app, "--lease-ms", flags->lease_ms, "How often the lease is written, or watched; it expires after 5 s");
  add_time(app, "--law-ms", flags->law_ms, "How often it decides how many workers there are");
  app.add_option("--target", flags->target, "Utilisation that it aims at when it adds workers")->capture_default_str();
  app.add_option("--up-above", flags->up_above, "Adds workers when the utilisation is above this")
      ->capture_default_str();
  app.add_option("--down-below", flags->down_below, "Removes one when the utilisation stays below this without it")
      ->capture_default_str();
  add_time(app, "--up-after-ms", flags->up_after_ms, "How long the utilisation must be above --up-above");
  add_time(app, "--cool-down-ms", flags->cool_down_ms, "Least time between steps");
  add_time(app, "--down-window-ms", flags->down_window_ms, "Time whose highest load counts for a removal");
  add_time(app, "--down-every-ms", flags->down_every_ms, "Least time between removals");
  flags->log.add_to(app);
  flags->store.add_to(app);
}

}  // namespace zef::cli
