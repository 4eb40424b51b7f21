// SQLite with values and Results: statements that bind and read the types of this room. Thread rule: one thread.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace zef::client {

class Database;

// One use of a prepared statement; goes back to the database when it ends.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  // In the order of the question marks.
  Statement& bind(std::int64_t value);
  Statement& bind(std::uint64_t value);  // below 2^63 (checked)
  Statement& bind(std::string_view value);
  Statement& bind(const std::string& value) { return bind(std::string_view(value)); }
  Statement& bind(const char* value) { return bind(std::string_view(value)); }
  Statement& bind(ByteView value);
  Statement& bind(const Bytes& value) { return bind(ByteView(value)); }
  Statement& bind_null();

  // Whether there is a row.
  [[nodiscard]] Result<bool> step();
  // Runs a statement that gives no rows.
  [[nodiscard]] Result<void> run();

  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] Bytes bytes(int column) const;
  [[nodiscard]] bool is_null(int column) const;

 private:
  friend class Database;
  Statement(Database* database, sqlite3_stmt* handle, std::string sql)
      : database_(database), handle_(handle), sql_(std::move(sql)) {}
  Database* database_;
  sqlite3_stmt* handle_;
  std::string sql_;
  int bound_ = 0;
  std::optional<Error> bind_error_;
};

class Database {
 public:
  // The file must exist.
  [[nodiscard]] static Result<std::unique_ptr<Database>> open(const std::filesystem::path& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  [[nodiscard]] Result<void> run(const std::string& sql);  // several statements, no values
  [[nodiscard]] Result<Statement> prepare(std::string_view sql);
  [[nodiscard]] Result<std::int64_t> pragma(const std::string& name);
  [[nodiscard]] int changed_rows() const;
  // False also after a failure that took the whole transaction back (a full disk, for instance).
  [[nodiscard]] bool in_transaction() const;
  // What the last failure means for people: disk full, damaged, in use.
  [[nodiscard]] Error error(int code) const;

 private:
  friend class Statement;
  explicit Database(std::filesystem::path path);
  struct Cache;
  std::filesystem::path path_;
  sqlite3* handle_ = nullptr;
  std::unique_ptr<Cache> cache_;
};

}  // namespace zef::client
