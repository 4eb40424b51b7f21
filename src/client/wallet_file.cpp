#include "client/wallet_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "client/wallet_rows.h"
#include "codec/json.h"

namespace zef::client {
namespace {

constexpr std::int64_t application_id = 0x5a454657;  // "ZEFW"
constexpr std::int64_t format_version = 2;

constexpr const char* schema = R"sql(
CREATE TABLE wallet (
  one INTEGER PRIMARY KEY CHECK (one = 1), network BLOB NOT NULL, created_ms INTEGER NOT NULL,
  ops_limit INTEGER NOT NULL, memory_bytes INTEGER NOT NULL, salt BLOB NOT NULL, nonce BLOB NOT NULL,
  data_key BLOB NOT NULL) STRICT;
CREATE TABLE keys (
  public_key BLOB PRIMARY KEY, nonce BLOB NOT NULL, sealed BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE accounts (
  uid TEXT PRIMARY KEY, label TEXT NOT NULL, owner BLOB NOT NULL, next INTEGER NOT NULL, head BLOB NOT NULL,
  balance TEXT NOT NULL, closed INTEGER NOT NULL, synced INTEGER NOT NULL, announced INTEGER NOT NULL) STRICT;
CREATE TABLE requests (
  uid TEXT NOT NULL REFERENCES accounts (uid), number INTEGER NOT NULL, request BLOB NOT NULL, signed_order BLOB,
  proof BLOB, state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3), at_ms INTEGER NOT NULL,
  PRIMARY KEY (uid, number)) STRICT;
CREATE UNIQUE INDEX one_unfinished ON requests (uid) WHERE state < 2;
CREATE TABLE received (
  uid TEXT NOT NULL REFERENCES accounts (uid), sender TEXT NOT NULL, number INTEGER NOT NULL, amount TEXT NOT NULL,
  proof BLOB NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (uid, sender, number)) STRICT;
CREATE INDEX received_from ON received (sender, number);
CREATE TABLE cursors (
  uid TEXT NOT NULL REFERENCES accounts (uid), validator INTEGER NOT NULL, position INTEGER NOT NULL,
  PRIMARY KEY (uid, validator)) STRICT, WITHOUT ROWID;
)sql";

constexpr std::string_view account_columns = "uid, label, owner, next, head, balance, closed, synced, announced";
constexpr std::string_view request_columns = "request, signed_order, proof, state, at_ms";

std::string machine_says() { return std::strerror(errno); }

Result<void> sync_folder_of(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  const int dir = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = dir >= 0 && ::fsync(dir) == 0;
  const std::string why = machine_says();
  if (dir >= 0) ::close(dir);
  if (!synced) return fail(ErrorKind::io, fmt::format("cannot sync {}: {}", folder.string(), why));
  return {};
}

Result<void> check_private(const std::filesystem::path& path) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT)
      return fail(ErrorKind::not_found,
                  fmt::format("there is no wallet at {}: name another path, or make one", path.string()));
    return fail(ErrorKind::io, fmt::format("cannot read {}: {}", path.string(), machine_says()));
  }
  if (!S_ISREG(info.st_mode))
    return fail(ErrorKind::invalid_input, fmt::format("{} is no regular file, so no wallet", path.string()));
  if ((info.st_mode & 077) != 0)
    return fail(ErrorKind::refused, fmt::format("others may read {}: run chmod 600 on it first", path.string()));
  return {};
}

Result<void> insert_account(Database& database, const ChainState& chain, const std::string& label, bool announced) {
  auto insert = database.prepare(fmt::format("INSERT INTO accounts ({}) VALUES (?,?,?,?,?,?,?,?,?)", account_columns));
  if (!insert) return std::unexpected(insert.error());
  insert->bind(chain.account.text()).bind(label).bind(chain.owner.view()).bind(chain.next.value());
  insert->bind(chain.head.view()).bind(codec::to_decimal(chain.balance));
  insert->bind(std::int64_t{chain.closed}).bind(std::int64_t{chain.synced}).bind(std::int64_t{announced});
  return insert->run();
}

