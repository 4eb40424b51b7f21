// Signing keys. The secret part lives in locked, guarded memory (libsodium's sodium_malloc), is zeroed when dropped, is
// never copied, and never printed.
#pragma once

#include <memory>

#include "base/result.h"
#include "crypto/types.h"

namespace zef::crypto {

// Secret bytes: locked in memory, excluded from core dumps, between guard pages, zeroed on destruction.
class SecretBytes {
 public:
  explicit SecretBytes(std::size_t size);
  SecretBytes(SecretBytes&&) noexcept = default;
  SecretBytes& operator=(SecretBytes&&) noexcept = default;
  [[nodiscard]] std::uint8_t* data() { return data_.get(); }
  [[nodiscard]] ByteView view() const { return {data_.get(), size_}; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(std::uint8_t* data) const;
  };
  std::unique_ptr<std::uint8_t, Free> data_;
  std::size_t size_;
};

class SigningKey {
 public:
  // A new key from the operating system's randomness.
  static SigningKey generate();
  // RFC 8032 seed, 32 bytes. For sealed files and test vectors.
  static SigningKey from_seed(ByteView seed);

  [[nodiscard]] const PublicKey& public_key() const { return public_key_; }
  [[nodiscard]] Signature sign(ByteView message) const;
  [[nodiscard]] ByteView seed() const;  // for sealing only

 private:
  SigningKey(SecretBytes secret, const PublicKey& public_key);
  SecretBytes secret_;  // libsodium's 64 bytes: seed, public key
  PublicKey public_key_;
};

// Call first in main(): initialises libsodium, forbids core dumps and debuggers from reading the process' memory.
[[nodiscard]] Result<void> protect_process();

}  // namespace zef::crypto
