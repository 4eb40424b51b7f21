// A test that starts networks starts itself again as the program `zef` (cli/child_process.h runs /proc/self/exe under
// that name): the processes under test are then what was just built, whatever else is installed.
//
// Thread rule: the main thread.
#pragma once

#include <optional>

namespace zef::networks {

// To be called first in main(): protects the process as the program does, and if this process was started as `zef`, is
// `zef` and returns its exit status.
[[nodiscard]] std::optional<int> run_if_program(int argc, char** argv);

}  // namespace zef::networks
