// `zef net up`: a whole network on this machine, in the foreground; `zef net wait`: until one serves.
#pragma once

#include "cli/command.h"
#include "cli/local_network.h"

namespace zef::cli {

void add_net_commands(Program& program);

// A table of validators, their addresses and processes; and the same as JSON.
[[nodiscard]] std::string network_table(const LocalNetwork& network);
[[nodiscard]] codec::Json network_json(const LocalNetwork& network);

}  // namespace zef::cli
