// `zef worker`, `zef balancer`, `zef store init`: the processes of a validator.
//
// A server prints one line of JSON on stdout when it serves, {"ready":true,"client":"127.0.0.1:40001",...}, and logs to
// stderr. SIGTERM or SIGINT drains it; a second one ends it at once, which is always safe: nothing leaves a worker
// before it is durable.
#pragma once

#include "cli/command.h"

namespace zef::cli {

void add_server_commands(Program& program);

}  // namespace zef::cli
