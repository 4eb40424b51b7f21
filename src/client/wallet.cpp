#include "client/wallet.h"

#include <fmt/core.h>

#include <algorithm>
#include <tuple>

#include "base/log.h"
#include "client/wallet_impl.h"
#include "protocol/effects.h"

namespace zef::client {
namespace {

constexpr std::size_t finish_concurrency = 64;
constexpr std::uint32_t credits_page = 256;

std::uint64_t to_ms(WallTime time) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch());
  return ms.count() > 0 ? static_cast<std::uint64_t>(ms.count()) : 0;
}

}  // namespace

Error not_here(const Uid& uid) {
  return {ErrorKind::not_found, fmt::format("account {} is not in this wallet; its list shows what is", uid.text())};
}

struct Finishing {
  explicit Finishing(Executor& executor) : done(executor) {}
  std::vector<Uid> accounts;
  std::size_t next = 0;
  std::size_t running = 0;
  std::optional<Failure> first_failure;
  Event done;
};

Outcome<AccountDriver*> Wallet::Impl::driver_of(const Uid& uid) {
  if (!quorum) return failed(FailureKind::unavailable, "the wallet is not connected to a network");
  if (const auto found = drivers.find(uid); found != drivers.end()) return found->second.get();
  auto stored = file->account(uid);
  if (!stored) return std::unexpected(storage(stored.error()));
  if (!*stored) return std::unexpected(as_failure(not_here(uid)));
  if (!(*stored)->announced)
    return failed(FailureKind::not_found,
                  fmt::format("account {} is not open yet: finish the operation that opens it first", uid.text()));
  auto key = find_key((*stored)->chain.owner);
  if (!key) return std::unexpected(storage(key.error()));
  auto driver = std::make_unique<AccountDriver>(*quorum, (*stored)->chain, std::move(*key), file.get());
  auto unfinished = file->unfinished(uid);
  if (!unfinished) return std::unexpected(storage(unfinished.error()));
  if (*unfinished) {
    StoredRequest& pending = **unfinished;
    std::optional<crypto::SigningKey> next_key;
    if (const auto* change = std::get_if<ChangeOwner>(&pending.request.operation)) {
      auto found = find_key(change->new_owner);
      if (!found) return std::unexpected(storage(found.error()));
      next_key = std::move(*found);
    }
    pending.order->request = pending.request;  // of a lock that is decided: the request in its place
    driver->restore(std::move(*pending.order), std::move(pending.proof), std::move(next_key));
    if (const auto* lock = std::get_if<LockInto>(&pending.request.operation)) {
      auto kept = file->instance(lock->instance);
      if (!kept) return std::unexpected(storage(kept.error()));
      for (StoredLock& one : *kept ? (*kept)->locks : std::vector<StoredLock>{})
        if (one.account == uid && one.certificate) driver->restore_lock(std::move(*one.certificate));
    }
  }
  return drivers.emplace(uid, std::move(driver)).first->second.get();
}

