// Results and the error that the shell rooms (store, net, ledger, worker, balancer, client, cli) share. The pure rooms
// have error types of their own (codec::DecodeError, protocol::Refusal).
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace zef {

// A kind exists only where somebody reacts differently to it.
enum class ErrorKind {
  invalid_input,  // the caller's flags, file or message: fix it and call again
  not_found,      // what was named does not exist
  refused,        // a rule says no (wrong network, foreign store, file mode too wide)
  corrupt,        // stored bytes are not what was written
  unavailable,    // somebody else does not answer now: try again later
  fenced,         // another process owns what this one believed to own: stop at once
  io,             // the machine says no: disk full, port busy, permission
  cancelled,      // this process is stopping
};

struct Error {
  ErrorKind kind = ErrorKind::invalid_input;
  std::string message;  // what happened and, for people, what to do about it; one line, no trailing period needed
};

template <class T, class E = Error>
using Result = std::expected<T, E>;

[[nodiscard]] inline std::unexpected<Error> fail(ErrorKind kind, std::string message) {
  return std::unexpected(Error{kind, std::move(message)});
}

}  // namespace zef
