// Honest users of a network, many at once: each pays others, opens child accounts, rotates its keys, and enters into a
// book what a quorum has acknowledged. What does not succeed at once is finished before anything else, as a wallet
// does.
//
// Thread rule: the loop's thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/testing/seeded_rng.h"
#include "cli/demo_steps.h"
#include "client/account_driver.h"
#include "rig.h"

namespace zef::networks {

class Load {
 public:
  // Users own the genesis accounts 0 to `users` - 1 of a network without a wallet.
  Load(Rig& rig, cli::DemoBook& book, std::size_t users, std::uint64_t seed);

  void start();
  // No new operations; what is under way is finished.
  [[nodiscard]] Task<void> stop();
  // One more payment of every account: none is blocked.
  [[nodiscard]] Task<void> pay_once_each();

  [[nodiscard]] std::uint64_t payments() const { return payments_; }        // confirmed
  [[nodiscard]] std::uint64_t operations() const { return operations_; }    // confirmed, payments included
  [[nodiscard]] std::uint64_t interrupted() const { return interrupted_; }  // that needed more than one attempt
  [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }
  // Every account's chain as its owner knows it.
  [[nodiscard]] std::vector<client::ChainState> chains() const;

 private:
  using Drivers = std::vector<std::unique_ptr<client::AccountDriver>>;
  struct User {
    std::size_t index = 0;
    Drivers accounts;  // the first is of the genesis
  };

  Task<void> live(User& user);
  Task<void> act(User& user);
  Task<void> pay(client::AccountDriver& account);
  Task<void> pay_nth(std::size_t index);
  Task<void> open_child(User& user);
  // Whether it was executed, now or in a later attempt.
  Task<bool> settle(client::AccountDriver& account, client::Outcome<client::Completed> outcome);
  void enter(const protocol::Request& request);
  [[nodiscard]] protocol::Uid anybody_but(const protocol::Uid& account);

  Rig& rig_;
  cli::DemoBook& book_;
  zef::testing::SeededRng rng_;
  std::vector<std::unique_ptr<User>> users_;
  std::vector<protocol::Uid> known_;  // accounts that can be paid
  std::uint64_t payments_ = 0;
  std::uint64_t operations_ = 0;
  std::uint64_t interrupted_ = 0;
  std::vector<std::string> problems_;
  bool stopping_ = false;
  std::size_t living_ = 0;
  Event all_stopped_;
  TaskScope scope_;
};

}  // namespace zef::networks
