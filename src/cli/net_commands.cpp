#include "cli/net_commands.h"

#include <fmt/core.h>
#include <unistd.h>

#include <charconv>
#include <csignal>

#include "base/log.h"
#include "cli/files.h"
#include "cli/flow.h"
#include "codec/json.h"
#include "net/asio_transport.h"
#include "net/rpc.h"
#include "protocol/messages.h"

namespace zef::cli {
namespace {

struct UpFlags {
  std::filesystem::path dir;
  LocalNetworkOptions options;
  std::string workers;
  bool json = false;
};

// "2" or "2..6".
Result<void> parse_workers(const std::string& text, LocalNetworkOptions& options) {
  if (text.empty()) return {};
  const std::size_t dots = text.find("..");
  const auto number = [](std::string_view part) -> std::optional<std::uint64_t> {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc{} || end != part.data() + part.size()) return std::nullopt;
    return value;
  };
  options.workers = number(std::string_view(text).substr(0, dots));
  options.workers_max = dots == std::string::npos ? options.workers : number(std::string_view(text).substr(dots + 2));
  if (options.workers && options.workers_max) return {};
  return fail(ErrorKind::invalid_input,
              fmt::format("--workers {}: give a number, or the least and the most, like 2..6", text));
}

std::string how_to_use(const LocalNetwork& network) {
  const std::string dir = network.dir().string();
  std::string text = fmt::format("\nnetwork {}\nlogs are in {}/validator-*/logs\n", network.network().id.hex(), dir);
  if (network.settings().wallet)
    text += fmt::format(
        "\nThe wallet holds {} accounts. In another terminal:\n"
        "  zef wallet show --dir {}\n"
        "  zef wallet transfer 0 1 1000 --dir {}\n",
        grouped(network.settings().accounts), dir, dir);
  return text + "\nCtrl-C stops the network; the same command starts it again where it stopped.\n";
}

// Everything that a running network needs, so that flow and signals can meet.
struct Running {
  net::Loop loop;
  std::unique_ptr<LocalNetwork> network;
  Event asked{loop};  // to stop
  TaskScope scope;

