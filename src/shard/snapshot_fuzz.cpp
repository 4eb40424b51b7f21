// Whatever a checkpoint holds: loading it never crashes, what is refused changes nothing, and what is taken gives a
// shard that can be read and saved again. The first byte says what the rest is: a snapshot, changes on top of a valid
// one, or bytes to change in valid ones.
#include "shard/testing/choices.h"
#include "shard/testing/local_validator.h"

namespace {

using namespace zef;
using namespace zef::shard;
using namespace zef::shard::testing;
using namespace zef::protocol::testing;

const TestNetwork& network() {
  static const TestNetwork net({.validators = 1, .accounts = 2, .fees = test_fees});
  return net;
}

Shard new_shard() { return {shard_of(network().uid(0)), network().network()}; }

// A whole snapshot and changes on top of it.
const std::array<Bytes, 2>& valid() {
  static const std::array<Bytes, 2> snapshots = [] {
    LocalValidator validator(network());
    Chain alice(network(), 0);
    Shard& shard = validator.shard_with(network().uid(0));
    const auto act = [&] {
      for (const Operation& operation : {pay(network().uid(0), 5), pay(network().uid(1), 7), skip()}) {
        const Request request = alice.next(operation);
        static_cast<void>(validator.order(request, alice.key().public_key()));
        static_cast<void>(validator.execute(request));
      }
    };
    act();
    Bytes whole = shard.take_whole().bytes;
    validator.settle();
    act();
    return std::array{std::move(whole), shard.take_changes().bytes};
  }();
  return snapshots;
}

bool load(Shard& shard, ByteView bytes) {
  const Hash before = shard.digest();
  if (!shard.load(bytes)) {
    ZEF_CHECK(shard.digest() == before);
    return false;
  }
  const Bytes again = shard.take_whole().bytes;
  Shard other = new_shard();
  ZEF_CHECK(other.load(again).has_value() && other.digest() == shard.digest());
  for (const ShardId destination : shard.destinations()) ZEF_CHECK(!shard.outgoing(destination, 0, 4).empty());
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView rest = ByteView(data, size).subspan(1);
  Shard shard = new_shard();
  if (data[0] % 4 == 0) {
    static_cast<void>(load(shard, rest));
    return 0;
  }
  if (data[0] % 4 == 1) {
    ZEF_CHECK(load(shard, valid()[0]));
    static_cast<void>(load(shard, rest));
    return 0;
  }
  Choices choices(rest);
  for (Bytes snapshot : valid()) {
    while (choices.left() && !choices.one_in(4)) {
      const std::size_t at = (choices.below(256) * 256 + choices.below(256)) % snapshot.size();
      snapshot[at] ^= static_cast<std::uint8_t>(1U << choices.below(8));
    }
    static_cast<void>(load(shard, snapshot));
  }
  return 0;
}
