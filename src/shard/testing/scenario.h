// A validator and a naive model of it, driven by the same choices: orders, proofs (certified or contradicting), effects
// delivered in parts, twice, or with lost acknowledgements, fee totals, messages to instances (of which the model knows
// what they may never take back). They must give the same answers and the same accounts; the supply must be exact after
// every step, and a replay must give the same digests. Whatever differs throws (must.h). For the fuzzer and for
// property tests.
#pragma once

#include "base/bytes.h"

namespace zef::shard::testing {

void run_scenario(ByteView choices);

}  // namespace zef::shard::testing
