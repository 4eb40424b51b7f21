#include "sim/genesis.h"

#include <fmt/core.h>

namespace zef::sim {

using namespace protocol;

SimGenesis make_genesis(SimRng& rng, std::size_t validators, std::size_t accounts, Byzantine byzantine) {
  SimGenesis made;
  Genesis& genesis = made.genesis;
  genesis.network_name = "simulated";
  rng.fill(genesis.nonce.bytes);
  const auto new_seed = [&rng] {
    KeySeed seed;
    rng.fill(seed);
    return seed;
  };
  const bool weighted = rng.chance(250'000);
  for (std::size_t i = 0; i < validators; ++i) {
    made.validator_keys.push_back(crypto::SigningKey::from_seed(new_seed()));
    ValidatorInfo& info = genesis.validators.emplace_back();
    info.name = fmt::format("validator-{}", i);
    info.public_key = made.validator_keys.back().public_key();
    info.weight = weighted ? rng.between(1, 3) : 1;
    info.reward_account = Uid::genesis(rng.pick(accounts));
  }
  genesis.fees = {.base = 3,
                  .per_byte = 0,
                  .per_remote_effect = 2,
                  .per_creation = 20,
                  .per_instance_account = 10,
                  .min_credit = Amount(2)};
  for (std::size_t i = 0; i < accounts; ++i) {
    made.account_seeds.push_back(new_seed());
    const std::uint64_t balance = rng.chance(200'000) ? rng.between(300, 3000) : rng.between(100'000, 1'000'000);
    genesis.accounts.push_back(
        {.owner = crypto::SigningKey::from_seed(made.account_seeds.back()).public_key(), .balance = Amount(balance)});
  }
  ZEF_CHECK(check_genesis(genesis).has_value());

  made.byzantine.assign(validators, false);
  if (byzantine == Byzantine::none) return made;
  const Committee committee(genesis);
  if (byzantine == Byzantine::beyond_f) {
    unsigned __int128 weight = 0;
    for (std::size_t i = 0; weight <= committee.faulty_max(); ++i) {
      made.byzantine[i] = true;
      weight += genesis.validators[i].weight;
    }
    return made;
  }
  unsigned __int128 room = committee.faulty_max();
  for (std::size_t tries = 0; tries < validators; ++tries) {
    const std::size_t i = rng.pick(validators);
    if (made.byzantine[i] || genesis.validators[i].weight > room) continue;
    made.byzantine[i] = true;
    room -= genesis.validators[i].weight;
  }
  return made;
}

}  // namespace zef::sim
