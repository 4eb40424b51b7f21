// What the tests of this folder share: a network of real processes in a folder, and an honest client of it, whose
// connections a witness listens to.
//
// Thread rule: the main thread. Members end in the opposite order: first the client, then the processes.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cli/demo_check.h"
#include "cli/demo_steps.h"
#include "cli/local_network.h"
#include "client/quorum_driver.h"
#include "net/loop.h"
#include "net/system_rng.h"
#include "witness.h"

namespace zef::networks {

// A folder of its own, removed with everything in it unless it is to be kept.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  void keep() { kept_ = true; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  bool kept_ = false;
};

// Fees are credited soon after they were paid, files are synced, no wallet file.
[[nodiscard]] cli::LocalNetworkOptions small_network(std::uint64_t accounts);

class Rig {
 public:
  // Opens or makes the network; starts nothing.
  [[nodiscard]] static Result<std::unique_ptr<Rig>> open(const std::filesystem::path& dir,
                                                         const cli::LocalNetworkOptions& options = {});

  net::Loop loop;
  net::SystemRng rng;
  std::unique_ptr<cli::LocalNetwork> network;
  std::unique_ptr<net::Transport> tcp;
  std::unique_ptr<Witness> witness;
  std::unique_ptr<WitnessedTransport> transport;
  std::unique_ptr<client::QuorumDriver> quorum;

  [[nodiscard]] std::vector<protocol::Uid> genesis_accounts() const;
};

// Brings every validator up to date with every account and waits until nothing is under way any more, then compares all
// of them with each other, with the genesis supply, and with the book. What differs is added to `problems`.
[[nodiscard]] Task<cli::NetworkCheck> settle_and_compare(Rig& rig, const cli::DemoBook& book,
                                                         std::vector<std::string>& problems);

}  // namespace zef::networks
