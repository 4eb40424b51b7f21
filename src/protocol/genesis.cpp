#include "protocol/genesis.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "crypto/sha256.h"
#include "crypto/verify.h"

namespace zef::protocol {
namespace {

using Check = std::expected<void, std::string>;
using u128 = unsigned __int128;

std::unexpected<std::string> wrong(std::string why) { return std::unexpected(std::move(why)); }

// Names end up in tables, file names and metrics.
bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

Check check_validator(const Genesis& genesis, const ValidatorInfo& validator) {
  if (!is_name(validator.name))
    return wrong(fmt::format("the name of the validator with the key {} must be 1 to 64 printable ASCII characters",
                             validator.public_key.hex()));
  if (!crypto::is_usable(validator.public_key))
    return wrong(fmt::format("the key of validator '{}' is not a usable Ed25519 key", validator.name));
  const Uid& reward = validator.reward_account;
  if (reward.depth() != 1 || reward.parts()[0] >= genesis.accounts.size())
    return wrong(fmt::format("the reward account {} of validator '{}' is not a genesis account (0 to {})",
                             reward.text(), validator.name, genesis.accounts.size() - 1));
  return {};
}

Check check_validators(const Genesis& genesis) {
  if (!genesis.validators.in_bounds())
    return wrong(fmt::format("a committee has 1 to {} validators, and this one has {}", committee_size_max,
                             genesis.validators.size()));
  std::set<PublicKey> keys;
  std::set<std::string_view> names;
  u128 weight = 0;
  for (const ValidatorInfo& validator : genesis.validators) {
    if (auto ok = check_validator(genesis, validator); !ok) return ok;
    if (!keys.insert(validator.public_key).second)
      return wrong(fmt::format("validator '{}' has the same key as another one", validator.name));
    if (!names.insert(validator.name).second)
      return wrong(fmt::format("two validators have the name '{}'", validator.name));
    weight += validator.weight;
  }
  if (weight == 0) return wrong("no validator has a weight, so there can be no quorum");
  return {};
}

// The dearest request there can be must cost less than 2^64, so that fee_of never overflows.
Check check_fees(const Genesis& genesis) {
  const FeeSchedule& fees = genesis.fees;
  constexpr u128 effects_max = 256;  // one for each payment
  constexpr u128 instance_accounts_max = 16;
  // Each term is below 2^80, their sum below 2^83, times 256 validators: far from overflowing 128 bits.
  const u128 share = u128(fees.base) + u128(fees.per_byte) * request_bytes_max +
                     u128(fees.per_remote_effect) * effects_max + u128(fees.per_creation) +
                     u128(fees.per_instance_account) * instance_accounts_max;
  if (share * genesis.validators.size() > Amount::max)
    return wrong("the fees are too high: the dearest request would cost 2^64 units or more");
  if (fees.min_credit == Amount(0)) return wrong("min_credit must be at least 1: payments of nothing are not allowed");
  return {};
}

Check check_accounts(const Genesis& genesis) {
  if (genesis.accounts.empty()) return wrong("there must be at least one account");
  for (std::size_t i = 0; i < genesis.accounts.size(); ++i)
    if (!crypto::is_usable(genesis.accounts[i].owner))
      return wrong(fmt::format("the owner of account {} is not a usable Ed25519 key", i));
  if (supply_of(genesis) > Balance(Amount::max))
    return wrong("the balances of all accounts together must be below 2^64");
  return {};
}

}  // namespace

NetworkId network_id_of(const Genesis& genesis) { return NetworkId{crypto::sha256(codec::encode(genesis)).bytes}; }

std::expected<void, std::string> check_genesis(const Genesis& genesis) {
  if (!is_name(genesis.network_name))
    return wrong("the name of the network must be 1 to 64 printable ASCII characters");
  if (auto ok = check_accounts(genesis); !ok) return ok;
  if (auto ok = check_validators(genesis); !ok) return ok;
  return check_fees(genesis);
}

Balance supply_of(const Genesis& genesis) {
  Balance supply = 0;
  for (const GenesisAccount& account : genesis.accounts) supply += account.balance.value();
  return supply;
}

Committee::Committee(const Genesis& genesis) : validators_(genesis.validators) {
  for (const ValidatorInfo& validator : validators_) total_weight_ += validator.weight;
}

const ValidatorInfo* Committee::find(ValidatorIndex index) const {
  return index.value() < validators_.size() ? &validators_[index.value()] : nullptr;
}

std::optional<ValidatorIndex> Committee::index_of(const PublicKey& key) const {
  const auto found = std::ranges::find(validators_, key, &ValidatorInfo::public_key);
  if (found == validators_.end()) return std::nullopt;
  return ValidatorIndex(static_cast<std::uint16_t>(found - validators_.begin()));
}

}  // namespace zef::protocol
