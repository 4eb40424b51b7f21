// How a command gets to the workers of one validator: a local network's folder names everything, or the store and a
// certificate do. Thread rule: the loop's thread.
#pragma once

#include <memory>

#include "cli/server_common.h"
#include "controller/fleet.h"
#include "net/system_rng.h"

namespace zef::cli {

struct FleetFlags {
  std::filesystem::path dir;
  std::uint64_t validator = 0;
  std::string store;
  std::filesystem::path tls;
  std::string certificate = "controller";
  std::filesystem::path workers_file;
  std::string stateful_set;
  void add_to(CLI::App& app);
  void add_driver_to(CLI::App& app);  // for those who change how many workers there are
};

// What starts and ends the workers: processes of this machine, or of a Kubernetes cluster; nullptr if neither is named.
[[nodiscard]] Result<std::unique_ptr<controller::Driver>> open_driver(net::Loop& loop,
                                                                      const std::filesystem::path& workers_file,
                                                                      const std::string& stateful_set);

// In the order of need.
struct FleetAccess {
  // Errors: invalid_input (flags), not_found, refused, io.
  [[nodiscard]] static Result<std::unique_ptr<FleetAccess>> open(const FleetFlags& flags);

  net::Loop loop;
  net::SystemRng rng;
  std::string title;  // which validator, for people
  std::unique_ptr<ServerStore> store;
  std::unique_ptr<net::Transport> internal;
  std::unique_ptr<controller::Driver> driver;  // if the flags, or the folder, name one
  std::unique_ptr<controller::Fleet> fleet;
};

}  // namespace zef::cli
