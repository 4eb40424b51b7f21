#include "cli/genesis_commands.h"

#include <fmt/core.h>

#include <charconv>

#include "cli/files.h"
#include "cli/genesis_file.h"
#include "cli/keys_commands.h"
#include "cli/local_network.h"
#include "client/wallet.h"
#include "crypto/sealed.h"
#include "net/loop.h"
#include "net/system_rng.h"

namespace zef::cli {
namespace {

struct CreateFlags {
  std::filesystem::path out;
  std::string name = "zefchain";
  std::vector<std::string> validators;  // NAME:KEY[:REWARD_KEY]
  std::uint64_t generate = 0;
  std::filesystem::path keys_dir;
  std::vector<std::string> accounts;  // KEY:BALANCE
  std::uint64_t wallet_accounts = 0;
  std::uint64_t balance = 1'000'000'000;
  std::filesystem::path wallet;
  protocol::FeeSchedule fees = default_fees();
  std::uint64_t min_credit = 1;
  PassphraseOptions passphrase;
  bool json = false;
};

// What a new genesis is made of while it is collected.
struct Collected {
  std::vector<Seat> seats;
  std::vector<protocol::GenesisAccount> accounts;
  std::vector<std::pair<std::filesystem::path, crypto::SigningKey>> key_files;
  std::vector<crypto::SigningKey> wallet_keys;  // of the last accounts, in their order
};

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::size_t from = 0;
  while (true) {
    const auto end = text.find(at, from);
    parts.push_back(text.substr(from, end - from));
    if (end == std::string::npos) return parts;
    from = end + 1;
  }
}

Result<void> collect_validators(const CreateFlags& flags, Collected& all) {
  for (const std::string& text : flags.validators) {
    const auto parts = split(text, ':');
    if (parts.size() != 2 && parts.size() != 3)
      return fail(ErrorKind::invalid_input,
                  fmt::format("--validator '{}': give NAME:KEY or NAME:KEY:REWARD_KEY", text));
    const auto key = public_key_from(parts[1]);
    if (!key) return std::unexpected(key.error());
    const auto reward = parts.size() == 3 ? public_key_from(parts[2]) : *key;
    if (!reward) return std::unexpected(reward.error());
    all.seats.push_back({.name = parts[0], .key = *key, .weight = 1, .reward_owner = *reward});
  }
  if (flags.generate > protocol::committee_size_max)
    return fail(ErrorKind::invalid_input, fmt::format("--validators {}: a committee has at most {}", flags.generate,
                                                      protocol::committee_size_max));
  for (std::uint64_t i = 0; i < flags.generate; ++i) {
    auto key = crypto::SigningKey::generate();
    const std::string name = fmt::format("validator-{}", i);
    all.seats.push_back({.name = name, .key = key.public_key(), .weight = 1, .reward_owner = key.public_key()});
    all.key_files.emplace_back(flags.keys_dir / (name + ".key"), std::move(key));
  }
  return {};
}

Result<void> collect_accounts(const CreateFlags& flags, Collected& all) {
  for (const std::string& text : flags.accounts) {
    const auto at = text.rfind(':');
    std::uint64_t balance = 0;
    const char* const end = text.data() + text.size();
    if (at == std::string::npos ||
        std::from_chars(text.data() + at + 1, end, balance) != std::from_chars_result{end, std::errc{}})
      return fail(ErrorKind::invalid_input, fmt::format("--account '{}': give KEY:BALANCE", text));
    const auto key = public_key_from(text.substr(0, at));
    if (!key) return std::unexpected(key.error());
    all.accounts.push_back({.owner = *key, .balance = protocol::Amount(balance)});
  }
  for (std::uint64_t i = 0; i < flags.wallet_accounts; ++i) {
    all.wallet_keys.push_back(crypto::SigningKey::generate());
    all.accounts.push_back({.owner = all.wallet_keys.back().public_key(), .balance = protocol::Amount(flags.balance)});
  }
  return {};
}

Result<void> check_flags(const CreateFlags& flags) {
  const auto usage = [](std::string what) { return fail(ErrorKind::invalid_input, std::move(what)); };
  if (flags.validators.empty() && flags.generate == 0)
    return usage("a network needs validators: --validator NAME:KEY for each, or --validators N to make keys too");
  if (flags.generate > 0 && flags.keys_dir.empty())
    return usage("--validators N makes sealed keys: say where with --keys-dir");
  if (flags.wallet_accounts > 0 && flags.wallet.empty())
    return usage("--accounts N makes accounts with new keys: say with --wallet which file is to hold them");
  constexpr std::uint64_t wallet_accounts_max = 100'000;
  if (flags.wallet_accounts > wallet_accounts_max)
    return usage(
        fmt::format("--accounts {}: a wallet is made with at most {}", flags.wallet_accounts, wallet_accounts_max));
  std::error_code ignored;
  for (const auto& path : {flags.out, flags.wallet})
    if (!path.empty() && std::filesystem::exists(path, ignored))
      return fail(ErrorKind::refused, path.string() + " is there already: name a new file");
  return {};
}

void print_genesis(const protocol::Genesis& genesis, bool json) {
  const protocol::Network network(genesis);
  if (json) {
    codec::Json validators = codec::Json::array();
    for (const auto& validator : genesis.validators) validators.push_back(codec::to_json(validator));
    print_json({{"network", network.id.hex()},
                {"name", genesis.network_name},
                {"validators", std::move(validators)},
                {"accounts", genesis.accounts.size()},
                {"supply", codec::to_decimal(protocol::supply_of(genesis))},
                {"fees", codec::to_json(genesis.fees)}});
    return;
  }
  Table table({{"validator"}, {"weight", true}, {"reward account", true}, {"public key"}});
  for (const auto& validator : genesis.validators)
    table.add({validator.name, grouped(validator.weight), validator.reward_account.text(), validator.public_key.hex()});
  print_out(fmt::format("network {} ({})\n{} accounts, supply {}\n\n{}", network.id.hex(), genesis.network_name,
                        grouped(std::uint64_t{genesis.accounts.size()}), grouped(protocol::supply_of(genesis)),
                        table.text()));
}

Result<void> write_keys(const CreateFlags& flags, const protocol::Genesis& genesis, Collected& all) {
  if (all.key_files.empty() && all.wallet_keys.empty()) return {};
  const auto passphrase = flags.passphrase.read("New passphrase of the keys and the wallet: ", crypto::Confirm::yes);
  if (!passphrase) return std::unexpected(passphrase.error());
  if (!all.key_files.empty())
    if (auto made = make_folder(flags.keys_dir); !made) return made;
  for (const auto& [path, key] : all.key_files)
    if (auto wrote = crypto::write_sealed_file(path, key, *passphrase); !wrote) return wrote;
  if (all.wallet_keys.empty()) return {};

  const protocol::Network network(genesis);
  const std::uint64_t first = flags.accounts.size();
  std::vector<client::NewAccount> accounts;
  for (std::uint64_t i = 0; i < all.wallet_keys.size(); ++i)
    accounts.push_back({.uid = protocol::Uid::genesis(first + i),
                        .key = std::move(all.wallet_keys[i]),
                        .chain = client::genesis_chain(genesis, network, first + i, true),
                        .label = fmt::format("account {}", first + i)});
  return client::Wallet::create(flags.wallet, network.id, *passphrase, std::move(accounts), net::Loop().wall_now());
}

Result<ExitCode> create(const CreateFlags& flags) {
  if (auto good = check_flags(flags); !good) return std::unexpected(good.error());
  Collected all;
  if (auto done = collect_validators(flags, all); !done) return std::unexpected(done.error());
  if (auto done = collect_accounts(flags, all); !done) return std::unexpected(done.error());
  protocol::FeeSchedule fees = flags.fees;
  fees.min_credit = protocol::Amount(flags.min_credit);
  net::SystemRng rng;
  const auto genesis = make_genesis(rng, flags.name, all.seats, fees, std::move(all.accounts));
  if (!genesis) return std::unexpected(genesis.error());
  if (auto wrote = write_keys(flags, *genesis, all); !wrote) return std::unexpected(wrote.error());
  if (auto wrote = write_genesis(flags.out, *genesis); !wrote) return std::unexpected(wrote.error());
  print_genesis(*genesis, flags.json);
  return ExitCode::ok;
}

Result<ExitCode> check(const std::filesystem::path& file, bool json) {
  const auto genesis = read_genesis(file);
  if (!genesis) return std::unexpected(genesis.error());
  print_genesis(*genesis, json);
  return ExitCode::ok;
}

void add_create(Program& program, CLI::App& genesis) {
  const auto flags = std::make_shared<CreateFlags>();
  CLI::App& app = add_command(program, genesis, "create", "Makes the genesis file of a new network",
                              [flags] { return create(*flags); });
  app.add_option("--out", flags->out, "The file to make: .json, or .bcs for canonical bytes")->required();
  app.add_option("--name", flags->name, "The network's name, for people")->capture_default_str();
  app.add_option("--validator", flags->validators,
                 "NAME:KEY[:REWARD_KEY], once for each; keys as hexadecimal digits or sealed key files; fees go to an "
                 "account of REWARD_KEY, or else of KEY");
  app.add_option("--validators", flags->generate, "Make so many validators with new sealed keys");
  app.add_option("--keys-dir", flags->keys_dir, "Where the new validators' keys go");
  app.add_option("--account", flags->accounts, "KEY:BALANCE, once for each account");
  app.add_option("--accounts", flags->wallet_accounts, "Make so many accounts with new keys in a wallet");
  app.add_option("--balance", flags->balance, "Of each account of --accounts")->capture_default_str();
  app.add_option("--wallet", flags->wallet, "The wallet file to make for --accounts");
  app.add_option("--fee-base", flags->fees.base, "Of each request, for each validator")->capture_default_str();
  app.add_option("--fee-per-byte", flags->fees.per_byte, "Of the request")->capture_default_str();
  app.add_option("--fee-per-remote-effect", flags->fees.per_remote_effect, "For each recipient's account")
      ->capture_default_str();
  app.add_option("--fee-per-creation", flags->fees.per_creation, "For a new account or instance")
      ->capture_default_str();
  app.add_option("--fee-per-instance-account", flags->fees.per_instance_account, "For each account of an instance")
      ->capture_default_str();
  app.add_option("--min-credit", flags->min_credit, "The least amount of a payment")->capture_default_str();
  flags->passphrase.add_to(app);
  add_json_flag(app, flags->json);
}

}  // namespace

void add_genesis_commands(Program& program) {
  CLI::App& genesis = add_group(program.app, "genesis", "Genesis files: what every member of a network agrees on");
  add_create(program, genesis);
  struct CheckFlags {
    std::filesystem::path file;
    bool json = false;
  };
  const auto flags = std::make_shared<CheckFlags>();
  CLI::App& app = add_command(program, genesis, "check", "Checks a genesis file and prints what it says",
                              [flags] { return check(flags->file, flags->json); });
  app.add_option("file", flags->file, "The genesis file")->required();
  add_json_flag(app, flags->json);
}

}  // namespace zef::cli
