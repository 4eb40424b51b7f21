// zef drill crash|move|scale|store-outage|zombie: game days. A validator of a network of its own is under steady load
// while something is done to it; the report says what its clients saw (docs/operations.md, "Drills").
#pragma once

#include "cli/command.h"

namespace zef::cli {

void add_drill_commands(Program& program);

}  // namespace zef::cli
