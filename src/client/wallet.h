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
#include "client/instance_driver.h"
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
  std::optional<Uid> locked_into;  // an instance that has not decided yet, as far as the wallet knows
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

// ---- protocol instances: swaps and settlements (docs/wallet.md) ----

// One account of an instance, as proofs and signed answers of validators show it.
struct InstanceParty {
  Uid account;
  SequenceNumber number;  // where it takes part
  bool mine = false;      // owned by this wallet, or locked by it
  bool locked = false;    // its Lock certificate was seen
  SequenceNumber next;    // where it stands
  // Nothing can happen to it any more before it locks: it stands at its number (a certificate says so), or is locked.
  bool ready = false;
  bool gone = false;  // beyond its number (without this instance): it can never lock, so only an abort is possible
  // As it stands at its number (meaningful once ready):
  std::optional<PublicKey> owner;
  Balance balance = 0;  // at least
};
// What a confirmation means for one account of this wallet.
struct InstanceShare {
  Uid account;
  std::optional<Uid> receives;  // swap: the account that this wallet owns afterwards, in place of `account`
  Balance pays = 0;             // settlement: sum of its legs, without fee
  Balance gets = 0;             // settlement: sum of the legs to it
  bool locked = false;
};
enum class InstanceStep {
  accept,   // an account of this wallet can lock now
  confirm,  // all are locked: drive(confirm)
  abort,    // an account of this wallet is locked: drive(abort) gets it back
  finish,   // decided: drive() (either wish) does what is left to do
};
struct InstanceReport {
  Uid instance;
  Uid creator;
  bool swap = true;
  std::vector<Leg> legs;  // settlement
  std::vector<InstanceParty> parties;
  std::vector<InstanceShare> shares;  // of this wallet's accounts
  Round round;
  std::optional<Decision> decided;
  std::vector<Uid> waits_for;       // accounts that must still lock (undecided)
  std::vector<InstanceStep> steps;  // what this wallet can do now
  std::string summary;              // for people: one line
};
struct Accepted {
  Uid instance;
  Uid account;
  Certificate lock;
};
struct DriveReport {
  Uid instance;
  std::optional<Decision> decided;  // nothing: still open, `why` says why
  bool finished = false;            // decided, executed by a quorum for all accounts of this wallet, and in its file
  std::string why;                  // for people: what is missing
  std::vector<Uid> received;        // accounts that the wallet owns now
  std::vector<Uid> given;           // accounts that it does not any more
};
// An instance as the file knows it: proposed, locked, or decided and not finished.
struct InstanceEntry {
  Uid instance;
  bool proposed_here = false;
  std::optional<StartInstance> terms;  // nothing: its start is not certified yet
  std::vector<Uid> locked;             // accounts of this wallet that it signed into it
  std::optional<Decision> decided;
  bool finished = false;
  std::uint64_t at_ms = 0;
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

  // ---- protocol instances (network; all but inspect unlocked) ----
  // Starts a swap among these accounts (2 to 16, in that order: account i goes to the owner of account i + 1, the last
  // to the first) at the numbers where they stand now. `from`, an account of this wallet, pays for it and may take
  // part. The result is all that the other participants need to know.
  [[nodiscard]] Task<Outcome<Uid>> propose_swap(Uid from, std::vector<Uid> accounts);
  // Payments that happen together or not at all; each leg's `from` is one of the accounts.
  [[nodiscard]] Task<Outcome<Uid>> propose_settlement(Uid from, std::vector<Uid> accounts, std::vector<Leg> legs);
  // What it is, who takes part and how they stand, what this wallet can do; from its UID alone.
  [[nodiscard]] Task<Outcome<InstanceReport>> inspect(Uid instance);
  // Locks an account of this wallet into the instance, with a fresh delegate key, and shows the lock. Refuses (invalid)
  // while another account does not stand at its number yet: its owner could still empty it. Whether the others'
  // accounts are worth it is the caller's to decide, by inspect(). Repeating it is harmless.
  [[nodiscard]] Task<Outcome<Accepted>> accept(Uid instance, Uid account);
  // Confirms (as soon as all have locked) or aborts the instance for all accounts that this wallet locked into it, and
  // does what the decision says. Whatever the others do, `time` and a quorum suffice; when time is over (it is looked
  // at between operations) the report says what is missing. Repeating it is harmless, and goes on after a crash. A wish
  // to abort may find it confirmed already.
  [[nodiscard]] Task<Outcome<DriveReport>> drive(Uid instance, Wish wish, Duration time);
  // Those of this wallet's file, newest first; no network.
  [[nodiscard]] Result<std::vector<InstanceEntry>> instances();

  // Everything pending on any account, but for those that are locked into an instance (drive()); how many there were.
  // The first failure is reported, the others are tried.
  [[nodiscard]] Task<Outcome<std::size_t>> finish_pending();

  struct Impl;

 private:
  explicit Wallet(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace zef::client
