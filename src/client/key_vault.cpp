#include "client/key_vault.h"

#include <sodium.h>

#include "base/check.h"

namespace zef::client {
namespace {

constexpr std::size_t key_size = crypto_aead_xchacha20poly1305_ietf_KEYBYTES;
constexpr std::size_t nonce_size = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t tag_size = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr std::size_t seed_size = crypto_sign_SEEDBYTES;

Bytes random_bytes(std::size_t size) {
  Bytes bytes(size);
  randombytes_buf(bytes.data(), bytes.size());
  return bytes;
}

Bytes encrypt(ByteView secret, ByteView associated, ByteView nonce, const crypto::SecretBytes& key) {
  Bytes ciphertext(secret.size() + tag_size);
  unsigned long long size = 0;
  crypto_aead_xchacha20poly1305_ietf_encrypt(ciphertext.data(), &size, secret.data(), secret.size(), associated.data(),
                                             associated.size(), nullptr, nonce.data(), key.view().data());
  ZEF_CHECK(size == ciphertext.size());
  return ciphertext;
}

bool decrypt(crypto::SecretBytes& out, ByteView ciphertext, ByteView associated, ByteView nonce,
             const crypto::SecretBytes& key) {
  if (ciphertext.size() != out.size() + tag_size || nonce.size() != nonce_size) return false;
  unsigned long long size = 0;
  return crypto_aead_xchacha20poly1305_ietf_decrypt(out.data(), &size, nullptr, ciphertext.data(), ciphertext.size(),
                                                    associated.data(), associated.size(), nonce.data(),
                                                    key.view().data()) == 0;
}

Bytes data_key_context(const SealedDataKey& sealed) {
  Bytes context = to_bytes(std::string_view("zefchain-wallet-1"));
  codec::encode_into(context, sealed.ops_limit);
  codec::encode_into(context, sealed.memory_bytes);
  codec::encode_into(context, sealed.salt);
  return context;
}

Bytes secret_context(const crypto::PublicKey& public_key) {
  Bytes context = to_bytes(std::string_view("zefchain-wallet-key-1"));
  append(context, public_key.view());
  return context;
}

// Takes a good part of a second and of the machine's memory: that is its purpose.
Result<crypto::SecretBytes> derive(const SealedDataKey& sealed, const crypto::SecretBytes& passphrase) {
  const auto& least = crypto::seal_parameters_min;
  const auto& most = crypto::seal_parameters_max;
  if (sealed.ops_limit < least.ops_limit || sealed.ops_limit > most.ops_limit ||
      sealed.memory_bytes < least.memory_bytes || sealed.memory_bytes > most.memory_bytes ||
      sealed.salt.size() != crypto_pwhash_SALTBYTES)
    return fail(ErrorKind::corrupt, "the wallet asks for a key derivation that is out of range");
  crypto::SecretBytes key(key_size);
  if (crypto_pwhash(key.data(), key.size(), reinterpret_cast<const char*>(passphrase.view().data()), passphrase.size(),
                    sealed.salt.data(), sealed.ops_limit, sealed.memory_bytes, crypto_pwhash_ALG_ARGON2ID13) != 0)
    return fail(ErrorKind::unavailable, "not enough memory to open the wallet's keys: close other programs");
  return key;
}

}  // namespace

Result<KeyVault::Created> KeyVault::create(const crypto::SecretBytes& passphrase, crypto::SealParameters parameters) {
  ZEF_CHECK(sodium_init() >= 0);
  if (passphrase.size() == 0) return fail(ErrorKind::invalid_input, "the passphrase of a wallet must not be empty");
  SealedDataKey sealed{.ops_limit = parameters.ops_limit,
                       .memory_bytes = parameters.memory_bytes,
                       .salt = random_bytes(crypto_pwhash_SALTBYTES),
                       .nonce = random_bytes(nonce_size),
                       .ciphertext = {}};
  const auto outer = derive(sealed, passphrase);
  if (!outer) return std::unexpected(outer.error());
  crypto::SecretBytes data_key(key_size);
  randombytes_buf(data_key.data(), data_key.size());
  sealed.ciphertext = encrypt(data_key.view(), data_key_context(sealed), sealed.nonce, *outer);
  return Created{KeyVault(std::move(data_key)), std::move(sealed)};
}

Result<KeyVault> KeyVault::open(const SealedDataKey& sealed, const crypto::SecretBytes& passphrase) {
  ZEF_CHECK(sodium_init() >= 0);
  const auto outer = derive(sealed, passphrase);
  if (!outer) return std::unexpected(outer.error());
  crypto::SecretBytes data_key(key_size);
  if (!decrypt(data_key, sealed.ciphertext, data_key_context(sealed), sealed.nonce, *outer))
    return fail(ErrorKind::refused, "wrong passphrase for this wallet");
  return KeyVault(std::move(data_key));
}

SealedSecret KeyVault::seal(const crypto::SigningKey& key) const {
  SealedSecret sealed{random_bytes(nonce_size), {}};
  sealed.ciphertext = encrypt(key.seed(), secret_context(key.public_key()), sealed.nonce, data_key_);
  return sealed;
}

Result<crypto::SigningKey> KeyVault::unseal(const crypto::PublicKey& public_key, const SealedSecret& sealed) const {
  crypto::SecretBytes seed(seed_size);
  if (!decrypt(seed, sealed.ciphertext, secret_context(public_key), sealed.nonce, data_key_))
    return fail(ErrorKind::corrupt, "a key in the wallet is damaged: restore the wallet from a backup");
  auto key = crypto::SigningKey::from_seed(seed.view());
  if (key.public_key() != public_key)
    return fail(ErrorKind::corrupt, "a key in the wallet is not the one it is said to be: restore it from a backup");
  return key;
}

}  // namespace zef::client
