// Hashes, keys and signatures as values.
#pragma once

#include "base/fixed_bytes.h"
#include "codec/bcs.h"

namespace zef::crypto {

using Hash = FixedBytes<struct HashTag, 32>;            // SHA-256
using PublicKey = FixedBytes<struct PublicKeyTag, 32>;  // Ed25519, RFC 8032
using Signature = FixedBytes<struct SignatureTag, 64>;  // Ed25519, RFC 8032

// One Ed25519 signature over the root of a Merkle tree of messages (RFC 9162), and the place of one message in it. One
// message alone is the tree of one leaf, with an empty path.
struct BatchSignature {
  static constexpr std::uint32_t batch_size_max = 1U << 16;

  Signature signature;  // of the signed message "BatchRoot" with the root
  std::uint32_t index = 0;
  std::uint32_t size = 1;  // 1 <= size <= 2^16, index < size
  codec::Bounded<Hash, 0, 16> path;

  friend bool operator==(const BatchSignature&, const BatchSignature&) = default;
  static constexpr auto fields =
      codec::fields<&BatchSignature::signature, &BatchSignature::index, &BatchSignature::size, &BatchSignature::path>;
};

}  // namespace zef::crypto
