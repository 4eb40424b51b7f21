// A wallet: one SQLite file with the accounts, sealed keys, orders and certificates of a person, and the operations on
// them. It survives a crash at any moment: an order is durable before it is sent, a new key before the request that
// names it, and the next operation on an account finishes what was pending.
//
// The file: mode 0600, WAL, synchronous=FULL, one process at a time (a lock file beside it). Keys are sealed under the
// passphrase: Argon2id opens a data key once, each secret key is encrypted by XChaCha20-Poly1305 under it. Looking
// needs no passphrase; signing needs unlock().
//
// Thread rule: the executor's thread. Operations on different accounts run concurrently (their writes share commits);
// those on one account queue. Tasks must not outlive the wallet, and the wallet not the quorum driver.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/account_driver.h"
#include "crypto/sealed.h"

namespace zef::client {

// An account to put into a wallet together with its key.
struct NewAccount {
  Uid uid;
  crypto::SigningKey key;
  ChainState chain;  // genesis_chain(), or any: sync() brings it up to date
  std::string label;
};

struct AccountView {
  Uid uid;
  std::string label;
  PublicKey public_key;
  ChainState chain;
  bool owned = true;      // false: given away, or taken by somebody else
  bool announced = true;  // false: being opened: its key is kept, the request is not certified yet
  std::optional<Request> pending;
};

struct HistoryEntry {
  enum class Kind { executed, received };
  Kind kind = Kind::executed;
  std::uint64_t at_ms = 0;         // wall clock of this machine when the wallet learned it
  SequenceNumber sequence_number;  // of the sender's chain
  std::optional<Request> request;  // executed
  bool confirmed = true;           // executed: by a quorum, as far as the wallet knows
  Amount fee;                      // executed
  Uid sender;                      // received
  Amount amount;                   // received; executed: sum of payments or funding
};

struct SyncReport {
  Balance balance = 0;
  std::uint64_t received = 0;    // credits that are new
  std::uint64_t executed = 0;    // requests of this account that are new to this wallet
  std::uint64_t unverified = 0;  // credits that validators list but no certificate backs: not counted
};

struct Opened {
  Uid uid;
  Completed completed;
};

class Wallet {
 public:
  // A new file; refuses to overwrite. At least one account is no requirement.
  [[nodiscard]] static Result<void> create(const std::filesystem::path& path, const NetworkId& network,
                                           const crypto::SecretBytes& passphrase, std::vector<NewAccount> accounts,
                                           WallTime now, crypto::SealParameters parameters = {});
  // refused: another network, another process has it open, mode too wide; corrupt; not_found; invalid_input: no wallet.
  [[nodiscard]] static Result<std::unique_ptr<Wallet>> open(const std::filesystem::path& path, Executor& executor,
                                                            const Network& network);
  ~Wallet();
  Wallet(const Wallet&) = delete;
  Wallet& operator=(const Wallet&) = delete;

  // refused: wrong passphrase.
  [[nodiscard]] Result<void> unlock(const crypto::SecretBytes& passphrase);
  // What operations go through, once; its proof source becomes this wallet. The driver outlives the wallet.
  void connect(QuorumDriver& quorum);

  // ---- looking (no network) ----
  [[nodiscard]] Result<std::vector<AccountView>> accounts();
  [[nodiscard]] Result<AccountView> account(const Uid& uid);
  // Newest first.
  [[nodiscard]] Result<std::vector<HistoryEntry>> history(const Uid& uid, std::size_t limit = 1000);
  // The wallet's own certificate for that request, or one that it received.
  [[nodiscard]] std::optional<Proof> find_proof(const Uid& uid, SequenceNumber at);

  // ---- keeping (no network) ----
  [[nodiscard]] Result<void> add_account(NewAccount account);  // needs unlock()
  [[nodiscard]] Result<void> set_label(const Uid& uid, std::string label);
  // The secret key of an account as a sealed file's content (crypto/sealed.h), under a passphrase of its own.
  [[nodiscard]] Result<Bytes> export_key(const Uid& uid, const crypto::SecretBytes& passphrase,
                                         crypto::SealParameters parameters = {});
  // A fresh key, kept in the wallet before this returns: to be given an account by somebody else. See adopt().
  [[nodiscard]] Result<PublicKey> make_key();

  // ---- operations (network, unlocked) ----
  [[nodiscard]] Task<Outcome<Completed>> transfer(Uid from, std::vector<Payment> payments);
  // As transfer, but the certificate is not executed: the recipient may (receive()).
  [[nodiscard]] Task<Outcome<Proof>> transfer_unconfirmed(Uid from, std::vector<Payment> payments);
  // A child account with a fresh key of this wallet (or the owner given).
  [[nodiscard]] Task<Outcome<Opened>> open_account(Uid from, Amount funding, std::string label = {},
                                                   std::optional<PublicKey> owner = std::nullopt);
  [[nodiscard]] Task<Outcome<Completed>> rotate(Uid account);
  [[nodiscard]] Task<Outcome<Completed>> give(Uid account, PublicKey new_owner);
  // Refuses an account with a balance unless told that it is destroyed with it.
  [[nodiscard]] Task<Outcome<Completed>> close(Uid account, bool burn_balance);
  // Executes somebody's certificate (a payment to this wallet, for instance).
  [[nodiscard]] Task<Outcome<ExecutionSummary>> receive(Proof proof);
  // Takes an account over that now belongs to a key of this wallet (make_key()).
  [[nodiscard]] Task<Outcome<AccountView>> adopt(Uid account, std::string label = {});
  // Chain and balance from the validators, received credits each with its certificate.
  [[nodiscard]] Task<Outcome<SyncReport>> sync(Uid account);
  // Everything pending on any account; how many there were. The first failure is reported, the others are tried.
  [[nodiscard]] Task<Outcome<std::size_t>> finish_pending();

  struct Impl;

 private:
  explicit Wallet(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace zef::client
