#include "crypto/sha256.h"

#include <gtest/gtest.h>

namespace zef::crypto {
namespace {

// FIPS 180-4 examples.
TEST(Sha256, hashes_the_published_examples) {
  EXPECT_EQ(sha256({}).hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256(as_bytes("abc")).hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")).hex(),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256(Bytes(1'000'000, 'a')).hex(), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, hashes_two_pieces_as_if_joined) {
  Bytes text;
  for (int i = 0; i < 200; ++i) text.push_back(static_cast<std::uint8_t>(i * 7));
  const ByteView all = text;
  for (std::size_t cut = 0; cut <= text.size(); ++cut)
    ASSERT_EQ(sha256(all.first(cut), all.subspan(cut)), sha256(all)) << cut;
}

}  // namespace
}  // namespace zef::crypto