Result<void> insert_key(Database& database, const crypto::PublicKey& public_key, const SealedSecret& sealed) {
  auto insert = database.prepare("INSERT OR IGNORE INTO keys (public_key, nonce, sealed) VALUES (?,?,?)");
  if (!insert) return std::unexpected(insert.error());
  return insert->bind(public_key.view()).bind(sealed.nonce).bind(sealed.ciphertext).run();
}

Result<void> update_chain(Database& database, const ChainState& chain) {
  auto update = database.prepare(
      "UPDATE accounts SET owner = ?, next = ?, head = ?, balance = ?, closed = ?, synced = ? WHERE uid = ?");
  if (!update) return std::unexpected(update.error());
  update->bind(chain.owner.view()).bind(chain.next.value()).bind(chain.head.view());
  update->bind(codec::to_decimal(chain.balance)).bind(std::int64_t{chain.closed}).bind(std::int64_t{chain.synced});
  return update->bind(chain.account.text()).run();
}

Result<StoredAccount> read_account(const Statement& row) {
  const auto uid = Uid::parse(row.text(0));
  const auto owner = PublicKey::from(row.bytes(2));
  const auto head = Hash::from(row.bytes(4));
  const auto balance = codec::parse_decimal(row.text(5));
  if (!uid || !owner || !head || !balance || row.integer(3) < 0) return std::unexpected(damaged("an account"));
  return StoredAccount{.chain = {.account = *uid,
                                 .owner = *owner,
                                 .next = SequenceNumber(static_cast<std::uint64_t>(row.integer(3))),
                                 .head = *head,
                                 .balance = *balance,
                                 .closed = row.integer(6) != 0,
                                 .synced = row.integer(7) != 0},
                       .label = row.text(1),
                       .announced = row.integer(8) != 0,
                       .has_key = row.integer(9) != 0};
}

Result<StoredRequest> read_request(const Statement& row) {
  StoredRequest stored;
  auto request = decoded<Request>(row.bytes(0), "a request");
  if (!request) return std::unexpected(request.error());
  stored.request = std::move(*request);
  if (!row.is_null(1)) {
    auto order = decoded<RequestOrder>(row.bytes(1), "a signed request");
    if (!order) return std::unexpected(order.error());
    stored.order = std::move(*order);
  }
  if (!row.is_null(2)) {
    auto proof = decoded<Proof>(row.bytes(2), "a certificate");
    if (!proof) return std::unexpected(proof.error());
    stored.proof = std::move(*proof);
  }
  stored.state = static_cast<RequestState>(row.integer(3));
  stored.at_ms = static_cast<std::uint64_t>(row.integer(4));
  return stored;
}

}  // namespace

// ---- the lock
// --------------------------------------------------------------------------------------------------------

Result<WalletLock> WalletLock::take(const std::filesystem::path& wallet) {
  const std::string path = wallet.string() + ".lock";
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return fail(ErrorKind::io, fmt::format("cannot open {}: {}", path, machine_says()));
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    char holder[32] = {};
    const ssize_t size = ::pread(file, holder, sizeof holder - 1, 0);
    ::close(file);
    return fail(ErrorKind::refused, fmt::format("the wallet {} is in use by process {}: wait until that is done",
                                                wallet.string(), size > 0 ? holder : "?"));
  }
  const std::string mine = std::to_string(::getpid());
  if (::ftruncate(file, 0) != 0 || ::pwrite(file, mine.data(), mine.size(), 0) < 0) {
    auto failure = fail(ErrorKind::io, fmt::format("cannot write {}: {}", path, machine_says()));
    ::close(file);
    return failure;
  }
  return WalletLock(file);
}

