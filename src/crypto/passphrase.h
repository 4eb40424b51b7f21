// Where passphrases come from: a terminal, a file descriptor, a file. Never arguments or the environment, which other
// programs can read. The result is one line without its line end, 1 to 1024 bytes, in locked memory.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/result.h"
#include "crypto/keys.h"

namespace zef::crypto {

inline constexpr std::size_t passphrase_size_max = 1024;

enum class Confirm { no, yes };  // yes: ask twice, for a new passphrase

// Asks on the terminal without echo. The terminal's settings are restored in every case: at the end, and before one of
// the usual signals (Ctrl-C, Ctrl-Z, termination, hang-up) takes its effect. Not for two threads at once.
[[nodiscard]] Result<SecretBytes> passphrase_from_prompt(std::string_view prompt, Confirm confirm = Confirm::no,
                                                         const std::filesystem::path& terminal = "/dev/tty");

// The next line of an open descriptor (`--passphrase-fd 3`); reads nothing after the line and leaves it open.
[[nodiscard]] Result<SecretBytes> passphrase_from_descriptor(int descriptor);

// A file of one line and of mode 0600 at most (crypto/private_file.h).
[[nodiscard]] Result<SecretBytes> passphrase_from_file(const std::filesystem::path& path);

}  // namespace zef::crypto
