// The rules R that need no more than the account's record (docs/protocol.md, section 4). Pure: they read, and change
// nothing. The caller (shard/shard.cpp) keeps their order.
#pragma once

#include "protocol/effects.h"
#include "protocol/instance_rules.h"
#include "protocol/refusal.h"

namespace zef::protocol {

// The part of an account's record that rules read.
struct AccountFacts {
  std::optional<PublicKey> owner;
  Balance balance = 0;
  SequenceNumber next;
  Hash head;
};

[[nodiscard]] Ruled<> check_shape(const Request& request);                                  // R1
[[nodiscard]] Ruled<> check_owner(const AccountFacts& account, const RequestOrder& order);  // R3, the key only
[[nodiscard]] Ruled<> check_position(const AccountFacts& account, const Request& request);  // R4
// R6. Of LockInto only what the request itself shows: check_lock does the rest.
[[nodiscard]] Ruled<> check_operation(const Network& network, const AccountFacts& account, const Request& request);
// L2: `start` (nullptr: none was shown) starts the instance, names exactly this account and number, and the balance
// covers the dearer outcome. Nothing else is looked at.
[[nodiscard]] Ruled<> check_lock(const Network& network, const AccountFacts& account, const Request& request,
                                 const Request* start);

// Parts of R6 that rules L share: an amount that may be credited, a UID that the request creates.
[[nodiscard]] Ruled<> check_credit(const Network& network, const Uid& recipient, Amount amount);
[[nodiscard]] Ruled<> check_child(const Request& request, const Uid& new_id);

}  // namespace zef::protocol
