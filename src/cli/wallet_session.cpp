#include "cli/wallet_session.h"

#include <fmt/core.h>

#include "cli/genesis_file.h"

namespace zef::cli {
namespace fs = std::filesystem;

void WalletFlags::add_to(CLI::App& app) {
  app.add_option("--dir", dir, "The folder of a local network: its wallet, genesis, addresses and passphrase");
  app.add_option("--wallet", wallet, "The wallet's file");
  app.add_option("--genesis", genesis, "The network's genesis file");
  app.add_option("--network", network, "Where the validators are: the network's network.json");
  passphrase.add_to(app);
  add_json_flag(app, json);
}

Result<WalletFlags> WalletFlags::complete() const {
  WalletFlags all = *this;
  if (!dir.empty()) {
    std::error_code ignored;
    if (all.wallet.empty()) all.wallet = dir / "wallet.sqlite";
    if (all.genesis.empty())
      all.genesis = dir / (fs::exists(dir / "genesis.bcs", ignored) ? "genesis.bcs" : "genesis.json");
    if (all.network.empty()) all.network = dir / "network.json";
    if (all.passphrase.file.empty() && all.passphrase.descriptor < 0 && fs::exists(dir / "passphrase", ignored))
      all.passphrase.file = dir / "passphrase";
  }
  if (all.wallet.empty() || all.genesis.empty() || all.network.empty())
    return fail(ErrorKind::invalid_input,
                "which wallet? Give --dir with the folder of a local network, or --wallet, --genesis and --network");
  return all;
}

Result<crypto::SecretBytes> WalletFlags::read_passphrase() const {
  return passphrase.read("Passphrase of the wallet: ");
}

Result<std::unique_ptr<WalletSession>> WalletSession::open(const WalletFlags& given, Reach reach, Keys keys) {
  const auto flags = given.complete();
  if (!flags) return std::unexpected(flags.error());
  auto genesis = read_genesis(flags->genesis);
  if (!genesis) return std::unexpected(genesis.error());
  std::unique_ptr<WalletSession> session(new WalletSession(std::move(*genesis)));
  auto wallet = client::Wallet::open(flags->wallet, session->loop, session->network);
  if (!wallet) return std::unexpected(wallet.error());
  session->wallet = std::move(*wallet);
  if (keys == Keys::unlocked) {
    const auto passphrase = flags->read_passphrase();
    if (!passphrase) return std::unexpected(passphrase.error());
    if (auto unlocked = session->wallet->unlock(*passphrase); !unlocked) return std::unexpected(unlocked.error());
  }
  if (reach == Reach::online) {
    const auto file = client::read_network_file(flags->network, session->network);
    if (!file) return std::unexpected(file.error());
    session->transport = net::make_tcp_transport(session->loop);
    session->quorum = std::make_unique<client::QuorumDriver>(session->loop, session->rng, *session->transport,
                                                             session->network, client::addresses_of(*file));
    session->wallet->connect(*session->quorum);
  }
  return session;
}

}  // namespace zef::cli
