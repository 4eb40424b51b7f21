#include "cli/command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "codec/json.h"

namespace zef::cli {
namespace {

constexpr Duration quiet_time = std::chrono::seconds(1);
constexpr Duration terminal_period = std::chrono::milliseconds(200);
constexpr Duration line_period = std::chrono::seconds(10);

void print(std::FILE* out, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), out);
  std::fflush(out);
}

std::string group_digits(std::string digits) {
  const std::size_t first = digits.starts_with('-') ? 1 : 0;
  for (std::size_t at = digits.size(); at > first + 3;) digits.insert(at -= 3, ",");
  return digits;
}

}  // namespace

ExitCode exit_code_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid_input:
    case ErrorKind::not_found: return ExitCode::usage;
    case ErrorKind::refused: return ExitCode::refused;
    case ErrorKind::corrupt: return ExitCode::corrupt;
    case ErrorKind::unavailable:
    case ErrorKind::cancelled: return ExitCode::unavailable;
    case ErrorKind::fenced: return ExitCode::fenced;
    case ErrorKind::io: return ExitCode::io;
  }
  return ExitCode::failed;
}

std::optional<ErrorKind> kind_of_exit(int status) {
  switch (static_cast<ExitCode>(status)) {
    case ExitCode::usage: return ErrorKind::invalid_input;
    case ExitCode::unavailable: return ErrorKind::unavailable;
    case ExitCode::refused: return ErrorKind::refused;
    case ExitCode::corrupt: return ErrorKind::corrupt;
    case ExitCode::fenced: return ErrorKind::fenced;
    case ExitCode::io: return ErrorKind::io;
    case ExitCode::ok:
    case ExitCode::failed: break;
  }
  return std::nullopt;
}

CLI::App& add_command(Program& program, CLI::App& parent, std::string name, std::string description, Action action) {
  CLI::App& app = *parent.add_subcommand(std::move(name), std::move(description));
  // Inner commands call back first and outer ones after them, so the first one counts.
  app.callback([&program, action = std::move(action)] {
    if (!program.chosen) program.chosen = action;
  });
  return app;
}

CLI::App& add_group(CLI::App& parent, std::string name, std::string description) {
  CLI::App& app = *parent.add_subcommand(std::move(name), std::move(description));
  app.require_subcommand(1);
  return app;
}

void add_json_flag(CLI::App& app, bool& json) { app.add_flag("--json", json, "One JSON object instead of a table"); }

void PassphraseOptions::add_to(CLI::App& app) {
  CLI::Option* from_file = app.add_option("--passphrase-file", file, "A file of mode 0600 with the passphrase");
  app.add_option("--passphrase-fd", descriptor, "An open file descriptor to read the passphrase from")
      ->check(CLI::NonNegativeNumber)
      ->excludes(from_file);
}

Result<crypto::SecretBytes> PassphraseOptions::read(std::string_view prompt, crypto::Confirm confirm) const {
  if (!file.empty()) return crypto::passphrase_from_file(file);
  if (descriptor >= 0) return crypto::passphrase_from_descriptor(descriptor);
  return crypto::passphrase_from_prompt(prompt, confirm);
}

void print_json(const codec::Json& json) { print(stdout, json.dump() + "\n"); }
void print_out(std::string_view text) { print(stdout, text); }
void print_err(std::string_view text) { print(stderr, text); }

void Table::add(std::vector<std::string> cells) {
  ZEF_CHECK(cells.size() == columns_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    widths.push_back(columns_[i].title.size());
    for (const auto& row : rows_) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  const auto add_line = [&](const auto& cell_of) {
    std::string line;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string& cell = cell_of(i);
      line += columns_[i].number ? fmt::format("{:>{}}", cell, widths[i]) : fmt::format("{:<{}}", cell, widths[i]);
      line += "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  };
  add_line([&](std::size_t i) -> const std::string& { return columns_[i].title; });
  for (const auto& row : rows_) add_line([&](std::size_t i) -> const std::string& { return row[i]; });
  return out;
}

std::string grouped(std::uint64_t number) { return group_digits(std::to_string(number)); }
std::string grouped(__int128 number) { return group_digits(codec::to_decimal(number)); }

Progress::Progress(const Clock& clock, std::string what)
    : clock_(clock),
      what_(std::move(what)),
      started_(clock.now()),
      shown_(clock.now()),
      terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (visible_ && terminal_) print_err("\n");
}

void Progress::update(std::uint64_t done, std::uint64_t total) {
  const MonotonicTime now = clock_.now();
  if (now - started_ < quiet_time) return;
  if (visible_ && now - shown_ < (terminal_ ? terminal_period : line_period)) return;
  visible_ = true;
  shown_ = now;
  const std::string line = total == 0 ? fmt::format("{}: {}", what_, grouped(done))
                                      : fmt::format("{}: {} of {}", what_, grouped(done), grouped(total));
  print_err(terminal_ ? fmt::format("\r{}\x1b[K", line) : line + "\n");
}

}  // namespace zef::cli
