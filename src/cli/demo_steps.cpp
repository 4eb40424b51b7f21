#include "cli/demo_steps.h"

#include <fmt/core.h>

#include <csignal>

#include "base/parallel.h"
#include "cli/demo_check.h"
#include "crypto/sealed.h"
#include "ledger/shard_map.h"
#include "protocol/effects.h"
#include "store/open_store.h"

namespace zef::cli {
namespace {

using namespace std::chrono_literals;
using namespace protocol;

constexpr Duration arrival_time_max = 20s;   // for an effect to arrive
constexpr Duration catch_up_time_max = 60s;  // for a validator to have heard of everything
constexpr Duration restart_time_max = 60s;   // for processes to serve again
constexpr Duration poll_period = 20ms;
constexpr std::size_t payments_at_once = 96;  // each of another account
constexpr std::size_t batch_size = 50;
constexpr std::size_t payments_while_down = 20;

std::vector<Payment> one_payment(const Uid& to, std::uint64_t amount) {
  return {Payment{Account{to}, Amount(amount), {}}};
}

}  // namespace

bool DemoFigures::all_held() const {
  return payment_ok && batch_ok && child_ok && rotation_ok && double_spend_refused && swap_ok && settlement_ok &&
         way_out_ok && validator_down_ok && killed_worker_ok && quiet && supply_ok && heads_equal && balances_equal &&
         nothing_lost && problems.empty();
}

// ---- the book ------------------------------------------------------------------------------------------------------

DemoBook::DemoBook(const Genesis& genesis, const Network& network) : network_(&network) {
  for (std::uint64_t i = 0; i < genesis.accounts.size(); ++i)
    balances_[Uid::genesis(i)] = static_cast<Balance>(genesis.accounts[i].balance.value());
  for (const ValidatorInfo& validator : genesis.validators) ++shares_of_[validator.reward_account];
}

void DemoBook::enter(const Request& executed) {
  const Amount fee = fee_of(*network_, executed);
  const auto spent = amount_spent(executed);
  ZEF_CHECK(spent);
  balances_[executed.account] -= static_cast<Balance>(spent->value()) + static_cast<Balance>(fee.value());
  share_ += static_cast<Balance>(fee.value() / network_->committee.size());
  for (const Effect& effect : effects_of(executed, hash_of(network_->id, executed)))
    if (!std::holds_alternative<Start>(effect))  // an instance is no account
      balances_[target_of(effect)] += static_cast<Balance>(amount_of(effect).value());
}

Balance DemoBook::balance(const Uid& account) const {
  const auto found = balances_.find(account);
  const auto shares = shares_of_.find(account);
  return (found == balances_.end() ? 0 : found->second) +
         (shares == shares_of_.end() ? 0 : share_ * static_cast<Balance>(shares->second));
}

std::vector<Uid> DemoBook::accounts() const {
  std::vector<Uid> accounts;
  for (const auto& [uid, balance] : balances_) accounts.push_back(uid);
  return accounts;
}

// ---- helpers -------------------------------------------------------------------------------------------------------

Demo::Demo(net::Loop& loop, LocalNetwork& network, client::QuorumDriver& quorum, client::Wallet& wallet,
           std::uint64_t payments, Say say)
    : loop_(loop),
      network_(network),
      quorum_(quorum),
      wallet_(wallet),
      payments_(payments),
      say_(std::move(say)),
      book_(network.genesis(), network.network()) {}

Uid Demo::account(std::uint64_t index) const { return Uid::genesis(index % network_.settings().accounts); }
std::string Demo::name_of(std::size_t validator) const { return network_.genesis().validators[validator].name; }

bool Demo::holds(bool condition, std::string otherwise) {
  if (!condition) {
    say_("   FAILED: " + otherwise);
    figures_.problems.push_back(std::move(otherwise));
  }
  return condition;
}

bool Demo::done(const client::Outcome<client::Completed>& outcome, std::string_view what) {
  if (!holds(outcome.has_value(), outcome ? "" : fmt::format("{}: {}", what, outcome.error().message))) return false;
  book_.enter(outcome->request);
  ++figures_.operations;
  return true;
}

Task<bool> Demo::pay(Uid from, std::vector<client::Payment> payments) {
  const auto outcome = co_await wallet_.transfer(from, std::move(payments));
  if (!done(outcome, "a payment of account " + from.text())) co_return false;
  say_(fmt::format("   certified and executed by {} of {} validators; fee {}", outcome->acknowledged.size(),
                   network_.size(), grouped(outcome->fee.value())));
  co_return true;
}

Task<bool> Demo::wait_for_balance(Uid account) {
  const MonotonicTime give_up = loop_.now() + arrival_time_max;
  while (true) {
    const auto summary = co_await quorum_.query_account(account);
    if (summary && summary->balance == book_.balance(account)) co_return true;
    if (loop_.now() >= give_up)
      co_return holds(false,
                      fmt::format("account {} does not hold {}", account.text(), grouped(book_.balance(account))));
    co_await sleep_for(loop_, poll_period);
  }
}

Task<bool> Demo::wait_for_everybody(Uid account) {
  const MonotonicTime give_up = loop_.now() + catch_up_time_max;
  while (true) {
    const auto agreeing = co_await quorum_.bring_up_to_date(account);
    if (agreeing && *agreeing == network_.size()) co_return true;
    if (loop_.now() >= give_up)
      co_return holds(false, fmt::format("not all validators came up to date with account {}", account.text()));
    co_await sleep_for(loop_, poll_period);
  }
}

Task<void> Demo::settle(Uid account) { co_await wait_for_everybody(account); }

// From the shard map of the first validator's store: all have the same, as they have the same workers.
Task<std::map<Uid, std::string>> Demo::workers_of_accounts() {
  std::map<Uid, std::string> workers;
  store::OpenOptions options;
  options.file.threads = 1;
  auto opened = store::open_store(loop_, "file://" + (network_.dir() / "validator-0" / "store").string(), options);
  if (!holds(opened.has_value(), opened ? "" : opened.error().message)) co_return workers;
  const auto map = co_await ledger::read_map(loop_, **opened);
  if (!holds(map.has_value(), map ? "" : map.error().message)) co_return workers;
  for (const Uid& uid : book_.accounts()) {
    const ledger::WorkerId owner = map->entries[shard_of(uid).value()].owner;
    for (const ledger::WorkerHead& head : map->workers)
      if (head.worker == owner) workers[uid] = head.name;
  }
  co_return workers;
}

// ---- the steps -----------------------------------------------------------------------------------------------------

Task<void> Demo::run() {
  co_await pay_across_workers();
  co_await pay_many_at_once();
  co_await open_child();
  co_await rotate_key();
  co_await spend_twice();
  co_await swap_accounts();
  co_await settle_together();
  co_await get_out_of_waiting();
  co_await go_on_without_a_validator();
  co_await kill_a_worker();
  co_await compare_validators();
}

Task<void> Demo::pay_across_workers() {
  const auto workers = co_await workers_of_accounts();
  if (workers.empty()) co_return;
  const Uid from = account(0);
  Uid to = account(1);
  for (std::uint64_t i = 1; i < network_.settings().accounts && workers.at(to) == workers.at(from); ++i)
    to = account(i);
  constexpr std::uint64_t amount = 25'000;
  say_(fmt::format(
      "1. A payment between accounts on different workers: account {} (on {}) pays {} to account {} (on {}).",
      from.text(), workers.at(from), grouped(amount), to.text(), workers.at(to)));
  figures_.payment_ok =
      co_await pay(from, one_payment(to, amount)) && co_await wait_for_balance(to) && co_await wait_for_balance(from);
  if (figures_.payment_ok)
    say_(fmt::format("   account {} now holds {}, by the signed word of a quorum", to.text(),
                     grouped(book_.balance(to))));
}

Task<void> Demo::pay_many_at_once() {
  say_(fmt::format("2. One transfer with {} payments: account 1 pays {} accounts at once.", batch_size, batch_size));
  std::vector<Payment> payments;
  for (std::size_t i = 0; i < batch_size; ++i)
    payments.push_back(Payment{Account{account(10 + i)}, Amount(100 + i), {}});
  figures_.batch_ok = co_await pay(account(1), payments);
  for (std::size_t i = 0; i < batch_size && figures_.batch_ok; ++i)
    figures_.batch_ok = co_await wait_for_balance(account(10 + i));
  if (figures_.batch_ok) say_("   all of them have their money");
}

Task<void> Demo::open_child() {
  constexpr std::uint64_t funding = 50'000;
  say_(fmt::format("3. Account 2 opens a child account, with {} in it and a key of its own.", grouped(funding)));
  const auto opened = co_await wallet_.open_account(account(2), Amount(funding), "child of 2");
  if (!holds(opened.has_value(), opened ? "" : "opening a child: " + opened.error().message)) co_return;
  book_.enter(opened->completed.request);
  ++figures_.operations;
  say_(fmt::format("   account {} is open; it pays 1,000 to account 3", opened->uid.text()));
  figures_.child_ok = co_await wait_for_balance(opened->uid) &&
                      co_await pay(opened->uid, one_payment(account(3), 1'000)) &&
                      co_await wait_for_balance(opened->uid);
}

Task<void> Demo::rotate_key() {
  say_("4. Account 4 changes its key. Somebody has a copy of the old one.");
  const crypto::SecretBytes passphrase(16);
  const auto sealed = wallet_.export_key(account(4), passphrase, crypto::seal_parameters_min);
  if (!holds(sealed.has_value(), sealed ? "" : sealed.error().message)) co_return;
  const auto old_key = crypto::open_sealed(*sealed, passphrase);
  if (!holds(old_key.has_value(), "the exported key does not open")) co_return;
  if (!done(co_await wallet_.rotate(account(4)), "rotating a key")) co_return;
  if (!co_await pay(account(4), one_payment(account(5), 1'000))) co_return;
  if (!co_await wait_for_everybody(account(4))) co_return;
  const auto view = wallet_.account(account(4));
  if (!holds(view.has_value(), "the wallet lost an account")) co_return;
  Transfer theft;
  theft.payments.push_back(Payment{Account{account(6)}, Amount(1'000), {}});
  const auto answers = co_await ask_everybody(
      quorum_, sign_order(network_.network(), *old_key,
                          {current_epoch, view->uid, view->chain.next, view->chain.head, std::move(theft)}));
  figures_.rotation_ok =
      holds(answers.refused == network_.size(), fmt::format("{} validators took the old key", answers.votes.size()));
  if (figures_.rotation_ok)
    say_(fmt::format("   the new key signs; the old one is refused by all {} validators", answers.refused));
}

Task<void> Demo::spend_twice() {
  say_(
      "5. A dishonest owner signs two different payments for one sequence number and sends them to different "
      "validators.");
  const auto key = crypto::SigningKey::generate();
  const auto opened = co_await wallet_.open_account(account(5), Amount(100'000), "dishonest", key.public_key());
  if (!holds(opened.has_value(), opened ? "" : "opening an account: " + opened.error().message)) co_return;
  book_.enter(opened->completed.request);
  ++figures_.operations;
  const Uid cheat = opened->uid;
  if (!co_await wait_for_everybody(cheat) || !co_await wait_for_balance(cheat)) co_return;
  const auto summary = co_await quorum_.query_account(cheat);
  if (!holds(summary.has_value(), summary ? "" : summary.error().message)) co_return;

  std::vector<RequestOrder> orders;
  for (const std::uint64_t to : {7, 8}) {
    Transfer transfer;
    transfer.payments.push_back(Payment{Account{account(to)}, Amount(90'000), {}});
    orders.push_back(
        sign_order(network_.network(), key, {current_epoch, cheat, summary->next, summary->head, std::move(transfer)}));
  }
  auto tried = co_await try_double_spend(quorum_, orders[0], orders[1]);
  say_(fmt::format("   the first got {} votes; the second {}, and {} validators refused it: another request is pending",
                   tried.first.votes.size(), tried.second.votes.size(), tried.second.refused_as_pending));
  const bool one_only = holds(tried.certificate.has_value() && !tried.second_certified &&
                                  tried.second.refused_as_pending == tried.first.votes.size(),
                              "a double spend was not refused");
  if (!one_only) co_return;
  const auto executed = co_await quorum_.execute(std::move(*tried.certificate));
  if (!holds(executed.has_value(), executed ? "" : executed.error().message)) co_return;
  book_.enter(orders[0].request);
  ++figures_.operations;
  if (!co_await wait_for_everybody(cheat)) co_return;
  const auto again = co_await ask_everybody(quorum_, orders[1]);
  figures_.double_spend_refused =
      holds(again.votes.empty() && again.refused == network_.size(), "the second payment was voted for later") &&
      co_await wait_for_balance(account(7)) && co_await wait_for_balance(account(8));
  if (figures_.double_spend_refused) say_("   one was certified, the other never will be");
}

Task<void> Demo::pay_without_a_validator(std::size_t index) {
  const auto outcome = co_await wallet_.transfer(account(20 + index), one_payment(account(60 + index), 10 + index));
  confirmed_down_ += done(outcome, "a payment while a validator is down");
}

Task<void> Demo::go_on_without_a_validator() {
  const std::size_t victim = network_.size() - 1;
  say_(fmt::format("9. {} crashes with all its processes. {} payments without it:", name_of(victim),
                   payments_while_down));
  co_await network_.stop_validator(victim, SIGKILL);
  const MonotonicTime began = loop_.now();
  co_await in_parallel(loop_, payments_while_down, payments_while_down / 2,
                       [this](std::size_t i) { return pay_without_a_validator(i); });
  say_(fmt::format("   {} confirmed by the other {} in {:.1f} s; {} comes back", confirmed_down_, network_.size() - 1,
                   std::chrono::duration<double>(loop_.now() - began).count(), name_of(victim)));
  const auto started = co_await network_.start_validator(victim);
  if (!holds(started.has_value(), started ? "" : started.error().message)) co_return;
  bool up_to_date = true;
  for (std::size_t i = 0; i < payments_while_down && up_to_date; ++i)
    up_to_date = co_await wait_for_everybody(account(20 + i));
  figures_.validator_down_ok = confirmed_down_ == payments_while_down && up_to_date;
  if (figures_.validator_down_ok) say_("   and was brought up to date by the clients' certificates");
}

// One of the many. A payment that no quorum answered in time is finished later: it stays in the wallet until then.
Task<void> Demo::pay_one_of_many(std::size_t index) {
  constexpr int tries_max = 3;
  const Uid from = account(index);
  const Uid to = account(index + 1 + index % 37);
  auto outcome = co_await wallet_.transfer(from, one_payment(to, 1 + index % 100));
  if (outcome) {
    book_.enter(outcome->request);
    ++figures_.operations;
    ++figures_.payments;
  } else {
    const auto before = wallet_.account(from);
    const auto pending = before ? before->pending : std::nullopt;
    bool finished = false;
    for (int tries = 0; pending && !finished && tries < tries_max; ++tries) {
      co_await wallet_.finish_pending();
      const auto after = wallet_.account(from);
      finished = after && !after->pending && after->chain.next > pending->sequence_number;
    }
    if (holds(finished, "a payment was not confirmed: " + outcome.error().message)) {
      book_.enter(*pending);
      ++figures_.operations;
      ++figures_.payments;
    }
  }
  if (progress_) progress_->update(figures_.payments, payments_);
  if (figures_.killed == 0 && figures_.payments >= payments_ / 3) {
    ++figures_.killed;
    say_(fmt::format("   after {} of them: kill -9 for worker w0 of {}", grouped(figures_.payments), name_of(1)));
    if (!holds(network_.kill_worker(1, 0, SIGKILL), "the worker to kill did not run")) figures_.killed = 0;
  }
}

Task<void> Demo::kill_a_worker() {
  say_(fmt::format("10. {} payments, {} at a time, and a worker that is killed in the middle of them:",
                   grouped(payments_), payments_at_once));
  Progress progress(loop_, "   payments confirmed");
  progress_ = &progress;
  const MonotonicTime began = loop_.now();
  co_await in_parallel(loop_, payments_, payments_at_once, [this](std::size_t i) { return pay_one_of_many(i); });
  progress_ = nullptr;
  figures_.payments_seconds = std::chrono::duration<double>(loop_.now() - began).count();
  say_(fmt::format("   {} confirmed in {:.1f} s ({:.0f} a second)", grouped(figures_.payments),
                   figures_.payments_seconds,
                   static_cast<double>(figures_.payments) / std::max(figures_.payments_seconds, 0.001)));
  const bool serving = holds(co_await network_.wait_until_serving(restart_time_max), "a worker did not come back");
  figures_.killed_worker_ok = serving && figures_.killed > 0 && figures_.payments == payments_;
}

Task<void> Demo::compare_validators() {
  say_("11. Do all validators agree? First everything under way has to arrive.");
  co_await quorum_.finish_background(catch_up_time_max);
  const auto accounts = book_.accounts();
  co_await in_parallel(loop_, accounts.size(), 8, [&](std::size_t i) { return settle(accounts[i]); });
  figures_.quiet = holds(co_await wait_until_quiet(quorum_, catch_up_time_max), "effects or fees are still under way");
  const Balance supply = supply_of(network_.genesis());
  const NetworkCheck check = co_await check_network(quorum_, supply, accounts);
  figures_.accounts = check.accounts;
  figures_.heads_equal = check.heads_equal;
  figures_.balances_equal = check.balances_equal;
  figures_.supply_ok = check.supply_ok;
  for (const std::string& difference : check.unequal) holds(false, difference);

  figures_.nothing_lost = true;
  for (const Uid& uid : accounts) {
    const auto states = co_await states_of(quorum_, uid);
    if (states[0] && states[0]->balance == book_.balance(uid)) continue;
    figures_.nothing_lost = false;
    holds(false, fmt::format("account {} holds {}, but its confirmed operations make {}", uid.text(),
                             states[0] ? grouped(states[0]->balance) : "nothing", grouped(book_.balance(uid))));
    break;
  }
  Table table({{"   validator"}, {"executed", true}, {"in accounts", true}, {"burned", true}, {"supply", true}});
  for (std::size_t i = 0; i < check.totals.size(); ++i) {
    const Totals& totals = check.totals[i];
    table.add({"   " + name_of(i), grouped(totals.executed), grouped(totals.balances), grouped(totals.burned),
               grouped(supply_in(totals))});
  }
  say_(table.text() +
       fmt::format("   {} accounts compared; the supply of the genesis is {}", check.accounts, grouped(supply)));
}

}  // namespace zef::cli
