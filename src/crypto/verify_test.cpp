// The accept set of verify and verify_many, pinned: any implementation that takes libsodium's place must pass this.
#include "crypto/verify.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>

#include "crypto/keys.h"

namespace zef::crypto {
namespace {

using Encoding = PublicKey;

Encoding encoding(std::string_view hex) { return PublicKey::parse_hex(hex).value(); }

const Encoding neutral = encoding("0100000000000000000000000000000000000000000000000000000000000000");
const Encoding order_8 = encoding("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05");

// Every encoding that decodes, leniently, to a point whose order divides 8.
const std::vector<std::string> small_order_canonical{
    "0100000000000000000000000000000000000000000000000000000000000000",  // the neutral point
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  // order 2
    "0000000000000000000000000000000000000000000000000000000000000000",  // order 4
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",  // order 8
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
};
const std::vector<std::string> small_order_other{
    "0100000000000000000000000000000000000000000000000000000000000080",  // x = 0 with a sign
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  // y = p
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  // y = p + 1
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
};

Encoding add(const Encoding& a, const Encoding& b) {
  Encoding sum;
  EXPECT_EQ(crypto_core_ed25519_add(sum.bytes.data(), a.bytes.data(), b.bytes.data()), 0);
  return sum;
}

using Scalar = FixedBytes<struct ScalarTag, 32>;

// A signer that does not keep the rules: it knows its secret scalar and may choose R, A and s freely.
struct RoguePair {
  Scalar secret;
  Encoding honest;  // secret * B