WalletLock::WalletLock(WalletLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
WalletLock::~WalletLock() {
  if (file_ >= 0) ::close(file_);
}

// ---- create, open
// ----------------------------------------------------------------------------------------------------

namespace {

Result<void> fill(Database& database, const NetworkId& network, const KeyVault& vault, const SealedDataKey& sealed,
                  const std::vector<WalletFile::FirstAccount>& accounts, std::uint64_t now_ms) {
  const auto begun = database.run(fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}; BEGIN; {} {}",
                                              application_id, format_version, schema, instances_schema));
  if (!begun) return begun;
  {
    auto insert = database.prepare("INSERT INTO wallet VALUES (1,?,?,?,?,?,?,?)");
    if (!insert) return std::unexpected(insert.error());
    insert->bind(network.view()).bind(now_ms).bind(sealed.ops_limit).bind(sealed.memory_bytes);
    if (auto done = insert->bind(sealed.salt).bind(sealed.nonce).bind(sealed.ciphertext).run(); !done) return done;
  }
  for (const auto& account : accounts) {
    if (auto done = insert_key(database, account.key->public_key(), vault.seal(*account.key)); !done) return done;
    if (auto done = insert_account(database, account.chain, account.label, true); !done) return done;
  }
  return database.run("COMMIT");
}

}  // namespace

