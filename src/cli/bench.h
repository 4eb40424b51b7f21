// `zef bench`: confirmed transfers a second through a whole network of its own, with clients that each sign alone.
#pragma once

#include "cli/command.h"

namespace zef::cli {

void add_bench_command(Program& program);

}  // namespace zef::cli
