#include "client/outcome.h"

namespace zef::client {

std::string_view to_string(FailureKind kind) {
  switch (kind) {
    case FailureKind::unavailable: return "unavailable";
    case FailureKind::insufficient_funds: return "insufficient_funds";
    case FailureKind::other_pending: return "other_pending";
    case FailureKind::out_of_date: return "out_of_date";
    case FailureKind::not_owner: return "not_owner";
    case FailureKind::closed: return "closed";
    case FailureKind::not_found: return "not_found";
    case FailureKind::invalid: return "invalid";
    case FailureKind::storage: return "storage";
  }
  return "unknown";
}

Failure as_failure(const Error& error) {
  switch (error.kind) {
    case ErrorKind::invalid_input:
    case ErrorKind::refused: return {FailureKind::invalid, error.message, std::nullopt};
    case ErrorKind::not_found: return {FailureKind::not_found, error.message, std::nullopt};
    case ErrorKind::corrupt:
    case ErrorKind::io:
    case ErrorKind::fenced: return {FailureKind::storage, error.message, std::nullopt};
    case ErrorKind::unavailable:
    case ErrorKind::cancelled: return {FailureKind::unavailable, error.message, std::nullopt};
  }
  return {FailureKind::unavailable, error.message, std::nullopt};
}

Error as_error(const Failure& failure) {
  switch (failure.kind) {
    case FailureKind::unavailable: return {ErrorKind::unavailable, failure.message};
    case FailureKind::not_found: return {ErrorKind::not_found, failure.message};
    case FailureKind::invalid: return {ErrorKind::invalid_input, failure.message};
    case FailureKind::storage: return {ErrorKind::io, failure.message};
    case FailureKind::insufficient_funds:
    case FailureKind::other_pending:
    case FailureKind::out_of_date:
    case FailureKind::not_owner:
    case FailureKind::closed: return {ErrorKind::refused, failure.message};
  }
  return {ErrorKind::refused, failure.message};
}

}  // namespace zef::client
