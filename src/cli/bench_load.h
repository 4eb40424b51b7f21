// The load of `zef bench`: many accounts that each make one transfer after the other, and what that took.
//
// Thread rule: the loop's thread. Every account has a key of its own and signs each request alone.
#pragma once

#include <memory>
#include <vector>

#include "client/account_driver.h"

namespace zef::cli {

// Collects latencies; quantiles by nearest rank.
class Latencies {
 public:
  void add(Duration latency) { values_.push_back(latency); }
  [[nodiscard]] std::size_t count() const { return values_.size(); }
  // 0 < part <= 1; zero if there is nothing.
  [[nodiscard]] Duration quantile(double part) const;

 private:
  std::vector<Duration> values_;
};

struct LoadResult {
  std::uint64_t confirmed = 0;  // in the measured time
  std::uint64_t failed = 0;     // in the whole run
  std::string first_failure;
  std::uint64_t all_confirmed = 0;  // in the whole run
  double seconds = 0;               // measured
  Latencies latencies;              // from signing to the acknowledgement of a quorum; measured ones
};

class Load {
 public:
  using Accounts = std::vector<std::unique_ptr<client::AccountDriver>>;
  Load(client::QuorumDriver& quorum, Accounts accounts) : quorum_(quorum), accounts_(std::move(accounts)) {}

  // `concurrency` transfers are under way at any time, each account at most once. `on_begin` and `on_end` are called
  // around the time that is measured; `on_progress` after each transfer.
  struct Callbacks {
    std::function<void()> on_begin;
    std::function<void()> on_end;
    std::function<void(std::uint64_t confirmed)> on_progress;
  };
  [[nodiscard]] Task<LoadResult> run(std::size_t concurrency, Duration warm_up, Duration measured, Callbacks callbacks);
  [[nodiscard]] const Accounts& accounts() const { return accounts_; }

 private:
  Task<void> run_lane(std::size_t lane, std::size_t lanes);
  Task<void> watch(Duration warm_up, Duration measured);

  client::QuorumDriver& quorum_;
  Accounts accounts_;
  Callbacks callbacks_;
  LoadResult result_;
  bool measuring_ = false;
  bool over_ = false;
};

}  // namespace zef::cli
