// Signing keys. The secret part lives in locked, guarded memory (libsodium's sodium_malloc), is zeroed when dropped, is
// never copied, and never printed.
#pragma once

#include <memory>

#include "base/result.h"
#include "crypto/types.h"

namespace zef::crypto {

// Secret bytes: locked in memory, excluded from core dumps, between guard pages, zeroed on destruction. Secrets of up
// to 64 bytes (keys) share locked pages, so that a program with 100,000 keys locks 6.4 MB and not as many pages. Any
// thread may make and drop secrets.
class SecretBytes {
 public:
  explicit SecretBytes(std::size_t size);
  SecretBytes(SecretBytes&&) noexcept = default;
  SecretBytes& operator=(SecretBytes&&) noexcept = default;
  [[nodiscard]] std::uint8_t* data() { return data_.get(); }
  [[nodiscard]] ByteView view() const { return {data_.get(), size()}; }
  [[nodiscard]] std::size_t size() const { return data_ ? data_.get_deleter().size : 0; }  // 0 after a move

 private:
  struct Free {
    std::size_t size = 0;
    void operator()(std::uint8_t* data) const;
  };
  std::unique_ptr<std::uint8_t, Free> data_{nullptr, Free{}};
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

// Call first in main(): initialises libsodium, forbids core dumps and debuggers from reading the process' memory, and
// tries whether memory can be locked at all.
[[nodiscard]] Result<void> protect_process();

}  // namespace zef::crypto
