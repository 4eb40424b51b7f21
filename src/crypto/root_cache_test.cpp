#include "crypto/root_cache.h"

#include <gtest/gtest.h>

#include <cstring>

#include "crypto/sha256.h"

namespace zef::crypto {
namespace {

Hash numbered_hash(std::uint32_t number) { return sha256(as_bytes(std::to_string(number))); }
Signature numbered_signature(std::uint32_t number) {
  Signature signature;
  std::memcpy(signature.bytes.data(), numbered_hash(number).bytes.data(), 32);
  return signature;
}

TEST(RootCache, knows_exactly_what_was_inserted) {
  RootCache cache(64);
  PublicKey key;
  key.bytes[0] = 1;
  EXPECT_FALSE(cache.contains(key, numbered_hash(1), numbered_signature(1)));
  cache.insert(key, numbered_hash(1), numbered_signature(1));
  EXPECT_TRUE(cache.contains(key, numbered_hash(1), numbered_signature(1)));
  PublicKey other = key;
  other.bytes[31] ^= 1;
  EXPECT_FALSE(cache.contains(other, numbered_hash(1), numbered_signature(1)));
  Hash root = numbered_hash(1);
  root.bytes[31] ^= 1;
  EXPECT_FALSE(cache.contains(key, root, numbered_signature(1)));
  Signature signature = numbered_signature(1);
  signature.bytes[63] ^= 1;
  EXPECT_FALSE(cache.contains(key, numbered_hash(1), signature));
}

TEST(RootCache, an_empty_cache_does_not_know_zeros) {
  const RootCache cache(4);
  EXPECT_FALSE(cache.contains({}, {}, {}));
}

TEST(RootCache, the_newest_of_a_set_stay) {
  RootCache cache(4);  // one set
  ASSERT_EQ(cache.capacity(), 4U);
  for (std::uint32_t i = 0; i < 100; ++i) {
    cache.insert({}, numbered_hash(i), numbered_signature(i));
    for (std::uint32_t back = 0; back <= i; ++back)
      ASSERT_EQ(cache.contains({}, numbered_hash(i - back), numbered_signature(i - back)), back < 4)
          << i << " " << back;
  }
}

TEST(RootCache, inserting_again_evicts_nothing) {
  RootCache cache(4);
  for (std::uint32_t i = 0; i < 4; ++i) cache.insert({}, numbered_hash(i), numbered_signature(i));
  for (int repeat = 0; repeat < 10; ++repeat) cache.insert({}, numbered_hash(3), numbered_signature(3));
  for (std::uint32_t i = 0; i < 4; ++i) EXPECT_TRUE(cache.contains({}, numbered_hash(i), numbered_signature(i)));
}

TEST(RootCache, never_grows_and_uses_its_room) {
  RootCache cache(1000);
  EXPECT_EQ(cache.capacity(), 1024U);
  for (std::uint32_t i = 0; i < 5000; ++i) cache.insert({}, numbered_hash(i), numbered_signature(i));
  EXPECT_EQ(cache.capacity(), 1024U);
  std::size_t known = 0;
  for (std::uint32_t i = 0; i < 5000; ++i) known += cache.contains({}, numbered_hash(i), numbered_signature(i)) ? 1 : 0;
  EXPECT_GT(known, 1000U);
  EXPECT_LE(known, 1024U);
}

// Somebody who signs many roots whose first bytes are equal pushes out only one set.
TEST(RootCache, chosen_roots_evict_within_one_set) {
  RootCache cache(1024);
  for (std::uint32_t i = 0; i < 64; ++i) cache.insert({}, numbered_hash(i), numbered_signature(i));
  for (std::uint32_t i = 0; i < 10000; ++i) {
    Hash root;
    std::memcpy(root.bytes.data() + 16, &i, sizeof i);
    cache.insert({}, root, {});
  }
  std::size_t known = 0;
  for (std::uint32_t i = 0; i < 64; ++i) known += cache.contains({}, numbered_hash(i), numbered_signature(i)) ? 1 : 0;
  EXPECT_GE(known, 60U);
}

}  // namespace
}  // namespace zef::crypto
