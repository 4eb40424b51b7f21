// Signatures of simulated networks. What is simulated is the protocol, not Ed25519, whose 50 microseconds a
// verification would be nearly all that a simulation does. So programs of this room are linked with the functions
// below in the place of libsodium's (ld --wrap, see src/CMakeLists.txt); no other program ever sees them, and no code
// of the rooms below knows.
//
// A simulated signature is a hash of key and message: it binds to both, as the real one does, and costs 0.2 µs. Anybody
// could make one for any key, but nobody in the simulation does: Byzantine participants sign with the keys that they
// were given, and what they forge are random bytes.
//
// Keys are real ones. Whether a new key is a usable point is asked by every validator, several times, and users make
// their keys from the seeds again whenever they need them: what libsodium says is remembered.
#include <array>
#include <cstring>
#include <unordered_map>

#include "crypto/sha256.h"

// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the names are the linker's.
extern "C" int __wrap_crypto_sign_detached(unsigned char* signature, unsigned long long* length,
                                           const unsigned char* message, unsigned long long message_length,
                                           const unsigned char* secret_key);
extern "C" int __wrap_crypto_sign_verify_detached(const unsigned char* signature, const unsigned char* message,
                                                  unsigned long long message_length, const unsigned char* public_key);
extern "C" int __wrap_crypto_sign_seed_keypair(unsigned char* public_key, unsigned char* secret_key,
                                               const unsigned char* seed);
extern "C" int __real_crypto_sign_seed_keypair(unsigned char* public_key, unsigned char* secret_key,
                                               const unsigned char* seed);
extern "C" int __wrap_crypto_core_ed25519_add(unsigned char* sum, const unsigned char* one, const unsigned char* other);
extern "C" int __real_crypto_core_ed25519_add(unsigned char* sum, const unsigned char* one, const unsigned char* other);

namespace {

// 64 bytes: the hash, twice.
void make(unsigned char* out, const unsigned char* message, unsigned long long length,
          const unsigned char* public_key) {
  const zef::crypto::Hash hash =
      zef::crypto::sha256(zef::ByteView(public_key, 32), zef::ByteView(message, static_cast<std::size_t>(length)));
  std::memcpy(out, hash.bytes.data(), 32);
  std::memcpy(out + 32, hash.bytes.data(), 32);
}

using Bytes32 = std::array<unsigned char, 32>;
struct FirstBytes {
  std::size_t operator()(const Bytes32& bytes) const {
    std::size_t begin = 0;
    std::memcpy(&begin, bytes.data(), sizeof begin);
    return begin;
  }
};

struct Points {
  Bytes32 one;
  Bytes32 other;
  friend bool operator==(const Points&, const Points&) = default;
};
struct PointsHash {
  std::size_t operator()(const Points& points) const { return FirstBytes{}(points.one); }
};
struct Sum {
  Bytes32 point{};
  int outcome = 0;
};

}  // namespace

int __wrap_crypto_core_ed25519_add(unsigned char* sum, const unsigned char* one, const unsigned char* other) {
  static std::unordered_map<Points, Sum, PointsHash> known;  // as many as a process makes keys
  Points points;
  std::memcpy(points.one.data(), one, 32);
  std::memcpy(points.other.data(), other, 32);
  const auto [found, added] = known.try_emplace(points);
  Sum& result = found->second;
  if (added) result.outcome = __real_crypto_core_ed25519_add(result.point.data(), one, other);
  std::memcpy(sum, result.point.data(), 32);
  return result.outcome;
}

int __wrap_crypto_sign_seed_keypair(unsigned char* public_key, unsigned char* secret_key, const unsigned char* seed) {
  static std::unordered_map<Bytes32, Bytes32, FirstBytes> known;  // public keys by their seeds
  Bytes32 key;
  std::memcpy(key.data(), seed, 32);
  const auto [found, added] = known.try_emplace(key);
  if (added) __real_crypto_sign_seed_keypair(found->second.data(), secret_key, seed);
  std::memcpy(public_key, found->second.data(), 32);
  std::memcpy(secret_key, seed, 32);  // libsodium's secret key: seed, public key
  std::memcpy(secret_key + 32, public_key, 32);
  return 0;
}

int __wrap_crypto_sign_detached(unsigned char* signature, unsigned long long* length, const unsigned char* message,
                                unsigned long long message_length, const unsigned char* secret_key) {
  make(signature, message, message_length, secret_key + 32);
  if (length) *length = 64;
  return 0;
}

int __wrap_crypto_sign_verify_detached(const unsigned char* signature, const unsigned char* message,
                                       unsigned long long message_length, const unsigned char* public_key) {
  unsigned char expected[64];
  make(expected, message, message_length, public_key);
  return std::memcmp(expected, signature, sizeof expected) == 0 ? 0 : -1;
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
