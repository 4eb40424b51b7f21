// Batch signatures: one Ed25519 signature over the Merkle root of many messages. What exactly is signed for a root is
// the protocol's to say: it gives the bytes that stand before the root.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "crypto/keys.h"
#include "crypto/types.h"

namespace zef::crypto {

// Signs `prefix || root` and returns one batch signature per leaf, in order; leaves are leaf_hash()es. More leaves than
// BatchSignature::batch_size_max make several trees; no leaves make none.
[[nodiscard]] std::vector<BatchSignature> sign_batch(const SigningKey& key, std::span<const Hash> leaves,
                                                     ByteView prefix);

// The root that the leaf leads to; nothing if size, index and path length do not fit, checked before any hashing. The
// caller still has to verify the signature of the root.
[[nodiscard]] std::optional<Hash> batch_root(const Hash& leaf, const BatchSignature& batch);

// `prefix || root`: the bytes that the signature of a batch signs.
[[nodiscard]] Bytes root_message(ByteView prefix, const Hash& root);

}  // namespace zef::crypto
