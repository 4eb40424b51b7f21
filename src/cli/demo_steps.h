// What `zef demo` shows, step by step, on a network that runs; and a book of what every account must hold in the end,
// kept from acknowledged operations only.
//
// Thread rule: the loop's thread. Everything that waits has a bound, and waits for the thing itself.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/demo_double_spend.h"
#include "cli/local_network.h"
#include "client/wallet.h"

namespace zef::cli {

// What the demo found out. A check that was not reached counts as failed.
struct DemoFigures {
  std::uint64_t payments = 0;     // confirmed, of the many
  std::uint64_t operations = 0;   // confirmed in all
  double payments_seconds = 0;    // that the many took
  std::uint64_t killed = 0;       // workers, with -9
  std::size_t accounts = 0;       // compared in the end
  std::uint64_t swaps = 0;        // confirmed
  std::uint64_t settlements = 0;  // confirmed
  bool payment_ok = false;
  bool batch_ok = false;
  bool child_ok = false;
  bool rotation_ok = false;
  bool double_spend_refused = false;
  bool swap_ok = false;
  bool settlement_ok = false;
  bool way_out_ok = false;  // of a settlement in which somebody never joins
  bool validator_down_ok = false;
  bool killed_worker_ok = false;
  bool quiet = false;  // all effects arrived, all fees credited
  bool supply_ok = false;
  bool heads_equal = false;
  bool balances_equal = false;
  bool nothing_lost = false;  // balances are what the acknowledged operations say
  std::vector<std::string> problems;
  [[nodiscard]] bool all_held() const;
};

// What every account must hold, from the operations that were acknowledged.
class DemoBook {
 public:
  DemoBook(const protocol::Genesis& genesis, const protocol::Network& network);
  void enter(const protocol::Request& executed);
  [[nodiscard]] protocol::Balance balance(const protocol::Uid& account) const;  // reward accounts with their shares
  [[nodiscard]] std::vector<protocol::Uid> accounts() const;

 private:
  const protocol::Network* network_;
  std::map<protocol::Uid, protocol::Balance> balances_;
  protocol::Balance share_ = 0;  // of each validator, in all fees
  std::map<protocol::Uid, std::uint64_t> shares_of_;
};

class Demo {
 public:
  using Say = std::function<void(const std::string& text)>;
  Demo(net::Loop& loop, LocalNetwork& network, client::QuorumDriver& quorum, client::Wallet& wallet,
       std::uint64_t payments, Say say);

  [[nodiscard]] Task<void> run();
  [[nodiscard]] const DemoFigures& figures() const { return figures_; }

 private:
  using Uid = protocol::Uid;
  Task<void> pay_across_workers();
  Task<void> pay_many_at_once();
  Task<void> open_child();
  Task<void> rotate_key();
  Task<void> spend_twice();
  Task<void> swap_accounts();       // demo_instances.cpp
  Task<void> settle_together();     // demo_instances.cpp
  Task<void> get_out_of_waiting();  // demo_instances.cpp
  Task<void> go_on_without_a_validator();
  Task<void> kill_a_worker();
  Task<void> compare_validators();

  Task<std::map<Uid, std::string>> workers_of_accounts();
  // Locks the account, and tells of a failure.
  Task<bool> join(Uid instance, Uid account);
  // Leads it to this decision, and enters into the book what accounts have executed since `before`.
  Task<bool> decide(Uid instance, client::Wish wish, std::map<Uid, protocol::SequenceNumber> before);
  std::map<Uid, protocol::SequenceNumber> positions(const std::vector<Uid>& accounts);
  Task<bool> pay(Uid from, std::vector<client::Payment> payments);
  Task<void> pay_one_of_many(std::size_t index);
  Task<void> pay_without_a_validator(std::size_t index);
  // Until a quorum says what the book says.
  Task<bool> wait_for_balance(Uid account);
  // Until every validator has the account at the same operation.
  Task<bool> wait_for_everybody(Uid account);
  Task<void> settle(Uid account);
  bool done(const client::Outcome<client::Completed>& outcome, std::string_view what);
  bool holds(bool condition, std::string otherwise);
  [[nodiscard]] Uid account(std::uint64_t index) const;
  [[nodiscard]] std::string name_of(std::size_t validator) const;

  net::Loop& loop_;
  LocalNetwork& network_;
  client::QuorumDriver& quorum_;
  client::Wallet& wallet_;
  std::uint64_t payments_;
  Say say_;
  DemoFigures figures_;
  DemoBook book_;
  std::uint64_t confirmed_down_ = 0;  // payments while a validator was down
  Progress* progress_ = nullptr;
};

}  // namespace zef::cli
