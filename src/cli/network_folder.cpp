#include "cli/network_folder.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <limits>
#include <set>

#include "cli/genesis_file.h"
#include "client/wallet.h"
#include "codec/json.h"
#include "crypto/passphrase.h"
#include "crypto/private_file.h"
#include "crypto/sealed.h"
#include "crypto/sha256.h"
#include "net/certificates.h"
#include "net/system_rng.h"
#include "store/open_store.h"

namespace zef::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t json_genesis_accounts_max = 10'000;  // more: canonical bytes, which are read much faster
constexpr std::uint64_t validators_max = 32;
constexpr std::uint64_t workers_max = 64;
constexpr std::uint64_t processes_max = 128;  // what one machine can start in reasonable time
constexpr std::uint64_t accounts_max = 10'000'000;
constexpr std::uint64_t wallet_accounts_max = 100'000;
constexpr std::size_t seed_bytes = 32;
// The passphrase has 256 random bits: no work is needed to make guessing it hopeless.
constexpr crypto::SealParameters seal_parameters = crypto::seal_parameters_min;

// ---- options ----

Result<void> check_range(const char* what, std::uint64_t value, std::uint64_t min, std::uint64_t max) {
  if (value >= min && value <= max) return {};
  return fail(ErrorKind::invalid_input, fmt::format("{} {}: choose {} to {}", value, what, min, max));
}

Result<void> check_processes(std::uint64_t validators, std::uint64_t workers) {
  const std::uint64_t processes = validators * (workers + 2);
  if (processes <= processes_max) return {};
  return fail(
      ErrorKind::invalid_input,
      fmt::format(
          "{} validators with {} workers, a balancer and a controller each are {} processes; at most {} run on one "
          "machine: choose fewer validators or workers",
          validators, workers, processes, processes_max));
}

Result<void> check_workers(const LocalNetworkSettings& settings) {
  if (auto checked = check_range("workers", settings.workers, 1, workers_max); !checked) return checked;
  return check_range("workers at most", settings.workers_max, settings.workers, workers_max);
}

Result<void> check_balance(std::uint64_t accounts, std::uint64_t balance) {
  if (balance <= std::numeric_limits<std::uint64_t>::max() / accounts) return {};
  return fail(ErrorKind::invalid_input,
              fmt::format("{} accounts with a balance of {} each: the balances of all accounts together must be below "
                          "2^64; choose less",
                          accounts, balance));
}

Result<void> check_store(const std::string& store) {
  if (store.empty()) return {};
  if (auto good = store::check_store_url(store); !good) return good;
  if (store == "memory:")
    return fail(ErrorKind::invalid_input,
                "store \"memory:\": workers are processes of their own and cannot share it; use file:///absolute/path");
  return {};
}

