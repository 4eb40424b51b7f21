// The inside of a Wallet, for its own files only: wallet.cpp (accounts and their operations), wallet_instances.cpp
// (proposing, looking, locking), wallet_drive.cpp (to the decision and what follows from it).
#pragma once

#include <unordered_map>

#include "client/wallet.h"
#include "client/wallet_file.h"

namespace zef::client {

[[nodiscard]] inline Failure storage(const Error& error) { return {FailureKind::storage, error.message, std::nullopt}; }
[[nodiscard]] Error not_here(const Uid& uid);

struct Finishing;
struct Parties;

struct Wallet::Impl {
  Impl(std::unique_ptr<WalletFile> file_in, Executor& executor_in, const Network& network_in)
      : file(std::move(file_in)), executor(executor_in), network(network_in) {}
  ~Impl() {
    if (quorum) quorum->set_proof_source(nullptr);
  }

  Result<std::optional<crypto::SigningKey>> find_key(const PublicKey& public_key) {
    const auto sealed = file->key(public_key);
    if (!sealed) return std::unexpected(sealed.error());
    if (!*sealed || !vault) return std::nullopt;
    auto key = vault->unseal(public_key, **sealed);
    if (!key) return std::unexpected(key.error());
    return std::move(*key);
  }
  // A new key, durable before this returns.
  Result<crypto::SigningKey> new_key() {
    crypto::SigningKey key = crypto::SigningKey::generate();
    if (auto put = file->put_key(key.public_key(), vault->seal(key)); !put) return std::unexpected(put.error());
    return key;
  }

  // The one driver of an account, made from the file when it is first needed.
  Outcome<AccountDriver*> driver_of(const Uid& uid);
  // For operations that sign.
  Outcome<AccountDriver*> signer_of(const Uid& uid) {
    if (!vault) return failed(FailureKind::invalid, "the wallet is locked: unlock it with its passphrase first");
    return driver_of(uid);
  }

  // Made again from the file, with the key that fits, when it is next needed. A busy one stays: a task is inside.
  void forget_idle(const Uid& uid) {
    const auto found = drivers.find(uid);
    if (found != drivers.end() && !found->second->busy()) drivers.erase(found);
  }

  Task<Outcome<SyncReport>> sync(Uid account);
  Task<Outcome<void>> sync_history(Uid uid, SequenceNumber from, SequenceNumber to, SyncReport& report);
  Task<Outcome<void>> sync_credits(Uid account, ValidatorConnection& validator, SyncReport& report);
  Task<void> finish_some(std::shared_ptr<Finishing> finishing);

  // ---- wallet_instances.cpp
  Task<Outcome<Uid>> propose(Uid from, std::vector<Uid> accounts, Functionality functionality);
  Task<Outcome<InstanceReport>> inspect(Uid instance);
  Task<Outcome<Accepted>> accept(Uid instance, Uid account);
  Outcome<void> check_ready(const InstanceReport& report, const Uid& account);
  Task<void> look_at_party(std::shared_ptr<Parties> parties, std::size_t place);
  // Whether a certificate says that the account stood at that number with that head.
  Task<bool> stands_at(Uid account, SequenceNumber number, Hash head);

  // ---- wallet_drive.cpp
  Task<Outcome<DriveReport>> drive(Uid instance, Wish wish, Duration time);
  Task<Outcome<StoredInstance>> with_certificates(Uid instance);
  Task<Outcome<InstanceView>> decide(StoredInstance stored, Wish wish, Duration time);
  Task<Outcome<void>> settle(InstanceView view, StoredLock lock);
  Task<Outcome<void>> take_received(InstanceView view, StoredLock lock);

  std::unique_ptr<WalletFile> file;
  Executor& executor;
  const Network& network;
  std::optional<KeyVault> vault;
  QuorumDriver* quorum = nullptr;
  std::unordered_map<Uid, std::unique_ptr<AccountDriver>> drivers;
  std::unique_ptr<InstanceDriver> instances;
  TaskScope scope;  // last
};

}  // namespace zef::client
