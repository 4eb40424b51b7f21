// Protocol instances: what they keep, and the rules L that need nothing else (docs/protocol.md, section 6). Pure.
#pragma once

#include "protocol/genesis.h"
#include "protocol/refusal.h"

namespace zef::protocol {

// The operation of the request that started an instance.
[[nodiscard]] inline const StartInstance& started_by(const Request& start) {
  return std::get<StartInstance>(start.operation);
}

// L1, on the request alone (its operation is StartInstance).
[[nodiscard]] Ruled<> check_start(const Network& network, const Request& request);

// The place of a lock's account in the instance; nothing unless the lock names this instance, and the instance exactly
// the lock's account and sequence number.
[[nodiscard]] std::optional<std::size_t> place_of_lock(const StartInstance& instance, const Request& lock);

// L2: what the dearer outcome costs the account at `place`: amounts and fee of its derived request.
[[nodiscard]] Balance cost_of_lock(const Network& network, const StartInstance& instance, const Request& lock,
                                   std::size_t place);

// L2: the requests that are executed in place of the locks. Confirmed: one for each account, in the instance's order,
// from the locks of all accounts in that order. Aborted: for each account by itself, from its lock alone.
[[nodiscard]] std::vector<Request> confirmed_requests(const StartInstance& instance,
                                                      const std::vector<const Request*>& locks);
[[nodiscard]] Request aborted_request(const Request& lock);

// L3: the account whose delegate alone may propose in a round from 1 on.
[[nodiscard]] std::size_t leader_of(const StartInstance& instance, Round round);

// The request that starts `instance`, among those that a proof would vouch for; nullptr if it is not there. Verifies
// nothing.
[[nodiscard]] const Request* find_start(const Proof& proof, const Uid& instance);

}  // namespace zef::protocol
