// A whole network on this machine: its folder, and the processes of its validators as children of this one. What
// `zef net up`, `zef demo`, `zef bench` and tests start.
//
// The folder:
//   net.json                 settings and format version; written last: a folder without it was never used
//   genesis.json             (genesis.bcs with more than 10,000 accounts)
//   network.json             where the balancers listen
//   passphrase               0600, random: unlocks the validators' keys and the wallet
//   wallet.sqlite            the keys of all genesis accounts; or
//   accounts.seed            0600: from which the accounts' keys are derived (account_key)
//   validator-<i>/key        sealed signing key
//   validator-<i>/tls/       internal certificates
//   validator-<i>/store/     the object store, unless it is elsewhere
//   validator-<i>/workers    how many workers it shall have now: written by its controller, followed here
//   validator-<i>/logs/      one file per process
//   lock                     held while a process uses the folder
//
// Accounts: 0 to N-1 are for users and hold `balance` each; N to N+V-1 are the reward accounts of the validators and
// begin empty.
//
// Processes: of each validator a balancer, a controller and the workers that the controller wants. Children that die
// are started again (delays of 0.1 to 5 s) until their validator is stopped. They end with
// this process, however it ends (PR_SET_PDEATHSIG), and only children started here are ever waited for or signalled.
//
// Thread rule: the loop's thread. The loop outlives the network.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "client/network_file.h"
#include "crypto/keys.h"
#include "net/loop.h"
#include "protocol/genesis.h"

namespace zef::cli {

// Fees of a network that did not choose others: a plain transfer costs a few hundred units per validator.
[[nodiscard]] protocol::FeeSchedule default_fees();

// What a new network is made with. An existing one keeps what it has: a value that is given and differs is an error.
struct LocalNetworkOptions {
  std::optional<std::uint64_t> validators;           // 4
  std::optional<std::uint64_t> workers;              // of each validator, at least: 2
  std::optional<std::uint64_t> workers_max;          // at most: `workers`
  std::optional<std::uint64_t> accounts;             // for users: 100
  std::optional<std::uint64_t> balance;              // of each of them: 1,000,000,000
  std::optional<std::string> store;                  // "": in the folder; "file:///base": base/validator-<i>
  std::optional<protocol::FeeSchedule> fees;         // default_fees()
  std::optional<std::uint64_t> fee_period_ms;        // 10,000
  std::optional<std::uint64_t> flush_delay_ms;       // of the workers' logs: 2
  std::optional<std::uint64_t> checkpoint_every_ms;  // 30,000; 0: never
  std::optional<std::uint64_t> store_threads;        // of each process: 4
  std::optional<bool> wallet;                        // true: wallet.sqlite; false: accounts.seed
  // Of this run only: further flags of all workers and all controllers, and how long a process that died stays away.
  std::vector<std::string> worker_flags;
  std::vector<std::string> controller_flags;
  Duration restart_delay = std::chrono::milliseconds(100);
};

// The same, complete: what net.json says.
struct LocalNetworkSettings {
  std::string format;  // local_network_format
  protocol::NetworkId network;
  std::uint64_t validators = 0;
  std::uint64_t workers = 0;
  std::uint64_t workers_max = 0;
  std::uint64_t accounts = 0;
  std::uint64_t balance = 0;
  std::string store;
  std::uint64_t fee_period_ms = 0;
  std::uint64_t flush_delay_ms = 0;
  std::uint64_t checkpoint_every_ms = 0;
  std::uint64_t store_threads = 0;
  bool wallet = true;
  static constexpr auto fields =
      codec::fields<&LocalNetworkSettings::format, &LocalNetworkSettings::network, &LocalNetworkSettings::validators,
                    &LocalNetworkSettings::workers, &LocalNetworkSettings::workers_max, &LocalNetworkSettings::accounts,
                    &LocalNetworkSettings::balance, &LocalNetworkSettings::store, &LocalNetworkSettings::fee_period_ms,
                    &LocalNetworkSettings::flush_delay_ms, &LocalNetworkSettings::checkpoint_every_ms,
                    &LocalNetworkSettings::store_threads, &LocalNetworkSettings::wallet>;
};
inline constexpr std::string_view local_network_format = "zefchain-local-network-3";

// Time on processors, in microseconds; of living and dead processes.
struct ProcessorTime {
  std::uint64_t workers_us = 0;
  std::uint64_t balancer_us = 0;
  std::uint64_t controller_us = 0;
};

struct ProcessView {
  std::string name;     // "w0", "balancer"
  pid_t pid = -1;       // -1: does not run now
  std::string address;  // where it listens (for clients); empty until it has started once
  std::uint64_t restarts = 0;
};

struct ValidatorView {
  std::string name;
  std::string address;  // of its balancer, as in network.json
  bool up = false;      // meant to run
  ProcessView balancer;
  ProcessView controller;
  std::vector<ProcessView> workers;  // those that are meant to run, or still do
};

// What happened to a process, for people: "validator-1/w0 (pid 17) was killed by signal 9; started again".
using LocalNetworkNews = std::function<void(const std::string& line)>;
// `what` like "making keys"; `total` 0: unknown.
using LocalNetworkProgress = std::function<void(std::string_view what, std::uint64_t done, std::uint64_t total)>;

class LocalNetwork {
 public:
  // Opens the network in the folder, or makes a new one if the folder is missing, empty, or holds one whose making was
  // interrupted. Starts nothing. Errors: refused (the folder is something else; another process uses it),
  // invalid_input (options that contradict it), corrupt, io.
  [[nodiscard]] static Result<std::unique_ptr<LocalNetwork>> open(net::Loop& loop, std::filesystem::path dir,
                                                                  const LocalNetworkOptions& options = {},
                                                                  const LocalNetworkProgress& progress = {});
  ~LocalNetwork();  // kills (-9) and reaps what still runs
  LocalNetwork(const LocalNetwork&) = delete;
  LocalNetwork& operator=(const LocalNetwork&) = delete;

