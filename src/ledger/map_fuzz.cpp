// Objects of the shard map as anybody might have put them into the store: decoding and encoding again gives the same
// bytes, and nothing crashes.
#include <algorithm>
#include <cstdlib>

#include "ledger/shard_map.h"

namespace {

template <class T>
void check(zef::ByteView bytes) {
  if (const auto value = zef::codec::decode<T>(bytes))
    if (!std::ranges::equal(zef::codec::encode(*value), bytes)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const zef::ByteView bytes(data, size);
  check<zef::ledger::ShardGroup>(bytes);
  check<zef::ledger::WorkerHead>(bytes);
  check<zef::ledger::StoreIdentity>(bytes);
  return 0;
}
