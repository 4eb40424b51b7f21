#include "cli/genesis_file.h"

#include <fmt/core.h>

#include "cli/files.h"
#include "codec/json.h"

namespace zef::cli {

using protocol::Genesis;

Result<Genesis> read_genesis(const std::filesystem::path& path) {
  const auto bytes = read_file(path, genesis_bytes_max);
  if (!bytes)
    return fail(bytes.error().kind,
                bytes.error().message + "; a genesis file is made by 'zef genesis create' or 'zef net up'");
  const auto wrong = [&](std::string_view why) {
    return fail(ErrorKind::invalid_input,
                fmt::format("{} is no valid genesis file: {}; use the file that this network was made with",
                            path.string(), why));
  };
  Genesis genesis;
  if (path.extension() == ".bcs") {
    auto decoded = codec::decode<Genesis>(*bytes);
    if (!decoded) return wrong(codec::to_string(decoded.error()));
    genesis = std::move(*decoded);
  } else {
    auto parsed = codec::from_json<Genesis>(as_text(*bytes));
    if (!parsed) return wrong(parsed.error());
    genesis = std::move(*parsed);
  }
  if (const auto good = protocol::check_genesis(genesis); !good) return wrong(good.error());
  return genesis;
}

Result<void> write_genesis(const std::filesystem::path& path, const Genesis& genesis) {
  if (path.extension() == ".bcs") return write_file(path, codec::encode(genesis));
  return write_file(path, as_bytes(codec::to_json(genesis).dump(2) + "\n"));
}

Result<Genesis> make_genesis(Rng& rng, std::string network_name, const std::vector<Seat>& seats,
                             const protocol::FeeSchedule& fees, std::vector<protocol::GenesisAccount> accounts) {
  Genesis genesis;
  genesis.network_name = std::move(network_name);
  rng.fill(genesis.nonce.bytes);
  genesis.fees = fees;
  genesis.accounts = std::move(accounts);
  for (const Seat& seat : seats) {
    genesis.validators.push_back({.name = seat.name,
                                  .public_key = seat.key,
                                  .weight = seat.weight,
                                  .reward_account = protocol::Uid::genesis(genesis.accounts.size())});
    genesis.accounts.push_back({.owner = seat.reward_owner, .balance = protocol::Amount(0)});
  }
  if (const auto good = protocol::check_genesis(genesis); !good)
    return fail(ErrorKind::invalid_input, "this would be no valid network: " + good.error());
  return genesis;
}

}  // namespace zef::cli
