#include "crypto/sealed.h"

#include <sodium.h>

#include "codec/json.h"
#include "crypto/private_file.h"

namespace zef::crypto {
namespace {

constexpr std::string_view format_name = "zefchain-sealed-key-1";

constexpr std::size_t key_size = crypto_aead_xchacha20poly1305_ietf_KEYBYTES;
constexpr std::size_t ciphertext_size = crypto_sign_SEEDBYTES + crypto_aead_xchacha20poly1305_ietf_ABYTES;
using Salt = FixedBytes<struct SaltTag, crypto_pwhash_SALTBYTES>;
using Nonce = FixedBytes<struct NonceTag, crypto_aead_xchacha20poly1305_ietf_NPUBBYTES>;
using Ciphertext = FixedBytes<struct CiphertextTag, ciphertext_size>;

static_assert(SealParameters{}.ops_limit == crypto_pwhash_OPSLIMIT_INTERACTIVE);
static_assert(SealParameters{}.memory_bytes == crypto_pwhash_MEMLIMIT_INTERACTIVE);
static_assert(seal_parameters_min.ops_limit >= crypto_pwhash_OPSLIMIT_MIN);
static_assert(seal_parameters_min.memory_bytes >= crypto_pwhash_MEMLIMIT_MIN);

struct SealedKey {
  std::string format;
  std::uint64_t ops_limit = 0;
  std::uint64_t memory_bytes = 0;
  Salt salt;
  Nonce nonce;
  PublicKey public_key;
  Ciphertext ciphertext;

  static constexpr auto fields =
      codec::fields<&SealedKey::format, &SealedKey::ops_limit, &SealedKey::memory_bytes, &SealedKey::salt,
                    &SealedKey::nonce, &SealedKey::public_key, &SealedKey::ciphertext>;

  // All but the ciphertext.
  [[nodiscard]] Bytes associated_data() const {
    Bytes bytes = codec::encode(*this);
    bytes.resize(bytes.size() - ciphertext_size);
    return bytes;
  }
  [[nodiscard]] bool has_allowed_cost() const {
    return ops_limit >= seal_parameters_min.ops_limit && ops_limit <= seal_parameters_max.ops_limit &&
           memory_bytes >= seal_parameters_min.memory_bytes && memory_bytes <= seal_parameters_max.memory_bytes;
  }
};

Result<SecretBytes> derive_key(const SealedKey& sealed, const SecretBytes& passphrase) {
  SecretBytes key(key_size);
  if (crypto_pwhash(key.data(), key.size(), reinterpret_cast<const char*>(passphrase.view().data()), passphrase.size(),
                    sealed.salt.bytes.data(), sealed.ops_limit, sealed.memory_bytes, crypto_pwhash_ALG_ARGON2ID13) != 0)
    return fail(ErrorKind::unavailable, "not enough memory for the passphrase's Argon2id (" +
                                            std::to_string(sealed.memory_bytes >> 20) + " MiB)");
  return key;
}

Result<SealedKey> parse(ByteView bytes) {
  if (bytes.size() > sealed_size_max) return fail(ErrorKind::invalid_input, "not a sealed key: too long");
  auto sealed = codec::from_json<SealedKey>(as_text(bytes));
  if (!sealed) return fail(ErrorKind::invalid_input, "not a sealed key: " + sealed.error());
  if (sealed->format != format_name)
    return fail(ErrorKind::invalid_input,
                "not a sealed key that this version knows: the format is not " + std::string(format_name));
  if (!sealed->has_allowed_cost())
    return fail(ErrorKind::invalid_input, "not a sealed key: ops_limit or memory_bytes is out of range");
  return *sealed;
}

}  // namespace

Result<Bytes> seal(const SigningKey& key, const SecretBytes& passphrase, SealParameters parameters) {
  SealedKey sealed{.format = std::string(format_name),
                   .ops_limit = parameters.ops_limit,
                   .memory_bytes = parameters.memory_bytes,
                   .public_key = key.public_key()};
  if (!sealed.has_allowed_cost())
    return fail(ErrorKind::invalid_input, "the parameters of the sealed key are out of range");
  randombytes_buf(sealed.salt.bytes.data(), Salt::size);
  randombytes_buf(sealed.nonce.bytes.data(), Nonce::size);
  const auto encryption_key = derive_key(sealed, passphrase);
  if (!encryption_key) return std::unexpected(encryption_key.error());
  const Bytes associated = sealed.associated_data();
  const ByteView seed = key.seed();
  ZEF_CHECK(crypto_aead_xchacha20poly1305_ietf_encrypt(sealed.ciphertext.bytes.data(), nullptr, seed.data(),
                                                       seed.size(), associated.data(), associated.size(), nullptr,
                                                       sealed.nonce.bytes.data(), encryption_key->view().data()) == 0);
  return to_bytes(codec::to_json(sealed).dump(2) + "\n");
}

Result<SigningKey> open_sealed(ByteView bytes, const SecretBytes& passphrase) {
  const auto sealed = parse(bytes);
  if (!sealed) return std::unexpected(sealed.error());
  const auto encryption_key = derive_key(*sealed, passphrase);
  if (!encryption_key) return std::unexpected(encryption_key.error());
  const Bytes associated = sealed->associated_data();
  SecretBytes seed(crypto_sign_SEEDBYTES);
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(seed.data(), nullptr, nullptr, sealed->ciphertext.bytes.data(),
                                                 ciphertext_size, associated.data(), associated.size(),
                                                 sealed->nonce.bytes.data(), encryption_key->view().data()) != 0)
    return fail(ErrorKind::refused, "wrong passphrase (or the sealed key was changed)");
  auto key = SigningKey::from_seed(seed.view());
  if (key.public_key() != sealed->public_key)
    return fail(ErrorKind::corrupt, "the sealed key does not belong to the public key beside it");
  return key;
}

Result<PublicKey> sealed_public_key(ByteView bytes) {
  const auto sealed = parse(bytes);
  if (!sealed) return std::unexpected(sealed.error());
  return sealed->public_key;
}

Result<void> write_sealed_file(const std::filesystem::path& path, const SigningKey& key, const SecretBytes& passphrase,
                               SealParameters parameters) {
  const auto sealed = seal(key, passphrase, parameters);
  if (!sealed) return std::unexpected(sealed.error());
  return write_private_file(path, *sealed);
}

Result<SigningKey> read_sealed_file(const std::filesystem::path& path, const SecretBytes& passphrase) {
  const auto content = read_private_file(path, sealed_size_max);
  if (!content) return std::unexpected(content.error());
  auto key = open_sealed(content->view(), passphrase);
  if (!key) return fail(key.error().kind, path.string() + ": " + key.error().message);
  return key;
}

}  // namespace zef::crypto