  static RoguePair make(std::mt19937_64& random) {
    RoguePair pair;
    for (auto& byte : pair.secret.bytes) byte = static_cast<std::uint8_t>(random());
    pair.secret.bytes[31] &= 0x0f;  // below the group order
    EXPECT_EQ(crypto_scalarmult_ed25519_base_noclamp(pair.honest.bytes.data(), pair.secret.bytes.data()), 0);
    return pair;
  }
};

// SHA-512(R || A || M) mod L.
Scalar challenge(const Encoding& r, const Encoding& a, ByteView message) {
  Bytes bytes = to_bytes(r.view());
  append(bytes, a.view());
  append(bytes, message);
  std::array<std::uint8_t, 64> hash;
  crypto_hash_sha512(hash.data(), bytes.data(), bytes.size());
  Scalar h;
  crypto_core_ed25519_scalar_reduce(h.bytes.data(), hash.data());
  return h;
}

// r + h * secret
Scalar answer(const Scalar& r, const Scalar& h, const Scalar& secret) {
  Scalar product;
  crypto_core_ed25519_scalar_mul(product.bytes.data(), h.bytes.data(), secret.bytes.data());
  Scalar s;
  crypto_core_ed25519_scalar_add(s.bytes.data(), r.bytes.data(), product.bytes.data());
  return s;
}

Signature join(const Encoding& r, const Scalar& s) {
  Signature signature;
  std::ranges::copy(r.bytes, signature.bytes.begin());
  std::ranges::copy(s.bytes, signature.bytes.begin() + 32);
  return signature;
}

bool verify_both_ways(const PublicKey& key, ByteView message, const Signature& signature) {
  const bool alone = verify(key, message, signature);
  const SignedItem item{key, message, signature};
  EXPECT_EQ(verify_many({&item, 1}), std::vector<bool>{alone});
  EXPECT_EQ(alone,
            crypto_sign_verify_detached(signature.bytes.data(), message.data(), message.size(), key.bytes.data()) == 0);
  return alone;
}

struct Vector {
  std::string seed, public_key, message, signature;
};

// RFC 8032 section 7.1.
const std::vector<Vector> rfc_8032{
    // one: no bytes
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
     "d25bf5f0595bbe24655141438e7a100b"},
    // two: one byte
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
     "387b2eaeb4302aeeb00d291612bb0c00"},
    // three: two bytes
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
     "4a7c15e9716ed28dc027beceea1ec40a"},
    // 1024: 1023 bytes
    {"f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5",
     "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
     "08b8b2b733424243760fe426a4b54908632110a66c2f6591eabd3345e3e4eb98fa6e264bf09efe12ee50f8f54e9f77b1"
     "e355f6c50544e23fb1433ddf73be84d879de7c0046dc4996d9e773f4bc9efe5738829adb26c81b37c93a1b270b20329d"
     "658675fc6ea534e0810a4432826bf58c941efb65d57a338bbd2e26640f89ffbc1a858efcb8550ee3a5e1998bd177e93a"
     "7363c344fe6b199ee5d02e82d522c4feba15452f80288a821a579116ec6dad2b3b310da903401aa62100ab5d1a36553e"
     "06203b33890cc9b832f79ef80560ccb9a39ce767967ed628c6ad573cb116dbefefd75499da96bd68a8a97b928a8bbc10"
     "3b6621fcde2beca1231d206be6cd9ec7aff6f6c94fcd7204ed3455c68c83f4a41da4af2b74ef5c53f1d8ac70bdcb7ed1"
     "85ce81bd84359d44254d95629e9855a94a7c1958d1f8ada5d0532ed8a5aa3fb2d17ba70eb6248e594e1a2297acbbb39d"
     "502f1a8c6eb6f1ce22b3de1a1f40cc24554119a831a9aad6079cad88425de6bde1a9187ebb6092cf67bf2b13fd65f270"
     "88d78b7e883c8759d2c4f5c65adb7553878ad575f9fad878e80a0c9ba63bcbcc2732e69485bbc9c90bfbd62481d9089b"
     "eccf80cfe2df16a2cf65bd92dd597b0707e0917af48bbb75fed413d238f5555a7a569d80c3414a8d0859dc65a46128ba"
     "b27af87a71314f318c782b23ebfe808b82b0ce26401d2e22f04d83d1255dc51addd3b75a2b1ae0784504df543af8969b"
     "e3ea7082ff7fc9888c144da2af58429ec96031dbcad3dad9af0dcbaaaf268cb8fcffead94f3c7ca495e056a9b47acdb7"
     "51fb73e666c6c655ade8297297d07ad1ba5e43f1bca32301651339e22904cc8c42f58c30c04aafdb038dda0847dd988d"
     "cda6f3bfd15c4b4c4525004aa06eeff8ca61783aacec57fb3d1f92b0fe2fd1a85f6724517b65e614ad6808d6f6ee34df"
     "f7310fdc82aebfd904b01e1dc54b2927094b2db68d6f903b68401adebf5a7e08d78ff4ef5d63653a65040cf9bfd4aca7"
     "984a74d37145986780fc0b16ac451649de6188a7dbdf191f64b5fc5e2ab47b57f7f7276cd419c17a3ca8e1b939ae49e4"
     "88acba6b965610b5480109c8b17b80e1b7b750dfc7598d5d5011fd2dcc5600a32ef5b52a1ecc820e308aa342721aac09"
     "43bf6686b64b2579376504ccc493d97e6aed3fb0f9cd71a43dd497f01f17c0e2cb3797aa2a2f256656168e6c496afc5f"
     "b93246f6b1116398a346f1a641f3b041e989f7914f90cc2c7fff357876e506b50d334ba77c225bc307ba537152f3f161"
     "0e4eafe595f6d9d90d11faa933a15ef1369546868a7f3a45a96768d40fd9d03412c091c6315cf4fde7cb68606937380d"
     "b2eaaa707b4c4185c32eddcdd306705e4dc1ffc872eeee475a64dfac86aba41c0618983f8741c5ef68d3a101e8a3b8ca"
     "c60c905c15fc910840b94c00a0b9d0",
     "0aab4c900501b3e24d7cdf4663326a3a87df5e4843b2cbdb67cbf6e460fec350aa5371b1508f9f4528ecea23c436d94b"
     "5e8fcd4f681e30a6ac00a9704a188a03"},
    // SHA(abc)
    {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
     "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
     "454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030"
     "3dca179c138ac17ad9bef1177331a704"},

};

