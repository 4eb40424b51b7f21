// OpenSSL's own SHA-256 functions rather than EVP: they run the same assembly without an allocation, a fetch or a
// provider call per hash, which for the short messages hashed here costs more than the hashing (see sha256_bench.cpp).
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/sha256.h"

#include <openssl/sha.h>

namespace zef::crypto {

Hash sha256(ByteView bytes) { return sha256(bytes, {}); }

Hash sha256(ByteView first, ByteView second) {
  Hash hash;
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, first.data(), first.size());
  SHA256_Update(&context, second.data(), second.size());
  SHA256_Final(hash.bytes.data(), &context);
  return hash;
}

}  // namespace zef::crypto
