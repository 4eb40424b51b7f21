#include "crypto/keys.h"

#include <sodium.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace zef::crypto {
namespace {

// Safe to repeat and from any thread; sodium_malloc and randombytes need it.
void require_sodium() { ZEF_CHECK(sodium_init() >= 0); }

}  // namespace

SecretBytes::SecretBytes(std::size_t size) : size_(size) {
  require_sodium();
  data_.reset(static_cast<std::uint8_t*>(sodium_malloc(size)));
  ZEF_CHECK(data_ != nullptr);
  sodium_memzero(data_.get(), size);
}

void SecretBytes::Free::operator()(std::uint8_t* data) const { sodium_free(data); }  // zeroes first

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
  return {};
}

}  // namespace zef::crypto
