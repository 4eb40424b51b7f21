// Whatever a log holds: decoding and replaying it never crashes, a record that decodes encodes to the same bytes, and a
// refused record changes nothing. The input is a sequence of records, each after its length in two bytes.
#include "protocol/testing/fixture.h"
#include "shard/shard.h"

namespace {

using namespace zef;
using namespace zef::shard;

Shard new_shard() {
  static const protocol::testing::TestNetwork net(
      {.validators = 1, .accounts = 1, .fees = protocol::testing::test_fees});
  static const auto indexes = genesis_by_shard(net.genesis());
  const ShardId home = shard_of(net.uid(0));
  Shard shard(home, net.network());
  shard.apply_genesis(net.genesis(), indexes[home.value()]);
  return shard;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteView rest(data, size);
  Shard shard = new_shard();
  while (rest.size() >= 2) {
    const std::size_t length = std::min<std::size_t>(rest[0] | rest[1] << 8, rest.size() - 2);
    const ByteView bytes = rest.subspan(2, length);
    rest = rest.subspan(2 + length);
    const auto record = codec::decode<Record>(bytes);
    if (!record) continue;
    ZEF_CHECK(std::ranges::equal(codec::encode(*record), bytes));
    const Hash before = shard.digest();
    if (!shard.replay(*record)) ZEF_CHECK(shard.digest() == before);
  }
  return 0;
}
