// Golden vectors are written out by hand from the rules at the top of codec/bcs.h.
#include "codec/bcs.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace zef::codec {
namespace {

using Count = Strong<struct CountTag, std::uint64_t, (1ULL << 63) - 1>;
using Small = Strong<struct SmallTag, std::uint16_t, 1000>;
using Id = FixedBytes<struct IdTag, 4>;

struct Nothing {
  static constexpr auto fields = codec::fields<>;
  friend bool operator==(const Nothing&, const Nothing&) = default;
};

struct Leg {
  Id from;
  Small amount;
  friend bool operator==(const Leg&, const Leg&) = default;
  static constexpr auto fields = codec::fields<&Leg::from, &Leg::amount>;
};

using Choice = std::variant<Nothing, Leg, std::vector<std::uint64_t>>;

struct Everything {
  bool flag = false;
  std::uint8_t u8 = 0;
  std::uint16_t u16 = 0;
  std::uint32_t u32 = 0;
  std::uint64_t u64 = 0;
  __int128 i128 = 0;
  Count count;
  Id id;
  Bytes bytes;
  std::string text;
  std::vector<Leg> legs;
  Bounded<std::uint16_t, 1, 3> few;
  std::optional<std::optional<Leg>> maybe;
  Choice choice;
  std::pair<std::uint8_t, Id> pair;
  friend bool operator==(const Everything&, const Everything&) = default;
  static constexpr auto fields =
      codec::fields<&Everything::flag, &Everything::u8, &Everything::u16, &Everything::u32, &Everything::u64,
                    &Everything::i128, &Everything::count, &Everything::id, &Everything::bytes, &Everything::text,
                    &Everything::legs, &Everything::few, &Everything::maybe, &Everything::choice, &Everything::pair>;
};

// A type that says itself how it is encoded: an even number.
struct Even {
  std::uint8_t value = 0;
  friend bool operator==(const Even&, const Even&) = default;
  void encode(Writer& writer) const { writer.fixed(value); }
  static Even decode(Reader& reader) {
    const auto value = reader.fixed<std::uint8_t>();
    if (value % 2 != 0) reader.fail(DecodeError::out_of_range);
    return {value};
  }
};

Everything sample() {
  return {.flag = true,
          .u8 = 0x12,
          .u16 = 0x1234,
          .u32 = 0x12345678,
          .u64 = 0x123456789abcdef0,
          .i128 = -2,
          .count = Count(5),
          .id = {{0xa, 0xb, 0xc, 0xd}},
          .bytes = {1, 2, 3},
          .text = "hi",
          .legs = {{{{1, 1, 1, 1}}, Small(7)}, {{{2, 2, 2, 2}}, Small(1000)}},
          .few = {9, 10},
          .maybe = std::optional<Leg>(Leg{{{3, 3, 3, 3}}, Small(256)}),
          .choice = std::vector<std::uint64_t>{1},
          .pair = {4, {{5, 6, 7, 8}}}};
}

constexpr std::string_view sample_hex =
    "01"                                // flag
    "12"                                // u8
    "3412"                              // u16
    "78563412"                          // u32
    "f0debc9a78563412"                  // u64
    "feffffffffffffffffffffffffffffff"  // i128, two's complement
    "0500000000000000"                  // count
    "0a0b0c0d"                          // id, no length
    "03010203"                          // bytes
    "026869"                            // text
    "02"                                // two legs
    "010101010700"
    "02020202e803"
    "0209000a00"  // two of few
    "0101"        // an optional of an optional, both present
    "030303030001"
    "02"  // third alternative
    "010100000000000000"
    "0405060708";  // pair

template <class T>
std::string hex_of(const T& value) {
  return to_hex(encode(value));
}

template <class T>
std::expected<T, DecodeError> from(std::string_view hex) {
  return decode<T>(from_hex(hex).value());
}

template <class T>
void expect_both_ways(const T& value, std::string_view hex) {
  EXPECT_EQ(hex_of(value), hex);
  const auto decoded = from<T>(hex);
  ASSERT_TRUE(decoded.has_value()) << hex << ": " << to_string(decoded.error());
  EXPECT_TRUE(*decoded == value) << hex;
}

template <class T>
void expect_error(std::string_view hex, DecodeError error) {
  const auto decoded = from<T>(hex);
  ASSERT_FALSE(decoded.has_value()) << hex;
  EXPECT_EQ(decoded.error(), error) << hex << ": " << to_string(decoded.error());
}

TEST(Bcs, encodes_every_kind_as_documented) { expect_both_ways(sample(), sample_hex); }

TEST(Bcs, encodes_the_ends_of_every_number) {
  expect_both_ways(std::uint8_t{255}, "ff");
  expect_both_ways(std::numeric_limits<std::uint64_t>::max(), "ffffffffffffffff");
  expect_both_ways(__int128{0}, "00000000000000000000000000000000");
  expect_both_ways(__int128{1}, "01000000000000000000000000000000");
  expect_both_ways(__int128{-1}, "ffffffffffffffffffffffffffffffff");
  const auto smallest = static_cast<__int128>(static_cast<unsigned __int128>(1) << 127);
  expect_both_ways(smallest, "00000000000000000000000000000080");
  expect_both_ways(static_cast<__int128>(~static_cast<unsigned __int128>(smallest)),
                   "ffffffffffffffffffffffffffffff7f");
  expect_both_ways(static_cast<__int128>(-1) - 0xffff, "0000ffffffffffffffffffffffffffff");
}

TEST(Bcs, encodes_options_and_variants) {
  using Nested = std::optional<std::optional<std::uint8_t>>;
  expect_both_ways(Nested(), "00");
  expect_both_ways(Nested(std::optional<std::uint8_t>()), "0100");
  expect_both_ways(Nested(std::optional<std::uint8_t>(7)), "010107");
  expect_error<Nested>("02", DecodeError::non_canonical);
  expect_error<Nested>("0102", DecodeError::non_canonical);
  expect_both_ways(Choice(Nothing{}), "00");
  expect_both_ways(Choice(Leg{{{1, 2, 3, 4}}, Small(5)}), "01010203040500");
  expect_error<Choice>("03", DecodeError::unknown_variant);
  expect_error<Choice>("ffffffff0f", DecodeError::unknown_variant);
  expect_error<Choice>("8000", DecodeError::non_canonical);
}

TEST(Bcs, takes_only_0_and_1_as_bool) {
  expect_both_ways(false, "00");
  expect_both_ways(true, "01");
  expect_error<bool>("02", DecodeError::non_canonical);
  expect_error<bool>("ff", DecodeError::non_canonical);
}

TEST(Bcs, lets_types_encode_themselves) {
  expect_both_ways(Even{4}, "04");
  expect_error<Even>("05", DecodeError::out_of_range);
  expect_both_ways(std::vector<Even>{{2}, {4}}, "020204");
}

TEST(Bcs, refuses_numbers_outside_their_type) {
  expect_both_ways(Count(Count::max), "ffffffffffffff7f");
  expect_error<Count>("0000000000000080", DecodeError::out_of_range);
  expect_both_ways(Small(1000), "e803");
  expect_error<Small>("e903", DecodeError::out_of_range);
}

TEST(Bcs, refuses_lengths_outside_the_bounds_of_their_type) {
  using Few = Bounded<std::uint8_t, 1, 3>;
  expect_both_ways(Few{1}, "0101");
  expect_both_ways(Few{1, 2, 3}, "03010203");
  expect_error<Few>("00", DecodeError::out_of_range);
  expect_error<Few>("0401020304", DecodeError::too_long);
}

std::string uleb_hex(std::uint32_t value) {
  Bytes out;
  Writer(out).uleb(value);
  return to_hex(out);
}

TEST(Uleb, is_minimal_at_every_edge) {
  const std::pair<std::uint32_t, const char*> vectors[] = {
      {0, "00"},
      {1, "01"},
      {127, "7f"},
      {128, "8001"},
      {16383, "ff7f"},
      {16384, "808001"},
      {2097151, "ffff7f"},
      {2097152, "80808001"},
      {0x0fffffff, "ffffff7f"},
      {0x10000000, "8080808001"},
      {0x7fffffff, "ffffffff07"},
      {0x80000000, "8080808008"},
      {0xffffffff, "ffffffff0f"},
  };
  for (const auto& [value, hex] : vectors) {
    EXPECT_EQ(uleb_hex(value), hex);
    const Bytes bytes = from_hex(hex).value();
    Reader reader(bytes);
    EXPECT_EQ(reader.uleb(), value);
    EXPECT_FALSE(reader.error().has_value());
    EXPECT_TRUE(reader.rest().empty());
  }
}

TEST(Uleb, refuses_every_other_form) {
  for (const char* hex : {"8000", "808000", "ff00", "80808000", "8080808000", "ffffffff1f", "ffffffff7f", "8080808080",
                          "ffffffffff01", "808080808001"}) {
    const Bytes bytes = from_hex(hex).value();
    Reader reader(bytes);
    EXPECT_EQ(reader.uleb(), 0U);
    EXPECT_EQ(reader.error(), DecodeError::non_canonical) << hex;
  }
  for (const char* hex : {"", "80", "ffff", "80808080"}) {
    const Bytes bytes = from_hex(hex).value();
    Reader reader(bytes);
    EXPECT_EQ(reader.uleb(), 0U);
    EXPECT_EQ(reader.error(), DecodeError::truncated) << hex;
  }
}

TEST(Bcs, encodes_lengths_of_several_bytes) {
  const Bytes bytes(200, 0x5a);
  const Bytes encoded = encode(bytes);
  EXPECT_EQ(to_hex(ByteView(encoded).first(3)), "c8015a");
  EXPECT_EQ(encoded.size(), 202U);
  EXPECT_EQ(decode<Bytes>(encoded), bytes);
}

TEST(Bcs, refuses_every_truncation) {
  const Bytes whole = encode(sample());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto decoded = decode<Everything>(ByteView(whole).first(size));
    ASSERT_FALSE(decoded.has_value()) << size;
    ASSERT_EQ(decoded.error(), DecodeError::truncated) << size;
  }
}

