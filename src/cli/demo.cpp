// Thread rule: the main thread. The folder is removed in the end if it is our own temporary one, the demo held and
// nobody asked to keep it.
#include "cli/demo.h"

#include <fmt/core.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "cli/demo_steps.h"
#include "cli/flow.h"
#include "cli/net_commands.h"
#include "crypto/passphrase.h"
#include "net/asio_transport.h"
#include "net/system_rng.h"

namespace zef::cli {
namespace {

namespace fs = std::filesystem;

struct DemoFlags {
  std::filesystem::path dir;
  std::uint64_t payments = 1000;
  std::uint64_t validators = 4;
  std::uint64_t workers = 2;
  bool keep = false;
  bool json = false;
};

constexpr std::uint64_t demo_accounts = 100;  // the steps name some of them
constexpr std::uint64_t fee_period_ms = 500;  // fees are credited soon after the last payment

// The folder of the demo: its own and temporary, or the one that was asked for.
class DemoFolder {
 public:
  static Result<std::unique_ptr<DemoFolder>> make(const fs::path& asked) {
    if (!asked.empty()) return std::unique_ptr<DemoFolder>(new DemoFolder(asked, true));
    std::error_code error;
    const fs::path base = fs::temp_directory_path(error);
    std::string name = ((error ? fs::path("/tmp") : base) / "zef-demo-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      return fail(ErrorKind::io, fmt::format("cannot make a temporary folder {}: set TMPDIR, or use --dir", name));
    return std::unique_ptr<DemoFolder>(new DemoFolder(name, false));
  }
  ~DemoFolder() {
    std::error_code ignored;
    if (!kept_) fs::remove_all(path_, ignored);
  }
  DemoFolder(const DemoFolder&) = delete;
  DemoFolder& operator=(const DemoFolder&) = delete;

  void keep() { kept_ = true; }
  [[nodiscard]] bool kept() const { return kept_; }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  DemoFolder(fs::path path, bool kept) : path_(std::move(path)), kept_(kept) {}
  fs::path path_;
  bool kept_;
};

// All that runs. Members end in the opposite order: first the flow, then the client, then the processes.
struct Stage {
  explicit Stage(const DemoFlags& f) : flags(f) {}
  const DemoFlags& flags;
  net::Loop loop;
  net::SystemRng rng;
  Event asked{loop};  // to end
  std::unique_ptr<LocalNetwork> network;
  std::unique_ptr<net::Transport> transport;
  std::unique_ptr<client::QuorumDriver> quorum;
  std::unique_ptr<client::Wallet> wallet;
  std::unique_ptr<Demo> demo;
  double seconds = 0;

