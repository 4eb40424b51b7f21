// Any bytes as a slot: refused, or a value whose encoding decodes to the same value again.
#include "ledger/segment.h"

#include <cstring>

#include "base/check.h"
#include "crypto/sha256.h"
#include "ledger/crc32c.h"

namespace {

using namespace zef;

void check(ByteView bytes) {
  (void)ledger::is_seal(bytes);
  const auto decoded = ledger::decode_slot(bytes);
  if (!decoded) {
    ZEF_CHECK(decoded.error().kind == ErrorKind::corrupt && !decoded.error().message.empty());
    return;
  }
  if (const auto* seal = std::get_if<ledger::Seal>(&*decoded)) {
    const Bytes again = ledger::encode_seal(*seal);
    ZEF_CHECK(again.size() == bytes.size() && std::memcmp(again.data(), bytes.data(), again.size()) == 0);
    return;
  }
  const auto& segment = std::get<ledger::Segment>(*decoded);
  const auto again = ledger::decode_slot(ledger::encode_segment(segment));
  ZEF_CHECK(again && std::get<ledger::Segment>(*again).header == segment.header);
  ZEF_CHECK(std::get<ledger::Segment>(*again).records.size() == segment.records.size());
}

// Makes the hash and the CRC of the header right, so that the fuzzer gets past them.
Bytes with_right_sums(ByteView bytes) {
  Bytes out = to_bytes(bytes);
  if (out.size() < ledger::slot_header_size) return out;
  std::memcpy(out.data(), "ZEFLOG1\0\1\0", 10);
  const auto length = static_cast<std::uint32_t>(out.size() - ledger::slot_header_size);
  std::memcpy(out.data() + 80, &length, sizeof length);
  const crypto::Hash hash = crypto::sha256(ByteView(out).subspan(ledger::slot_header_size));
  std::memcpy(out.data() + 88, hash.bytes.data(), hash.bytes.size());
  const std::uint32_t crc = ledger::crc32c(ByteView(out).first(120));
  std::memcpy(out.data() + 120, &crc, sizeof crc);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  check(bytes);
  check(with_right_sums(bytes));
  return 0;
}
