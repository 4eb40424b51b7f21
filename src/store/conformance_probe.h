// Asks a store, before the first vote, whether it keeps the promises that safety stands on: of 32 racing creations of
// one key exactly one wins, what was written is read back, a stale put_if_match and one on nothing are refused, and of
// two racing put_if_match exactly one wins. Several look-alikes of S3 ignore the conditions; a validator on such a
// store could sign twice.
//
// Thread rule: that of the store. The task must end, or be dropped, before what it refers to.
#pragma once

#include <string>

#include "base/executor.h"
#include "base/result.h"
#include "store/object_store.h"

namespace zef::store {

// Works on one fresh key under `prefix` and removes it. `refused` if the store breaks a promise, `unavailable` or `io`
// if it could not be asked; give it a store with retries.
Task<Result<void>> probe(ObjectStore& store, Executor& executor, Rng& rng, std::string prefix);

}  // namespace zef::store