  // All validators; returns when every process serves. If one cannot, its last words are the error and all are stopped.
  [[nodiscard]] Task<Result<void>> start();
  // SIGTERM to all, so that they drain; after `limit` SIGKILL. Returns when all have ended.
  [[nodiscard]] Task<void> stop(Duration limit = std::chrono::seconds(20));

  [[nodiscard]] Task<Result<void>> start_validator(std::size_t validator);
  // As stop(). With SIGKILL: at once, as a crash.
  [[nodiscard]] Task<void> stop_validator(std::size_t validator, int signal = 15);
  // Signals one process, which is then started again if it dies. False if it does not run.
  bool kill_worker(std::size_t validator, std::size_t worker, int signal = 9);
  bool kill_balancer(std::size_t validator, int signal = 9);
  bool kill_controller(std::size_t validator, int signal = 9);
  // Waits until every process of every validator that is meant to run serves; whether that came in time.
  [[nodiscard]] Task<bool> wait_until_serving(Duration limit);

  void on_news(LocalNetworkNews news);

  [[nodiscard]] bool is_new() const;  // made by this open()
  [[nodiscard]] const LocalNetworkSettings& settings() const;
  [[nodiscard]] std::vector<ValidatorView> validators() const;
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] ProcessorTime processor_time(std::size_t validator) const;
  // Requests that write to the store (PUTs) by the worker processes that have drained so far.
  [[nodiscard]] std::uint64_t store_puts(std::size_t validator) const;

  [[nodiscard]] const protocol::Genesis& genesis() const;
  [[nodiscard]] const protocol::Network& network() const;
  [[nodiscard]] std::vector<net::Address> addresses() const;  // of the balancers, in the order of the committee
  // Of a genesis account of a network without a wallet.
  [[nodiscard]] crypto::SigningKey account_key(std::uint64_t account) const;

  [[nodiscard]] const std::filesystem::path& dir() const;
  [[nodiscard]] std::filesystem::path genesis_path() const;
  [[nodiscard]] std::filesystem::path network_path() const;
  [[nodiscard]] std::filesystem::path wallet_path() const;
  [[nodiscard]] std::filesystem::path passphrase_path() const;
  [[nodiscard]] std::filesystem::path log_path(std::size_t validator, std::string_view process) const;
  [[nodiscard]] std::string store_url(std::size_t validator) const;
  [[nodiscard]] std::filesystem::path tls_path(std::size_t validator) const;
  [[nodiscard]] std::filesystem::path worker_count_path(std::size_t validator) const;

 private:
  struct State;
  explicit LocalNetwork(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace zef::cli
