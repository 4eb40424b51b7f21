// Protocol instances of a wallet, from the locks on: to the decision, and what follows from it for its accounts. Every
// step looks into the file first and is durable there before the next, so that a call after a crash goes on.
#include <fmt/core.h>

#include <algorithm>

#include "client/wallet_impl.h"
#include "protocol/instance_rules.h"

namespace zef::client {
namespace {

bool confirmed(const InstanceView& view) { return std::holds_alternative<Confirmed>(*view.decision()); }

// The request that a proof of one account's decision executes.
Request executed_by(const Network& network, const Proof& proof) {
  const auto requests = requests_of(network, proof);
  ZEF_CHECK(requests);
  return *requests->back().request;
}

}  // namespace

// The instance as the file has it, with the Lock certificates that a crash or a bad connection left out.
Task<Outcome<StoredInstance>> Wallet::Impl::with_certificates(Uid instance) {
  for (int attempt = 0;; ++attempt) {
    auto stored = file->instance(instance);
    if (!stored) co_return std::unexpected(storage(stored.error()));
    if (!*stored || (*stored)->locks.empty())
      co_return failed(FailureKind::invalid,
                       fmt::format("no account of this wallet is locked into instance {}", instance.text()));
    const auto open = std::ranges::find_if((*stored)->locks,
                                           [](const StoredLock& lock) { return !lock.certificate && !lock.settled; });
    if (attempt > 0 || open == (*stored)->locks.end()) co_return std::move(**stored);
    for (const StoredLock& lock : (*stored)->locks) {
      if (lock.certificate || lock.settled) continue;
      const auto driver = driver_of(lock.account);
      if (!driver) co_return std::unexpected(driver.error());
      if (auto done = co_await (*driver)->finish_pending(); !done) co_return std::unexpected(std::move(done.error()));
    }
  }
}

// The view that is decided; what is decided is in the file when this returns.
Task<Outcome<InstanceView>> Wallet::Impl::decide(StoredInstance stored, Wish wish, Duration time) {
  std::vector<Certificate> certificates;
  for (const StoredLock& lock : stored.locks)
    if (lock.certificate) certificates.push_back(*lock.certificate);
  auto view = co_await instances->query(stored.instance);
  if (!view) co_return std::unexpected(std::move(view.error()));
  if (stored.decided) view->decided = stored.decided;
  if (!view->decided) {
    std::vector<crypto::SigningKey> keys;
    std::vector<Delegate> delegates;
    keys.reserve(stored.locks.size());
    for (const StoredLock& lock : stored.locks) {
      auto key = find_key(lock.delegate);
      if (!key) co_return std::unexpected(storage(key.error()));
      if (!*key) co_return failed(FailureKind::storage, "the key that acts for the account is not in this wallet");
      keys.push_back(std::move(**key));
      delegates.push_back({lock.account, &keys.back()});
    }
    auto driven = co_await instances->drive(stored.instance, std::move(delegates), certificates, wish, time);
    if (!driven) co_return std::unexpected(std::move(driven.error()));
    view = std::move(driven);
  }
  for (const Certificate& certificate : certificates)
    if (const auto place = place_of_lock(view->terms, std::get<Lock>(certificate.value.kind).request))
      view->locks[*place] = certificate;
  if (!stored.decided)
    if (auto saved = co_await file->save_decided(stored.instance, *view->decided); !saved)
      co_return std::unexpected(storage(saved.error()));
  co_return std::move(*view);
}

// The chain of an account of this wallet goes on with what was decided for it.
Task<Outcome<void>> Wallet::Impl::settle(InstanceView view, StoredLock lock) {
  auto proof = decided_proof(view, *view.place_of(lock.account));
  if (!proof)
    co_return failed(FailureKind::unavailable,
                     fmt::format("the lock of account {} is not certified yet", lock.account.text()));
  const auto driver = driver_of(lock.account);
  if (!driver) co_return std::unexpected(driver.error());
  auto settled = co_await (*driver)->settle(std::move(*proof));
  if (!settled) co_return std::unexpected(std::move(settled.error()));
  forget_idle(lock.account);  // its owner may be another key now
  co_return Outcome<void>{};
}

// The account that a confirmed swap gives for this one: executed, and in the file with the delegate as its owner.
Task<Outcome<void>> Wallet::Impl::take_received(InstanceView view, StoredLock lock) {
  const std::size_t place = received_place(view.terms, *view.place_of(lock.account));
  const Proof proof = *decided_proof(view, place);
  const Request request = executed_by(network, proof);
  auto executed = co_await quorum->execute(proof);
  if (!executed) co_return std::unexpected(std::move(executed.error()));
  const auto known = file->account(request.account);
  if (!known) co_return std::unexpected(storage(known.error()));
  if (*known && (*known)->chain.next > request.sequence_number) {  // settled, or taken before a crash
    forget_idle(request.account);
    co_return Outcome<void>{};
  }
  const auto summary = co_await quorum->query_account(request.account);
  ChainState chain{.account = request.account,
                   .owner = lock.delegate,
                   .next = executed->next,
                   .head = executed->head,
                   .balance = summary ? summary->proven_balance : 0,
                   .closed = false,
                   .synced = true};  // the delegate has signed no request
  if (const auto put = file->put_account(chain, ""); !put) co_return std::unexpected(storage(put.error()));
  forget_idle(request.account);
  co_return Outcome<void>{};
}

Task<Outcome<DriveReport>> Wallet::Impl::drive(Uid instance, Wish wish, Duration time) {
  if (!quorum) co_return failed(FailureKind::unavailable, "the wallet is not connected to a network");
  if (!vault) co_return failed(FailureKind::invalid, "the wallet is locked: unlock it with its passphrase first");
  const MonotonicTime deadline = executor.now() + time;
  const auto left = [&] { return std::max(deadline - executor.now(), Duration::zero()); };
  DriveReport report;
  report.instance = instance;
  // What a longer wait may mend is told in the report.
  const auto open = [&](const Failure& failure) -> Outcome<DriveReport> {
    if (failure.kind != FailureKind::unavailable) return std::unexpected(failure);
    report.why = failure.message;
    return report;
  };

  auto stored = co_await with_certificates(instance);
  if (!stored) co_return open(stored.error());
  const auto view = co_await decide(*stored, wish, left());
  if (!view) co_return open(view.error());
  report.decided = view->decision();
  // Its own accounts first: one of this wallet may be what another one receives.
  for (const StoredLock& lock : stored->locks) {
    if (lock.settled) continue;
    if (auto done = co_await settle(*view, lock); !done) co_return open(done.error());
  }
  const bool swapped = confirmed(*view) && std::holds_alternative<AtomicSwap>(view->terms.functionality);
  for (const StoredLock& lock : stored->locks) {
    if (!lock.settled && swapped)
      if (auto done = co_await take_received(*view, lock); !done) co_return open(done.error());
    if (swapped) {
      report.received.push_back(
          view->terms.accounts[received_place(view->terms, *view->place_of(lock.account))].account);
      report.given.push_back(lock.account);
    }
    if (auto saved = co_await file->save_settled(instance, lock.account); !saved)
      co_return std::unexpected(storage(saved.error()));
  }
  report.finished = true;
  const auto both = [&](const Uid& uid) { return std::ranges::find(report.received, uid) != report.received.end(); };
  std::erase_if(report.given, both);  // from one account of this wallet to another
  static_cast<void>(
      co_await instances->execute_all(*view, std::min<Duration>(left(), quorum->options().operation_time_max)));
  co_return report;
}

Task<Outcome<DriveReport>> Wallet::drive(Uid instance, Wish wish, Duration time) {
  return impl_->drive(std::move(instance), wish, time);
}

}  // namespace zef::client
