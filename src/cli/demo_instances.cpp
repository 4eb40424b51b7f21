// What the demo shows of protocol instances: accounts that change owners together, payments that happen together, and
// the way out when somebody never comes. The demo's wallet plays all parts.
#include <fmt/core.h>

#include "cli/demo_steps.h"
#include "cli/instance_text.h"
#include "protocol/verification.h"

namespace zef::cli {
namespace {

using namespace std::chrono_literals;
using namespace protocol;

constexpr Duration decision_time_max = 30s;

}  // namespace

std::map<Uid, SequenceNumber> Demo::positions(const std::vector<Uid>& accounts) {
  std::map<Uid, SequenceNumber> at;
  for (const Uid& uid : accounts)
    if (const auto view = wallet_.account(uid); holds(view.has_value(), "the wallet lost account " + uid.text()))
      at[uid] = view->chain.next;
  return at;
}

Task<bool> Demo::join(Uid instance, Uid account) {
  const auto accepted = co_await wallet_.accept(std::move(instance), account);
  co_return holds(accepted.has_value(),
                  accepted ? "" : fmt::format("locking account {}: {}", account.text(), accepted.error().message));
}

Task<bool> Demo::decide(Uid instance, client::Wish wish, std::map<Uid, SequenceNumber> before) {
  const auto driven = co_await wallet_.drive(instance, wish, decision_time_max);
  if (!holds(driven.has_value(), driven ? "" : "deciding: " + driven.error().message)) co_return false;
  if (!holds(driven->decided && driven->finished, "no decision: " + driven->why)) co_return false;
  const bool confirmed = std::holds_alternative<Confirmed>(*driven->decided);
  if (!holds(confirmed == (wish == client::Wish::confirm), fmt::format("{} was decided", in_words(driven->decided))))
    co_return false;
  for (const auto& [uid, from] : before) {
    const auto summary = co_await quorum_.query_account(uid);
    if (!holds(summary.has_value(), summary ? "" : summary.error().message)) co_return false;
    if (summary->next == from) continue;
    const auto proofs = co_await quorum_.fetch_executed(uid, from, summary->next);
    if (!holds(proofs.has_value(), proofs ? "" : proofs.error().message)) co_return false;
    for (const Proof& proof : *proofs) {
      const auto requests = requests_of(network_.network(), proof);
      if (!holds(requests.has_value(), "a certificate vouches for nothing")) co_return false;
      for (const auto& one : *requests) {
        if (one.request->sequence_number < from) continue;
        book_.enter(*one.request);
        ++figures_.operations;
      }
    }
  }
  co_return true;
}

Task<void> Demo::swap_accounts() {
  const std::vector<Uid> both = {account(8), account(9)};
  say_(fmt::format("6. Accounts {} and {} change owners, both or neither. Each is locked first.", both[0].text(),
                   both[1].text()));
  const auto before = positions(both);
  const auto old_first = wallet_.account(both[0]);
  const auto old_second = wallet_.account(both[1]);
  const auto instance = co_await wallet_.propose_swap(both[0], both);
  if (!holds(instance.has_value(), instance ? "" : "proposing a swap: " + instance.error().message)) co_return;
  if (!co_await join(*instance, both[0]) || !co_await join(*instance, both[1])) co_return;
  if (!co_await decide(*instance, client::Wish::confirm, before)) co_return;
  const auto first = co_await quorum_.query_account(both[0]);
  const auto second = co_await quorum_.query_account(both[1]);
  const bool changed = first && second && first->owner && second->owner && *first->owner != old_first->chain.owner &&
                       *second->owner != old_second->chain.owner;
  figures_.swap_ok = holds(changed, "the owners did not change") && co_await wait_for_balance(both[0]) &&
                     co_await wait_for_balance(both[1]);
  figures_.swaps += figures_.swap_ok;
  if (figures_.swap_ok) say_(fmt::format("   swap {} is confirmed: each has the other's", instance->text()));
}

Task<void> Demo::settle_together() {
  std::vector<Uid> accounts;
  for (std::uint64_t i = 10; i < 15; ++i) accounts.push_back(account(i));
  std::vector<Leg> legs;
  for (std::size_t i = 0; i < accounts.size(); ++i)
    legs.push_back({accounts[i], accounts[(i + 1) % accounts.size()], Amount(1'000 * (i + 1))});
  say_(fmt::format("7. {} accounts pay each other in a circle, all payments or none.", accounts.size()));
  const auto before = positions(accounts);
  const auto instance = co_await wallet_.propose_settlement(accounts[0], accounts, legs);
  if (!holds(instance.has_value(), instance ? "" : "proposing a settlement: " + instance.error().message)) co_return;
  for (const Uid& uid : accounts)
    if (!co_await join(*instance, uid)) co_return;
  if (!co_await decide(*instance, client::Wish::confirm, before)) co_return;
  bool paid = true;
  for (const Uid& uid : accounts) paid = paid && co_await wait_for_balance(uid);
  figures_.settlement_ok = paid;
  figures_.settlements += paid;
  if (paid) say_(fmt::format("   settlement {} is confirmed, and everybody has the money", instance->text()));
}

Task<void> Demo::get_out_of_waiting() {
  const std::vector<Uid> both = {account(15), account(16)};
  say_(fmt::format("8. Account {} locks itself into a settlement, and account {} never comes.", both[0].text(),
                   both[1].text()));
  const auto before = positions(both);
  const auto instance = co_await wallet_.propose_settlement(
      both[0], both, {{both[0], both[1], Amount(5'000)}, {both[1], both[0], Amount(4'000)}});
  if (!holds(instance.has_value(), instance ? "" : "proposing a settlement: " + instance.error().message)) co_return;
  if (!co_await join(*instance, both[0])) co_return;
  if (!co_await decide(*instance, client::Wish::abort, before)) co_return;
  figures_.way_out_ok =
      co_await pay(both[0], {Payment{Account{both[1]}, Amount(1'000), {}}}) && co_await wait_for_balance(both[0]);
  if (figures_.way_out_ok) say_("   it was aborted, nothing changed hands, and the account pays again");
}

}  // namespace zef::cli
