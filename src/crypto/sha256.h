// SHA-256 by OpenSSL, which uses the processor's SHA instructions where it has them.
#pragma once

#include "crypto/types.h"

namespace zef::crypto {

[[nodiscard]] Hash sha256(ByteView bytes);
// The hash of the two pieces one after the other, without joining them first.
[[nodiscard]] Hash sha256(ByteView first, ByteView second);

}  // namespace zef::crypto
