// Any bytes: a route or an error, and never more than a full decoder would accept as the account.
#include <cstdlib>

#include "balancer/route.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const zef::ByteView bytes(data, size);
  const auto route = zef::balancer::route_of(bytes);
  // What a worker can decode can always be routed.
  if (zef::codec::decode<zef::protocol::Query>(bytes) && !route) std::abort();
  (void)zef::balancer::asks_for_another_try(bytes);
  return 0;
}
