// zef_crash_rounds: a network under load whose processes, and whose user's wallet, are killed at random moments, round
// after round. Nothing that a validator has said may be taken back (I5), nothing may be certified twice (I1), no money
// may appear or vanish (I4), no account may be blocked (I6).
//
//   zef_crash_rounds [--rounds 20] [--seed N] [--store URL] [--keep]
//
// The last line of its output is one JSON object; exit status 1 if anything did not hold. The seed decides who is
// killed and when, not what the machine makes of it.
#include <fmt/core.h>

#include <cstdlib>
#include <iterator>

#include "base/parallel.h"
#include "cli/command.h"
#include "cli/flow.h"
#include "killer.h"
#include "load.h"
#include "prober.h"
#include "program.h"
#include "rig.h"
#include "store/open_store.h"
#include "wallet_user.h"

namespace zef::networks {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t users = 32;
constexpr std::size_t probes = 8;
constexpr std::uint64_t wallet_account = users + probes;
constexpr std::uint64_t wallet_moment_max_ms = 1000;
constexpr Duration serve_time_max = 600s;
constexpr Duration check_time_max = 600s;

struct Flags {
  std::uint64_t rounds = 20;
  std::uint64_t seed = 0;
  std::string store;  // a part of its own in it; empty: in the folder
  bool keep = false;
};

class CrashTest {
 public:
  CrashTest(Rig& rig, const Flags& flags)
      : rig_(rig),
        flags_(flags),
        rng_(flags.seed),
        book_(rig.network->genesis(), rig.network->network()),
        load_(rig, book_, users, rng_.next_u64()),
        prober_(rig, book_, users, probes, rng_.next_u64()),
        wallet_(rig, wallet_account),
        killer_(rig, rng_.next_u64()) {}

  Task<bool> run() {
    if (auto started = co_await rig_.network->start(); !started) {
      problems_.push_back(started.error().message);
      co_return false;
    }
    load_.start();
    while (rounds_ < flags_.rounds && nothing_wrong()) co_await play_round();
    co_await load_.stop();
    if (nothing_wrong()) co_await load_.pay_once_each();
    if (nothing_wrong()) co_await finish();
    co_await rig_.network->stop();
    co_return nothing_wrong();
  }

  [[nodiscard]] codec::Json figures() const {
    const Witness::Figures& witness = rig_.witness->figures();
    return {{"seed", flags_.seed},
            {"rounds", rounds_},
            {"kills", killer_.killed()},
            {"stops", killer_.stopped()},
            {"wallet_kills", wallet_.killed()},
            {"payments", load_.payments() + wallet_.payments()},
            {"operations", load_.operations()},
            {"interrupted", load_.interrupted()},
            {"votes_checked", witness.votes_checked + prober_.refusals()},
            {"second_orders_refused", prober_.refusals()},
            {"executions_checked", witness.executions_checked},
            {"second_votes", witness.second_votes},
            {"lost", witness.lost + lost_},
            {"supply_ok", supply_ok_},
            {"heads_equal", heads_equal_},
            {"ok", nothing_wrong()}};
  }
  [[nodiscard]] std::vector<std::string> problems() const {
    std::vector<std::string> all = problems_;
    for (const auto* more : {&rig_.witness->problems(), &load_.problems(), &prober_.problems(), &wallet_.problems()})
      std::ranges::copy(*more, std::back_inserter(all));
    return all;
  }

 private:
  [[nodiscard]] bool nothing_wrong() const { return problems().empty(); }