Wallet::Wallet(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Wallet::~Wallet() = default;

Result<void> Wallet::create(const std::filesystem::path& path, const NetworkId& network,
                            const crypto::SecretBytes& passphrase, std::vector<NewAccount> accounts, WallTime now,
                            crypto::SealParameters parameters) {
  std::vector<WalletFile::FirstAccount> first;
  for (const NewAccount& account : accounts) {
    if (account.chain.owner != account.key.public_key() || account.chain.account != account.uid)
      return fail(ErrorKind::invalid_input,
                  fmt::format("the key given for account {} is not its owner's", account.uid.text()));
    first.push_back({account.chain, account.label, &account.key});
  }
  return WalletFile::create(path, network, passphrase, first, to_ms(now), parameters);
}

Result<std::unique_ptr<Wallet>> Wallet::open(const std::filesystem::path& path, Executor& executor,
                                             const Network& network) {
  auto file = WalletFile::open(path, executor, network.id);
  if (!file) return std::unexpected(file.error());
  return std::unique_ptr<Wallet>(new Wallet(std::make_unique<Impl>(std::move(*file), executor, network)));
}

Result<void> Wallet::unlock(const crypto::SecretBytes& passphrase) {
  const auto sealed = impl_->file->data_key();
  if (!sealed) return std::unexpected(sealed.error());
  auto vault = KeyVault::open(*sealed, passphrase);
  if (!vault) return std::unexpected(vault.error());
  impl_->vault = std::move(*vault);
  std::erase_if(impl_->drivers, [](const auto& one) { return !one.second->busy(); });  // made again, with their keys
  return {};
}

void Wallet::connect(QuorumDriver& quorum) {
  ZEF_CHECK(!impl_->quorum);
  impl_->quorum = &quorum;
  quorum.set_proof_source(impl_->file.get());
  impl_->instances = std::make_unique<InstanceDriver>(quorum);
}

// ---- looking, keeping
// ------------------------------------------------------------------------------------------------

namespace {

Result<AccountView> view_of(WalletFile& file, const StoredAccount& stored) {
  AccountView view{.uid = stored.chain.account,
                   .label = stored.label,
                   .public_key = stored.chain.owner,
                   .chain = stored.chain,
                   .owned = stored.has_key && !stored.chain.closed,
                   .announced = stored.announced,
                   .pending = std::nullopt,
                   .locked_into = std::nullopt};
  auto unfinished = file.unfinished(stored.chain.account);
  if (!unfinished) return std::unexpected(unfinished.error());
  if (*unfinished) view.pending = std::move((*unfinished)->request);
  if (view.pending)
    if (const auto* lock = std::get_if<LockInto>(&view.pending->operation)) view.locked_into = lock->instance;
  return view;
}

}  // namespace

Result<std::vector<AccountView>> Wallet::accounts() {
  const auto stored = impl_->file->accounts();
  if (!stored) return std::unexpected(stored.error());
  std::vector<AccountView> views;
  for (const StoredAccount& one : *stored) {
    auto view = view_of(*impl_->file, one);
    if (!view) return std::unexpected(view.error());
    views.push_back(std::move(*view));
  }
  return views;
}

Result<AccountView> Wallet::account(const Uid& uid) {
  const auto stored = impl_->file->account(uid);
  if (!stored) return std::unexpected(stored.error());
  if (!*stored) return std::unexpected(not_here(uid));
  return view_of(*impl_->file, **stored);
}

Result<std::vector<HistoryEntry>> Wallet::history(const Uid& uid, std::size_t limit) {
  if (const auto known = account(uid); !known) return std::unexpected(known.error());
  auto requests = impl_->file->requests(uid, limit);
  if (!requests) return std::unexpected(requests.error());
  auto credits = impl_->file->credits(uid, limit);
  if (!credits) return std::unexpected(credits.error());
  std::vector<HistoryEntry> entries;
  for (StoredRequest& one : *requests) {
    HistoryEntry entry;
    entry.kind = HistoryEntry::Kind::executed;
    entry.at_ms = one.at_ms;
    entry.sequence_number = one.request.sequence_number;
    entry.confirmed = one.state == RequestState::executed;
    entry.fee = fee_of(impl_->network, one.request);
    entry.amount = amount_spent(one.request).value_or(Amount(0));
    entry.request = std::move(one.request);
    entries.push_back(std::move(entry));
  }
  for (StoredCredit& one : *credits) {
    HistoryEntry entry;
    entry.kind = HistoryEntry::Kind::received;
    entry.at_ms = one.at_ms;
    entry.sequence_number = one.credit.sequence_number;
    entry.sender = one.credit.sender;
    entry.amount = one.credit.amount;
    entries.push_back(std::move(entry));
  }
  std::ranges::sort(entries, std::greater<>{}, [](const HistoryEntry& one) {
    return std::tuple(one.at_ms, one.kind == HistoryEntry::Kind::executed, one.sequence_number, one.sender);
  });
  if (entries.size() > limit) entries.resize(limit);
  return entries;
}

std::optional<Proof> Wallet::find_proof(const Uid& uid, SequenceNumber at) { return impl_->file->find_proof(uid, at); }

Result<void> Wallet::add_account(NewAccount account) {
  if (!impl_->vault) return fail(ErrorKind::refused, "the wallet is locked: unlock it with its passphrase first");
  if (account.chain.owner != account.key.public_key() || account.chain.account != account.uid)
    return fail(ErrorKind::invalid_input,
                fmt::format("the key given for account {} is not its owner's", account.uid.text()));
  if (auto put = impl_->file->put_key(account.key.public_key(), impl_->vault->seal(account.key)); !put) return put;
  account.chain.synced = false;  // the key comes from elsewhere: it may have signed already
  return impl_->file->put_account(account.chain, account.label);
}

Result<void> Wallet::set_label(const Uid& uid, std::string label) { return impl_->file->set_label(uid, label); }

Result<Bytes> Wallet::export_key(const Uid& uid, const crypto::SecretBytes& passphrase,
                                 crypto::SealParameters parameters) {
  if (!impl_->vault) return fail(ErrorKind::refused, "the wallet is locked: unlock it with its passphrase first");
  const auto stored = impl_->file->account(uid);
  if (!stored) return std::unexpected(stored.error());
  if (!*stored) return std::unexpected(not_here(uid));
  const auto key = impl_->find_key((*stored)->chain.owner);
  if (!key) return std::unexpected(key.error());
  if (!*key)
    return fail(ErrorKind::not_found,
                fmt::format("account {} belongs to a key that is not in this wallet", uid.text()));
  return crypto::seal(**key, passphrase, parameters);
}

Result<PublicKey> Wallet::make_key() {
  if (!impl_->vault) return fail(ErrorKind::refused, "the wallet is locked: unlock it with its passphrase first");
  const auto key = impl_->new_key();
  if (!key) return std::unexpected(key.error());
  return key->public_key();
}

// ---- operations
// ------------------------------------------------------------------------------------------------------

Task<Outcome<Completed>> Wallet::transfer(Uid from, std::vector<Payment> payments) {
  const auto driver = impl_->signer_of(from);
  if (!driver) co_return std::unexpected(driver.error());
  co_return co_await (*driver)->transfer(std::move(payments));
}

Task<Outcome<Proof>> Wallet::transfer_unconfirmed(Uid from, std::vector<Payment> payments) {
  const auto driver = impl_->signer_of(from);
  if (!driver) co_return std::unexpected(driver.error());
  if (payments.empty() || payments.size() > decltype(Transfer::payments)::max_size_allowed)
    co_return failed(FailureKind::invalid, "one transfer carries 1 to 256 payments");
  Transfer transfer;
  for (Payment& payment : payments) transfer.payments.push_back(std::move(payment));
  co_return co_await (*driver)->certify(std::move(transfer));
}

Task<Outcome<Opened>> Wallet::open_account(Uid from, Amount funding, std::string label,
                                           std::optional<PublicKey> owner) {
  const auto driver = impl_->signer_of(from);
  if (!driver) co_return std::unexpected(driver.error());
  if (!owner) {  // in the file before anybody hears of it
    const auto key = impl_->new_key();
    if (!key) co_return std::unexpected(storage(key.error()));
    owner = key->public_key();
  }
  auto completed = co_await (*driver)->open(*owner, funding);
  if (!completed) co_return std::unexpected(std::move(completed.error()));
  const Uid uid = std::get<OpenAccount>(completed->request.operation).new_id;
  if (!label.empty())
    if (const auto set = impl_->file->set_label(uid, label); !set && set.error().kind != ErrorKind::not_found)
      co_return std::unexpected(storage(set.error()));
  co_return Opened{uid, std::move(*completed)};
}

Task<Outcome<Completed>> Wallet::rotate(Uid account) {
  const auto driver = impl_->signer_of(account);
  if (!driver) co_return std::unexpected(driver.error());
  auto key = impl_->new_key();
  if (!key) co_return std::unexpected(storage(key.error()));
  co_return co_await (*driver)->rotate(std::move(*key));
}

Task<Outcome<Completed>> Wallet::give(Uid account, PublicKey new_owner) {
  const auto driver = impl_->signer_of(account);
  if (!driver) co_return std::unexpected(driver.error());
  auto completed = co_await (*driver)->run(ChangeOwner{new_owner});
  impl_->forget_idle(account);  // the new owner may be another key of this wallet
  co_return completed;
}

Task<Outcome<Completed>> Wallet::close(Uid account, bool burn_balance) {
  const auto driver = impl_->signer_of(account);
  if (!driver) co_return std::unexpected(driver.error());
  co_return co_await (*driver)->close(burn_balance);
}

Task<Outcome<ExecutionSummary>> Wallet::receive(Proof proof) {
  if (!impl_->quorum) co_return failed(FailureKind::unavailable, "the wallet is not connected to a network");
  auto summary = co_await impl_->quorum->execute(proof);
  if (!summary) co_return summary;  // only a quorum's execution says that the certificates in it are good
  std::vector<StoredCredit> credits;
  const auto requests = requests_of(impl_->network, proof);
  ZEF_CHECK(requests);
  for (const auto& item : *requests)
    for (const Effect& effect : effects_of(*item.request, item.hash)) {
      const auto* credit = std::get_if<Credit>(&effect);
      if (!credit) continue;
      const auto mine = impl_->file->account(credit->recipient);
      if (!mine) co_return std::unexpected(storage(mine.error()));
      if (!*mine) continue;
      credits.push_back({.recipient = credit->recipient,
                         .credit = {credit->sender, credit->sequence_number, credit->amount},
                         .proof = proof,
                         .at_ms = 0});
    }
  if (!credits.empty())
    if (auto saved = co_await impl_->file->save_credits(std::move(credits)); !saved)
      co_return std::unexpected(storage(saved.error()));
  co_return summary;
}

Task<Outcome<AccountView>> Wallet::adopt(Uid account_uid, std::string label) {
  if (!impl_->quorum) co_return failed(FailureKind::unavailable, "the wallet is not connected to a network");
  const auto summary = co_await impl_->quorum->query_account(account_uid);
  if (!summary) co_return std::unexpected(summary.error());
  if (summary->closed) co_return failed(FailureKind::closed, fmt::format("account {} is closed", account_uid.text()));
  if (!summary->owner)
    co_return failed(FailureKind::not_found, fmt::format("account {} has no owner yet", account_uid.text()));
  const auto key = impl_->file->key(*summary->owner);
  if (!key) co_return std::unexpected(storage(key.error()));
  if (!*key)
    co_return failed(FailureKind::not_owner,
                     fmt::format("account {} belongs to a key that is not in this wallet", account_uid.text()));
  const ChainState chain{.account = account_uid,
                         .owner = *summary->owner,
                         .next = summary->next,
                         .head = summary->head,
                         .balance = summary->proven_balance,
                         .closed = false,
                         .synced = true};
  if (const auto put = impl_->file->put_account(chain, label); !put) co_return std::unexpected(storage(put.error()));
  impl_->forget_idle(account_uid);
  auto view = account(account_uid);
  if (!view) co_return std::unexpected(storage(view.error()));
  co_return std::move(*view);
}

// ---- synchronising
// ---------------------------------------------------------------------------------------------------

Task<Outcome<SyncReport>> Wallet::sync(Uid account_uid) { return impl_->sync(std::move(account_uid)); }

Task<Outcome<SyncReport>> Wallet::Impl::sync(Uid account_uid) {
  const auto driver = driver_of(account_uid);
  if (!driver) co_return std::unexpected(driver.error());
  SyncReport report;
  const SequenceNumber before = (*driver)->chain().next;
  const auto summary = co_await (*driver)->refresh();
  if (!summary) co_return std::unexpected(summary.error());
  report.balance = summary->balance;
  const SequenceNumber now = (*driver)->chain().next;  // the driver may be gone after the next wait
  if (auto done = co_await sync_history(account_uid, before, now, report); !done)
    co_return std::unexpected(done.error());
  for (std::size_t i = 0; i < quorum->size(); ++i)
    if (auto done = co_await sync_credits(account_uid, quorum->validator(i), report); !done)
      co_return std::unexpected(done.error());
  co_return report;
}

// What the account executed while this wallet did not know: made by a copy of it, or before it was imported.
Task<Outcome<void>> Wallet::Impl::sync_history(Uid uid, SequenceNumber from, SequenceNumber to, SyncReport& report) {
  if (from >= to) co_return Outcome<void>{};
  auto proofs = co_await quorum->fetch_executed(uid, from, to);
  if (!proofs) co_return std::unexpected(proofs.error());
  std::vector<StoredRequest> executed;
  for (const Proof& proof : *proofs) {
    const auto requests = requests_of(network, proof);
    ZEF_CHECK(requests);  // verified by the driver
    for (const auto& item : *requests) {
      if (item.request->sequence_number < from) continue;
      executed.push_back({.request = *item.request, .order = {}, .proof = proof, .state = RequestState::executed});
    }
  }
  report.executed = executed.size();
  if (auto saved = co_await file->save_history(std::move(executed)); !saved)
    co_return std::unexpected(storage(saved.error()));
  co_return Outcome<void>{};
}

// One validator's list of received credits, from where it was applied up to last time. The cursor moves only past
// credits that are in the file with their certificate: what cannot be verified now is looked at again next time.
Task<Outcome<void>> Wallet::Impl::sync_credits(Uid uid, ValidatorConnection& validator, SyncReport& report) {
  const Duration page_time = quorum->options().straggler_time * 4;
  auto cursor = file->cursor(uid, validator.index());
  if (!cursor) co_return std::unexpected(storage(cursor.error()));
  std::uint64_t position = *cursor;
  while (true) {
    const auto page = co_await validator.received(uid, position, credits_page, page_time);
    if (!page || page->credits.empty()) co_return Outcome<void>{};  // away, or nothing new: next time
    bool all_applied = true;
    for (const ReceivedCredit& credit : page->credits) {
      const auto known = file->has_credit(uid, credit);
      if (!known) co_return std::unexpected(storage(known.error()));
      if (!*known) {
        auto certified = co_await quorum->certify_credit(uid, credit);
        if (!certified) {
          ++report.unverified;
          all_applied = false;
          log::warning("client", "a credit is not backed by a certificate: validator={} account={} sender={} number={}",
                       validator.info().name, uid.text(), credit.sender.text(), credit.sequence_number.value());
          break;
        }
        std::vector<StoredCredit> credits;
        credits.push_back({.recipient = uid, .credit = credit, .proof = std::move(certified->proof), .at_ms = 0});
        if (auto saved = co_await file->save_credits(std::move(credits)); !saved)
          co_return std::unexpected(storage(saved.error()));
        ++report.received;
      }
      ++position;
    }
    if (auto saved = co_await file->save_cursor(uid, validator.index(), position); !saved)
      co_return std::unexpected(storage(saved.error()));
    if (!all_applied || position >= page->total) co_return Outcome<void>{};
  }
}

// ---- what a crash left
// ------------------------------------------------------------------------------------------------

Task<void> Wallet::Impl::finish_some(std::shared_ptr<Finishing> finishing) {
  while (finishing->next < finishing->accounts.size()) {
    const Uid uid = finishing->accounts[finishing->next++];
    const auto driver = driver_of(uid);
    Outcome<void> finished;
    if (driver)
      finished = co_await (*driver)->finish_pending();
    else
      finished = std::unexpected(driver.error());
    // "Never happened" is an end as well.
    if (!finished && finished.error().kind != FailureKind::out_of_date && !finishing->first_failure)
      finishing->first_failure = finished.error();
  }
  if (--finishing->running == 0) finishing->done.set();
}

Task<Outcome<std::size_t>> Wallet::finish_pending() {
  if (!impl_->quorum) co_return failed(FailureKind::unavailable, "the wallet is not connected to a network");
  auto accounts = impl_->file->unfinished_accounts();
  if (!accounts) co_return std::unexpected(storage(accounts.error()));
  // What is locked waits for its instance.
  std::erase_if(*accounts, [&](const Uid& uid) {
    const auto driver = impl_->driver_of(uid);
    return driver && (*driver)->locked_into() && (*driver)->lock();
  });
  const std::size_t count = accounts->size();
  if (count == 0) co_return count;
  const auto finishing = std::make_shared<Finishing>(impl_->executor);
  finishing->accounts = std::move(*accounts);
  finishing->running = std::min(count, finish_concurrency);
  for (std::size_t i = finishing->running; i > 0; --i) impl_->scope.spawn(impl_->finish_some(finishing));
  co_await finishing->done.wait();
  if (finishing->first_failure) co_return std::unexpected(*finishing->first_failure);
  co_return count;
}

}  // namespace zef::client
