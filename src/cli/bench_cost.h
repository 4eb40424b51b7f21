// zef bench cost: what a validator asks of its object store for an operation, which is what the provider bills.
#pragma once

#include "cli/command.h"

namespace zef::cli {

void add_bench_cost_command(Program& program, CLI::App& bench);

}  // namespace zef::cli