  Task<void> play_round() {
    const MonotonicTime began = rig_.loop.now();
    // Half of the votes are given before the attack, half during it.
    co_await prober_.collect_votes(0, prober_.size() / 2);
    const auto moment = std::chrono::milliseconds(rng_.below(wallet_moment_max_ms));
    co_await in_parallel(rig_.loop, 4, 4, [&](std::size_t i) {
      switch (i) {
        case 0: return killer_.attack();
        case 1: return wallet_.pay_and_be_killed(moment);
        case 2: return prober_.collect_votes(prober_.size() / 2, prober_.size());
        default: return prober_.ask_for_second_votes(0, prober_.size() / 2);
      }
    });
    co_await prober_.ask_for_second_votes(0, prober_.size());
    if (!co_await rig_.network->wait_until_serving(serve_time_max))
      problems_.emplace_back("not all processes serve again");
    co_await rig_.witness->check(*rig_.quorum, check_time_max);
    co_await wallet_.pay();
    co_await prober_.finish();
    ++rounds_;
    const double seconds = std::chrono::duration<double>(rig_.loop.now() - began).count();
    cli::print_err(fmt::format("round {}: {:.1f} s; {} processes and {} wallets killed so far, {} payments\n", rounds_,
                               seconds, killer_.killed(), wallet_.killed(), load_.payments()));
  }

  // What clients were told is what the chains say, on every validator, to the last unit.
  Task<void> finish() {
    co_await wallet_.check(book_);
    for (const client::ChainState& chain : load_.chains()) {
      const auto states = co_await cli::states_of(*rig_.quorum, chain.account);
      for (const auto& state : states)
        if (state && state->next > chain.next)
          problems_.push_back(fmt::format("account {} has executed more than its owner asked", chain.account.text()));
    }
    const auto check = co_await settle_and_compare(rig_, book_, problems_);
    for (const client::ChainState& chain : load_.chains()) {
      const auto states = co_await cli::states_of(*rig_.quorum, chain.account);
      for (const auto& state : states)
        if (!state || state->next != chain.next || state->head != chain.head) {
          ++lost_;
          problems_.push_back(fmt::format("account {} does not stand where its owner left it", chain.account.text()));
        }
    }
    co_await rig_.witness->check(*rig_.quorum, check_time_max);
    supply_ok_ = check.supply_ok;
    heads_equal_ = check.heads_equal && check.balances_equal;
  }

  Rig& rig_;
  Flags flags_;
  zef::testing::SeededRng rng_;
  cli::DemoBook book_;
  Load load_;
  Prober prober_;
  WalletUser wallet_;
  Killer killer_;
  std::uint64_t rounds_ = 0;
  std::uint64_t lost_ = 0;
  bool supply_ok_ = false;
  bool heads_equal_ = false;
  std::vector<std::string> problems_;
};

int run_crash_rounds(const Flags& flags) {
  TempFolder folder;
  if (flags.keep) folder.keep();
  cli::print_err(fmt::format("seed {}; the network is in {}\n", flags.seed, folder.path().string()));
  auto options = small_network(wallet_account + 1);
  if (!flags.store.empty()) {
    options.store = store::part_of_store(flags.store, folder.path().filename().string());
    options.flush_delay_ms = 25;
  }
  auto rig = Rig::open(folder.path() / "net", options);
  if (!rig) {
    cli::print_err(rig.error().message + "\n");
    return 1;
  }
  CrashTest test(**rig, flags);
  const bool held = cli::run_flow((*rig)->loop, test.run());
  for (const std::string& problem : test.problems()) cli::print_err("FAILED: " + problem + "\n");
  if (!held) cli::print_err(fmt::format("the same once more: zef_crash_rounds --seed {} --keep\n", flags.seed));
  cli::print_json(test.figures());
  return held ? 0 : 1;
}

}  // namespace
}  // namespace zef::networks

int main(int argc, char** argv) {
  if (const auto status = zef::networks::run_if_program(argc, argv)) return *status;
  zef::networks::Flags flags;
  flags.seed = zef::net::SystemRng().below(1'000'000'000);
  CLI::App app("Kills processes of a network under load, round after round");
  app.add_option("--rounds", flags.rounds, "How many")->check(CLI::Range(1, 1'000'000))->capture_default_str();
  app.add_option("--seed", flags.seed, "Who is killed and when; without it, at random");
  app.add_option("--store", flags.store, "A store URL (without it: in a temporary folder)");
  app.add_flag("--keep", flags.keep, "Leave the folder, with the logs, where it is");
  CLI11_PARSE(app, argc, argv);
  return zef::networks::run_crash_rounds(flags);
}
