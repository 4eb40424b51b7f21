// Wallets of several people on one test network, each with a driver of its own.
#pragma once

#include <memory>
#include <string>

#include "base/testing/temp_folder.h"
#include "client/testing/local_network.h"
#include "client/wallet.h"

namespace zef::client::testing {

[[nodiscard]] crypto::SecretBytes test_passphrase();

// A wallet that can be dropped in the middle of anything (a crash) and opened again from its file.
class Person {
 public:
  // A new wallet with genesis accounts [first], ..., [first + count - 1].
  Person(LocalNetwork& net, std::filesystem::path file, std::uint64_t first, std::uint64_t count);

  Wallet* operator->() { return wallet_.get(); }
  Wallet& wallet() { return *wallet_; }
  QuorumDriver& quorum() { return *quorum_; }
  // Drops the wallet and all its tasks; what was not on disk is gone.
  void crash();
  void start();
  void restart() {
    crash();
    start();
  }
  [[nodiscard]] const std::filesystem::path& file() const { return file_; }

 private:
  LocalNetwork* net_;
  std::filesystem::path file_;
  std::unique_ptr<QuorumDriver> quorum_;
  std::unique_ptr<Wallet> wallet_;
};

// Runs a task beside others; its result once it is there.
template <class T>
class Running {
 public:
  Running(TaskScope& scope, Task<T> task) { scope.spawn(keep(std::move(task), result_)); }
  [[nodiscard]] bool done() const { return result_->has_value(); }
  [[nodiscard]] const T& result() const { return **result_; }

 private:
  static Task<void> keep(Task<T> task, std::shared_ptr<std::optional<T>> result) { *result = co_await std::move(task); }
  std::shared_ptr<std::optional<T>> result_ = std::make_shared<std::optional<T>>();
};

}  // namespace zef::client::testing
