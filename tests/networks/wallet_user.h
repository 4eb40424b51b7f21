// A person with a wallet: `zef wallet transfer` in a process of its own, each time for another amount, so that each
// payment can be recognised in the chain. Killed in the middle, the next use must finish what was pending, and nothing
// may be paid twice.
//
// Thread rule: the loop's thread.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "cli/demo_steps.h"
#include "rig.h"

namespace zef::networks {

class WalletUser {
 public:
  // Makes the wallet file in the network's folder, with one genesis account of a network without a wallet.
  WalletUser(Rig& rig, std::uint64_t account);

  // Pays, and is killed (-9) after that time if it has not ended by then.
  [[nodiscard]] Task<void> pay_and_be_killed(Duration after);
  // Pays, once more if validators did not answer in time; anything but success in the end is a problem.
  [[nodiscard]] Task<void> pay();
  // Compares the account's certified chain with what was started and what succeeded, enters it into the book, and looks
  // into the wallet file.
  [[nodiscard]] Task<void> check(cli::DemoBook& book);

  [[nodiscard]] std::uint64_t killed() const { return killed_; }
  [[nodiscard]] std::uint64_t payments() const { return payments_; }  // in the chain; after check()
  [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }

 private:
  // Its exit status; nothing if it was killed or did not start.
  [[nodiscard]] Task<std::optional<int>> run(std::optional<Duration> kill_after);
  void check_file(protocol::SequenceNumber next);

  Rig& rig_;
  protocol::Uid account_;
  std::filesystem::path file_;
  std::filesystem::path log_;
  std::uint64_t next_amount_ = 1'000'001;
  std::set<std::uint64_t> started_;
  std::set<std::uint64_t> succeeded_;
  std::uint64_t killed_ = 0;
  std::uint64_t payments_ = 0;
  std::vector<std::string> problems_;
};

}  // namespace zef::networks
