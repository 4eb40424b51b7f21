// Steady load on one validator of a committee whose other keys are at hand: orders get the real validator's vote, the
// others' votes are made here, and the certificate goes back to be executed. So every operation needs that one
// validator twice, its clients feel whatever happens to it, and the machine carries no other validators.
//
// What was acknowledged is kept, and compared at the end with what the validator has: nothing may be missing, nothing
// there twice.
//
// Thread rule: the loop's thread. All that it is given outlives it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/bench_load.h"
#include "client/account_driver.h"
#include "client/validator_connection.h"

namespace zef::cli {

struct DrillFindings {
  std::uint64_t acknowledged = 0;  // operations
  std::uint64_t lost = 0;          // acknowledged requests, or credits of such, that are not there
  std::uint64_t duplicated = 0;    // requests or credits that nobody caused, or that are there twice
  std::uint64_t errors = 0;        // that clients saw: refusals and unanswered questions
  std::string first_error;
  Duration longest_gap{};  // the longest that a client waited for an answer
  bool supply_ok = false;
  protocol::Totals totals;
};

class DrillLoad {
 public:
  struct Parts {
    Executor& executor;
    Rng& rng;
    net::Transport& transport;
    const protocol::Network& network;
    const protocol::Genesis& genesis;
    net::Address validator;                     // of validator 0
    std::vector<crypto::SigningKey> cosigners;  // of validators 1, 2, ...
    std::vector<crypto::SigningKey> accounts;   // of the genesis accounts 0, 1, ...
  };
  explicit DrillLoad(Parts parts);
  ~DrillLoad();

  // Operations a second, all accounts together; from now on.
  void set_rate(double per_second);
  void start();
  // No new operations; those under way are finished.
  [[nodiscard]] Task<void> stop();

  // From signing to the acknowledged execution, of operations since the last call.
  [[nodiscard]] Latencies take_latencies() { return std::exchange(latencies_, {}); }
  [[nodiscard]] std::uint64_t acknowledged() const { return found_.acknowledged; }
  [[nodiscard]] std::uint64_t waiting() const;  // clients that wait for an answer now
  // Waits until nothing is under way inside the validator, and compares.
  [[nodiscard]] Task<DrillFindings> check();

  // For whoever wants to ask something else: a signed payment as the next request of this account, which the load does
  // not use meanwhile.
  [[nodiscard]] protocol::RequestOrder make_order(std::size_t account, std::uint64_t amount);
  // A vote for it through the validator's public address; nothing if it was refused.
  [[nodiscard]] Task<std::optional<protocol::Vote>> vote_for(protocol::RequestOrder order);
  // Accounts from this one on are not used by the load.
  void leave_out_from(std::size_t account) { used_ = account; }

 private:
  struct Client;
  Task<> live(Client& client);
  Task<> pay(Client& client);
  [[nodiscard]] protocol::Certificate certified(protocol::Vote vote) const;
  void wrong(const client::Complaint& complaint);
  void waited(MonotonicTime since);
  Task<> compare(Client& client);
  Task<> compare_executed(Client& client);
  Task<> compare_received(Client& client);
  client::ValidatorConnection& connection(const Client& client);

  Parts parts_;
  protocol::RootCaches caches_;
  std::vector<std::unique_ptr<client::ValidatorConnection>> connections_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::size_t used_;
  Duration period_{};  // between two operations of one account
  bool over_ = false;
  std::size_t living_ = 0;
  Event all_ended_;
  Event rate_changed_;
  DrillFindings found_;
  Latencies latencies_;
  TaskScope scope_;  // last: its tasks use everything above
};

}  // namespace zef::cli