Result<LocalNetworkSettings> settings_of(const LocalNetworkOptions& options) {
  LocalNetworkSettings settings{.format = std::string(local_network_format),
                                .network = {},
                                .validators = options.validators.value_or(4),
                                .workers = options.workers.value_or(2),
                                .workers_max = options.workers_max.value_or(options.workers.value_or(2)),
                                .accounts = options.accounts.value_or(100),
                                .balance = options.balance.value_or(1'000'000'000),
                                .store = options.store.value_or(""),
                                .fee_period_ms = options.fee_period_ms.value_or(10'000),
                                .flush_delay_ms = options.flush_delay_ms.value_or(2),
                                .checkpoint_every_ms = options.checkpoint_every_ms.value_or(30'000),
                                .store_threads = options.store_threads.value_or(4),
                                .wallet = options.wallet.value_or(true)};
  const std::uint64_t accounts_limit = settings.wallet ? wallet_accounts_max : accounts_max;
  for (const auto& checked :
       {check_range("validators", settings.validators, 1, validators_max), check_workers(settings),
        check_range("accounts", settings.accounts, 1, accounts_limit), check_store(settings.store)})
    if (!checked) return std::unexpected(checked.error());
  // Of numbers that are in range each: nothing overflows, and there is an account.
  if (auto checked = check_processes(settings.validators, settings.workers_max); !checked)
    return std::unexpected(checked.error());
  if (auto checked = check_balance(settings.accounts, settings.balance); !checked)
    return std::unexpected(checked.error());
  return settings;
}

// What a network was made with stays; how its processes run may be chosen each time.
Result<void> check_same(const LocalNetworkOptions& options, const LocalNetworkSettings& settings,
                        const protocol::Genesis& genesis, const fs::path& dir) {
  const auto differs = [&](std::string_view what, const auto& has, const auto& asked) {
    return fail(
        ErrorKind::invalid_input,
        fmt::format("the network in {} has {} {}, and {} is asked for: leave that flag out, or use another folder",
                    dir.string(), what, has, asked));
  };
  if (options.validators.value_or(settings.validators) != settings.validators)
    return differs("validators:", settings.validators, *options.validators);
  if (options.accounts.value_or(settings.accounts) != settings.accounts)
    return differs("accounts:", settings.accounts, *options.accounts);
  if (options.balance.value_or(settings.balance) != settings.balance)
    return differs("the balance", settings.balance, *options.balance);
  if (options.store.value_or(settings.store) != settings.store)
    return differs("the store", fmt::format("\"{}\"", settings.store), fmt::format("\"{}\"", *options.store));
  if (options.wallet.value_or(settings.wallet) != settings.wallet)
    return differs("a wallet:", settings.wallet, *options.wallet);
  if (options.fees.value_or(genesis.fees) != genesis.fees) return differs("fees", "of its own", "another schedule");
  return {};
}

Result<void> apply_run_options(const LocalNetworkOptions& options, LocalNetworkSettings& settings) {
  if (options.workers) {
    settings.workers = *options.workers;
    settings.workers_max = options.workers_max.value_or(*options.workers);
    if (auto checked = check_workers(settings); !checked) return checked;
    if (auto checked = check_processes(settings.validators, settings.workers_max); !checked) return checked;
  }
  settings.fee_period_ms = options.fee_period_ms.value_or(settings.fee_period_ms);
  settings.flush_delay_ms = options.flush_delay_ms.value_or(settings.flush_delay_ms);
  settings.checkpoint_every_ms = options.checkpoint_every_ms.value_or(settings.checkpoint_every_ms);
  settings.store_threads = options.store_threads.value_or(settings.store_threads);
  return {};
}

// ---- what is in the folder ----

bool is_ours(std::string_view name) {
  constexpr std::string_view files[] = {"genesis.json", "genesis.bcs",   "network.json", "net.json",
                                        "passphrase",   "accounts.seed", "making"};
  for (const std::string_view file : files)
    if (name == file || name == std::string(file) + ".new") return true;
  return name.starts_with("wallet.sqlite") || name.starts_with("validator-");
}

enum class Found { nothing, half, network, something_else };

Result<Found> examine(const fs::path& dir) {
  std::error_code error;
  if (!fs::exists(dir, error)) return Found::nothing;
  if (!fs::is_directory(dir, error))
    return fail(ErrorKind::invalid_input, dir.string() + " is not a folder: name another one");
  if (fs::exists(dir / "net.json", error)) return Found::network;
  if (fs::exists(dir / "making", error)) return Found::half;
  const fs::directory_iterator entries(dir, error);
  if (error) return fail(ErrorKind::io, fmt::format("cannot list {}: {}", dir.string(), error.message()));
  for (const auto& entry : entries)
    if (entry.path().filename() != "lock" && entry.path().filename() != "making.new") return Found::something_else;
  return Found::nothing;
}

Result<void> remove_half(const fs::path& dir) {
  std::vector<fs::path> ours;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(dir, error))
    if (is_ours(entry.path().filename().string()) && entry.path().filename() != "making") ours.push_back(entry.path());
  for (const fs::path& path : ours) {
    fs::remove_all(path, error);
    if (error) return fail(ErrorKind::io, fmt::format("cannot remove {}: {}", path.string(), error.message()));
  }
  return {};
}

// ---- ports ----

bool is_free(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool bound =
      ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 && ::listen(fd, 1) == 0;
  ::close(fd);
  return bound;
}

// Below the range from which the machine takes the ports of outgoing connections: one of these could sit on a
// balancer's port while it restarts.
Result<std::vector<std::uint16_t>> free_ports(std::size_t count, Rng& rng) {
  std::uint32_t first_outgoing = 32768;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> first_outgoing;
  constexpr std::uint32_t lowest = 10'000;
  const std::uint32_t end = first_outgoing > lowest + 1000 && first_outgoing < 65536 ? first_outgoing : 65535;
  std::set<std::uint16_t> chosen;
  for (std::size_t tries = 0; chosen.size() < count && tries < 100 * count + 1000; ++tries) {
    const auto port = static_cast<std::uint16_t>(lowest + rng.below(end - lowest));
    if (!chosen.contains(port) && is_free(port)) chosen.insert(port);
  }
  if (chosen.size() < count) return fail(ErrorKind::io, "cannot find enough free ports on 127.0.0.1");
  return std::vector<std::uint16_t>(chosen.begin(), chosen.end());
}

}  // namespace

protocol::FeeSchedule default_fees() {
  return {.base = 100,
          .per_byte = 1,
          .per_remote_effect = 50,
          .per_creation = 500,
          .per_instance_account = 100,
          .min_credit = protocol::Amount(1)};
}

crypto::SigningKey derive_account_key(ByteView seed, std::uint64_t account) {
  Bytes message = to_bytes(std::string_view("zefchain local network account"));
  append(message, seed);
  codec::Writer(message).fixed(account);
  return crypto::SigningKey::from_seed(crypto::sha256(message).view());
}

Result<NetworkFolder> NetworkFolder::open(const fs::path& dir, const LocalNetworkOptions& options,
                                          const LocalNetworkProgress& progress, WallTime now) {
  std::error_code error;
  const fs::path absolute = fs::absolute(dir, error).lexically_normal();
  if (error || dir.empty()) return fail(ErrorKind::invalid_input, "name a folder for the network");
  const auto found = examine(absolute);
  if (!found) return std::unexpected(found.error());
  if (*found == Found::something_else)
    return fail(ErrorKind::refused, fmt::format("{} holds something that is no local network: nothing was changed; "
                                                "use an empty or a new folder",
                                                absolute.string()));
  if (*found == Found::nothing)  // before anything is made
    if (const auto settings = settings_of(options); !settings) return std::unexpected(settings.error());
  if (auto made = make_folder(absolute); !made) return std::unexpected(made.error());
  auto lock = FolderLock::take(absolute / "lock");
  if (!lock) return std::unexpected(lock.error());

  NetworkFolder folder(absolute, std::move(*lock));
  // Looked at again under the lock: another process may just have made it.
  const bool is_made = fs::exists(absolute / "net.json", error);
  if (auto done = is_made ? folder.load(options) : folder.make(options, progress, now); !done)
    return std::unexpected(done.error());
  if (auto store = store::check_store_url(folder.store_url(0)); !store)
    return fail(ErrorKind::invalid_input, "the folder's name cannot be part of a store's: " + store.error().message);
  if (auto applied = apply_run_options(options, folder.settings); !applied) return std::unexpected(applied.error());
  if (auto made = folder.make_certificates(); !made) return std::unexpected(made.error());
  return folder;
}

Result<NetworkFolder> NetworkFolder::view(const fs::path& dir) {
  std::error_code error;
  NetworkFolder folder(fs::absolute(dir, error).lexically_normal(), std::nullopt);
  if (!fs::exists(folder.dir / "net.json", error))
    return fail(ErrorKind::not_found,
                fmt::format("there is no network in {}: 'zef net up --dir' makes one", folder.dir.string()));
  if (auto loaded = folder.load_settings(); !loaded) return std::unexpected(loaded.error());
  return folder;
}

Result<void> NetworkFolder::load_settings() {
  const fs::path file = dir / "net.json";
  const auto text = read_file(file, 1U << 20);
  if (!text) return std::unexpected(text.error());
  auto parsed = codec::from_json<LocalNetworkSettings>(as_text(*text));
  if (!parsed)
    return fail(ErrorKind::corrupt, fmt::format("{}: {}; it was made by another version, or changed: restore it",
                                                file.string(), parsed.error()));
  settings = std::move(*parsed);
  if (settings.format != local_network_format)
    return fail(ErrorKind::refused, fmt::format("{} is of format '{}'; this program knows '{}' only", file.string(),
                                                settings.format, local_network_format));
  return {};
}

Result<void> NetworkFolder::load(const LocalNetworkOptions& options) {
  if (auto loaded = load_settings(); !loaded) return loaded;
  auto read = read_genesis(genesis_path());
  if (!read) return std::unexpected(read.error());
  genesis = std::move(*read);
  const protocol::Network network(genesis);
  if (network.id != settings.network)
    return fail(ErrorKind::refused,
                fmt::format("{} makes network {}, but this folder is of network {}: put the right genesis file back",
                            genesis_path().string(), network.id.hex(), settings.network.hex()));
  if (network.committee.size() != settings.validators)
    return fail(ErrorKind::corrupt,
                (dir / "net.json").string() + " and the genesis file name different numbers of validators");
  auto addresses = client::read_network_file(network_path(), network);
  if (!addresses) return std::unexpected(addresses.error());
  endpoints = std::move(*addresses);
  return check_same(options, settings, genesis, dir);
}

Result<void> NetworkFolder::make(const LocalNetworkOptions& options, const LocalNetworkProgress& progress,
                                 WallTime now) {
  auto chosen = settings_of(options);
  if (!chosen) return std::unexpected(chosen.error());
  settings = std::move(*chosen);
  if (auto marked = write_file(dir / "making", {}); !marked) return marked;
  if (auto clean = remove_half(dir); !clean) return clean;

  net::SystemRng rng;
  FixedBytes<struct PassphraseTag, 32> secret;
  rng.fill(secret.bytes);
  if (auto wrote = crypto::write_private_file(passphrase_path(), as_bytes(secret.hex() + "\n")); !wrote) return wrote;
  const auto passphrase = crypto::passphrase_from_file(passphrase_path());
  if (!passphrase) return std::unexpected(passphrase.error());

  std::vector<protocol::PublicKey> validator_keys;
  if (auto made = make_validators(*passphrase, validator_keys); !made) return made;
  auto keys = make_account_keys(settings.accounts + settings.validators, progress);
  if (!keys) return std::unexpected(keys.error());

  std::vector<protocol::GenesisAccount> accounts;
  for (std::uint64_t i = 0; i < settings.accounts; ++i)
    accounts.push_back({.owner = (*keys)[i].public_key(), .balance = protocol::Amount(settings.balance)});
  std::vector<Seat> seats;
  for (std::size_t i = 0; i < settings.validators; ++i)
    seats.push_back({.name = fmt::format("validator-{}", i),
                     .key = validator_keys[i],
                     .weight = 1,
                     .reward_owner = (*keys)[settings.accounts + i].public_key()});
  auto made = make_genesis(rng, "local", seats, options.fees.value_or(default_fees()), std::move(accounts));
  if (!made) return std::unexpected(made.error());
  genesis = std::move(*made);
  settings.network = protocol::network_id_of(genesis);
  if (auto wrote = write_genesis(genesis_path(), genesis); !wrote) return wrote;
  if (auto wrote = make_endpoints(); !wrote) return wrote;
  if (settings.wallet)
    if (auto wrote = make_wallet(*passphrase, std::move(*keys), now); !wrote) return wrote;
  if (auto wrote = write_file(dir / "net.json", as_bytes(codec::to_json(settings).dump(2) + "\n")); !wrote)
    return wrote;
  std::error_code ignored;
  fs::remove(dir / "making", ignored);  // means nothing beside net.json
  is_new = true;
  return {};
}

Result<void> NetworkFolder::make_validators(const crypto::SecretBytes& passphrase,
                                            std::vector<protocol::PublicKey>& keys) {
  for (std::size_t i = 0; i < settings.validators; ++i) {
    const fs::path folder = validator_path(i);
    for (const fs::path& made : {folder, folder / "logs"})
      if (auto done = make_folder(made); !done) return done;
    const auto key = crypto::SigningKey::generate();
    keys.push_back(key.public_key());
    if (auto wrote = crypto::write_sealed_file(folder / "key", key, passphrase, seal_parameters); !wrote) return wrote;
    if (auto made = net::make_internal_ca(folder / "tls"); !made) return made;
  }
  return make_certificates();
}

Result<void> NetworkFolder::make_certificates() {
  std::vector<std::string> names{"controller"};
  for (std::size_t worker = 0; worker < settings.workers_max; ++worker) names.push_back(worker_name(worker));
  for (std::size_t i = 0; i < settings.validators; ++i) {
    for (const std::string& name : names) {
      std::error_code ignored;
      if (fs::exists(tls_path(i) / (name + ".pem"), ignored)) continue;
      if (auto made = net::make_node_certificate(tls_path(i), name); !made) return std::unexpected(made.error());
    }
  }
  return {};
}

Result<std::vector<crypto::SigningKey>> NetworkFolder::make_account_keys(std::uint64_t count,
                                                                         const LocalNetworkProgress& progress) {
  std::optional<crypto::SecretBytes> seed;
  if (!settings.wallet) {
    Bytes fresh(seed_bytes);
    net::SystemRng().fill(fresh);
    if (auto wrote = crypto::write_private_file(dir / "accounts.seed", fresh); !wrote)
      return std::unexpected(wrote.error());
    auto read = read_seed();
    if (!read) return std::unexpected(read.error());
    seed = std::move(*read);
  }
  constexpr std::uint64_t progress_every = 1000;
  std::vector<crypto::SigningKey> keys;
  keys.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    keys.push_back(seed ? derive_account_key(seed->view(), i) : crypto::SigningKey::generate());
    if (progress && i % progress_every == 0) progress("making the accounts' keys", i, count);
  }
  return keys;
}

