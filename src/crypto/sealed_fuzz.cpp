// Whatever the bytes are, opening them ends with an answer and within the allowed cost.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "crypto/sealed.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zef;
  const ByteView bytes(data, size);
  // Parsing alone: the derivation of a key would cost up to seconds an input and adds no branch.
  const auto key = crypto::sealed_public_key(bytes);
  if (!key) ZEF_CHECK(key.error().kind == ErrorKind::invalid_input && !key.error().message.empty());
  return 0;
}
