// What an answer of an S3 store other than success says about a request. Pure; any thread.
#pragma once

#include <string>

#include "store/http_errors.h"
#include "store/object_store.h"

namespace zef::store {

struct S3Place {
  std::string bucket;
  std::string endpoint;
  std::string region;
};

// For answers that are no outcome of their own (412 of a condition, 404 of a key): which error it is, and what to do.
// `writes`: a server that failed in the middle of a write may have done it.
[[nodiscard]] StoreError s3_error(const Refusal& refusal, bool writes, const S3Place& place);

// The credentials of the request are too old: others may be accepted.
[[nodiscard]] bool credentials_expired(const Refusal& refusal);

}  // namespace zef::store
