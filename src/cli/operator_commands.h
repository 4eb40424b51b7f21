// What operators look at and do while a validator runs: zef status, zef workers, zef shards.
#pragma once

#include "cli/command.h"

namespace zef::cli {

void add_operator_commands(Program& program);

}  // namespace zef::cli