TEST(Bcs, refuses_bytes_that_are_left) {
  expect_error<std::uint8_t>("0100", DecodeError::trailing_bytes);
  Bytes longer = encode(sample());
  longer.push_back(0);
  EXPECT_EQ(decode<Everything>(longer).error(), DecodeError::trailing_bytes);
}

// Any changed byte gives an error or another value, and that value has just these bytes.
TEST(Bcs, has_one_encoding_per_value) {
  const Bytes whole = encode(sample());
  for (std::size_t at = 0; at < whole.size(); ++at)
    for (int change = 1; change < 256; ++change) {
      Bytes other = whole;
      other[at] ^= static_cast<std::uint8_t>(change);
      const auto decoded = decode<Everything>(other);
      if (decoded) {
        ASSERT_EQ(encode(*decoded), other);
        ASSERT_FALSE(*decoded == sample());
      }
    }
}

// An element type that counts how many were ever made room for.
struct Heavy {
  static inline std::size_t made = 0;
  std::array<std::uint8_t, 4096> weight{};
  void encode(Writer& writer) const { writer.fixed(weight[0]); }
  static Heavy decode(Reader& reader) {
    ++made;
    Heavy heavy;
    heavy.weight[0] = reader.fixed<std::uint8_t>();
    return heavy;
  }
};

