#include "cli/program.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/bench.h"
#include "cli/controller_commands.h"
#include "cli/demo.h"
#include "cli/drill.h"
#include "cli/genesis_commands.h"
#include "cli/keys_commands.h"
#include "cli/net_commands.h"
#include "cli/operator_commands.h"
#include "cli/server_commands.h"
#include "cli/wallet_commands.h"

namespace zef::cli {
namespace {

constexpr const char* exit_codes =
    "Exit status: 0 done; 1 a check or an operation failed; 2 wrong flags or input; 3 somebody does not answer, try\n"
    "again; 4 refused (wrong network, foreign store, wrong passphrase, a file that others may read); 5 damaged data;\n"
    "6 another process has taken over; 7 the machine says no (busy port, full disk, permission).";

// The innermost command that the arguments got to.
const CLI::App& innermost(const CLI::App& app) {
  const CLI::App* at = &app;
  while (true) {
    const auto inner = at->get_subcommands();
    if (inner.empty()) return *at;
    at = inner.back();
  }
}

std::string name_of(const CLI::App& app) {
  if (app.get_parent() == nullptr) return "zef";
  return name_of(*app.get_parent()) + " " + app.get_name();
}

std::string one_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  for (char& c : text)
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  return text;
}

// CLI11 looks for what is missing first, which is often missing because something is misspelt: that is named instead.
std::string what_is_wrong(const CLI::App& app, const CLI::ParseError& error) {
  const bool incomplete = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError);
  if (!incomplete && error.get_exit_code() != static_cast<int>(CLI::ExitCodes::ExtrasError)) return error.what();
  const auto unknown = app.remaining(true);
  if (unknown.empty()) return error.what();
  // A word after an unknown flag may be its value, so the flag comes first.
  const auto flag = std::ranges::find_if(unknown, [](const std::string& word) { return word.starts_with('-'); });
  if (flag != unknown.end()) return fmt::format("there is no flag '{}'", *flag);
  const bool groups = innermost(app).get_require_subcommand_min() > 0;
  return fmt::format("{} '{}'", groups ? "there is no command" : "there is no place for", unknown.front());
}

int usage_error(const CLI::App& app, const std::string& what) {
  const CLI::App& at = innermost(app);
  print_err(fmt::format("zef: {}: see the flags of '{}' below\n{}", one_line(what), name_of(at), app.help()));
  return static_cast<int>(ExitCode::usage);
}

}  // namespace

void add_commands(Program& program) {
  CLI::App& app = program.app;
  app.name("zef");
  app.description("zef: a Zefchain validator, its network and its wallet, in one program");
  app.footer(exit_codes);
  app.require_subcommand(1);
  add_net_commands(program);
  add_genesis_commands(program);
  add_keys_commands(program);
  add_server_commands(program);
  add_controller_commands(program);
  add_operator_commands(program);
  add_drill_commands(program);
  add_wallet_commands(program);
  add_demo_command(program);
  add_bench_command(program);
}

int run_program(int argc, const char* const* argv) {
  Program program;
  add_commands(program);
  try {
    program.app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    print_out(program.app.help());
    return 0;
  } catch (const CLI::CallForAllHelp&) {
    print_out(program.app.help("", CLI::AppFormatMode::All));
    return 0;
  } catch (const CLI::ParseError& error) {
    return usage_error(program.app, what_is_wrong(program.app, error));
  }
  if (!program.chosen) return usage_error(program.app, "a command is missing");
  const auto code = program.chosen();
  if (code) return static_cast<int>(*code);
  print_err(fmt::format("zef: {}\n", one_line(code.error().message)));
  return static_cast<int>(exit_code_of(code.error().kind));
}

}  // namespace zef::cli
