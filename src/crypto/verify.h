// Ed25519 verification with exactly libsodium's accept set (crypto_sign_verify_detached): canonical s, canonical A,
// neither A nor R of small order, cofactorless equation, the encoded R compared.
#pragma once

#include <span>
#include <vector>

#include "crypto/types.h"

namespace zef::crypto {

struct SignedItem {
  PublicKey key;
  ByteView message;  // must outlive the call
  Signature signature;
};

[[nodiscard]] bool verify(const PublicKey& key, ByteView message, const Signature& signature);
// result[i] tells whether items[i] is valid; an invalid item never affects another.
[[nodiscard]] std::vector<bool> verify_many(std::span<const SignedItem> items);

// Whether the key decodes to a point that is not of small order, in canonical form: a key that some signature can be
// valid for.
[[nodiscard]] bool is_usable(const PublicKey& key);

}  // namespace zef::crypto