Result<void> NetworkFolder::make_endpoints() {
  net::SystemRng rng;
  const auto ports = free_ports(settings.validators, rng);
  if (!ports) return std::unexpected(ports.error());
  endpoints.network = settings.network;
  for (std::size_t i = 0; i < settings.validators; ++i)
    endpoints.validators.push_back({.index = protocol::ValidatorIndex(static_cast<std::uint16_t>(i)),
                                    .name = genesis.validators[i].name,
                                    .address = fmt::format("127.0.0.1:{}", (*ports)[i])});
  return client::write_network_file(network_path(), endpoints);
}

Result<void> NetworkFolder::make_wallet(const crypto::SecretBytes& passphrase, std::vector<crypto::SigningKey> keys,
                                        WallTime now) {
  const protocol::Network network(genesis);
  std::vector<client::NewAccount> accounts;
  for (std::uint64_t i = 0; i < keys.size(); ++i)
    accounts.push_back({.uid = protocol::Uid::genesis(i),
                        .key = std::move(keys[i]),
                        .chain = client::genesis_chain(genesis, network, i, true),
                        .label = i < settings.accounts ? fmt::format("account {}", i)
                                                       : fmt::format("fees of validator-{}", i - settings.accounts)});
  return client::Wallet::create(wallet_path(), settings.network, passphrase, std::move(accounts), now, seal_parameters);
}

fs::path NetworkFolder::genesis_path() const {
  return dir / (settings.accounts > json_genesis_accounts_max ? "genesis.bcs" : "genesis.json");
}
fs::path NetworkFolder::validator_path(std::size_t validator) const {
  return dir / fmt::format("validator-{}", validator);
}
fs::path NetworkFolder::log_path(std::size_t validator, std::string_view process) const {
  return validator_path(validator) / "logs" / fmt::format("{}.log", process);
}
std::string NetworkFolder::store_url(std::size_t validator) const {
  if (settings.store.empty()) return "file://" + (validator_path(validator) / "store").string();
  return store::part_of_store(settings.store, fmt::format("validator-{}", validator));
}
Result<crypto::SecretBytes> NetworkFolder::read_seed() const {
  auto seed = crypto::read_private_file(dir / "accounts.seed", seed_bytes);
  if (seed && seed->size() != seed_bytes)
    return fail(ErrorKind::corrupt, (dir / "accounts.seed").string() + " does not have 32 bytes");
  return seed;
}

}  // namespace zef::cli
