#include "ledger/segment.h"

#include <fmt/core.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

#include "base/check.h"
#include "codec/bcs.h"
#include "crypto/sha256.h"
#include "ledger/crc32c.h"

namespace zef::ledger {
namespace {

constexpr std::array<std::uint8_t, 8> magic = {'Z', 'E', 'F', 'L', 'O', 'G', '1', 0};
constexpr std::uint16_t format_version = 1;
constexpr std::uint8_t kind_segment = 1;
constexpr std::uint8_t kind_seal = 2;
constexpr std::uint8_t as_it_is = 0;
constexpr std::uint8_t zstd = 1;
constexpr std::size_t header_crc_at = slot_header_size - 4;

// Small segments are not worth the compressor's start-up (some 5 us); a higher level gains little on records, which are
// mostly signatures and hashes, and costs several times as much.
constexpr std::size_t compress_from = 4096;
constexpr int zstd_level = 1;

struct Header {
  std::uint8_t kind = kind_segment;
  std::uint8_t compression = as_it_is;
  SegmentHeader segment;
  std::uint32_t payload_length = 0;
  std::uint32_t raw_length = 0;
  crypto::Hash payload_hash;
};

std::unexpected<Error> corrupt(std::string what) { return fail(ErrorKind::corrupt, std::move(what)); }

void write_header(Bytes& out, const Header& header) {
  const std::size_t begin = out.size();
  codec::Writer writer(out);
  writer.raw(magic);
  writer.fixed(format_version);
  writer.fixed(header.kind);
  writer.fixed(header.compression);
  writer.fixed(header.segment.record_count);
  writer.raw(header.segment.worker.view());
  writer.fixed(header.segment.slot);
  writer.fixed(header.segment.first_record);
  writer.raw(header.segment.previous.view());
  writer.fixed(header.payload_length);
  writer.fixed(header.raw_length);
  writer.raw(header.payload_hash.view());
  writer.fixed(crc32c(ByteView(out).subspan(begin)));
  ZEF_CHECK(out.size() - begin == slot_header_size);
}

Result<Header> read_header(ByteView bytes) {
  if (bytes.size() < slot_header_size)
    return corrupt(fmt::format("truncated: {} bytes, shorter than a header", bytes.size()));
  if (!std::ranges::equal(bytes.first(magic.size()), magic)) return corrupt("wrong magic, this is no log segment");
  codec::Reader reader(bytes.subspan(magic.size(), slot_header_size - magic.size()));
  const auto version = reader.fixed<std::uint16_t>();
  Header header;
  header.kind = reader.fixed<std::uint8_t>();
  header.compression = reader.fixed<std::uint8_t>();
  header.segment.record_count = reader.fixed<std::uint32_t>();
  header.segment.worker = codec::read<WorkerId>(reader);
  header.segment.slot = reader.fixed<std::uint64_t>();
  header.segment.first_record = reader.fixed<std::uint64_t>();
  header.segment.previous = codec::read<crypto::Hash>(reader);
  header.payload_length = reader.fixed<std::uint32_t>();
  header.raw_length = reader.fixed<std::uint32_t>();
  header.payload_hash = codec::read<crypto::Hash>(reader);
  const auto crc = reader.fixed<std::uint32_t>();
  if (version != format_version)
    return corrupt(fmt::format("format version {}, this program reads version {}", version, format_version));
  if (crc != crc32c(bytes.first(header_crc_at))) return corrupt("wrong CRC of the header");
  if (header.kind != kind_segment && header.kind != kind_seal)
    return corrupt(fmt::format("unknown kind {}", header.kind));
  if (header.compression != as_it_is && header.compression != zstd)
    return corrupt(fmt::format("unknown compression {}", header.compression));
  if (header.raw_length > payload_bytes_max) return corrupt(fmt::format("payload of {} bytes", header.raw_length));
  const bool lengths_fit = header.compression == zstd ? header.payload_length < header.raw_length
                                                      : header.payload_length == header.raw_length;
  if (!lengths_fit) return corrupt("payload lengths do not fit each other");
  return header;
}

struct FreeZstd {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

// Nothing unless it saves at least a sixteenth.
std::optional<Bytes> compress_if_it_pays(ByteView payload) {
  if (payload.size() < compress_from) return std::nullopt;
  // Contexts are large; one for each thread that ever compresses.
  thread_local const std::unique_ptr<ZSTD_CCtx, FreeZstd> context(ZSTD_createCCtx());
  ZEF_CHECK(context);
  Bytes out(payload.size() - payload.size() / 16);
  const std::size_t size =
      ZSTD_compressCCtx(context.get(), out.data(), out.size(), payload.data(), payload.size(), zstd_level);
  if (ZSTD_isError(size) != 0) return std::nullopt;  // it does not fit, so it does not pay
  out.resize(size);
  return out;
}

Result<Bytes> decompress(ByteView payload, std::size_t raw_length) {
  thread_local const std::unique_ptr<ZSTD_DCtx, FreeZstd> context(ZSTD_createDCtx());
  ZEF_CHECK(context);
  Bytes out(raw_length);  // read_header has bounded it
  const std::size_t size = ZSTD_decompressDCtx(context.get(), out.data(), out.size(), payload.data(), payload.size());
  if (ZSTD_isError(size) != 0) return corrupt(fmt::format("decompression fails: {}", ZSTD_getErrorName(size)));
  if (size != raw_length) return corrupt("decompressed length differs from the header");
  return out;
}

Result<std::vector<LogRecord>> read_records(ByteView payload, std::uint32_t count) {
  constexpr std::size_t smallest_record = 2 + 8 + 1 + 4;
  if (count > payload.size() / smallest_record) return corrupt(fmt::format("{} records do not fit", count));
  std::vector<LogRecord> records;
  records.reserve(count);
  codec::Reader reader(payload);
  for (std::uint32_t i = 0; i < count; ++i) {
    const ByteView at = reader.rest();
    const auto shard = codec::read<protocol::ShardId>(reader);
    const auto epoch = reader.fixed<std::uint64_t>();
    const ByteView body = reader.raw(reader.length());
    const std::size_t covered = at.size() - reader.rest().size();
    const auto crc = reader.fixed<std::uint32_t>();
    if (const auto error = reader.error()) return corrupt(fmt::format("record {}: {}", i, codec::to_string(*error)));
    if (crc != crc32c(at.first(covered))) return corrupt(fmt::format("wrong CRC of record {}", i));
    records.push_back({shard, epoch, to_bytes(body)});
  }
  if (!reader.rest().empty()) return corrupt(fmt::format("{} bytes after the last record", reader.rest().size()));
  return records;
}

Result<Seal> read_seal(const Header& header, ByteView payload) {
  const auto rescuer = WorkerId::from(payload);
  if (!rescuer || header.compression != as_it_is) return corrupt("a SEAL of a wrong length");
  const SegmentHeader expected{header.segment.worker, header.segment.slot, 0, 0, {}};
  if (header.segment != expected) return corrupt("a SEAL with fields of a segment");
  return Seal{header.segment.worker, *rescuer, header.segment.slot};
}

}  // namespace

void append_stored_record(Bytes& payload, protocol::ShardId shard, std::uint64_t shard_epoch, ByteView body) {
  const std::size_t begin = payload.size();
  codec::Writer writer(payload);
  writer.fixed(shard.value());
  writer.fixed(shard_epoch);
  writer.length(body.size());
  writer.raw(body);
  writer.fixed(crc32c(ByteView(payload).subspan(begin)));
}

Bytes encode_segment(const SegmentHeader& header, ByteView payload) {
  ZEF_CHECK(payload.size() <= payload_bytes_max);
  const std::optional<Bytes> compressed = compress_if_it_pays(payload);
  const ByteView stored = compressed ? ByteView(*compressed) : payload;
  Bytes out;
  out.reserve(slot_header_size + stored.size());
  write_header(out, {.kind = kind_segment,
                     .compression = compressed ? zstd : as_it_is,
                     .segment = header,
                     .payload_length = static_cast<std::uint32_t>(stored.size()),
                     .raw_length = static_cast<std::uint32_t>(payload.size()),
                     .payload_hash = crypto::sha256(stored)});
  append(out, stored);
  return out;
}

Bytes encode_segment(const Segment& segment) {
  ZEF_CHECK(segment.header.record_count == segment.records.size());
  Bytes payload;
  for (const LogRecord& record : segment.records)
    append_stored_record(payload, record.shard, record.shard_epoch, record.body);
  return encode_segment(segment.header, payload);
}

Bytes encode_seal(const Seal& seal) {
  const ByteView payload = seal.rescuer.view();
  Bytes out;
  write_header(out, {.kind = kind_seal,
                     .compression = as_it_is,
                     .segment = {seal.worker, seal.slot, 0, 0, {}},
                     .payload_length = static_cast<std::uint32_t>(payload.size()),
                     .raw_length = static_cast<std::uint32_t>(payload.size()),
                     .payload_hash = crypto::sha256(payload)});
  append(out, payload);
  return out;
}

Result<bool> is_seal(ByteView beginning) {
  const auto header = read_header(beginning);
  if (!header) return std::unexpected(header.error());
  return header->kind == kind_seal;
}

crypto::Hash segment_hash(ByteView bytes) {
  ZEF_CHECK(bytes.size() >= slot_header_size);
  return crypto::sha256(bytes.first(slot_header_size));
}

Result<std::variant<Segment, Seal>> decode_slot(ByteView bytes) {
  const auto header = read_header(bytes);
  if (!header) return std::unexpected(header.error());
  const ByteView payload = bytes.subspan(slot_header_size);
  if (payload.size() != header->payload_length)
    return corrupt(fmt::format("{}: {} bytes of payload, the header says {}",
                               payload.size() < header->payload_length ? "truncated" : "too long", payload.size(),
                               header->payload_length));
  if (crypto::sha256(payload) != header->payload_hash) return corrupt("wrong SHA-256 of the payload");
  if (header->kind == kind_seal) {
    auto seal = read_seal(*header, payload);
    if (!seal) return std::unexpected(std::move(seal.error()));
    return *seal;
  }
  Bytes raw;
  if (header->compression == zstd) {
    auto out = decompress(payload, header->raw_length);
    if (!out) return std::unexpected(std::move(out.error()));
    raw = std::move(*out);
  }
  auto records = read_records(header->compression == zstd ? ByteView(raw) : payload, header->segment.record_count);
  if (!records) return std::unexpected(std::move(records.error()));
  return Segment{header->segment, std::move(*records)};
}

}  // namespace zef::ledger
