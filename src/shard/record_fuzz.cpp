// Whatever a log holds: decoding and replaying it never crashes, a record that decodes encodes to the same bytes, and a
// refused record changes nothing. The first byte says what the rest is: records, each after its length in two bytes, or
// changes to a log that was valid: records lost, repeated, or with a byte changed.
#include "protocol/testing/agreement.h"
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

Shard new_shard() {
  static const auto indexes = genesis_by_shard(network().genesis());
  const ShardId home = shard_of(network().uid(0));
  Shard shard(home, network().network());
  shard.apply_genesis(network().genesis(), indexes[home.value()]);
  return shard;
}

// Records of every kind of account [0]'s shard.
const std::vector<Bytes>& valid_log() {
  static const std::vector<Bytes> log = [] {
    LocalValidator validator(network());
    Chain alice(network(), 0);
    const PublicKey owner = alice.key().public_key();
    for (const Operation& operation :
         {pay(network().uid(0), 5), pay(network().uid(1), 7), change_owner(owner), burn(3), skip(), close_account()}) {
      Chain fork = alice;
      const Request request = alice.next(operation);
      static_cast<void>(validator.order(request, owner));
      static_cast<void>(validator.execute(request));
      static_cast<void>(validator.execute(fork.next(pay(network().uid(1), 9))));  // evidence
      validator.settle();
    }
    // An instance of account [1] that belongs to this shard.
    Chain bob(network(), 1);
    while (shard_of(bob.account().child(bob.sequence_number())) != shard_of(network().uid(0)))
      static_cast<void>(bob.next(skip()));
    Chain other(network(), 0);
    const Agreement swap(network(), bob, {&other, &bob}, AtomicSwap{}, 7000,
                         [&](const Value& value) { return validator.certifier().certificate(value); });
    static_cast<void>(validator.tell(swap.with_start(swap.propose(Round(0), Confirmed{}, 1))));
    for (const Value& value : {swap.precommit(Round(1), Aborted{}), swap.timeout(Round(1)),
                               swap.commit(Round(2), Aborted{}), swap.commit(Round(2), Confirmed{})})
      static_cast<void>(validator.tell(swap.show(value)));
    std::vector<Bytes> records;
    for (const auto& [shard, record] : validator.log()) {
      if (shard == shard_of(network().uid(0))) records.push_back(record);
    }
    return records;
  }();
  return log;
}

void replay(Shard& shard, ByteView bytes) {
  const auto record = codec::decode<Record>(bytes);
  if (!record) return;
  ZEF_CHECK(std::ranges::equal(codec::encode(*record), bytes));
  const Hash before = shard.digest();
  if (!shard.replay(*record)) ZEF_CHECK(shard.digest() == before);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  ByteView rest = ByteView(data, size).subspan(1);
  Shard shard = new_shard();
  if (data[0] % 2 == 0) {
    while (rest.size() >= 2) {
      const std::size_t length = std::min<std::size_t>(rest[0] | rest[1] << 8, rest.size() - 2);
      replay(shard, rest.subspan(2, length));
      rest = rest.subspan(2 + length);
    }
    return 0;
  }
  Choices choices(rest);
  for (Bytes record : valid_log()) {
    switch (choices.below(8)) {
      case 1: continue;
      case 2: replay(shard, record); break;
      case 3: record[choices.below(record.size())] ^= static_cast<std::uint8_t>(1 << choices.below(8)); break;
      default: break;
    }
    replay(shard, record);
  }
  return 0;
}
