#include "crypto/verify.h"

#include <sodium.h>

#include <algorithm>
#include <array>

namespace zef::crypto {
namespace {

using Encoding = std::array<std::uint8_t, 32>;

// The y coordinates, sign bit clear, of the eight points whose order divides 8: the identity, the point of order 2, the
// two of order 4 (one y), the four of order 8 (two y). Canonical encodings only; the others are refused before.
constexpr std::array<Encoding, 5> small_order_y{{
    {0x01},
    {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    {0x00},
    {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
     0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
    {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
     0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
}};

// Whether y, sign bit clear, is below p = 2^255 - 19.
bool is_canonical(const Encoding& y) {
  const bool high_bytes_full =
      y[31] == 0x7f && std::all_of(y.begin() + 1, y.begin() + 31, [](auto b) { return b == 0xff; });
  return !high_bytes_full || y[0] < 0xed;
}

}  // namespace

bool verify(const PublicKey& key, ByteView message, const Signature& signature) {
  return crypto_sign_verify_detached(signature.bytes.data(), message.data(), message.size(), key.bytes.data()) == 0;
}

std::vector<bool> verify_many(std::span<const SignedItem> items) {
  std::vector<bool> valid(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) valid[i] = verify(items[i].key, items[i].message, items[i].signature);
  return valid;
}

// crypto_core_ed25519_is_valid_point is too strict: it wants the prime-order subgroup, while signature verification
// accepts keys with a torsion component. So the conditions of crypto_sign_verify_detached are checked one by one; that
// the key decodes is learnt from adding the neutral point to it, which fails only for what is not on the curve.
bool is_usable(const PublicKey& key) {
  Encoding y = key.bytes;
  y[31] &= 0x7f;
  if (!is_canonical(y) || std::ranges::find(small_order_y, y) != small_order_y.end()) return false;
  constexpr Encoding neutral{0x01};
  Encoding sum;
  return crypto_core_ed25519_add(sum.data(), key.bytes.data(), neutral.data()) == 0;
}

}  // namespace zef::crypto
