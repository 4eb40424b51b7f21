#include "ledger/segment.h"

#include <gtest/gtest.h>

#include "base/testing/seeded_rng.h"
#include "crypto/sha256.h"
#include "ledger/crc32c.h"

namespace zef::ledger {
namespace {

using zef::testing::SeededRng;

WorkerId worker(std::uint8_t fill) {
  WorkerId id;
  id.bytes.fill(fill);
  return id;
}

Segment small_segment() {
  Segment segment;
  segment.header = {worker(0xaa), 7, 100, 2, {}};
  segment.header.previous.bytes.fill(0xbb);
  segment.records = {{protocol::ShardId(3), 5, to_bytes("first")}, {protocol::ShardId(1023), 6, {}}};
  return segment;
}

Segment long_segment(std::uint64_t seed, bool random_bodies) {
  SeededRng rng(seed);
  Segment segment;
  segment.header = {worker(1), rng.below(1000), rng.next_u64(), 0, {}};
  for (int i = 0; i < 50; ++i) {
    Bytes body(rng.below(400));
    if (random_bodies) rng.fill(body);
    segment.records.push_back(
        {protocol::ShardId(static_cast<std::uint16_t>(rng.below(1024))), rng.next_u64(), std::move(body)});
  }
  segment.header.record_count = static_cast<std::uint32_t>(segment.records.size());
  return segment;
}

void expect_same(const Segment& one, const Segment& other) {
  EXPECT_EQ(one.header, other.header);
  ASSERT_EQ(one.records.size(), other.records.size());
  for (std::size_t i = 0; i < one.records.size(); ++i) {
    EXPECT_EQ(one.records[i].shard, other.records[i].shard);
    EXPECT_EQ(one.records[i].shard_epoch, other.records[i].shard_epoch);
    EXPECT_EQ(one.records[i].body, other.records[i].body);
  }
}

// The format for ever: a change here is a change of every log that exists.
TEST(Segment, keeps_its_format) {
  EXPECT_EQ(to_hex(encode_segment(small_segment())),
            "5a45464c4f4731000100010002000000"
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
            "07000000000000006400000000000000"
            "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
            "2300000023000000"
            "dd2a5f54f062fe2ca3ddb13ccc27e25cec04c80657ad8a1e9801e931d57886d1"
            "ea02d1b9"
            "03000500000000000000056669727374bd07f7c2"
            "ff03060000000000000000682f84f5");
  EXPECT_EQ(to_hex(encode_seal({worker(0xaa), worker(0xcc), 8})),
            "5a45464c4f4731000100020000000000"
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
            "08000000000000000000000000000000"
            "0000000000000000000000000000000000000000000000000000000000000000"
            "1000000010000000"
            "d595a3162141a506924be60c2c75b1cd3c28ef4d4b7f4418705677270e54aedf"
            "65f85a73"
            "cccccccccccccccccccccccccccccccc");
}

TEST(Segment, comes_back_as_it_was) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    for (const bool random_bodies : {false, true}) {
      const Segment segment = long_segment(seed, random_bodies);
      const auto decoded = decode_slot(encode_segment(segment));
      ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
      expect_same(std::get<Segment>(*decoded), segment);
    }
  }
}

TEST(Segment, an_empty_one_comes_back) {
  const Segment segment{{worker(1), 0, 0, 0, {}}, {}};
  const auto decoded = decode_slot(encode_segment(segment));
  ASSERT_TRUE(decoded.has_value());
  expect_same(std::get<Segment>(*decoded), segment);
}

TEST(Segment, compresses_only_when_it_pays) {
  std::size_t raw = 0;
  const Segment zeros = long_segment(1, false);
  for (const LogRecord& record : zeros.records) raw += record.body.size();
  EXPECT_LT(encode_segment(zeros).size(), raw / 4);
  const Segment noise = long_segment(1, true);
  EXPECT_GE(encode_segment(noise).size(), raw + slot_header_size);
}

TEST(Seal, comes_back_as_it_was) {
  const auto decoded = decode_slot(encode_seal({worker(1), worker(2), 99}));
  ASSERT_TRUE(decoded.has_value());
  const Seal& seal = std::get<Seal>(*decoded);
  EXPECT_EQ(seal.worker, worker(1));
  EXPECT_EQ(seal.rescuer, worker(2));
  EXPECT_EQ(seal.slot, 99U);
}

