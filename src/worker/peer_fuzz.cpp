// Messages of the internal port: decoding and encoding again gives the same bytes, and nothing crashes.
#include <algorithm>
#include <cstdlib>

#include "worker/peer_messages.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const zef::ByteView bytes(data, size);
  if (const auto request = zef::codec::decode<zef::worker::PeerRequest>(bytes))
    if (!std::ranges::equal(zef::codec::encode(*request), bytes)) std::abort();
  if (const auto report = zef::codec::decode<zef::worker::Report>(bytes))
    if (!std::ranges::equal(zef::codec::encode(*report), bytes)) std::abort();
  if (const auto results = zef::codec::decode<zef::worker::DeliveryResults>(bytes))
    if (!std::ranges::equal(zef::codec::encode(*results), bytes)) std::abort();
  return 0;
}
