// The folder of a local network without its processes: making it, opening it, and where things are in it (the layout
// stands in local_network.h).
//
// Making one is cut short by nothing: the file "making" is there from the first step, net.json appears with the last.
// A folder with "making" and without net.json was never used, so the next open() removes what was made and begins
// again. No object store is touched before net.json exists.
//
// Thread rule: blocking; the main thread.
#pragma once

#include "cli/files.h"
#include "cli/local_network.h"

namespace zef::cli {

class NetworkFolder {
 public:
  // See LocalNetwork::open.
  [[nodiscard]] static Result<NetworkFolder> open(const std::filesystem::path& dir, const LocalNetworkOptions& options,
                                                  const LocalNetworkProgress& progress, WallTime now);

  // Of a network that may run: takes no lock, makes nothing, and knows the settings only.
  [[nodiscard]] static Result<NetworkFolder> view(const std::filesystem::path& dir);

  [[nodiscard]] std::filesystem::path genesis_path() const;
  [[nodiscard]] std::filesystem::path network_path() const { return dir / "network.json"; }
  [[nodiscard]] std::filesystem::path wallet_path() const { return dir / "wallet.sqlite"; }
  [[nodiscard]] std::filesystem::path passphrase_path() const { return dir / "passphrase"; }
  [[nodiscard]] std::filesystem::path validator_path(std::size_t validator) const;
  [[nodiscard]] std::filesystem::path log_path(std::size_t validator, std::string_view process) const;
  [[nodiscard]] std::string store_url(std::size_t validator) const;
  [[nodiscard]] std::filesystem::path tls_path(std::size_t validator) const {
    return validator_path(validator) / "tls";
  }
  [[nodiscard]] std::filesystem::path worker_count_path(std::size_t validator) const {
    return validator_path(validator) / "workers";
  }
  [[nodiscard]] std::string worker_name(std::size_t worker) const { return "w" + std::to_string(worker); }
  [[nodiscard]] Result<crypto::SecretBytes> read_seed() const;  // of accounts.seed

  std::filesystem::path dir;  // absolute
  bool is_new = false;
  LocalNetworkSettings settings;
  protocol::Genesis genesis;
  client::NetworkFile endpoints;

 private:
  NetworkFolder(std::filesystem::path absolute, std::optional<FolderLock> lock)
      : dir(std::move(absolute)), lock_(std::move(lock)) {}

  Result<void> load_settings();
  Result<void> load(const LocalNetworkOptions& options);
  Result<void> make(const LocalNetworkOptions& options, const LocalNetworkProgress& progress, WallTime now);
  Result<void> make_certificates();  // that are missing
  Result<void> make_validators(const crypto::SecretBytes& passphrase, std::vector<protocol::PublicKey>& keys);
  Result<std::vector<crypto::SigningKey>> make_account_keys(std::uint64_t count, const LocalNetworkProgress& progress);
  Result<void> make_endpoints();
  Result<void> make_wallet(const crypto::SecretBytes& passphrase, std::vector<crypto::SigningKey> keys, WallTime now);

  std::optional<FolderLock> lock_;
};

// The key of a genesis account of a network that has a seed.
[[nodiscard]] crypto::SigningKey derive_account_key(ByteView seed, std::uint64_t account);

}  // namespace zef::cli
