// A segment: what one slot of a worker's log holds. Also SEAL, which takes a slot so that its worker never can.
//
//   object = header, payload. All numbers are little-endian.
//
//   offset size header
//   0      8    magic "ZEFLOG1\0"
//   8      2    format version, 1
//   10     1    kind: 1 segment, 2 SEAL
//   11     1    payload is 0 as it is, 1 zstd-compressed (only where that is shorter)
//   12     4    number of records (SEAL: 0)
//   16     16   worker id, whose log this is
//   32     8    slot
//   40     8    number of the first record (SEAL: 0)
//   48     32   hash of the previous segment, zeros for slot 0 (SEAL: zeros)
//   80     4    length of the payload as it stands here: exactly what follows the header
//   84     4    length of the payload when decompressed, at most 16 MiB
//   88     32   SHA-256 of the payload as it stands here
//   120    4    CRC-32C of bytes 0 to 119
//
//   payload of a segment = its records, one after the other:
//     shard u16, shard epoch u64, length of the body ULEB128, body, CRC-32C u32 of all of this record before it
//   payload of a SEAL = worker id of the rescuer, 16 bytes
//
// The hash of a segment is the SHA-256 of its header, which holds that of the payload: one pass over the bytes.
// Decoders take nothing else: reserved values, other lengths and trailing bytes are refused. Pure; any thread.
#pragma once

#include <variant>

#include "base/result.h"
#include "ledger/ids.h"
#include "ledger/worker_log.h"

namespace zef::ledger {

inline constexpr std::size_t slot_header_size = 124;
inline constexpr std::size_t payload_bytes_max = 16U << 20;  // decompressed

struct SegmentHeader {
  WorkerId worker;
  Slot slot = 0;
  RecordNumber first_record = 0;
  std::uint32_t record_count = 0;
  crypto::Hash previous;  // hash of the previous segment; zeros for slot 0
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

// Whether a slot holds a SEAL, from its first slot_header_size bytes. Corrupt as above, as far as they tell.
[[nodiscard]] Result<bool> is_seal(ByteView beginning);
// What the next segment's header holds as `previous`. Takes encoded segments only.
[[nodiscard]] crypto::Hash segment_hash(ByteView bytes);

// The two steps of encode_segment, for a log that gathers records as they come.
void append_stored_record(Bytes& payload, protocol::ShardId shard, std::uint64_t shard_epoch, ByteView body);
[[nodiscard]] Bytes encode_segment(const SegmentHeader& header, ByteView payload);

}  // namespace zef::ledger
