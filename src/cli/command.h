// How a command of the program `zef` is made: it registers with CLI11, runs, and returns an exit code or an error; the
// program (cli/program.h) prints the error, once, as "zef: <what happened and what to do>".
//
//   void add_greet_command(Program& program, CLI::App& parent) {
//     struct Flags { std::string name; bool json = false; };
//     const auto flags = std::make_shared<Flags>();
//     CLI::App& app = add_command(program, parent, "greet", "says hello", [flags] { return greet(*flags); });
//     app.add_option("--name", flags->name, "who")->required();
//     add_json_flag(app, flags->json);
//   }
//
// Rules. stdout carries the result only: a table for people, or with --json one object in one line. Progress and
// remarks go to stderr. Secrets never come from arguments or the environment. Thread rule: the main thread.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/executor.h"
#include "base/result.h"
#include "codec/json.h"
#include "crypto/passphrase.h"

namespace zef::cli {

// What the program's exit status says (docs/operations.md). Scripts may rely on it.
enum class ExitCode : int {
  ok = 0,
  failed = 1,       // a check or an operation did not succeed
  usage = 2,        // wrong flags, or input that makes no sense
  unavailable = 3,  // somebody does not answer now: try again
  refused = 4,      // wrong network, foreign store, wrong passphrase, a file that others may read
  corrupt = 5,      // stored bytes are damaged
  fenced = 6,       // another process has taken over
  io = 7,           // the machine says no: busy port, full disk, permission
};
[[nodiscard]] ExitCode exit_code_of(ErrorKind kind);
// For whoever runs the program as a child. Nothing for `ok` and for what is no exit code of ours.
[[nodiscard]] std::optional<ErrorKind> kind_of_exit(int status);

using Action = std::function<Result<ExitCode>()>;

struct Program {
  CLI::App app;
  Action chosen;  // of the command that the arguments name
};

// A subcommand with an action. The reference lives as long as the program.
CLI::App& add_command(Program& program, CLI::App& parent, std::string name, std::string description, Action action);
// A subcommand that only groups others ("wallet"): calling it alone is a usage error that lists them.
CLI::App& add_group(CLI::App& parent, std::string name, std::string description);
void add_json_flag(CLI::App& app, bool& json);

// --passphrase-file and --passphrase-fd; without them, a prompt on the terminal.
struct PassphraseOptions {
  std::filesystem::path file;
  int descriptor = -1;

  void add_to(CLI::App& app);
  // `prompt` like "Passphrase of the wallet: "; Confirm::yes asks twice for a new one (prompt only).
  [[nodiscard]] Result<crypto::SecretBytes> read(std::string_view prompt,
                                                 crypto::Confirm confirm = crypto::Confirm::no) const;
};

// One JSON object in one line on stdout, flushed.
void print_json(const codec::Json& json);
// Text to stdout or stderr as it is, flushed. Nothing happens if nobody reads any more.
void print_out(std::string_view text);
void print_err(std::string_view text);

// Columns for people: the first is aligned left, those marked as numbers right.
class Table {
 public:
  struct Column {
    std::string title;
    bool number = false;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<std::string> cells);
  [[nodiscard]] std::string text() const;  // each line ended

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// "1,234,567", for people.
[[nodiscard]] std::string grouped(std::uint64_t number);
[[nodiscard]] std::string grouped(__int128 number);

// Tells on stderr how far something is that takes longer than a second: a line that is rewritten on a terminal, a new
// line every 10 s elsewhere. Says nothing about what is quicker.
class Progress {
 public:
  Progress(const Clock& clock, std::string what);
  ~Progress();  // ends the line, if there is one
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  // `total` 0: unknown.
  void update(std::uint64_t done, std::uint64_t total);

 private:
  const Clock& clock_;
  std::string what_;
  MonotonicTime started_;
  MonotonicTime shown_;
  bool terminal_;
  bool visible_ = false;
};

}  // namespace zef::cli
