// The rules R that need no more than the account's record (docs/protocol.md, section 4). Pure: they read, and change
// nothing. The caller (shard/shard.cpp) keeps their order.
#pragma once

#include "protocol/effects.h"
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
[[nodiscard]] Ruled<> check_operation(const Network& network, const AccountFacts& account,
                                      const Request& request);  // R6

}  // namespace zef::protocol
