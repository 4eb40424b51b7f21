// Files that only their owner may read: sealed keys, passphrases, keys of TLS certificates. Reading refuses a mode
// wider than 0600, a symbolic link and anything that is not a regular file; writing never overwrites and is atomic and
// durable.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "crypto/keys.h"

namespace zef::crypto {

// The whole file; `refused` if its mode is too wide, `invalid_input` if it is longer than size_max.
[[nodiscard]] Result<SecretBytes> read_private_file(const std::filesystem::path& path, std::size_t size_max);

// Creates the file with mode 0600, synced with its folder when this returns; `refused` if something is there already.
[[nodiscard]] Result<void> write_private_file(const std::filesystem::path& path, ByteView content);

}  // namespace zef::crypto
