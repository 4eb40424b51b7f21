// CRC-32C (Castagnoli, RFC 3720 appendix B.4), by the processor's own instruction where it has one. Pure; any thread.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace zef::ledger {

[[nodiscard]] std::uint32_t crc32c(ByteView bytes);
// The same by tables, for processors without the instruction. Public for its test.
[[nodiscard]] std::uint32_t crc32c_by_table(ByteView bytes);

}  // namespace zef::ledger