TEST(Verify, agrees_with_rfc_8032) {
  for (const Vector& vector : rfc_8032) {
    const SigningKey key = SigningKey::from_seed(from_hex(vector.seed).value());
    const Bytes message = from_hex(vector.message).value();
    EXPECT_EQ(key.public_key().hex(), vector.public_key);
    EXPECT_EQ(key.sign(message).hex(), vector.signature);
    const Signature signature = Signature::parse_hex(vector.signature).value();
    EXPECT_TRUE(verify_both_ways(key.public_key(), message, signature));
    Bytes other = message;
    other.push_back(0);
    EXPECT_FALSE(verify_both_ways(key.public_key(), other, signature));
  }
}

TEST(Verify, rejects_an_s_that_is_not_canonical) {
  const SigningKey key = SigningKey::generate();
  const Bytes message = to_bytes("s plus the group order");
  const Signature good = key.sign(message);
  const Bytes order = from_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").value();
  Signature bad = good;
  for (int times = 1; times <= 7; ++times) {  // s + 7L still fits in 32 bytes
    unsigned carry = 0;
    for (std::size_t i = 0; i < 32; ++i) {
      carry += bad.bytes[32 + i] + order[i];
      bad.bytes[32 + i] = static_cast<std::uint8_t>(carry);
      carry >>= 8;
    }
    EXPECT_FALSE(verify_both_ways(key.public_key(), message, bad)) << times;
  }
  EXPECT_TRUE(verify_both_ways(key.public_key(), message, good));
}

TEST(Verify, rejects_keys_of_small_order_even_when_the_equation_holds) {
  std::mt19937_64 random(1);
  for (const auto* list : {&small_order_canonical, &small_order_other})
    for (const std::string& hex : *list) {
      const Encoding a = encoding(hex);
      const RoguePair nonce = RoguePair::make(random);
      for (std::uint8_t i = 0; i < 16; ++i) {
        // With h divisible by 8, sB = R + hA for s = r.
        const Bytes message{i};
        EXPECT_FALSE(verify_both_ways(a, message, join(nonce.honest, nonce.secret))) << hex;
      }
    }
}

TEST(Verify, rejects_r_of_small_order_even_when_the_equation_holds) {
  std::mt19937_64 random(2);
  const RoguePair pair = RoguePair::make(random);
  const Bytes message = to_bytes("R is nothing");
  for (const auto* list : {&small_order_canonical, &small_order_other})
    for (const std::string& hex : *list) {
      const Encoding r = encoding(hex);
      const Scalar s = answer({}, challenge(r, pair.honest, message), pair.secret);
      EXPECT_FALSE(verify_both_ways(pair.honest, message, join(r, s))) << hex;
    }
}

// A = aB + T and R = rB + kT with T of order 8. Without cofactor, the equation holds exactly if k = -h mod 8; with it,
// it would always hold.
TEST(Verify, decides_torsion_components_without_the_cofactor) {
  std::mt19937_64 random(3);
  const RoguePair pair = RoguePair::make(random);
  const Encoding key = add(pair.honest, order_8);
  int accepted = 0;
  for (std::uint8_t i = 0; i < 40; ++i) {
    const RoguePair nonce = RoguePair::make(random);
    const Bytes message{i};
    Encoding r = nonce.honest;
    for (int k = 0; k < 8; ++k) {
      const Scalar h = challenge(r, key, message);
      const bool expected = (h.bytes[0] + k) % 8 == 0;
      const Signature signature = join(r, answer(nonce.secret, h, pair.secret));
      ASSERT_EQ(verify_both_ways(key, message, signature), expected) << int{i} << " " << k;
      accepted += expected ? 1 : 0;
      r = add(r, order_8);
    }
  }
  EXPECT_GT(accepted, 0);
}

