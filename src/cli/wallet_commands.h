// `zef wallet ...`: a person's accounts. What only looks stands in wallet_views.cpp, what signs in
// wallet_operations.cpp, what several accounts do together in wallet_instances.cpp.
#pragma once

#include "cli/command.h"

namespace zef::cli {

void add_wallet_commands(Program& program);

// Its parts: show, history, export, create, key.
void add_wallet_views(Program& program, CLI::App& wallet);
// transfer, open, rotate, give, close, adopt, sync.
void add_wallet_operations(Program& program, CLI::App& wallet);
// swap and settle, each with propose, accept, status, abort.
void add_wallet_instances(Program& program, CLI::App& wallet);

}  // namespace zef::cli
