// The stored format of records and of batches between workers. A change of any byte fails here: logs that were written
// before could not be read any more. Whoever means it gives the format another version (ledger) and replaces the lines
// of record_format.txt by those that this test prints.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "protocol/testing/generate.h"
#include "shard/records.h"

namespace zef::shard {
namespace {

struct Line {
  std::string_view type;
  std::uint64_t seed;
  std::string_view hex;
};
constexpr Line lines[] = {
#include "shard/record_format.txt"
};

template <class T>
T value_of_seed(std::uint64_t seed) {
  protocol::testing::Source source(seed);
  return protocol::testing::generate<T>(source);
}

template <std::size_t I = 0>
std::optional<Bytes> record_bytes(std::string_view type, std::uint64_t seed) {
  if constexpr (I == std::variant_size_v<Record>) {
    return std::nullopt;
  } else {
    using T = std::variant_alternative_t<I, Record>;
    if (codec::type_name<T> != type) return record_bytes<I + 1>(type, seed);
    return codec::encode(Record(std::in_place_index<I>, value_of_seed<T>(seed)));
  }
}

std::optional<Bytes> bytes_of(std::string_view type, std::uint64_t seed) {
  if (type == codec::type_name<EffectBatch>) return codec::encode(value_of_seed<EffectBatch>(seed));
  return record_bytes(type, seed);
}

// Fails with the lines that are missing.
template <std::size_t I = 0>
void expect_all_records(const std::set<std::string_view>& types) {
  if constexpr (I < std::variant_size_v<Record>) {
    const std::string_view type = codec::type_name<std::variant_alternative_t<I, Record>>;
    for (std::uint64_t seed = 1; seed <= 2 && !types.contains(type); ++seed)
      ADD_FAILURE() << fmt::format("{{\"{}\", {}, \"{}\"}},", type, seed, to_hex(*bytes_of(type, seed)));
    expect_all_records<I + 1>(types);
  }
}

TEST(RecordFormat, has_not_changed) {
  std::set<std::string_view> types;
  for (const Line& line : lines) {
    types.insert(line.type);
    const auto bytes = bytes_of(line.type, line.seed);
    ASSERT_TRUE(bytes.has_value()) << line.type;
    EXPECT_EQ(to_hex(*bytes), line.hex) << fmt::format("{{\"{}\", {}, \"{}\"}},", line.type, line.seed, to_hex(*bytes));
  }
  expect_all_records(types);
}

TEST(RecordFormat, every_record_decodes_to_what_was_encoded_and_nothing_shorter_or_longer) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Bytes bytes = codec::encode(value_of_seed<Record>(seed));
    const auto record = codec::decode<Record>(bytes);
    ASSERT_TRUE(record.has_value()) << "seed " << seed;
    EXPECT_EQ(codec::encode(*record), bytes);
    EXPECT_FALSE(codec::decode<Record>(ByteView(bytes).first(bytes.size() - 1)).has_value());
    bytes.push_back(0);
    EXPECT_FALSE(codec::decode<Record>(bytes).has_value());
  }
}

}  // namespace
}  // namespace zef::shard
