// Whatever the bytes are: decoding ends; what it accepts encodes to the same bytes (one encoding per value); and the
// JSON of what it accepts leads back to it.
#include <cstddef>
#include <cstdint>

#include "codec/json.h"

namespace {

using namespace zef;

using Count = Strong<struct CountTag, std::uint64_t, (1ULL << 63) - 1>;
using Id = FixedBytes<struct IdTag, 4>;

struct Nothing {
  static constexpr auto fields = codec::fields<>;
};
struct Leg {
  Id from;
  Count amount;
  static constexpr auto fields = codec::fields<&Leg::from, &Leg::amount>;
};
struct Numbers {
  std::vector<std::uint16_t> list;
  static constexpr auto fields = codec::fields<&Numbers::list>;
};
struct Everything {
  bool flag = false;
  std::uint32_t u32 = 0;
  __int128 i128 = 0;
  Bytes bytes;
  codec::Bounded<Leg, 0, 5> legs;
  std::optional<Leg> maybe;
  std::variant<Nothing, Leg, Numbers> choice;
  std::pair<std::uint8_t, std::vector<std::optional<std::uint8_t>>> pair;
  static constexpr auto fields =
      codec::fields<&Everything::flag, &Everything::u32, &Everything::i128, &Everything::bytes, &Everything::legs,
                    &Everything::maybe, &Everything::choice, &Everything::pair>;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  (void)codec::decode<std::string>(bytes);
  (void)codec::from_json<Everything>(as_text(bytes));
  const auto value = codec::decode<Everything>(bytes);
  if (!value) return 0;
  ZEF_CHECK(codec::encode(*value) == to_bytes(bytes));
  const auto again = codec::from_json<Everything>(codec::to_json(*value).dump());
  ZEF_CHECK(again.has_value());
  ZEF_CHECK(codec::encode(*again) == to_bytes(bytes));
  return 0;
}
