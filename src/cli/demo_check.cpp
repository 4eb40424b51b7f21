#include "cli/demo_check.h"

#include <fmt/core.h>

#include "base/parallel.h"
#include "codec/json.h"

namespace zef::cli {
namespace {

using namespace std::chrono_literals;
using protocol::AccountState;
using protocol::Totals;
using protocol::Uid;

constexpr Duration question_time = 5s;
constexpr Duration poll_period = 50ms;
constexpr std::size_t accounts_at_once = 8;

Task<void> ask_totals(client::QuorumDriver& quorum, std::size_t validator, std::vector<std::optional<Totals>>& out) {
  auto totals = co_await quorum.validator(validator).totals(question_time);
  if (totals) out[validator] = *totals;
}

Task<std::vector<std::optional<Totals>>> all_totals(client::QuorumDriver& quorum) {
  std::vector<std::optional<Totals>> totals(quorum.size());
  co_await in_parallel(quorum.executor(), quorum.size(), quorum.size(),
                       [&](std::size_t validator) { return ask_totals(quorum, validator, totals); });
  co_return totals;
}

Task<void> ask_state(client::QuorumDriver& quorum, std::size_t validator, Uid account,
                     std::vector<std::optional<AccountState>>& out) {
  client::Nonce nonce;
  quorum.rng().fill(nonce.bytes);
  auto state = co_await quorum.validator(validator).account(account, nonce, question_time);
  if (state) out[validator] = std::move(*state);
}

std::string name_of(client::QuorumDriver& quorum, std::size_t validator) {
  return quorum.validator(validator).info().name;
}

void note(NetworkCheck& check, std::string what) {
  if (check.unequal.size() < NetworkCheck::unequal_max) check.unequal.push_back(std::move(what));
}

void compare(client::QuorumDriver& quorum, const Uid& account, const std::vector<std::optional<AccountState>>& states,
             NetworkCheck& check) {
  for (std::size_t i = 0; i < states.size(); ++i) {
    if (!states[i]) {
      check.heads_equal = check.balances_equal = false;
      note(check, fmt::format("{} says nothing about account {}", name_of(quorum, i), account.text()));
      continue;
    }
    if (i == 0 || !states[0]) continue;
    const AccountState& one = *states[0];
    const AccountState& other = *states[i];
    if (one.next != other.next || one.head != other.head || one.owner != other.owner || one.closed != other.closed) {
      check.heads_equal = false;
      note(check, fmt::format("account {}: {} is at operation {}, {} at {}", account.text(), name_of(quorum, 0),
                              one.next.value(), name_of(quorum, i), other.next.value()));
    }
    if (one.balance != other.balance) {
      check.balances_equal = false;
      note(check, fmt::format("account {}: {} says {}, {} says {}", account.text(), name_of(quorum, 0),
                              codec::to_decimal(one.balance), name_of(quorum, i), codec::to_decimal(other.balance)));
    }
  }
}

Task<void> check_account(client::QuorumDriver& quorum, Uid account, NetworkCheck& check) {
  const auto states = co_await states_of(quorum, account);
  compare(quorum, account, states, check);
}

}  // namespace

protocol::Balance supply_in(const Totals& totals) {
  return totals.balances + (totals.caused - totals.received) + (totals.fees - totals.fees_credited) + totals.burned;
}

bool is_quiet(const Totals& totals) {
  return totals.effects_waiting == 0 && totals.caused == totals.received && totals.fees == totals.fees_credited;
}

Task<std::vector<std::optional<AccountState>>> states_of(client::QuorumDriver& quorum, Uid account) {
  std::vector<std::optional<AccountState>> states(quorum.size());
  co_await in_parallel(quorum.executor(), quorum.size(), quorum.size(),
                       [&](std::size_t validator) { return ask_state(quorum, validator, account, states); });
  co_return states;
}

Task<bool> wait_until_quiet(client::QuorumDriver& quorum, Duration limit) {
  const MonotonicTime give_up = quorum.executor().now() + limit;
  while (true) {
    const auto totals = co_await all_totals(quorum);
    bool quiet = true;
    for (const auto& one : totals)
      quiet = quiet && one && is_quiet(*one) && totals[0] && one->executed == totals[0]->executed;
    if (quiet || quorum.executor().now() >= give_up) co_return quiet;
    co_await sleep_for(quorum.executor(), poll_period);
  }
}

Task<NetworkCheck> check_network(client::QuorumDriver& quorum, protocol::Balance supply, std::vector<Uid> accounts) {
  NetworkCheck check;
  check.accounts = accounts.size();
  co_await in_parallel(quorum.executor(), accounts.size(), accounts_at_once,
                       [&](std::size_t i) { return check_account(quorum, accounts[i], check); });
  const auto totals = co_await all_totals(quorum);
  for (std::size_t i = 0; i < totals.size(); ++i) {
    check.totals.push_back(totals[i].value_or(Totals{}));
    if (!totals[i])
      note(check, fmt::format("{} does not tell its totals", name_of(quorum, i)));
    else if (supply_in(*totals[i]) != supply)
      note(check, fmt::format("{} has {} in all, not {}", name_of(quorum, i), codec::to_decimal(supply_in(*totals[i])),
                              codec::to_decimal(supply)));
    else if (totals[i]->conflicts != 0)
      note(check, fmt::format("{} saw two certificates for one sequence number", name_of(quorum, i)));
    else
      continue;
    check.supply_ok = false;
  }
  co_return check;
}

}  // namespace zef::cli