Result<void> WalletFile::create(const std::filesystem::path& path, const NetworkId& network,
                                const crypto::SecretBytes& passphrase, const std::vector<FirstAccount>& accounts,
                                std::uint64_t now_ms, crypto::SealParameters parameters) {
  const auto lock = WalletLock::take(path);
  if (!lock) return std::unexpected(lock.error());
  std::error_code ignored;
  if (std::filesystem::exists(std::filesystem::symlink_status(path, ignored)))
    return fail(ErrorKind::refused, fmt::format("{} exists already: a wallet never replaces a file", path.string()));
  const auto vault = KeyVault::create(passphrase, parameters);
  if (!vault) return std::unexpected(vault.error());
  // Under another name first: what stands at `path` is whole. What a crash left there is of no use to anybody.
  const std::filesystem::path fresh = path.string() + ".new";
  std::filesystem::remove(fresh, ignored);
  std::filesystem::remove(fresh.string() + "-journal", ignored);
  const int file = ::open(fresh.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return fail(ErrorKind::io, fmt::format("cannot create {}: {}", fresh.string(), machine_says()));
  ::close(file);
  {
    auto database = Database::open(fresh);
    if (!database) return std::unexpected(database.error());
    if (auto set = (*database)->run("PRAGMA synchronous = FULL"); !set) return set;
    if (auto filled = fill(**database, network, vault->vault, vault->sealed, accounts, now_ms); !filled) {
      database->reset();
      std::filesystem::remove(fresh, ignored);
      return filled;
    }
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0)
    return fail(ErrorKind::io, fmt::format("cannot create {}: {}", path.string(), machine_says()));
  return sync_folder_of(path);
}

Result<std::unique_ptr<WalletFile>> WalletFile::open(const std::filesystem::path& path, Executor& executor,
                                                     const NetworkId& network) {
  if (const auto checked = check_private(path); !checked) return std::unexpected(checked.error());
  auto lock = WalletLock::take(path);
  if (!lock) return std::unexpected(lock.error());
  auto opened = Database::open(path);
  if (!opened) return std::unexpected(opened.error());
  Database& database = **opened;
  const auto id = database.pragma("application_id");
  if (!id) return std::unexpected(id.error());
  const auto version = database.pragma("user_version");
  if (!version) return std::unexpected(version.error());
  if (*id != application_id)
    return fail(ErrorKind::invalid_input, fmt::format("{} is a database, but no wallet", path.string()));
  if (*version != format_version && *version != 1)
    return fail(ErrorKind::invalid_input,
                fmt::format("{} has wallet format {}, this program reads {}: use the program that fits", path.string(),
                            *version, format_version));
  for (const char* setting : {"PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON",
                              "PRAGMA trusted_schema = OFF"})
    if (auto set = database.run(setting); !set) return std::unexpected(set.error());
  {
    auto check = database.prepare("PRAGMA quick_check(1)");
    if (!check) return std::unexpected(check.error());
    const auto row = check->step();
    if (!row) return std::unexpected(row.error());
    if (!*row || check->text(0) != "ok") return std::unexpected(damaged("pages"));
  }
  {
    auto select = database.prepare("SELECT network FROM wallet");
    if (!select) return std::unexpected(select.error());
    const auto row = select->step();
    if (!row) return std::unexpected(row.error());
    const auto mine = *row ? NetworkId::from(select->bytes(0)) : std::nullopt;
    if (!mine) return std::unexpected(damaged("a network"));
    if (*mine != network)
      return fail(ErrorKind::refused,
                  fmt::format("the wallet {} is of network {}, but the genesis file makes {}: use the wallet and the "
                              "genesis file of one network",
                              path.string(), mine->hex(), network.hex()));
  }
  if (*version == 1) {  // all that format 2 adds
    const auto made = database.run(
        fmt::format("BEGIN IMMEDIATE; {} PRAGMA user_version = {}; COMMIT", instances_schema, format_version));
    if (!made) return std::unexpected(made.error());
  }
  return std::unique_ptr<WalletFile>(new WalletFile(std::move(*lock), std::move(*opened), executor, network));
}

WalletFile::WalletFile(WalletLock lock, std::unique_ptr<Database> database, Executor& executor,
                       const NetworkId& network)
    : lock_(std::move(lock)),
      database_(std::move(database)),
      executor_(executor),
      network_(network),
      self_(std::make_shared<WalletFile*>(this)) {}
WalletFile::~WalletFile() { *self_ = nullptr; }

std::uint64_t WalletFile::now_ms() const {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(executor_.wall_now().time_since_epoch());
  return ms.count() > 0 ? static_cast<std::uint64_t>(ms.count()) : 0;
}

// ---- writes
// ----------------------------------------------------------------------------------------------------------

Task<Result<void>> WalletFile::write(Change change) {
  co_return co_await from_callback<Result<void>>([this, change = std::move(change)](auto done) mutable {
    if (queued_.empty())
      executor_.at_turn_end([self = self_] {
        if (*self) (*self)->commit();
      });
    queued_.push_back({std::move(change), std::move(done)});
  });
}

void WalletFile::commit() {
  auto queued = std::exchange(queued_, {});
  std::vector<Result<void>> results;
  results.reserve(queued.size());
  auto whole = database_->run("BEGIN IMMEDIATE");
  if (whole) {
    for (Queued& one : queued) {
      auto result = database_->run("SAVEPOINT one");
      if (result) result = one.change();
      if (!database_->in_transaction()) {  // nothing of this turn was kept
        whole = result ? fail(ErrorKind::io, "the wallet's file gave up a transaction") : result;
        break;
      }
      if (!result) static_cast<void>(database_->run("ROLLBACK TO one"));
      static_cast<void>(database_->run("RELEASE one"));
      results.push_back(std::move(result));
    }
    if (whole) whole = database_->run("COMMIT");
    if (database_->in_transaction()) static_cast<void>(database_->run("ROLLBACK"));
  }
  const auto self = self_;  // a task that goes on may drop the wallet
  for (std::size_t i = 0; i < queued.size() && *self; ++i) queued[i].done(whole ? std::move(results[i]) : whole);
}

Result<void> WalletFile::write_now(Change change) {
  if (auto begun = database_->run("BEGIN IMMEDIATE"); !begun) return begun;
  auto result = change();
  if (result) result = database_->run("COMMIT");
  if (database_->in_transaction()) static_cast<void>(database_->run("ROLLBACK"));
  return result;
}

Task<Result<void>> WalletFile::save_order(RequestOrder order) {
  return write([this, order = std::move(order)]() -> Result<void> {
    const Request& request = order.request;
    const std::string uid = request.account.text();
    {
      auto insert = database_->prepare(
          "INSERT INTO requests (uid, number, request, signed_order, state, at_ms) VALUES (?,?,?,?,0,?) "
          "ON CONFLICT DO NOTHING");
      if (!insert) return std::unexpected(insert.error());
      insert->bind(uid).bind(request.sequence_number.value()).bind(codec::encode(request));
      if (auto done = insert->bind(codec::encode(order)).bind(now_ms()).run(); !done) return done;
      if (database_->changed_rows() != 1)
        return fail(ErrorKind::refused, fmt::format("the wallet has signed operation {} of account {} already",
                                                    request.sequence_number.value(), uid));
    }
    if (std::holds_alternative<LockInto>(request.operation)) return keep_lock(order);
    if (std::holds_alternative<StartInstance>(request.operation)) return keep_start(request);
    // A child of this wallet: known, with its key, before the network hears of it.
    const auto* open = std::get_if<OpenAccount>(&request.operation);
    if (!open) return {};
    const auto sealed = key(open->new_owner);
    if (!sealed) return std::unexpected(sealed.error());
    if (!*sealed) return {};
    const ChainState child{.account = open->new_id,
                           .owner = open->new_owner,
                           .next = SequenceNumber(0),
                           .head = hash_of(network_, request),
                           .balance = static_cast<Balance>(open->funding.value()),
                           .closed = false,
                           .synced = true};  // nobody else has its key
    return insert_account(*database_, child, "", false);
  });
}

Task<Result<void>> WalletFile::save_certified(Proof proof, SequenceNumber at, ChainState after) {
  return write([this, proof = std::move(proof), at, after = std::move(after)]() -> Result<void> {
    {
      // What was certified: the order's request, or the one in place of a lock.
      const auto requests = form_of(proof);
      ZEF_CHECK(requests);
      const auto certified =
          std::ranges::find_if(*requests, [&](const auto& item) { return item.request->sequence_number == at; });
      ZEF_CHECK(certified != requests->end());
      auto update =
          database_->prepare("UPDATE requests SET request = ?, proof = ?, state = 1 WHERE uid = ? AND number = ?");
      if (!update) return std::unexpected(update.error());
      update->bind(codec::encode(*certified->request)).bind(codec::encode(proof));
      if (auto done = update->bind(after.account.text()).bind(at.value()).run(); !done) return done;
      if (std::holds_alternative<StartInstance>(certified->request->operation))
        if (auto kept = keep_start_proof(after.account.child(at), proof); !kept) return kept;
    }
    auto announce = database_->prepare("UPDATE accounts SET announced = 1 WHERE uid = ?");
    if (!announce) return std::unexpected(announce.error());
    if (after.account.depth() < Uid::depth_max)
      if (auto done = announce->bind(after.account.child(at).text()).run(); !done) return done;
    return update_chain(*database_, after);
  });
}

Task<Result<void>> WalletFile::save_executed(Uid account, SequenceNumber at) {
  return write([this, account = std::move(account), at]() -> Result<void> {
    auto update = database_->prepare("UPDATE requests SET state = 2 WHERE uid = ? AND number = ? AND state = 1");
    if (!update) return std::unexpected(update.error());
    return update->bind(account.text()).bind(at.value()).run();
  });
}

Task<Result<void>> WalletFile::save_chain(ChainState chain) {
  return write([this, chain = std::move(chain)]() -> Result<void> {
    const std::string uid = chain.account.text();
    // Requests below `next` that were not certified never will be (I1); a child that one of them was to open is gone.
    std::vector<std::string> lost_children;
    {
      auto select = database_->prepare("SELECT number FROM requests WHERE uid = ? AND state = 0 AND number < ?");
      if (!select) return std::unexpected(select.error());
      select->bind(uid).bind(chain.next.value());
      while (true) {
        const auto row = select->step();
        if (!row) return std::unexpected(row.error());
        if (!*row) break;
        lost_children.push_back(fmt::format("{}/{}", uid, select->integer(0)));
      }
    }
    for (const std::string& child : lost_children) {
      auto remove = database_->prepare("DELETE FROM accounts WHERE uid = ? AND announced = 0");
      if (!remove) return std::unexpected(remove.error());
      if (auto done = remove->bind(child).run(); !done) return done;
      auto forget = database_->prepare("DELETE FROM instances WHERE instance = ? AND start IS NULL");
      if (!forget) return std::unexpected(forget.error());
      if (auto done = forget->bind(child).run(); !done) return done;
    }
    if (!lost_children.empty()) {
      auto update = database_->prepare("UPDATE requests SET state = 3 WHERE uid = ? AND state = 0 AND number < ?");
      if (!update) return std::unexpected(update.error());
      if (auto done = update->bind(uid).bind(chain.next.value()).run(); !done) return done;
    }
    return update_chain(*database_, chain);
  });
}

Task<Result<void>> WalletFile::save_history(std::vector<StoredRequest> executed) {
  return write([this, executed = std::move(executed)]() -> Result<void> {
    for (const StoredRequest& one : executed) {
      auto insert = database_->prepare(
          "INSERT INTO requests (uid, number, request, proof, state, at_ms) VALUES (?,?,?,?,2,?) "
          "ON CONFLICT DO NOTHING");
      if (!insert) return std::unexpected(insert.error());
      insert->bind(one.request.account.text()).bind(one.request.sequence_number.value());
      insert->bind(codec::encode(one.request)).bind(codec::encode(*one.proof)).bind(now_ms());
      if (auto done = insert->run(); !done) return done;
    }
    return {};
  });
}

Task<Result<void>> WalletFile::save_credits(std::vector<StoredCredit> credits) {
  return write([this, credits = std::move(credits)]() -> Result<void> {
    for (const StoredCredit& one : credits) {
      auto insert = database_->prepare("INSERT OR IGNORE INTO received VALUES (?,?,?,?,?,?)");
      if (!insert) return std::unexpected(insert.error());
      insert->bind(one.recipient.text()).bind(one.credit.sender.text()).bind(one.credit.sequence_number.value());
      insert->bind(std::to_string(one.credit.amount.value())).bind(codec::encode(one.proof)).bind(now_ms());
      if (auto done = insert->run(); !done) return done;
    }
    return {};
  });
}

Task<Result<void>> WalletFile::save_cursor(Uid account, ValidatorIndex validator, std::uint64_t position) {
  return write([this, account = std::move(account), validator, position]() -> Result<void> {
    auto put = database_->prepare("INSERT OR REPLACE INTO cursors VALUES (?,?,?)");
    if (!put) return std::unexpected(put.error());
    return put->bind(account.text()).bind(std::int64_t{validator.value()}).bind(position).run();
  });
}

Result<void> WalletFile::put_key(const crypto::PublicKey& public_key, const SealedSecret& sealed) {
  return write_now([&] { return insert_key(*database_, public_key, sealed); });
}

Result<void> WalletFile::put_account(const ChainState& chain, const std::string& label) {
  return write_now([&]() -> Result<void> {
    auto known = account(chain.account);
    if (!known) return std::unexpected(known.error());
    if (!*known) return insert_account(*database_, chain, label, true);
    if (!label.empty())
      if (auto set = database_->prepare("UPDATE accounts SET label = ? WHERE uid = ?"))
        if (auto done = set->bind(label).bind(chain.account.text()).run(); !done) return done;
    return chain.next >= (*known)->chain.next ? update_chain(*database_, chain) : Result<void>{};
  });
}

Result<void> WalletFile::set_label(const Uid& account, const std::string& label) {
  return write_now([&]() -> Result<void> {
    auto update = database_->prepare("UPDATE accounts SET label = ? WHERE uid = ?");
    if (!update) return std::unexpected(update.error());
    if (auto done = update->bind(label).bind(account.text()).run(); !done) return done;
    if (database_->changed_rows() == 0)
      return fail(ErrorKind::not_found, fmt::format("account {} is not in this wallet", account.text()));
    return {};
  });
}

// ---- reads
// -----------------------------------------------------------------------------------------------------------

Result<SealedDataKey> WalletFile::data_key() {
  auto select = database_->prepare("SELECT ops_limit, memory_bytes, salt, nonce, data_key FROM wallet");
  if (!select) return std::unexpected(select.error());
  const auto row = select->step();
  if (!row) return std::unexpected(row.error());
  if (!*row) return std::unexpected(damaged("a key"));
  return SealedDataKey{.ops_limit = static_cast<std::uint64_t>(select->integer(0)),
                       .memory_bytes = static_cast<std::uint64_t>(select->integer(1)),
                       .salt = select->bytes(2),
                       .nonce = select->bytes(3),
                       .ciphertext = select->bytes(4)};
}

Result<std::optional<SealedSecret>> WalletFile::key(const crypto::PublicKey& public_key) {
  auto select = database_->prepare("SELECT nonce, sealed FROM keys WHERE public_key = ?");
  if (!select) return std::unexpected(select.error());
  const auto row = select->bind(public_key.view()).step();
  if (!row) return std::unexpected(row.error());
  if (!*row) return std::nullopt;
  return SealedSecret{select->bytes(0), select->bytes(1)};
}

namespace {
constexpr std::string_view has_key = "EXISTS (SELECT 1 FROM keys WHERE public_key = owner)";
}

Result<std::vector<StoredAccount>> WalletFile::accounts() {
  auto select = database_->prepare(fmt::format("SELECT {}, {} FROM accounts", account_columns, has_key));
  if (!select) return std::unexpected(select.error());
  std::vector<StoredAccount> accounts;
  while (true) {
    const auto row = select->step();
    if (!row) return std::unexpected(row.error());
    if (!*row) break;
    auto account = read_account(*select);
    if (!account) return std::unexpected(account.error());
    accounts.push_back(std::move(*account));
  }
  std::ranges::sort(accounts, {}, [](const StoredAccount& one) -> const Uid& { return one.chain.account; });
  return accounts;
}

Result<std::optional<StoredAccount>> WalletFile::account(const Uid& uid) {
  auto select = database_->prepare(fmt::format("SELECT {}, {} FROM accounts WHERE uid = ?", account_columns, has_key));
  if (!select) return std::unexpected(select.error());
  const auto row = select->bind(uid.text()).step();
  if (!row) return std::unexpected(row.error());
  if (!*row) return std::nullopt;
  auto account = read_account(*select);
  if (!account) return std::unexpected(account.error());
  return std::move(*account);
}

Result<std::optional<StoredRequest>> WalletFile::unfinished(const Uid& uid) {
  auto select = database_->prepare(fmt::format("SELECT {} FROM requests WHERE uid = ? AND state < 2", request_columns));
  if (!select) return std::unexpected(select.error());
  const auto row = select->bind(uid.text()).step();
  if (!row) return std::unexpected(row.error());
  if (!*row) return std::nullopt;
  auto request = read_request(*select);
  if (!request) return std::unexpected(request.error());
  if (!request->order) return std::unexpected(damaged("an unsigned request"));
  return std::move(*request);
}

Result<std::vector<Uid>> WalletFile::unfinished_accounts() {
  auto select = database_->prepare("SELECT uid FROM requests WHERE state < 2 ORDER BY at_ms");
  if (!select) return std::unexpected(select.error());
  std::vector<Uid> uids;
  while (true) {
    const auto row = select->step();
    if (!row) return std::unexpected(row.error());
    if (!*row) return uids;
    const auto uid = Uid::parse(select->text(0));
    if (!uid) return std::unexpected(damaged("an account number"));
    uids.push_back(*uid);
  }
}

Result<std::vector<StoredRequest>> WalletFile::requests(const Uid& uid, std::size_t limit) {
  auto select = database_->prepare(
      fmt::format("SELECT {} FROM requests WHERE uid = ? AND state < 3 ORDER BY number DESC LIMIT ?", request_columns));
  if (!select) return std::unexpected(select.error());
  select->bind(uid.text()).bind(static_cast<std::uint64_t>(limit));
  std::vector<StoredRequest> requests;
  while (true) {
    const auto row = select->step();
    if (!row) return std::unexpected(row.error());
    if (!*row) return requests;
    auto request = read_request(*select);
    if (!request) return std::unexpected(request.error());
    requests.push_back(std::move(*request));
  }
}

Result<std::vector<StoredCredit>> WalletFile::credits(const Uid& uid, std::size_t limit) {
  auto select = database_->prepare(
      "SELECT sender, number, amount, proof, at_ms FROM received WHERE uid = ? ORDER BY at_ms DESC, rowid DESC LIMIT "
      "?");
  if (!select) return std::unexpected(select.error());
  select->bind(uid.text()).bind(static_cast<std::uint64_t>(limit));
  std::vector<StoredCredit> credits;
  while (true) {
    const auto row = select->step();
    if (!row) return std::unexpected(row.error());
    if (!*row) return credits;
    const auto sender = Uid::parse(select->text(0));
    const auto amount = codec::parse_decimal(select->text(2));
    auto proof = decoded<Proof>(select->bytes(3), "a certificate");
    if (!sender || !amount || !proof) return std::unexpected(damaged("a received credit"));
    credits.push_back({.recipient = uid,
                       .credit = {*sender, SequenceNumber(static_cast<std::uint64_t>(select->integer(1))),
                                  Amount(static_cast<std::uint64_t>(*amount))},
                       .proof = std::move(*proof),
                       .at_ms = static_cast<std::uint64_t>(select->integer(4))});
  }
}

Result<bool> WalletFile::has_credit(const Uid& uid, const ReceivedCredit& credit) {
  auto select = database_->prepare("SELECT 1 FROM received WHERE uid = ? AND sender = ? AND number = ?");
  if (!select) return std::unexpected(select.error());
  return select->bind(uid.text()).bind(credit.sender.text()).bind(credit.sequence_number.value()).step();
}

Result<std::uint64_t> WalletFile::cursor(const Uid& uid, ValidatorIndex validator) {
  auto select = database_->prepare("SELECT position FROM cursors WHERE uid = ? AND validator = ?");
  if (!select) return std::unexpected(select.error());
  const auto row = select->bind(uid.text()).bind(std::int64_t{validator.value()}).step();
  if (!row) return std::unexpected(row.error());
  return *row ? static_cast<std::uint64_t>(select->integer(0)) : 0;
}

std::optional<Proof> WalletFile::find_proof(const Uid& account, SequenceNumber at) {
  for (const char* sql : {"SELECT proof FROM requests WHERE uid = ? AND number = ? AND proof IS NOT NULL",
                          "SELECT proof FROM received WHERE sender = ? AND number = ? LIMIT 1"}) {
    auto select = database_->prepare(sql);
    if (!select) return std::nullopt;
    const auto row = select->bind(account.text()).bind(at.value()).step();
    if (!row || !*row) continue;
    if (auto proof = codec::decode<Proof>(select->bytes(0))) return std::move(*proof);
  }
  if (account.depth() >= Uid::depth_max) return std::nullopt;
  auto started = instance(account.child(at));
  if (started && *started && (*started)->start) return std::move((*started)->start);
  return std::nullopt;
}

}  // namespace zef::client