TEST(Seal, is_known_by_its_header_alone) {
  const Bytes seal = encode_seal({worker(1), worker(2), 99});
  EXPECT_EQ(is_seal(ByteView(seal).first(slot_header_size)), true);
  const Bytes segment = encode_segment(small_segment());
  EXPECT_EQ(is_seal(ByteView(segment).first(slot_header_size)), false);
  EXPECT_EQ(is_seal(ByteView(segment).first(slot_header_size - 1)).error().kind, ErrorKind::corrupt);
}

std::vector<Bytes> samples() {
  return {encode_segment(small_segment()), encode_segment(long_segment(2, false)),
          encode_seal({worker(1), worker(2), 3})};
}

TEST(Segment, every_flipped_bit_is_found) {
  for (const Bytes& good : samples()) {
    for (std::size_t at = 0; at < good.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        Bytes bad = good;
        bad[at] ^= static_cast<std::uint8_t>(1U << bit);
        const auto decoded = decode_slot(bad);
        ASSERT_FALSE(decoded.has_value()) << "byte " << at << " bit " << bit;
        EXPECT_EQ(decoded.error().kind, ErrorKind::corrupt);
        EXPECT_FALSE(decoded.error().message.empty());
      }
    }
  }
}

TEST(Segment, every_truncation_and_extension_is_found) {
  for (const Bytes& good : samples()) {
    for (std::size_t size = 0; size < good.size(); ++size) {
      const auto decoded = decode_slot(ByteView(good).first(size));
      ASSERT_FALSE(decoded.has_value()) << size;
      EXPECT_TRUE(decoded.error().message.starts_with("truncated")) << decoded.error().message;
    }
    Bytes longer = good;
    longer.push_back(0);
    EXPECT_TRUE(decode_slot(longer).error().message.starts_with("too long"));
  }
}

// Writes a number into a header, and makes the header's CRC right again: what a malicious writer could do.
void forge(Bytes& bytes, std::size_t at, std::uint32_t value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
  const std::uint32_t crc = crc32c(ByteView(bytes).first(120));
  std::memcpy(bytes.data() + 120, &crc, sizeof crc);
}

TEST(Segment, says_what_is_wrong) {
  const auto fault = [](std::size_t at, std::uint32_t value) {
    Bytes bytes = encode_segment(small_segment());
    forge(bytes, at, value);
    return decode_slot(bytes).error().message;
  };
  EXPECT_EQ(fault(0, 0), "wrong magic, this is no log segment");
  EXPECT_EQ(fault(8, 0x00010002), "format version 2, this program reads version 1");
  EXPECT_EQ(fault(8, 0x00030001), "unknown kind 3");
  EXPECT_EQ(fault(8, 0x02010001), "unknown compression 2");
  EXPECT_EQ(fault(12, 3), "3 records do not fit");
  EXPECT_EQ(fault(12, 1), "15 bytes after the last record");
  EXPECT_EQ(fault(80, 34), "payload lengths do not fit each other");
  EXPECT_EQ(fault(88, 0), "wrong SHA-256 of the payload");
}

TEST(Segment, allocates_nothing_that_its_bounds_do_not_allow) {
  Bytes bytes = encode_segment(long_segment(3, false));  // compressed
  forge(bytes, 84, static_cast<std::uint32_t>(payload_bytes_max) + 1);
  EXPECT_EQ(decode_slot(bytes).error().message, "payload of 16777217 bytes");
  forge(bytes, 84, static_cast<std::uint32_t>(payload_bytes_max));
  EXPECT_EQ(decode_slot(bytes).error().message, "decompressed length differs from the header");
  Bytes many = encode_segment(small_segment());
  forge(many, 12, 0xffffffff);
  EXPECT_EQ(decode_slot(many).error().message, "4294967295 records do not fit");
}

TEST(Crc32c, is_that_of_the_standard) {
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283U);  // the check value of CRC-32C
  EXPECT_EQ(crc32c(Bytes(32, 0)), 0x8a9136aaU);           // RFC 3720, B.4
  EXPECT_EQ(crc32c(Bytes(32, 0xff)), 0x62a8ab43U);        // RFC 3720, B.4
}

TEST(Crc32c, is_the_same_by_table_and_by_instruction) {
  SeededRng rng(1);
  for (std::size_t size = 0; size < 100; ++size) {
    Bytes bytes(size);
    rng.fill(bytes);
    EXPECT_EQ(crc32c(bytes), crc32c_by_table(bytes));
  }
}

}  // namespace
}  // namespace zef::ledger
