// What can become of an operation that several validators have to agree on, as one error type of the whole room.
// Values only.
#pragma once

#include <expected>
#include <optional>
#include <string>

#include "base/result.h"
#include "protocol/refusal.h"

namespace zef::client {

using namespace protocol;  // this room speaks of nothing else

// A kind exists only where a caller reacts differently to it.
enum class FailureKind {
  unavailable,         // no quorum answered in time: what was asked may or may not have happened; ask again
  insufficient_funds,  // the account cannot pay amount and fee
  other_pending,       // validators voted for another request of this account at this number (Failure::refusal has it)
  out_of_date,         // this number was used by another request: the chain went on elsewhere; synchronise
  not_owner,           // the key does not own the account (any more)
  closed,              // the account is closed
  not_found,           // nobody knows the account, or it has no owner yet
  invalid,             // the request breaks a rule: it can never succeed
  storage,             // the wallet's file could not be read or written
};
[[nodiscard]] std::string_view to_string(FailureKind kind);

struct Failure {
  FailureKind kind = FailureKind::unavailable;
  std::string message;             // for people: what happened and what to do; one line
  std::optional<Refusal> refusal;  // what validators of more than f weight said, if they did
};

template <class T = void>
using Outcome = std::expected<T, Failure>;

[[nodiscard]] inline std::unexpected<Failure> failed(FailureKind kind, std::string message,
                                                     std::optional<Refusal> refusal = std::nullopt) {
  return std::unexpected(Failure{kind, std::move(message), std::move(refusal)});
}
// An error of the shell rooms (files, network) as a failure of an operation.
[[nodiscard]] Failure as_failure(const Error& error);
// And for callers that only print: the nearest kind of Error.
[[nodiscard]] Error as_error(const Failure& failure);

}  // namespace zef::client
