// Protocol instances of a wallet, up to the lock: proposing, looking at what somebody proposed, locking an account.
#include <fmt/core.h>

#include <algorithm>

#include "client/wallet_impl.h"
#include "protocol/effects.h"
#include "protocol/instance_rules.h"

namespace zef::client {

// ---- proposing
// -------------------------------------------------------------------------------------------------------

Task<Outcome<Uid>> Wallet::Impl::propose(Uid from, std::vector<Uid> accounts, Functionality functionality) {
  constexpr std::size_t accounts_max = decltype(StartInstance::accounts)::max_size_allowed;
  if (accounts.size() < 2 || accounts.size() > accounts_max)
    co_return failed(FailureKind::invalid,
                     fmt::format("an instance is among 2 to {} accounts, not {}", accounts_max, accounts.size()));
  auto signer = signer_of(from);
  if (!signer) co_return std::unexpected(signer.error());
  std::vector<Participant> participants;
  for (const Uid& account : accounts) {
    if (account == from) {  // the one after the start: the driver knows it
      participants.push_back({account, SequenceNumber(0)});
      continue;
    }
    const auto summary = co_await quorum->query_account(account);
    if (!summary) co_return std::unexpected(summary.error());
    if (summary->closed) co_return failed(FailureKind::closed, fmt::format("account {} is closed", account.text()));
    participants.push_back({account, summary->next});
  }
  signer = signer_of(from);  // made again, perhaps, while we waited
  if (!signer) co_return std::unexpected(signer.error());
  auto started = co_await (*signer)->start_instance(std::move(functionality), std::move(participants));
  if (!started) co_return std::unexpected(std::move(started.error()));
  co_return started_by(started->request).new_id;
}

Task<Outcome<Uid>> Wallet::propose_swap(Uid from, std::vector<Uid> accounts) {
  return impl_->propose(std::move(from), std::move(accounts), AtomicSwap{});
}

Task<Outcome<Uid>> Wallet::propose_settlement(Uid from, std::vector<Uid> accounts, std::vector<Leg> legs) {
  AtomicPayments payments;
  if (legs.empty() || legs.size() > decltype(AtomicPayments::legs)::max_size_allowed)
    co_return failed(FailureKind::invalid, "a settlement has 1 to 256 legs");
  for (Leg& leg : legs) payments.legs.push_back(std::move(leg));
  co_return co_await impl_->propose(std::move(from), std::move(accounts), std::move(payments));
}

// ---- looking
// ---------------------------------------------------------------------------------------------------------

// Accounts that are looked at side by side.
struct Parties {
  explicit Parties(Executor& executor) : done(executor) {}
  InstanceView view;
  std::vector<InstanceParty> parties;
  std::optional<Failure> failure;
  std::size_t running = 0;
  Event done;
};

Task<bool> Wallet::Impl::stands_at(Uid account, SequenceNumber number, Hash head) {
  Uid before = account;
  std::uint64_t last = 0;
  if (number.value() > 0) {
    last = number.value() - 1;
  } else if (const auto parent = account.parent()) {
    before = *parent;
    last = account.parts().back();
    if (last > SequenceNumber::max) co_return false;
  } else {
    co_return head.bytes == network.id.bytes;
  }
  const auto proof = co_await quorum->fetch_proof(before, SequenceNumber(last));
  if (!proof) co_return false;
  const auto requests = requests_of(network, *proof);
  ZEF_CHECK(requests);  // fetch_proof verified it
  co_return std::ranges::any_of(
      *requests, [&](const auto& item) { return item.request->sequence_number.value() == last && item.hash == head; });
}

Task<void> Wallet::Impl::look_at_party(std::shared_ptr<Parties> parties, std::size_t place) {
  const Participant& named = parties->view.terms.accounts[place];
  InstanceParty& party = parties->parties[place];
  party.locked = parties->view.locks[place].has_value();
  const auto summary = co_await quorum->query_account(named.account);
  if (summary) {
    party.next = summary->next;
    party.gone = !parties->view.decided && (summary->next > named.sequence_number || summary->closed);
    if (summary->next == named.sequence_number) {
      party.owner = summary->owner;
      party.balance = summary->proven_balance;
      party.ready = party.locked || co_await stands_at(named.account, named.sequence_number, summary->head);
    }
    party.ready |= party.locked;  // a quorum voted for the lock, at that number
    if (party.locked) party.gone = false;
  } else if (summary.error().kind != FailureKind::not_found) {
    parties->failure = summary.error();
  }
  if (--parties->running == 0) parties->done.set();
}

namespace {

InstanceShare share_of(const StartInstance& terms, std::size_t place) {
  InstanceShare share{
      .account = terms.accounts[place].account, .receives = std::nullopt, .pays = 0, .gets = 0, .locked = false};
  const auto* payments = std::get_if<AtomicPayments>(&terms.functionality);
  if (!payments) {
    share.receives = terms.accounts[received_place(terms, place)].account;
    return share;
  }
  for (const Leg& leg : payments->legs) {
    if (leg.from == share.account) share.pays += leg.amount.value();
    if (leg.recipient == share.account) share.gets += leg.amount.value();
  }
  return share;
}

std::string names_of(const std::vector<Uid>& uids) {
  std::string names;
  for (const Uid& uid : uids) names += (names.empty() ? "" : ", ") + uid.text();
  return names;
}

// What this wallet can do, and one line for people.
void advise(InstanceReport& report, bool unsettled) {
  const auto can = [&](InstanceStep step) { report.steps.push_back(step); };
  if (report.decided) {
    const bool confirmed = std::holds_alternative<Confirmed>(*report.decided);
    report.summary = confirmed ? "confirmed" : "aborted";
    if (unsettled) {
      can(InstanceStep::finish);
      report.summary += "; this wallet has still to do what follows from it";
    }
    return;
  }
  std::vector<Uid> gone;
  std::vector<Uid> unready;
  for (const InstanceParty& party : report.parties) {
    if (party.gone) gone.push_back(party.account);
    if (!party.gone && !party.ready) unready.push_back(party.account);
  }
  const bool locked = std::ranges::any_of(report.shares, &InstanceShare::locked);
  const bool open = std::ranges::any_of(report.shares, [](const auto& share) { return !share.locked; });
  if (open && gone.empty() && unready.empty()) can(InstanceStep::accept);
  if (locked && report.waits_for.empty()) can(InstanceStep::confirm);
  if (locked) can(InstanceStep::abort);
  if (!gone.empty())
    report.summary = fmt::format("can only be aborted: account {} has moved on and never locks", names_of(gone));
  else if (!unready.empty())
    report.summary = fmt::format("too early to lock: account {} does not stand at its number yet", names_of(unready));
  else if (report.waits_for.empty())
    report.summary = "all accounts are locked: it can be confirmed";
  else
    report.summary = fmt::format("waits for account {} to lock", names_of(report.waits_for));
}

}  // namespace

Task<Outcome<InstanceReport>> Wallet::Impl::inspect(Uid instance) {
  if (!quorum) co_return failed(FailureKind::unavailable, "the wallet is not connected to a network");
  auto view = co_await instances->query(instance);
  if (!view) co_return std::unexpected(std::move(view.error()));
  auto stored = file->instance(instance);
  if (!stored) co_return std::unexpected(storage(stored.error()));
  const std::vector<StoredLock> locks = *stored ? (*stored)->locks : std::vector<StoredLock>{};
  for (const StoredLock& lock : locks)
    if (const auto place = view->place_of(lock.account); place && lock.certificate)
      view->locks[*place] = lock.certificate;
  if (*stored && (*stored)->decided) view->decided = (*stored)->decided;

  auto parties = std::make_shared<Parties>(executor);
  parties->view = *view;
  parties->running = view->terms.accounts.size();
  for (const Participant& named : view->terms.accounts) {
    InstanceParty& party = parties->parties.emplace_back();
    party.account = named.account;
    party.number = named.sequence_number;
  }
  for (std::size_t place = 0; place < view->terms.accounts.size(); ++place) scope.spawn(look_at_party(parties, place));
  co_await parties->done.wait();
  if (parties->failure) co_return std::unexpected(*parties->failure);

  InstanceReport report{.instance = instance,
                        .creator = *instance.parent(),
                        .swap = std::holds_alternative<AtomicSwap>(view->terms.functionality),
                        .legs = {},
                        .parties = parties->parties,
                        .shares = {},
                        .round = view->round(network),
                        .decided = view->decision(),
                        .waits_for = {},
                        .steps = {},
                        .summary = {}};
  if (const auto* payments = std::get_if<AtomicPayments>(&view->terms.functionality))
    report.legs.assign(payments->legs.begin(), payments->legs.end());
  for (std::size_t place = 0; place < report.parties.size(); ++place) {
    InstanceParty& party = report.parties[place];
    const bool signed_in = std::ranges::find(locks, party.account, &StoredLock::account) != locks.end();
    const auto mine = file->account(party.account);
    if (!mine) co_return std::unexpected(storage(mine.error()));
    // Once it is decided, only what this wallet locked was its own then.
    party.mine = signed_in || (!report.decided && *mine && (*mine)->has_key && !(*mine)->chain.closed);
    if (party.mine) {
      report.shares.push_back(share_of(view->terms, place));
      report.shares.back().locked = party.locked;
    }
    if (!report.decided && !party.locked) report.waits_for.push_back(party.account);
  }
  advise(report, std::ranges::any_of(locks, [](const StoredLock& lock) { return !lock.settled; }));
  co_return report;
}

Task<Outcome<InstanceReport>> Wallet::inspect(Uid instance) { return impl_->inspect(std::move(instance)); }

Result<std::vector<InstanceEntry>> Wallet::instances() {
  auto stored = impl_->file->instances();
  if (!stored) return std::unexpected(stored.error());
  std::vector<InstanceEntry> entries;
  for (const StoredInstance& one : *stored) {
    InstanceEntry entry;
    entry.instance = one.instance;
    entry.proposed_here = one.proposed;
    if (one.start)
      if (const Request* start = find_start(*one.start, one.instance)) entry.terms = started_by(*start);
    entry.finished = one.decided.has_value();
    for (const StoredLock& lock : one.locks) {
      entry.locked.push_back(lock.account);
      entry.finished &= lock.settled;
    }
    if (one.decided)
      if (const auto* commit = std::get_if<Commit>(&one.decided->value.kind)) entry.decided = commit->proposal.decision;
    entry.at_ms = one.at_ms;
    entries.push_back(std::move(entry));
  }
  return entries;
}

// ---- locking
// ---------------------------------------------------------------------------------------------------------

// Section 7: an account that does not stand at its number could be emptied before its owner locks it.
Outcome<void> Wallet::Impl::check_ready(const InstanceReport& report, const Uid& account) {
  if (report.decided)
    return failed(FailureKind::invalid, fmt::format("instance {} is decided already", report.instance.text()));
  bool takes_part = false;
  for (const InstanceParty& party : report.parties) {
    if (party.account == account) {
      takes_part = true;
      continue;
    }
    if (party.gone)
      return failed(
          FailureKind::invalid,
          fmt::format("account {} stands at {}, beyond {}, which instance {} names: it can never lock",
                      party.account.text(), party.next.value(), party.number.value(), report.instance.text()));
    if (!party.ready)
      return failed(FailureKind::invalid,
                    fmt::format("account {} stands at {}, not at {} yet: its owner could still empty it; wait until it "
                                "does",
                                party.account.text(), party.next.value(), party.number.value()));
  }
  if (!takes_part)
    return failed(FailureKind::invalid,
                  fmt::format("account {} does not take part in instance {}", account.text(), report.instance.text()));
  return {};
}

Task<Outcome<Accepted>> Wallet::Impl::accept(Uid instance, Uid account) {
  auto signer = signer_of(account);
  if (!signer) co_return std::unexpected(signer.error());
  auto start = co_await instances->start_proof(instance);
  if (!start) co_return std::unexpected(std::move(start.error()));
  const StartInstance terms = started_by(*find_start(*start, instance));
  const auto stored = file->instance(instance);
  if (!stored) co_return std::unexpected(storage(stored.error()));
  std::optional<PublicKey> delegate;  // signed before a crash: there is no way back
  for (const StoredLock& lock : *stored ? (*stored)->locks : std::vector<StoredLock>{})
    if (lock.account == account) delegate = lock.delegate;
  if (!delegate) {
    const auto report = co_await inspect(instance);
    if (!report) co_return std::unexpected(report.error());
    if (auto ready = check_ready(*report, account); !ready) co_return std::unexpected(std::move(ready.error()));
    const auto key = new_key();  // in the file before anybody hears of it
    if (!key) co_return std::unexpected(storage(key.error()));
    delegate = key->public_key();
  }
  const auto named = std::ranges::find(terms.accounts, account, &Participant::account);
  signer = signer_of(account);
  if (!signer) co_return std::unexpected(signer.error());
  auto lock = co_await (*signer)->lock_into(instance, named->sequence_number, *delegate, std::move(*start));
  if (!lock) co_return std::unexpected(std::move(lock.error()));
  std::vector<Certificate> shown;
  shown.push_back(*lock);
  if (auto done = co_await instances->show_locks(instance, std::move(shown)); !done)
    co_return std::unexpected(std::move(done.error()));
  co_return Accepted{std::move(instance), std::move(account), std::move(*lock)};
}

Task<Outcome<Accepted>> Wallet::accept(Uid instance, Uid account) {
  return impl_->accept(std::move(instance), std::move(account));
}

}  // namespace zef::client
