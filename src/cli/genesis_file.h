// Genesis files: JSON for people (".json"), or the canonical bytes (".bcs") for networks with many accounts; and how a
// new genesis is put together. Thread rule: blocking; any thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/result.h"
#include "protocol/genesis.h"

namespace zef::cli {

inline constexpr std::uint64_t genesis_bytes_max = 1ULL << 32;

// not_found, invalid_input (does not parse, or breaks a rule of protocol::check_genesis, with the place).
[[nodiscard]] Result<protocol::Genesis> read_genesis(const std::filesystem::path& path);
// By its extension. Replaces the file.
[[nodiscard]] Result<void> write_genesis(const std::filesystem::path& path, const protocol::Genesis& genesis);

// A validator's place in a new committee. Its reward account is added behind the accounts of users.
struct Seat {
  std::string name;
  protocol::PublicKey key;
  std::uint64_t weight = 1;
  protocol::PublicKey reward_owner;
};
// Accounts 0..N-1 are `accounts`, N..N+V-1 the reward accounts of the seats. invalid_input as check_genesis says.
[[nodiscard]] Result<protocol::Genesis> make_genesis(Rng& rng, std::string network_name, const std::vector<Seat>& seats,
                                                     const protocol::FeeSchedule& fees,
                                                     std::vector<protocol::GenesisAccount> accounts);

}  // namespace zef::cli
