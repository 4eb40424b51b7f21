// Sealing a worker's log: after it, nothing that the worker sends can be confirmed any more (docs/storage.md,
// "Takeover"). Thread rule: one executor.
#pragma once

#include "base/executor.h"
#include "base/result.h"
#include "base/task.h"
#include "ledger/ids.h"
#include "store/object_store.h"

namespace zef::ledger {

struct Sealer {
  Executor* executor;  // nothing: the first trouble of the store ends it
  store::ObjectStore& store;
  Rng& rng;
  WorkerId rescuer;
};

// Returns k, the slot of the SEAL: all slots that the victim may ever have acknowledged are below it. Two rescuers find
// the same k; what one has begun, any other finishes. `known` slots are in the store for sure (0 if in doubt).
Task<Result<Slot>> seal_worker(Sealer sealer, WorkerId victim, Slot known = 0);

}  // namespace zef::ledger
