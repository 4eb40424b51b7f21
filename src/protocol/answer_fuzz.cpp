// Whatever a validator answers: decoding ends, what it accepts encodes to the same bytes, and refusals have a text.
#include <cstddef>
#include <cstdint>

#include "protocol/messages.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zef;
  using namespace zef::protocol;
  const ByteView input(data, size);
  const auto answer = codec::decode<Answer>(input);
  if (!answer) return 0;
  const Bytes again = codec::encode(*answer);
  ZEF_CHECK(std::ranges::equal(again, input));
  if (const auto* refused = std::get_if<Refused>(&*answer)) ZEF_CHECK(!describe(refused->why).empty());
  return 0;
}