TEST(Verify, many_give_what_each_gives_alone) {
  std::mt19937_64 random(4);
  std::vector<Bytes> messages(600);
  std::vector<SignedItem> items;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    Bytes seed(32);
    for (auto& byte : seed) byte = static_cast<std::uint8_t>(random());
    const SigningKey key = SigningKey::from_seed(seed);
    messages[i].resize(random() % 300);
    for (auto& byte : messages[i]) byte = static_cast<std::uint8_t>(random());
    SignedItem item{key.public_key(), messages[i], key.sign(messages[i])};
    const auto flip = [&](std::span<std::uint8_t> bytes) {
      if (!bytes.empty()) bytes[random() % bytes.size()] ^= static_cast<std::uint8_t>(1U << random() % 8);
    };
    switch (random() % 6) {
      case 0: flip(item.key.bytes); break;
      case 1: flip(item.signature.bytes); break;
      case 2: flip(messages[i]); break;
      case 3:
        if (i > 0) item.key = items[i - 1].key;
        break;
      default: break;  // stays valid
    }
    items.push_back(item);
  }
  const std::vector<bool> valid = verify_many(items);
  ASSERT_EQ(valid.size(), items.size());
  for (std::size_t i = 0; i < items.size(); ++i)
    ASSERT_EQ(valid[i], crypto_sign_verify_detached(items[i].signature.bytes.data(), items[i].message.data(),
                                                    items[i].message.size(), items[i].key.bytes.data()) == 0)
        << i;
  EXPECT_GT(std::ranges::count(valid, true), 200);
  EXPECT_GT(std::ranges::count(valid, false), 100);
  EXPECT_TRUE(verify_many({}).empty());
}

TEST(UsableKeys, refuses_small_order_in_every_encoding) {
  for (const std::string& hex : small_order_canonical) {
    Encoding point = encoding(hex);
    for (int doubling = 0; doubling < 3; ++doubling) point = add(point, point);
    EXPECT_EQ(point, neutral) << "the list is right: " << hex;
    EXPECT_FALSE(is_usable(encoding(hex))) << hex;
  }
  for (const std::string& hex : small_order_other) EXPECT_FALSE(is_usable(encoding(hex))) << hex;
}

TEST(UsableKeys, takes_honest_keys_and_keys_with_torsion) {
  std::mt19937_64 random(5);
  for (int i = 0; i < 20; ++i) {
    Encoding point = RoguePair::make(random).honest;
    for (int k = 0; k < 8; ++k) {
      EXPECT_TRUE(is_usable(point)) << k;
      EXPECT_EQ(crypto_core_ed25519_is_valid_point(point.bytes.data()) == 1, k == 0) << "only k = 0 is torsion free";
      point = add(point, order_8);
    }
  }
}

TEST(UsableKeys, refuses_what_does_not_decode_and_what_is_not_canonical) {
  int off_curve = 0;
  int canonical = 0;
  for (std::uint8_t y = 2; y < 19; ++y) {
    Encoding low;
    low.bytes[0] = y;
    Encoding sum;
    const bool decodes = crypto_core_ed25519_add(sum.bytes.data(), low.bytes.data(), neutral.bytes.data()) == 0;
    EXPECT_EQ(is_usable(low), decodes) << int{y};
    (decodes ? canonical : off_curve) += 1;
    // The same y, written as p + y.
    Encoding high;
    high.bytes.fill(0xff);
    high.bytes[0] = static_cast<std::uint8_t>(0xed + y);
    for (const std::uint8_t sign : {0x7f, 0xff}) {
      high.bytes[31] = sign;
      EXPECT_FALSE(is_usable(high)) << int{y};
    }
  }
  EXPECT_GT(off_curve, 0);
  EXPECT_GT(canonical, 0);
}

}  // namespace
}  // namespace zef::crypto
