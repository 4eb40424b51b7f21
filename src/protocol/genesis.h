// What every member of a network agrees on before the first request: committee, fees, first accounts.
#pragma once

#include <expected>

#include "protocol/certificate.h"

namespace zef::protocol {

struct ValidatorInfo {
  std::string name;  // for people; 1 to 64 bytes
  PublicKey public_key;
  std::uint64_t weight = 1;  // 0: known, but its votes count for nothing and are refused
  Uid reward_account;        // a genesis account: its share of the fees goes there
  friend bool operator==(const ValidatorInfo&, const ValidatorInfo&) = default;
  static constexpr auto fields = codec::fields<&ValidatorInfo::name, &ValidatorInfo::public_key, &ValidatorInfo::weight,
                                               &ValidatorInfo::reward_account>;
};

// The share of one validator, in the smallest unit; a request pays it once for each validator, so that shares divide
// exactly. Computed from the request alone: the same on all validators.
struct FeeSchedule {
  std::uint64_t base = 0;
  std::uint64_t per_byte = 0;  // of BCS(request)
  std::uint64_t per_remote_effect = 0;
  std::uint64_t per_creation = 0;
  std::uint64_t per_instance_account = 0;
  Amount min_credit{1};  // the least amount that a payment or a funding other than 0 may carry
  friend bool operator==(const FeeSchedule&, const FeeSchedule&) = default;
  static constexpr auto fields =
      codec::fields<&FeeSchedule::base, &FeeSchedule::per_byte, &FeeSchedule::per_remote_effect,
                    &FeeSchedule::per_creation, &FeeSchedule::per_instance_account, &FeeSchedule::min_credit>;
};

struct GenesisAccount {
  PublicKey owner;
  Amount balance;
  friend bool operator==(const GenesisAccount&, const GenesisAccount&) = default;
  static constexpr auto fields = codec::fields<&GenesisAccount::owner, &GenesisAccount::balance>;
};

struct Genesis {
  std::string network_name;               // for people; 1 to 64 bytes
  FixedBytes<struct NonceTag, 32> nonce;  // random: two networks never share a NetworkId
  codec::Bounded<ValidatorInfo, 1, committee_size_max> validators;
  FeeSchedule fees;
  std::vector<GenesisAccount> accounts;  // account [i] is accounts[i]
  friend bool operator==(const Genesis&, const Genesis&) = default;
  static constexpr auto fields =
      codec::fields<&Genesis::network_name, &Genesis::nonce, &Genesis::validators, &Genesis::fees, &Genesis::accounts>;
};

[[nodiscard]] NetworkId network_id_of(const Genesis& genesis);
// What is wrong with a genesis, as a sentence for its maker: no weight, repeated or unusable keys, reward accounts that
// are not genesis accounts, a supply or fees that could overflow.
[[nodiscard]] std::expected<void, std::string> check_genesis(const Genesis& genesis);

// The sum of the genesis balances: what I4 compares with.
[[nodiscard]] Balance supply_of(const Genesis& genesis);

// The weights behind a quorum: floor(2N/3) + 1 of the total weight N. f = floor((N - 1) / 3) may be Byzantine.
class Committee {
 public:
  explicit Committee(const Genesis& genesis);
  [[nodiscard]] std::size_t size() const { return validators_.size(); }
  [[nodiscard]] const ValidatorInfo* find(ValidatorIndex index) const;  // nullptr if there is no such validator
  [[nodiscard]] std::optional<ValidatorIndex> index_of(const PublicKey& key) const;
  [[nodiscard]] unsigned __int128 total_weight() const { return total_weight_; }
  [[nodiscard]] unsigned __int128 quorum() const { return total_weight_ * 2 / 3 + 1; }
  [[nodiscard]] unsigned __int128 faulty_max() const { return (total_weight_ - 1) / 3; }
  [[nodiscard]] const std::vector<ValidatorInfo>& validators() const { return validators_; }

 private:
  std::vector<ValidatorInfo> validators_;
  unsigned __int128 total_weight_ = 0;
};

// Everything that rules need to know about the network; made once, shared by const reference.
struct Network {
  explicit Network(const Genesis& genesis)
      : id(network_id_of(genesis)), committee(genesis), fees(genesis.fees), genesis_accounts(genesis.accounts.size()) {}
  NetworkId id;
  Committee committee;
  FeeSchedule fees;
  std::uint64_t genesis_accounts;
};

}  // namespace zef::protocol

ZEF_CODEC_DECLARE(zef::protocol::Genesis);
