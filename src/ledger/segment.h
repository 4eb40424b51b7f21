// A segment: what one slot of a worker's log holds. Also SEAL, which takes a slot so that its worker never can.
//
//   segment = header, payload, where payload = BCS(vector<StoredRecord>), zstd-compressed if that is shorter
//   StoredRecord = {shard, shard epoch, body, CRC32C of the body}
#pragma once

#include <variant>

#include "base/result.h"
#include "ledger/ids.h"
#include "ledger/worker_log.h"

namespace zef::ledger {

struct SegmentHeader {
  WorkerId worker;
  Slot slot = 0;
  RecordNumber first_record = 0;
  std::uint32_t record_count = 0;
  crypto::Hash previous;  // SHA-256 of the previous segment's bytes; zeros for slot 0
  friend bool operator==(const SegmentHeader&, const SegmentHeader&) = default;
};
struct Segment {
  SegmentHeader header;
  std::vector<LogRecord> records;
};
// Put by a rescuer at the first free slot of a dead worker's log: nothing after it counts.
struct Seal {
  WorkerId worker;   // whose log
  WorkerId rescuer;  // who put it
  Slot slot = 0;
};

[[nodiscard]] Bytes encode_segment(const Segment& segment);
[[nodiscard]] Bytes encode_seal(const Seal& seal);
// Corrupt: the message names what is wrong (magic, version, length, hash, CRC, decompression).
[[nodiscard]] Result<std::variant<Segment, Seal>> decode_slot(ByteView bytes);

}  // namespace zef::ledger
