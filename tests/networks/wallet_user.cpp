#include "wallet_user.h"

#include <fmt/core.h>

#include <csignal>

#include "cli/child_process.h"
#include "cli/command.h"
#include "client/wallet.h"
#include "crypto/passphrase.h"
#include "protocol/verification.h"

namespace zef::networks {
namespace {

using namespace std::chrono_literals;
using namespace protocol;

constexpr Duration poll_period = 5ms;
constexpr int unavailable = static_cast<int>(cli::ExitCode::unavailable);
constexpr Duration end_time_max = 600s;

}  // namespace

WalletUser::WalletUser(Rig& rig, std::uint64_t account)
    : rig_(rig),
      account_(Uid::genesis(account)),
      file_(rig.network->dir() / "user.sqlite"),
      log_(rig.network->dir() / "user.log") {
  const cli::LocalNetwork& network = *rig.network;
  const auto passphrase = crypto::passphrase_from_file(network.passphrase_path());
  ZEF_CHECK(passphrase);
  std::vector<client::NewAccount> accounts;
  accounts.push_back({account_, network.account_key(account),
                      client::genesis_chain(network.genesis(), network.network(), account), "mine"});
  const auto made = client::Wallet::create(file_, network.network().id, *passphrase, std::move(accounts),
                                           rig.loop.wall_now(), crypto::seal_parameters_min);
  if (!made) problems_.push_back("the wallet: " + made.error().message);
}

Task<std::optional<int>> WalletUser::run(std::optional<Duration> kill_after) {
  const std::uint64_t amount = next_amount_++;
  const cli::LocalNetwork& network = *rig_.network;
  auto child = cli::ChildProcess::spawn(
      {"wallet", "transfer", account_.text(), "0", std::to_string(amount), "--wallet", file_.string(), "--genesis",
       network.genesis_path().string(), "--network", network.network_path().string(), "--passphrase-file",
       network.passphrase_path().string(), "--json"},
      log_);
  if (!child) {
    problems_.push_back("the wallet: " + child.error().message);
    co_return std::nullopt;
  }
  started_.insert(amount);
  const MonotonicTime begun = rig_.loop.now();
  bool was_killed = false;
  std::optional<cli::ChildProcess::Ended> ended;
  while (!(ended = child->reap())) {
    const Duration age = rig_.loop.now() - begun;
    if (!was_killed && (age >= end_time_max || (kill_after && age >= *kill_after))) {
      child->signal(SIGKILL);
      was_killed = true;
      if (!kill_after) problems_.emplace_back("the wallet does not end");
    }
    while (child->take_line()) {
    }
    co_await sleep_for(rig_.loop, poll_period);
  }
  if (ended->signal != 0) {
    if (kill_after) ++killed_;
    co_return std::nullopt;
  }
  if (ended->exit_status == 0)
    succeeded_.insert(amount);
  else if (ended->exit_status != unavailable)
    problems_.push_back(fmt::format("the wallet ended with status {}: {}", ended->exit_status, child->last_words()));
  co_return ended->exit_status;
}

Task<void> WalletUser::pay_and_be_killed(Duration after) { co_await run(after); }

Task<void> WalletUser::pay() {
  const MonotonicTime give_up = rig_.loop.now() + end_time_max;
  while (true) {
    const auto status = co_await run(std::nullopt);
    if (status != unavailable) co_return;
    if (rig_.loop.now() >= give_up) {
      problems_.emplace_back("the wallet is blocked: validators never answer it in time");
      co_return;
    }
  }
}

Task<void> WalletUser::check(cli::DemoBook& book) {
  const auto summary = co_await rig_.quorum->query_account(account_);
  if (!summary) {
    problems_.push_back("the wallet's account: " + summary.error().message);
    co_return;
  }
  const auto proofs = co_await rig_.quorum->fetch_executed(account_, SequenceNumber(0), summary->next);
  std::set<std::uint64_t> executed;
  std::uint64_t requests = 0;
  if (proofs)
    for (const Proof& proof : *proofs) {
      const auto items = requests_of(rig_.network->network(), proof);
      ZEF_CHECK(items);  // it was verified
      for (const auto& item : *items) {
        ++requests;
        book.enter(*item.request);
        const auto* transfer = std::get_if<Transfer>(&item.request->operation);
        if (transfer == nullptr || transfer->payments.size() != 1 ||
            !executed.insert(transfer->payments.front().amount.value()).second)
          problems_.push_back(fmt::format("the wallet paid twice, or something else than it was told: operation {}",
                                          item.request->sequence_number.value()));
      }
    }
  payments_ = executed.size();
  if (requests != summary->next.value())
    problems_.push_back(
        fmt::format("of {} operations of the wallet, certificates of {} are found", summary->next.value(), requests));
  for (const std::uint64_t amount : succeeded_)
    if (!executed.contains(amount)) problems_.push_back(fmt::format("the wallet's payment of {} was lost", amount));
  for (const std::uint64_t amount : executed)
    if (!started_.contains(amount)) problems_.push_back(fmt::format("nobody told the wallet to pay {}", amount));
  check_file(summary->next);
}

void WalletUser::check_file(SequenceNumber next) {
  auto wallet = client::Wallet::open(file_, rig_.loop, rig_.network->network());
  if (!wallet) return problems_.push_back("the wallet: " + wallet.error().message);
  const auto view = (*wallet)->account(account_);
  if (!view) return problems_.push_back("the wallet: " + view.error().message);
  if (view->pending) problems_.emplace_back("the wallet still has a pending operation");
  if (view->chain.next != next)
    problems_.push_back(fmt::format("the wallet is at {}, the network at {}", view->chain.next.value(), next.value()));
  const auto history = (*wallet)->history(account_, 100'000);
  if (!history) return problems_.push_back("the wallet: " + history.error().message);
  for (const client::HistoryEntry& entry : *history)
    if (entry.kind == client::HistoryEntry::Kind::executed && !entry.confirmed)
      problems_.push_back(
          fmt::format("the wallet holds operation {} for not confirmed", entry.sequence_number.value()));
}

}  // namespace zef::networks