  void on_signal(int signal) {
    if (asked.is_set()) ::_exit(128 + signal);  // impatient: the children are killed with this process
    asked.set();
    print_err("\nstopping; once more ends everything at once\n");
    if (network) scope.spawn(network->stop());  // also ends a start that is under way
  }
};

Task<Result<ExitCode>> run_network(Running& running, bool json) {
  LocalNetwork& network = *running.network;
  Progress progress(running.loop, "starting processes");
  const MonotonicTime began = running.loop.now();
  if (auto started = co_await network.start(); !started) {
    if (running.asked.is_set()) co_return ExitCode::ok;
    co_return std::unexpected(started.error());
  }
  const auto seconds = std::chrono::duration<double>(running.loop.now() - began).count();
  if (json)
    print_json(network_json(network));
  else
    print_out(fmt::format("{} in {} after {:.1f} s\n\n{}{}",
                          network.is_new() ? "a new network runs" : "the network goes on", network.dir().string(),
                          seconds, network_table(network), how_to_use(network)));
  co_await running.asked.wait();
  co_await network.stop();
  print_err("stopped\n");
  co_return ExitCode::ok;
}

Result<ExitCode> up(const UpFlags& flags) {
  Running running;
  running.loop.on_signals({SIGINT, SIGTERM, SIGHUP}, [&running](int signal) { running.on_signal(signal); });
  std::optional<Progress> progress;
  std::string stage;
  const auto show = [&](std::string_view what, std::uint64_t done, std::uint64_t total) {
    if (stage != what) progress.emplace(running.loop, stage = what);
    progress->update(done, total);
  };
  auto network = LocalNetwork::open(running.loop, flags.dir, flags.options, show);
  progress.reset();
  if (!network) return std::unexpected(network.error());
  running.network = std::move(*network);
  running.network->on_news([](const std::string& line) { print_err(line + "\n"); });
  return run_flow(running.loop, run_network(running, flags.json));
}

// ---- wait ----

constexpr Duration ask_time_max = std::chrono::seconds(2);
constexpr Duration ask_again_after = std::chrono::milliseconds(100);

// The totals are the sum over all workers of a validator: who tells them serves every account.
Task<bool> wait_for_validator(net::Loop& loop, net::RpcClient& validator, MonotonicTime give_up) {
  while (true) {
    const auto answer = co_await validator.call(codec::encode(protocol::Query(protocol::QueryTotals{})), ask_time_max);
    const auto decoded = answer ? codec::decode<protocol::Answer>(*answer) : std::unexpected(codec::DecodeError{});
    if (decoded && std::holds_alternative<protocol::Totals>(*decoded)) co_return true;
    if (loop.now() >= give_up) co_return false;
    co_await sleep_for(loop, ask_again_after);
  }
}

Task<Result<ExitCode>> wait_for_network(net::Loop& loop, std::filesystem::path dir, MonotonicTime give_up) {
  const auto settings_there = [&] {
    std::error_code ignored;
    return std::filesystem::exists(dir / "net.json", ignored);
  };
  while (!settings_there() && loop.now() < give_up) co_await sleep_for(loop, ask_again_after);
  const auto text = read_file(dir / "network.json", client::network_file_bytes_max);
  if (!text) co_return fail(text.error().kind, text.error().message + "; 'zef net up' makes it");
  const auto file = codec::from_json<client::NetworkFile>(as_text(*text));
  if (!file) co_return fail(ErrorKind::invalid_input, (dir / "network.json").string() + ": " + file.error());
  const auto transport = net::make_tcp_transport(loop);
  for (const client::Endpoint& endpoint : file->validators) {
    const auto address = net::parse_address(endpoint.address);
    if (!address) co_return std::unexpected(address.error());
    net::RpcClient validator(loop, *transport, *address);
    if (!co_await wait_for_validator(loop, validator, give_up))
      co_return fail(ErrorKind::unavailable, fmt::format("{} at {} does not serve: start the network with 'zef net up "
                                                         "--dir {}', or wait for longer",
                                                         endpoint.name, endpoint.address, dir.string()));
  }
  co_return ExitCode::ok;
}

void add_wait(Program& program, CLI::App& net) {
  struct WaitFlags {
    std::filesystem::path dir;
    std::uint64_t seconds = 60;
  };
  const auto flags = std::make_shared<WaitFlags>();
  CLI::App& app = add_command(program, net, "wait", "Waits until every validator of a local network serves", [flags] {
    net::Loop loop;
    return run_flow(loop, wait_for_network(loop, flags->dir, loop.now() + std::chrono::seconds(flags->seconds)));
  });
  app.add_option("--dir", flags->dir, "The network's folder")->required();
  app.add_option("--seconds", flags->seconds, "At most; then the exit status is 3")
      ->check(CLI::Range(0, 86'400))
      ->capture_default_str();
}

}  // namespace

std::string network_table(const LocalNetwork& network) {
  Table table({{"validator"}, {"address"}, {"balancer pid", true}, {"controller pid", true}, {"workers"}});
  for (const ValidatorView& validator : network.validators()) {
    std::string workers;
    for (const ProcessView& worker : validator.workers)
      workers += fmt::format("{}{} (pid {})", workers.empty() ? "" : ", ", worker.name, worker.pid);
    table.add({validator.name, validator.address, fmt::format("{}", validator.balancer.pid),
               fmt::format("{}", validator.controller.pid), workers});
  }
  return table.text();
}

codec::Json network_json(const LocalNetwork& network) {
  codec::Json validators = codec::Json::array();
  for (const ValidatorView& validator : network.validators()) {
    codec::Json workers = codec::Json::array();
    for (const ProcessView& worker : validator.workers)
      workers.push_back({{"name", worker.name}, {"pid", worker.pid}, {"address", worker.address}});
    validators.push_back({{"name", validator.name},
                          {"address", validator.address},
                          {"balancer_pid", validator.balancer.pid},
                          {"controller_pid", validator.controller.pid},
                          {"workers", std::move(workers)}});
  }
  codec::Json json = {{"ready", true},
                      {"dir", network.dir().string()},
                      {"network", network.network().id.hex()},
                      {"genesis", network.genesis_path().string()},
                      {"network_file", network.network_path().string()},
                      {"passphrase_file", network.passphrase_path().string()},
                      {"accounts", network.settings().accounts},
                      {"new", network.is_new()},
                      {"validators", std::move(validators)}};
  if (network.settings().wallet) json["wallet"] = network.wallet_path().string();
  return json;
}

void add_net_commands(Program& program) {
  CLI::App& net = add_group(program.app, "net", "Networks on this machine");
  add_wait(program, net);
  const auto flags = std::make_shared<UpFlags>();
  LocalNetworkOptions& options = flags->options;
  CLI::App& app = add_command(program, net, "up",
                              "Runs a network in the foreground: makes it in a new folder, or goes on where it stopped",
                              [flags]() -> Result<ExitCode> {
                                if (auto parsed = parse_workers(flags->workers, flags->options); !parsed)
                                  return std::unexpected(parsed.error());
                                return up(*flags);
                              });
  app.add_option("--dir", flags->dir, "The network's folder")->required();
  app.add_option("--validators", options.validators, "How many, 1 to 32 (a new network: 4)");
  app.add_option(
      "--workers", flags->workers,
      "Of each validator: a number, or MIN..MAX for as many as the traffic needs; at most 128 processes in all "
      "(2)");
  app.add_option("--accounts", options.accounts, "With keys in the wallet (a new network: 100)");
  app.add_option("--balance", options.balance, "Of each account (a new network: 1,000,000,000)");
  app.add_option(
      "--store", options.store,
      "file:///absolute/path or s3://..., azure://..., gcs://...; each validator has a folder in it (a new network: "
      "inside its own folder)");
  app.add_option("--fee-period-ms", options.fee_period_ms, "How often fees go to the reward accounts")
      ->check(CLI::Range(10, 86'400'000));
  app.add_option("--flush-delay-ms", options.flush_delay_ms, "How long a worker's log gathers records")
      ->check(CLI::Range(0, 10'000));
  app.add_option("--checkpoint-every-ms", options.checkpoint_every_ms,
                 "How often workers save their shards, and when they end; 0: never")
      ->check(CLI::Range(0, 86'400'000));
  add_json_flag(app, flags->json);
}

}  // namespace zef::cli
