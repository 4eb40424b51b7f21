#include "rig.h"

#include <fmt/core.h>

#include <cstdlib>

#include "base/parallel.h"
#include "codec/json.h"
#include "net/asio_transport.h"

namespace zef::networks {
namespace {

using namespace std::chrono_literals;
using protocol::Uid;

constexpr Duration catch_up_time_max = 600s;
constexpr Duration quiet_time_max = 600s;
constexpr Duration retry_delay = 50ms;
constexpr std::size_t accounts_at_once = 16;

Task<void> bring_up(Rig& rig, Uid account, MonotonicTime give_up, std::vector<std::string>& problems) {
  while (true) {
    const auto agreeing = co_await rig.quorum->bring_up_to_date(account);
    if (agreeing && *agreeing == rig.quorum->size()) co_return;
    if (rig.loop.now() >= give_up) {
      problems.push_back(fmt::format("account {}: not all validators came up to date{}", account.text(),
                                     agreeing ? "" : ": " + agreeing.error().message));
      co_return;
    }
    co_await sleep_for(rig.loop, retry_delay);
  }
}

Task<void> compare_with_book(Rig& rig, Uid account, const cli::DemoBook& book, std::vector<std::string>& problems) {
  const auto states = co_await cli::states_of(*rig.quorum, account);
  for (std::size_t i = 0; i < states.size(); ++i)
    if (states[i] && states[i]->balance != book.balance(account))
      problems.push_back(fmt::format("account {}: validator {} says {}, the acknowledged operations make {}",
                                     account.text(), i, codec::to_decimal(states[i]->balance),
                                     codec::to_decimal(book.balance(account))));
}

}  // namespace

TempFolder::TempFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "zef-network-XXXXXX").string();
  ZEF_CHECK(::mkdtemp(name.data()) != nullptr);
  path_ = name;
}
TempFolder::~TempFolder() {
  std::error_code ignored;
  if (!kept_) std::filesystem::remove_all(path_, ignored);
}

cli::LocalNetworkOptions small_network(std::uint64_t accounts) {
  cli::LocalNetworkOptions options;
  options.validators = 4;
  options.workers = 2;
  options.accounts = accounts;
  options.fee_period_ms = 500;
  options.wallet = false;
  return options;
}

Result<std::unique_ptr<Rig>> Rig::open(const std::filesystem::path& dir, const cli::LocalNetworkOptions& options) {
  auto rig = std::make_unique<Rig>();
  auto network = cli::LocalNetwork::open(rig->loop, dir, options);
  if (!network) return std::unexpected(network.error());
  rig->network = std::move(*network);
  rig->tcp = net::make_tcp_transport(rig->loop);
  rig->witness = std::make_unique<Witness>(rig->network->network());
  const auto addresses = rig->network->addresses();
  rig->transport = std::make_unique<WitnessedTransport>(
      *rig->tcp, [addresses, witness = rig->witness.get()](const net::Address& from, ByteView payload) {
        for (std::size_t i = 0; i < addresses.size(); ++i)
          if (addresses[i] == from) witness->saw(i, payload);
      });
  rig->quorum =
      std::make_unique<client::QuorumDriver>(rig->loop, rig->rng, *rig->transport, rig->network->network(), addresses);
  return rig;
}

std::vector<Uid> Rig::genesis_accounts() const {
  std::vector<Uid> accounts;
  for (std::uint64_t i = 0; i < network->genesis().accounts.size(); ++i) accounts.push_back(Uid::genesis(i));
  return accounts;
}

Task<cli::NetworkCheck> settle_and_compare(Rig& rig, const cli::DemoBook& book, std::vector<std::string>& problems) {
  const std::vector<Uid> accounts = book.accounts();
  const MonotonicTime give_up = rig.loop.now() + catch_up_time_max;
  co_await in_parallel(rig.loop, accounts.size(), accounts_at_once,
                       [&](std::size_t i) { return bring_up(rig, accounts[i], give_up, problems); });
  if (!co_await cli::wait_until_quiet(*rig.quorum, quiet_time_max))
    problems.emplace_back("effects or fees are still under way, or validators have executed different numbers");
  auto check = co_await cli::check_network(*rig.quorum, protocol::supply_of(rig.network->genesis()), accounts);
  problems.insert(problems.end(), check.unequal.begin(), check.unequal.end());
  co_await in_parallel(rig.loop, accounts.size(), accounts_at_once,
                       [&](std::size_t i) { return compare_with_book(rig, accounts[i], book, problems); });
  co_return check;
}

}  // namespace zef::networks
