// The genesis of a simulated network, and all its keys. Values only.
#pragma once

#include <deque>
#include <vector>

#include "crypto/keys.h"
#include "protocol/genesis.h"
#include "sim/random.h"
#include "sim/user.h"

namespace zef::sim {

struct SimGenesis {
  protocol::Genesis genesis;
  std::deque<crypto::SigningKey> validator_keys;
  std::vector<KeySeed> account_seeds;  // by genesis index
  std::vector<bool> byzantine;         // by validator: at most f of the weight
};

enum class Byzantine { none, up_to_f, beyond_f };

// Accounts: most are rich, some have hardly enough for a fee.
[[nodiscard]] SimGenesis make_genesis(SimRng& rng, std::size_t validators, std::size_t accounts, Byzantine byzantine);

}  // namespace zef::sim
