#include "crypto/keys.h"

#include <sodium.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

namespace zef::crypto {
namespace {

// Safe to repeat and from any thread; sodium_malloc and randombytes need it.
void require_sodium() { ZEF_CHECK(sodium_init() >= 0); }

std::uint8_t* allocate_locked(std::size_t size) {
  auto* data = static_cast<std::uint8_t*>(sodium_malloc(size));
  ZEF_CHECK(data != nullptr);
  return data;
}

// Slots of locked memory for small secrets, cut from larger allocations that stay until the process ends. Free slots
// hold zeros.
class SmallSecrets {
 public:
  static constexpr std::size_t slot_size = crypto_sign_SECRETKEYBYTES;

  std::uint8_t* take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) {
      constexpr std::size_t slots = 256;
      std::uint8_t* data = allocate_locked(slots * slot_size);
      for (std::size_t i = slots; i > 0; --i) free_.push_back(data + (i - 1) * slot_size);
    }
    std::uint8_t* slot = free_.back();
    free_.pop_back();
    return slot;
  }
  void give_back(std::uint8_t* slot) {
    const std::lock_guard lock(mutex_);
    free_.push_back(slot);
  }

 private:
  std::mutex mutex_;
  std::vector<std::uint8_t*> free_;
};

// Never destroyed: secrets in static storage may outlive any static object.
SmallSecrets& small_secrets() {
  static auto* secrets = new SmallSecrets;
  return *secrets;
}

}  // namespace

SecretBytes::SecretBytes(std::size_t size) {
  require_sodium();
  std::uint8_t* data = size <= SmallSecrets::slot_size ? small_secrets().take() : allocate_locked(size);
  sodium_memzero(data, size);  // never shows what libsodium fills fresh memory with
  data_ = {data, Free{size}};
}

void SecretBytes::Free::operator()(std::uint8_t* data) const {
  if (size <= SmallSecrets::slot_size) {
    sodium_memzero(data, size);
    small_secrets().give_back(data);
  } else {
    sodium_free(data);  // zeroes first
  }
}

SigningKey::SigningKey(SecretBytes secret, const PublicKey& public_key)
    : secret_(std::move(secret)), public_key_(public_key) {}

SigningKey SigningKey::generate() {
  SecretBytes seed(crypto_sign_SEEDBYTES);
  randombytes_buf(seed.data(), seed.size());
  return from_seed(seed.view());
}

SigningKey SigningKey::from_seed(ByteView seed) {
  ZEF_CHECK(seed.size() == crypto_sign_SEEDBYTES);
  SecretBytes secret(crypto_sign_SECRETKEYBYTES);
  PublicKey public_key;
  ZEF_CHECK(crypto_sign_seed_keypair(public_key.bytes.data(), secret.data(), seed.data()) == 0);
  return {std::move(secret), public_key};
}

Signature SigningKey::sign(ByteView message) const {
  Signature signature;
  ZEF_CHECK(crypto_sign_detached(signature.bytes.data(), nullptr, message.data(), message.size(),
                                 secret_.view().data()) == 0);
  return signature;
}

ByteView SigningKey::seed() const { return secret_.view().first(crypto_sign_SEEDBYTES); }

Result<void> protect_process() {
  if (sodium_init() < 0) return fail(ErrorKind::io, "libsodium does not start: no source of randomness?");
  const rlimit no_core{0, 0};
  if (setrlimit(RLIMIT_CORE, &no_core) != 0)
    return fail(ErrorKind::io, std::string("cannot forbid core dumps: ") + std::strerror(errno));
  if (prctl(PR_SET_DUMPABLE, 0) != 0)
    return fail(ErrorKind::io, std::string("cannot hide the process' memory: ") + std::strerror(errno));
  // sodium_malloc locks where it may and says nothing where it may not, so it is tried here.
  SecretBytes probe(4096);
  if (sodium_mlock(probe.data(), probe.size()) != 0)
    return fail(ErrorKind::refused, "cannot lock memory for secrets: raise the limit (ulimit -l, or LimitMEMLOCK)");
  return {};
}

}  // namespace zef::crypto
