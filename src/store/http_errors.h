// From what an HTTP server answered, or did not, to errors of a store; what the providers over HTTP share. Any thread.
#pragma once

#include <string>

#include "http/client.h"
#include "store/object_store.h"

namespace zef::store {

// Never sent is `unavailable`; all that may have been received is `ambiguous`, also for reads, which may be repeated
// after either.
[[nodiscard]] StoreError to_store_error(const http::Failure& failure);

// An error in the XML that all these stores speak: <Error><Code/><Message/></Error>.
struct Refusal {
  int status = 0;
  std::string code;     // "" if there is none
  std::string message;  // one line
};
// An answer without a body (to HEAD) has no code.
[[nodiscard]] Refusal refusal_of(const http::Response& response);

// The line for people: "403 AccessDenied: Access Denied".
[[nodiscard]] std::string shown(const Refusal& refusal);

}  // namespace zef::store