TEST(Bcs, allocates_nothing_for_lengths_beyond_the_input) {
  expect_error<Bytes>("ffffffff07", DecodeError::truncated);  // 2^31 - 1 bytes announced, none there
  expect_error<std::string>("ffffffff0761", DecodeError::truncated);
  expect_error<Bytes>("8080808008", DecodeError::too_long);  // 2^31
  expect_error<Bytes>("ffffffff0f", DecodeError::too_long);
  expect_error<std::vector<std::uint64_t>>("ffffffff07000000", DecodeError::truncated);
  expect_error<std::vector<Heavy>>("ffffffff0700", DecodeError::truncated);
  EXPECT_EQ(Heavy::made, 0U);
  // As many bytes as elements announced, but each element takes eight.
  Bytes short_elements(1001, 0);
  short_elements[0] = 0xe8;
  short_elements[1] = 0x07;  // 1000
  EXPECT_EQ(decode<std::vector<std::uint64_t>>(short_elements).error(), DecodeError::truncated);
}

TEST(Bcs, a_vector_of_vectors_of_bombs_stops_at_the_first) {
  std::string hex = "05";
  for (int i = 0; i < 5; ++i) hex += "ffffffff07";
  expect_error<std::vector<Bytes>>(hex, DecodeError::truncated);
}

TEST(Reader, keeps_the_first_error_and_reads_zeros_after_it) {
  const Bytes bytes{1, 2, 3, 4};
  Reader reader(bytes);
  EXPECT_EQ(reader.fixed<std::uint8_t>(), 1);
  reader.fail(DecodeError::out_of_range);
  EXPECT_EQ(reader.fixed<std::uint8_t>(), 0);
  EXPECT_EQ(reader.uleb(), 0U);
  EXPECT_TRUE(reader.raw(0).empty());
  EXPECT_TRUE(reader.raw(2).empty());
  EXPECT_EQ(read<bool>(reader), false);
  EXPECT_EQ(reader.error(), DecodeError::out_of_range);
}

TEST(DecodeErrors, have_sentences) {
  for (const auto error : {DecodeError::truncated, DecodeError::trailing_bytes, DecodeError::non_canonical,
                           DecodeError::too_long, DecodeError::unknown_variant, DecodeError::out_of_range})
    EXPECT_GT(to_string(error).size(), 10U);
}

}  // namespace
}  // namespace zef::codec