  void say(const std::string& text) const { flags.json ? print_err(text + "\n") : print_out(text + "\n"); }
};

Result<void> open_wallet(Stage& stage) {
  LocalNetwork& network = *stage.network;
  stage.transport = net::make_tcp_transport(stage.loop);
  stage.quorum = std::make_unique<client::QuorumDriver>(stage.loop, stage.rng, *stage.transport, network.network(),
                                                        network.addresses());
  auto wallet = client::Wallet::open(network.wallet_path(), stage.loop, network.network());
  if (!wallet) return std::unexpected(wallet.error());
  stage.wallet = std::move(*wallet);
  const auto passphrase = crypto::passphrase_from_file(network.passphrase_path());
  if (!passphrase) return std::unexpected(passphrase.error());
  if (auto unlocked = stage.wallet->unlock(*passphrase); !unlocked) return unlocked;
  stage.wallet->connect(*stage.quorum);
  return {};
}

Result<void> make_network(Stage& stage, const fs::path& dir) {
  LocalNetworkOptions options;
  options.validators = stage.flags.validators;
  options.workers = stage.flags.workers;
  options.accounts = demo_accounts;
  options.fee_period_ms = fee_period_ms;
  auto network = LocalNetwork::open(stage.loop, dir, options);
  if (!network) return std::unexpected(network.error());
  if (!(*network)->is_new())
    return fail(ErrorKind::invalid_input,
                dir.string() + " holds a network already: the demo needs a new or an empty folder");
  stage.network = std::move(*network);
  stage.network->on_news([&stage](const std::string& line) { stage.say("   " + line); });
  return {};
}

Task<Result<void>> play(Stage& stage) {
  const MonotonicTime began = stage.loop.now();
  stage.say(fmt::format("A network of {} validators, each a balancer and {} workers, {} accounts, in {}.",
                        stage.flags.validators, stage.flags.workers, demo_accounts, stage.network->dir().string()));
  if (auto started = co_await stage.network->start(); !started) co_return started;
  stage.say(network_table(*stage.network));
  if (auto opened = open_wallet(stage); !opened) co_return opened;
  stage.demo = std::make_unique<Demo>(stage.loop, *stage.network, *stage.quorum, *stage.wallet, stage.flags.payments,
                                      [&stage](const std::string& text) { stage.say(text); });
  co_await stage.demo->run();
  stage.seconds = std::chrono::duration<double>(stage.loop.now() - began).count();
  co_return Result<void>{};
}

double rounded(double value) { return static_cast<double>(static_cast<std::int64_t>(value * 100 + 0.5)) / 100; }

codec::Json figures_json(const Stage& stage, const DemoFolder& folder) {
  const DemoFigures& figures = stage.demo->figures();
  codec::Json json = {{"ok", figures.all_held()},
                      {"payments", figures.payments},
                      {"seconds", rounded(stage.seconds)},
                      {"validators", stage.flags.validators},
                      {"workers", stage.flags.workers},
                      {"killed", figures.killed},
                      {"operations", figures.operations},
                      {"payments_seconds", rounded(figures.payments_seconds)},
                      {"accounts", figures.accounts},
                      {"swaps", figures.swaps},
                      {"settlements", figures.settlements},
                      {"supply_ok", figures.supply_ok},
                      {"heads_equal", figures.heads_equal},
                      {"balances_equal", figures.balances_equal},
                      {"nothing_lost", figures.nothing_lost},
                      {"quiet", figures.quiet},
                      {"payment_ok", figures.payment_ok},
                      {"batch_ok", figures.batch_ok},
                      {"child_ok", figures.child_ok},
                      {"rotation_ok", figures.rotation_ok},
                      {"double_spend_refused", figures.double_spend_refused},
                      {"swap_ok", figures.swap_ok},
                      {"settlement_ok", figures.settlement_ok},
                      {"way_out_ok", figures.way_out_ok},
                      {"validator_down_ok", figures.validator_down_ok},
                      {"killed_worker_ok", figures.killed_worker_ok},
                      {"problems", figures.problems}};
  if (folder.kept()) json["dir"] = folder.path().string();
  return json;
}

std::string figures_line(const Stage& stage) {
  const DemoFigures& figures = stage.demo->figures();
  const auto yes = [](bool holds) { return holds ? "yes" : "NO"; };
  return fmt::format(
      "{}: {} payments, {} operations, {} swap, {} settlement, {:.1f} s, {} validators, {} workers each, {} worker "
      "killed, supply exact: {}, "
      "heads equal: {}, balances equal: {}, nothing lost: {}, double spend refused: {}\n",
      figures.all_held() ? "all checks held" : "SOMETHING FAILED", grouped(figures.payments),
      grouped(figures.operations), figures.swaps, figures.settlements, stage.seconds, stage.flags.validators,
      stage.flags.workers, figures.killed, yes(figures.supply_ok), yes(figures.heads_equal),
      yes(figures.balances_equal), yes(figures.nothing_lost), yes(figures.double_spend_refused));
}

std::string how_to_go_on(const fs::path& dir) {
  return fmt::format(
      "\nThe network runs. In another terminal:\n"
      "  zef wallet show --dir {0}\n"
      "  zef wallet transfer 0 1 1000 --dir {0}\n"
      "Ctrl-C stops it; 'zef net up --dir {0}' starts it again where it stopped.\n",
      dir.string());
}

// Turns the loop until the flow has ended or somebody asked to end; nothing in that case.
template <class T>
std::optional<T> run_unless_asked(Stage& stage, Task<T> task) {
  std::optional<T> result;
  TaskScope scope;
  scope.spawn(detail::keep_result(std::move(task), result));
  while (!result && !stage.asked.is_set()) stage.loop.turn();
  return result;
}

Task<bool> stop_network(Stage& stage) {
  co_await stage.network->stop();
  co_return true;
}
Task<bool> wait_until_asked(Stage& stage) {
  co_await stage.asked.wait();
  co_return true;
}

Result<ExitCode> demo(const DemoFlags& flags) {
  auto folder = DemoFolder::make(flags.dir);
  if (!folder) return std::unexpected(folder.error());
  Stage stage(flags);
  stage.loop.on_signals({SIGINT, SIGTERM, SIGHUP}, [&stage](int signal) {
    if (stage.asked.is_set()) ::_exit(128 + signal);  // impatient: the children are killed with this process
    stage.asked.set();
  });
  if (auto made = make_network(stage, (*folder)->path()); !made) return std::unexpected(made.error());
  const auto played = run_unless_asked(stage, play(stage));
  if (!played) return fail(ErrorKind::cancelled, "the demo was interrupted");
  const bool held = played->has_value() && stage.demo->figures().all_held();
  if (flags.keep || !held) (*folder)->keep();
  if (!*played)
    return fail(played->error().kind, fmt::format("{}; the logs are in {}/validator-*/logs", played->error().message,
                                                  (*folder)->path().string()));

  stage.wallet.reset();  // its file is free for others from here on
  if (!held) stage.say(fmt::format("The logs are in {}/validator-*/logs.", (*folder)->path().string()));
  if (!flags.keep) static_cast<void>(run_flow(stage.loop, stop_network(stage)));
  if (flags.json)
    print_json(figures_json(stage, **folder));
  else
    print_out(figures_line(stage));
  if (flags.keep) {
    stage.say(how_to_go_on((*folder)->path()));
    static_cast<void>(run_flow(stage.loop, wait_until_asked(stage)));
    static_cast<void>(run_flow(stage.loop, stop_network(stage)));
  }
  return held ? ExitCode::ok : ExitCode::failed;
}

}  // namespace

void add_demo_command(Program& program) {
  const auto flags = std::make_shared<DemoFlags>();
  CLI::App& app =
      add_command(program, program.app, "demo", "Runs a network in a temporary folder, shows and checks what it does",
                  [flags] { return demo(*flags); });
  app.add_option("--dir", flags->dir, "A new or empty folder, which stays (without it: a temporary one)");
  app.add_option("--payments", flags->payments, "How many, while a worker is killed")
      ->check(CLI::Range(3, 10'000'000))
      ->capture_default_str();
  // One of them goes down while the others go on.
  app.add_option("--validators", flags->validators, "How many")->check(CLI::Range(4, 32))->capture_default_str();
  app.add_option("--workers", flags->workers, "Of each validator")->check(CLI::Range(1, 64))->capture_default_str();
  app.add_flag("--keep", flags->keep, "Leave the network running until Ctrl-C, and its folder for ever");
  add_json_flag(app, flags->json);
}

}  // namespace zef::cli
