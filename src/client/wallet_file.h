// The SQLite file of a wallet: its tables, its lock, and writes that share commits. It knows nothing of networks.
//
// Tables (STRICT; every blob that is a protocol value is its BCS):
//   wallet     one row: the network, and the sealed data key (key_vault.h)
//   keys       secret keys, each sealed alone
//   accounts   chain as this wallet knows it; label; announced 0 while the request that opens it is not certified
//   requests   one per account and number, for ever: state 0 signed (perhaps sent), 1 certified, 2 executed by a
//   quorum,
//              3 over: another request was certified at its number
//   received   credits whose senders' certificates were verified
//   cursors    per account and validator: how far its list of received credits was applied
//   instances  protocol instances proposed here or locked into: proof of the start (nothing: not certified yet), Commit
//              certificate once decided
//   locks      accounts signed into an instance: delegate key, Lock certificate, settled once the decision is executed
//              and what it gives is in the file
//
// A row of `requests` with a LockInto is in state 0 until its instance has decided; then the derived request takes its
// place. Formats: 2; a file of format 1 (without instances) is made one of 2 when it is opened.
//
// Invariants: requests(uid, number) is a primary key, so no second request is ever saved for a number. At most one
// request of an account is in state 0 or 1. Everything is on disk (synchronous=FULL) before a write says so.
// Thread rule: the executor's thread.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "base/executor.h"
#include "base/task.h"
#include "client/account_driver.h"
#include "client/database.h"
#include "client/key_vault.h"

namespace zef::client {

// Held while a process uses a wallet; the file beside it stays.
class WalletLock {
 public:
  // refused: another process has it (and which one).
  [[nodiscard]] static Result<WalletLock> take(const std::filesystem::path& wallet);
  WalletLock(WalletLock&& other) noexcept;
  WalletLock& operator=(WalletLock&&) = delete;
  ~WalletLock();

 private:
  explicit WalletLock(int file) : file_(file) {}
  int file_;
};

struct StoredAccount {
  ChainState chain;
  std::string label;
  bool announced = true;
  bool has_key = false;  // the owner's key is in `keys`
};
enum class RequestState { signed_ = 0, certified = 1, executed = 2, over = 3 };
struct StoredRequest {
  Request request;
  std::optional<RequestOrder> order;  // of this wallet
  std::optional<Proof> proof;
  RequestState state = RequestState::signed_;
  std::uint64_t at_ms = 0;
};
struct StoredCredit {
  Uid recipient;
  ReceivedCredit credit;
  Proof proof;
  std::uint64_t at_ms = 0;
};

struct StoredLock {
  Uid account;
  SequenceNumber number;
  PublicKey delegate;
  std::optional<Certificate> certificate;
  bool settled = false;
};
struct StoredInstance {
  Uid instance;
  std::optional<Proof> start;
  bool proposed = false;
  std::optional<Certificate> decided;
  std::vector<StoredLock> locks;
  std::uint64_t at_ms = 0;
};

class WalletFile final : public AccountStorage, public ProofSource {
 public:
  struct FirstAccount {
    ChainState chain;
    std::string label;
    const crypto::SigningKey* key;
  };
  [[nodiscard]] static Result<void> create(const std::filesystem::path& path, const NetworkId& network,
                                           const crypto::SecretBytes& passphrase,
                                           const std::vector<FirstAccount>& accounts, std::uint64_t now_ms,
                                           crypto::SealParameters parameters);
  [[nodiscard]] static Result<std::unique_ptr<WalletFile>> open(const std::filesystem::path& path, Executor& executor,
                                                                const NetworkId& network);
  ~WalletFile() override;

  // ---- AccountStorage, ProofSource
  Task<Result<void>> save_order(RequestOrder order) override;
  Task<Result<void>> save_certified(Proof proof, SequenceNumber at, ChainState after) override;
  Task<Result<void>> save_executed(Uid account, SequenceNumber at) override;
  Task<Result<void>> save_chain(ChainState chain) override;
  Task<Result<void>> save_lock(Certificate lock) override;
  [[nodiscard]] std::optional<Proof> find_proof(const Uid& account, SequenceNumber at) override;

  // ---- more writes; durable when they return
  Task<Result<void>> save_history(std::vector<StoredRequest> executed);  // keeps what is there already
  Task<Result<void>> save_credits(std::vector<StoredCredit> credits);    // likewise
  Task<Result<void>> save_cursor(Uid account, ValidatorIndex validator, std::uint64_t position);
  Task<Result<void>> save_decided(Uid instance, Certificate commit);
  Task<Result<void>> save_settled(Uid instance, Uid account);
  [[nodiscard]] Result<void> put_key(const crypto::PublicKey& public_key, const SealedSecret& sealed);
  [[nodiscard]] Result<void> put_account(const ChainState& chain, const std::string& label);
  [[nodiscard]] Result<void> set_label(const Uid& account, const std::string& label);

  // ---- reads
  [[nodiscard]] Result<SealedDataKey> data_key();
  [[nodiscard]] Result<std::optional<SealedSecret>> key(const crypto::PublicKey& public_key);
  [[nodiscard]] Result<std::vector<StoredAccount>> accounts();
  [[nodiscard]] Result<std::optional<StoredAccount>> account(const Uid& uid);
  [[nodiscard]] Result<std::optional<StoredRequest>> unfinished(const Uid& uid);  // signed or certified
  [[nodiscard]] Result<std::vector<Uid>> unfinished_accounts();
  [[nodiscard]] Result<std::vector<StoredRequest>> requests(const Uid& uid, std::size_t limit);  // newest first
  [[nodiscard]] Result<std::vector<StoredCredit>> credits(const Uid& uid, std::size_t limit);    // newest first
  [[nodiscard]] Result<bool> has_credit(const Uid& uid, const ReceivedCredit& credit);
  [[nodiscard]] Result<std::vector<StoredInstance>> instances();  // newest first
  [[nodiscard]] Result<std::optional<StoredInstance>> instance(const Uid& uid);
  [[nodiscard]] Result<std::uint64_t> cursor(const Uid& uid, ValidatorIndex validator);

  // For tests of a full disk.
  [[nodiscard]] Database& database() { return *database_; }

 private:
  using Change = std::move_only_function<Result<void>()>;
  WalletFile(WalletLock lock, std::unique_ptr<Database> database, Executor& executor, const NetworkId& network);
  // All changes of a turn go into one transaction; a change that fails takes back only itself.
  Task<Result<void>> write(Change change);
  void commit();
  Result<void> write_now(Change change);
  [[nodiscard]] std::uint64_t now_ms() const;
  // Parts of save_order, save_certified and save_chain (wallet_file_instances.cpp).
  Result<void> keep_start(const Request& start);
  Result<void> keep_lock(const RequestOrder& order);
  Result<void> keep_start_proof(const Uid& instance, const Proof& proof);
  Result<std::vector<StoredLock>> locks_of(const Uid& instance);

  struct Queued {
    Change change;
    std::move_only_function<void(Result<void>)> done;
  };
  WalletLock lock_;
  std::unique_ptr<Database> database_;
  Executor& executor_;
  NetworkId network_;
  std::vector<Queued> queued_;
  std::shared_ptr<WalletFile*> self_;  // empty once this is gone: for callbacks of the executor
};

}  // namespace zef::client
