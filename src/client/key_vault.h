// The secret keys of a wallet at rest. A passphrase opens the data key (once, by Argon2id); under the data key each
// secret key is sealed alone, so that looking up one of 100,000 keys costs microseconds.
//
//   data key      32 random bytes, by XChaCha20-Poly1305 under Argon2id(passphrase, salt, ops_limit, memory_bytes);
//                 associated data: "zefchain-wallet-1", the BCS of ops_limit, memory_bytes, salt
//   secret key    its 32-byte seed, by XChaCha20-Poly1305 under the data key;
//                 associated data: "zefchain-wallet-key-1", the public key
//
// Nonces are random (24 bytes). Thread rule: one thread.
#pragma once

#include "base/result.h"
#include "crypto/keys.h"
#include "crypto/sealed.h"

namespace zef::client {

// What stands in the file.
struct SealedDataKey {
  std::uint64_t ops_limit = 0;
  std::uint64_t memory_bytes = 0;
  Bytes salt;
  Bytes nonce;
  Bytes ciphertext;
};
struct SealedSecret {
  Bytes nonce;
  Bytes ciphertext;
};

class KeyVault {
 public:
  struct Created;
  // A new data key. Fails as crypto::seal does.
  [[nodiscard]] static Result<Created> create(const crypto::SecretBytes& passphrase, crypto::SealParameters parameters);
  // refused: the passphrase is wrong.
  [[nodiscard]] static Result<KeyVault> open(const SealedDataKey& sealed, const crypto::SecretBytes& passphrase);

  [[nodiscard]] SealedSecret seal(const crypto::SigningKey& key) const;
  // corrupt: it was not sealed by this vault for this public key.
  [[nodiscard]] Result<crypto::SigningKey> unseal(const crypto::PublicKey& public_key,
                                                  const SealedSecret& sealed) const;

 private:
  explicit KeyVault(crypto::SecretBytes data_key) : data_key_(std::move(data_key)) {}
  crypto::SecretBytes data_key_;
};

struct KeyVault::Created {
  KeyVault vault;
  SealedDataKey sealed;
};

}  // namespace zef::client
