// `zef keys create|show`.
#pragma once

#include "cli/command.h"

namespace zef::cli {

void add_keys_commands(Program& program);

// A public key from the command line: 64 hexadecimal digits, or the name of a sealed key file.
[[nodiscard]] Result<crypto::PublicKey> public_key_from(const std::string& text);

}  // namespace zef::cli
