// `zef genesis create|check`.
#pragma once

#include "cli/command.h"

namespace zef::cli {

void add_genesis_commands(Program& program);

}  // namespace zef::cli
