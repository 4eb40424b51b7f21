// zef controller: rescues, moves and counts the workers of one validator (docs/controller.md).
#pragma once

#include "cli/command.h"

namespace zef::cli {

void add_controller_commands(Program& program);

}  // namespace zef::cli
