// Whether all validators of a network say the same, account by account, and whether each of them has exactly the
// genesis supply (I4). For demos and load tests that know when the network is quiet.
//
// Thread rule: the executor's thread. States of accounts are signed answers; totals are what each validator says of
// itself.
#pragma once

#include <string>
#include <vector>

#include "client/quorum_driver.h"

namespace zef::cli {

struct NetworkCheck {
  std::size_t accounts = 0;          // compared
  std::vector<std::string> unequal;  // what differs, in words; at most unequal_max of them
  bool heads_equal = true;           // owner, next number, head, closed or not
  bool balances_equal = true;
  bool supply_ok = true;
  std::vector<protocol::Totals> totals;  // of each validator
  static constexpr std::size_t unequal_max = 10;
};

// balances + effects under way + fees not credited yet + what was burned.
[[nodiscard]] protocol::Balance supply_in(const protocol::Totals& totals);
// Nothing is under way: every effect was applied and acknowledged, every fee share credited.
[[nodiscard]] bool is_quiet(const protocol::Totals& totals);

// Waits until every validator is quiet and all have executed as many requests; whether that came in time.
[[nodiscard]] Task<bool> wait_until_quiet(client::QuorumDriver& quorum, Duration limit);

// Compares all validators. An account that a validator cannot be asked about counts as unequal.
[[nodiscard]] Task<NetworkCheck> check_network(client::QuorumDriver& quorum, protocol::Balance supply,
                                               std::vector<protocol::Uid> accounts);

// What the validators say about one account, in their order; nothing for one that does not know it or did not answer.
[[nodiscard]] Task<std::vector<std::optional<protocol::AccountState>>> states_of(client::QuorumDriver& quorum,
                                                                                 protocol::Uid account);

}  // namespace zef::cli
