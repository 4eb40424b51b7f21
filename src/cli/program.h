// The program `zef`: all commands, from arguments to exit status.
//
// Thread rule: the main thread, once per process (tests call it several times, with commands that start nothing).
#pragma once

#include "cli/command.h"

namespace zef::cli {

// Registers every command.
void add_commands(Program& program);

// Parses, runs, prints what went wrong on stderr, and returns the exit status.
[[nodiscard]] int run_program(int argc, const char* const* argv);

}  // namespace zef::cli
