// `zef demo`: a network in a temporary folder, what it can do and what it withstands, told in plain words and checked.
#pragma once

#include "cli/command.h"

namespace zef::cli {

void add_demo_command(Program& program);

}  // namespace zef::cli
