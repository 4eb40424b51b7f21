// Signing keys at rest: a small JSON file whose secret part is encrypted under a passphrase.
//
//   { "format": "zefchain-sealed-key-1", "ops_limit": 2, "memory_bytes": 67108864, "salt": hex, "nonce": hex,
//     "public_key": hex, "ciphertext": hex }
//
// The encryption key is Argon2id(passphrase, salt, ops_limit, memory_bytes), 32 bytes. The ciphertext is the 32-byte
// seed of the key by XChaCha20-Poly1305 with the nonce; the associated data is the BCS of all fields before it, in this
// order, so nothing in the file can be changed unseen. The public key can be read without the passphrase.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "crypto/keys.h"
#include "crypto/types.h"

namespace zef::crypto {

// The cost of one guess at the passphrase. The default, half a second at most, is for keys that people use.
struct SealParameters {
  std::uint64_t ops_limit = 2;
  std::uint64_t memory_bytes = 64ULL << 20;
};
inline constexpr SealParameters seal_parameters_min{.ops_limit = 1, .memory_bytes = 8192};
// Files that ask for more are refused, so that opening a strange file cannot take the machine's memory.
inline constexpr SealParameters seal_parameters_max{.ops_limit = 16, .memory_bytes = 1ULL << 30};

inline constexpr std::size_t sealed_size_max = 4096;

// The content of a sealed file. `invalid_input` for parameters out of range, `unavailable` without enough memory.
[[nodiscard]] Result<Bytes> seal(const SigningKey& key, const SecretBytes& passphrase, SealParameters parameters = {});

// `invalid_input` if this is no sealed key, `refused` if the passphrase is wrong (or something in it was changed, which
// looks the same).
[[nodiscard]] Result<SigningKey> open_sealed(ByteView sealed, const SecretBytes& passphrase);

// What the file says its key is, unverified until it is opened.
[[nodiscard]] Result<PublicKey> sealed_public_key(ByteView sealed);

// Files of mode 0600 (crypto/private_file.h).
[[nodiscard]] Result<void> write_sealed_file(const std::filesystem::path& path, const SigningKey& key,
                                             const SecretBytes& passphrase, SealParameters parameters = {});
[[nodiscard]] Result<SigningKey> read_sealed_file(const std::filesystem::path& path, const SecretBytes& passphrase);

}  // namespace zef::crypto
