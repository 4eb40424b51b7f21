#include <gtest/gtest.h>

#include <set>

#include "protocol/effects.h"
#include "protocol/testing/generate.h"

namespace zef::protocol {
namespace {

TEST(Uid, has_a_text_form_that_leads_back) {
  EXPECT_EQ(Uid({3, 0, 17}).text(), "3/0/17");
  EXPECT_EQ(Uid::parse("3/0/17"), Uid({3, 0, 17}));
  EXPECT_EQ(Uid::parse("18446744073709551615"), Uid::genesis(~0ULL));
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    testing::Source source(seed);
    const auto uid = testing::generate<Uid>(source);
    EXPECT_EQ(Uid::parse(uid.text()), uid);
  }
}

TEST(Uid, refuses_text_that_is_no_uid) {
  for (const char* text : {"", "/", "1/", "/1", "1//2", "a", "1/-2", "+1", " 1", "1 ", "18446744073709551616", "0x1"})
    EXPECT_EQ(Uid::parse(text), std::nullopt) << text;
  std::string deep = "0";
  for (std::size_t i = 1; i < Uid::depth_max; ++i) deep += "/0";
  EXPECT_TRUE(Uid::parse(deep).has_value());
  EXPECT_EQ(Uid::parse(deep + "/0"), std::nullopt);
}

TEST(Uid, knows_its_parent_and_child) {
  const Uid child = Uid::genesis(4).child(SequenceNumber(9));
  EXPECT_EQ(child, Uid({4, 9}));
  EXPECT_EQ(child.parent(), Uid::genesis(4));
  EXPECT_EQ(Uid::genesis(4).parent(), std::nullopt);
}

TEST(Uid, decodes_only_1_to_32_numbers) {
  EXPECT_EQ(codec::decode<Uid>(Bytes{0}).error(), codec::DecodeError::out_of_range);
  Bytes bytes(1 + 8 * 33);
  bytes[0] = 33;
  EXPECT_EQ(codec::decode<Uid>(bytes).error(), codec::DecodeError::too_long);
  bytes[0] = 32;
  bytes.resize(1 + 8 * 32);
  EXPECT_EQ(codec::decode<Uid>(bytes)->depth(), 32U);
}

TEST(ShardId, is_ten_bits_of_the_hash_of_the_uid) {
  // First bytes of SHA-256(01 0000000000000000) and of SHA-256(02 0100000000000000 0200000000000000).
  EXPECT_EQ(shard_of(Uid::genesis(0)), ShardId(660));
  EXPECT_EQ(shard_of(Uid({1, 2})), ShardId(740));
}

TEST(ShardId, spreads_accounts_over_all_shards) {
  std::set<ShardId> reached;
  for (std::uint64_t i = 0; i < 16 * shard_count; ++i) reached.insert(shard_of(Uid::genesis(i)));
  EXPECT_EQ(reached.size(), shard_count);
}

TEST(SequenceNumber, beyond_2_to_the_63_minus_1_is_refused_by_the_decoder) {
  EXPECT_EQ(codec::decode<SequenceNumber>(codec::encode((1ULL << 63) - 1)), SequenceNumber((1ULL << 63) - 1));
  EXPECT_EQ(codec::decode<SequenceNumber>(codec::encode(1ULL << 63)).error(), codec::DecodeError::out_of_range);
}

}  // namespace
}  // namespace zef::protocol
