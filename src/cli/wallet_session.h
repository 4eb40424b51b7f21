// A wallet opened for one command: its files, its network, and the way to the validators.
//
// Thread rule: the main thread; blocking. Members end in the opposite order.
#pragma once

#include "cli/command.h"
#include "cli/flow.h"
#include "client/network_file.h"
#include "client/wallet.h"
#include "net/asio_transport.h"
#include "net/system_rng.h"

namespace zef::cli {

// Which wallet, and what opens it: --dir D stands for D/wallet.sqlite, D/genesis.json, D/network.json, D/passphrase.
struct WalletFlags {
  std::filesystem::path dir;
  std::filesystem::path wallet;
  std::filesystem::path genesis;
  std::filesystem::path network;
  PassphraseOptions passphrase;
  bool json = false;

  // The passphrase's flags too, where nothing is signed as well: a script gives all commands the same ones.
  void add_to(CLI::App& app);
  // Fills in what --dir stands for. invalid_input if a file is not named.
  [[nodiscard]] Result<WalletFlags> complete() const;
  [[nodiscard]] Result<crypto::SecretBytes> read_passphrase() const;
};

enum class Reach { offline, online };
enum class Keys { locked, unlocked };

class WalletSession {
 public:
  [[nodiscard]] static Result<std::unique_ptr<WalletSession>> open(const WalletFlags& flags, Reach reach, Keys keys);

  // Runs a flow; tells on stderr that it goes on if that takes longer than a second.
  template <class T>
  [[nodiscard]] T run(std::string what, Task<T> task) {
    std::optional<T> result;
    TaskScope scope;
    scope.spawn(detail::keep_result(std::move(task), result));
    Progress progress(loop, std::move(what) + ", seconds");
    const MonotonicTime began = loop.now();
    while (!result) {
      loop.turn(std::chrono::milliseconds(200));
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(loop.now() - began).count();
      if (!result) progress.update(static_cast<std::uint64_t>(seconds), 0);
    }
    return std::move(*result);
  }

  net::Loop loop;
  net::SystemRng rng;
  protocol::Genesis genesis;
  protocol::Network network;
  std::unique_ptr<net::Transport> transport;
  std::unique_ptr<client::QuorumDriver> quorum;  // of Reach::online
  std::unique_ptr<client::Wallet> wallet;

 private:
  explicit WalletSession(protocol::Genesis g) : genesis(std::move(g)), network(genesis) {}
};

}  // namespace zef::cli
