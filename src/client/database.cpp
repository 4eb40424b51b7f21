#include "client/database.h"

#include <fmt/core.h>
#include <sqlite3.h>

#include <limits>
#include <unordered_map>

#include "base/check.h"

namespace zef::client {

// Prepared statements by their text, for the next use.
struct Database::Cache {
  std::unordered_multimap<std::string, sqlite3_stmt*> idle;
  ~Cache() {
    for (const auto& [sql, handle] : idle) sqlite3_finalize(handle);
  }
};

Database::Database(std::filesystem::path path) : path_(std::move(path)) {}

Result<std::unique_ptr<Database>> Database::open(const std::filesystem::path& path) {
  std::unique_ptr<Database> database(new Database(path));
  const int code =
      sqlite3_open_v2(path.c_str(), &database->handle_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (code != SQLITE_OK) return std::unexpected(database->error(code));
  sqlite3_extended_result_codes(database->handle_, 1);
  sqlite3_busy_timeout(database->handle_, 2000);  // somebody may look into it with another program
  database->cache_ = std::make_unique<Cache>();
  return database;
}

Database::~Database() {
  cache_.reset();
  if (handle_) ZEF_CHECK(sqlite3_close(handle_) == SQLITE_OK);  // no statement may outlive the database
}

Error Database::error(int code) const {
  const std::string name = path_.string();
  switch (code & 0xff) {
    case SQLITE_FULL:
      return {ErrorKind::io, fmt::format("no room left for {}: free some space on its disk and run the command again; "
                                         "nothing was lost",
                                         name)};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {ErrorKind::corrupt,
              fmt::format("{} is damaged or is no wallet: restore it from a backup, then synchronise", name)};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {ErrorKind::unavailable, fmt::format("another program holds {}: close it and try again", name)};
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
      return {ErrorKind::io, fmt::format("cannot open {} for writing: check that it exists and belongs to you", name)};
    default:
      return {ErrorKind::io, fmt::format("{}: {}", name, handle_ ? sqlite3_errmsg(handle_) : sqlite3_errstr(code))};
  }
}

Result<void> Database::run(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return std::unexpected(error(code));
  return {};
}

Result<Statement> Database::prepare(std::string_view sql) {
  std::string key(sql);
  if (const auto found = cache_->idle.find(key); found != cache_->idle.end()) {
    sqlite3_stmt* handle = found->second;
    cache_->idle.erase(found);
    return Statement(this, handle, std::move(key));
  }
  sqlite3_stmt* handle = nullptr;
  const int code = sqlite3_prepare_v3(handle_, key.c_str(), static_cast<int>(key.size()), SQLITE_PREPARE_PERSISTENT,
                                      &handle, nullptr);
  if (code != SQLITE_OK) return std::unexpected(error(code));
  return Statement(this, handle, std::move(key));
}

Result<std::int64_t> Database::pragma(const std::string& name) {
  auto statement = prepare("PRAGMA " + name);
  if (!statement) return std::unexpected(statement.error());
  const auto row = statement->step();
  if (!row) return std::unexpected(row.error());
  return *row ? statement->integer(0) : 0;
}

int Database::changed_rows() const { return sqlite3_changes(handle_); }
bool Database::in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_),
      handle_(std::exchange(other.handle_, nullptr)),
      sql_(std::move(other.sql_)),
      bound_(other.bound_),
      bind_error_(std::move(other.bind_error_)) {}

Statement::~Statement() {
  if (!handle_) return;
  sqlite3_reset(handle_);
  sqlite3_clear_bindings(handle_);
  database_->cache_->idle.emplace(std::move(sql_), handle_);
}

Statement& Statement::bind(std::int64_t value) {
  const int code = sqlite3_bind_int64(handle_, ++bound_, value);
  if (code != SQLITE_OK) bind_error_ = database_->error(code);
  return *this;
}
Statement& Statement::bind(std::uint64_t value) {
  ZEF_CHECK(value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
  return bind(static_cast<std::int64_t>(value));
}
Statement& Statement::bind(std::string_view value) {
  const int code = sqlite3_bind_text64(handle_, ++bound_, value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  if (code != SQLITE_OK) bind_error_ = database_->error(code);
  return *this;
}
Statement& Statement::bind(ByteView value) {
  // An empty view may have no address, which would bind NULL.
  const int code = value.empty() ? sqlite3_bind_zeroblob(handle_, ++bound_, 0)
                                 : sqlite3_bind_blob64(handle_, ++bound_, value.data(), value.size(), SQLITE_TRANSIENT);
  if (code != SQLITE_OK) bind_error_ = database_->error(code);
  return *this;
}
Statement& Statement::bind_null() {
  const int code = sqlite3_bind_null(handle_, ++bound_);
  if (code != SQLITE_OK) bind_error_ = database_->error(code);
  return *this;
}

Result<bool> Statement::step() {
  if (bind_error_) return std::unexpected(*bind_error_);
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return std::unexpected(database_->error(code));
}

Result<void> Statement::run() {
  const auto row = step();
  if (!row) return std::unexpected(row.error());
  return {};
}

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(handle_, column); }
std::string Statement::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
  return data ? std::string(data, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))) : std::string();
}
Bytes Statement::bytes(int column) const {
  const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(handle_, column));
  return data ? Bytes(data, data + sqlite3_column_bytes(handle_, column)) : Bytes();
}
bool Statement::is_null(int column) const { return sqlite3_column_type(handle_, column) == SQLITE_NULL; }

}  // namespace zef::client
