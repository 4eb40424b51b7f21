#include "ledger/archive.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "ledger/objects.h"
#include "ledger/packed.h"
#include "ledger/read_ahead.h"

namespace zef::ledger {
namespace {

constexpr std::string_view magic("ZEFARCH\0", 8);
constexpr std::uint16_t format_version = 1;
constexpr std::size_t reads_in_flight = 8;
constexpr std::uint32_t index_max = payload_bytes_max;  // a record takes more than a byte

struct Header {
  std::uint16_t version = format_version;
  WorkerId worker;
  std::uint64_t block = 0;
  Slot end = 0;
  Section records;
  static constexpr auto fields =
      codec::fields<&Header::version, &Header::worker, &Header::block, &Header::end, &Header::records>;
};

}  // namespace

Bytes encode_archive(const WorkerId& worker, std::uint64_t block, const Archive& archive) {
  const PackedSection packed = pack(codec::encode(archive.records));
  Bytes out = packed_begin(
      magic,
      codec::encode(Header{
          .version = format_version, .worker = worker, .block = block, .end = archive.end, .records = packed.section}));
  append(out, packed.bytes);
  return out;
}

Result<Archive> decode_archive(const WorkerId& worker, std::uint64_t block, ByteView bytes) {
  const std::string key = archive_key(worker, block);
  const auto opened = packed_open(magic, bytes);
  if (!opened) return corrupt_object(key, opened.error().message);
  const auto header = codec::decode<Header>(opened->header);
  if (!header) return corrupt_object(key, codec::to_string(header.error()));
  if (header->version != format_version)
    return corrupt_object(key, fmt::format("version {}, this program reads {}", header->version, format_version));
  if (header->worker != worker || header->block != block) return corrupt_object(key, "another archive");
  const Slot begin = block * archive_slots;
  if (header->end <= begin || header->end - begin > archive_slots) return corrupt_object(key, "an impossible end");
  const auto unpacked = unpack(header->records, opened->sections);
  if (!unpacked) return corrupt_object(key, unpacked.error().message);
  auto records = codec::decode<std::vector<ArchivedRecord>>(*unpacked);
  if (!records) return corrupt_object(key, codec::to_string(records.error()));
  const auto place = [](const ArchivedRecord& record) { return std::pair(record.slot, record.index); };
  for (std::size_t i = 0; i < records->size(); ++i) {
    const ArchivedRecord& record = (*records)[i];
    if (record.slot < begin || record.slot >= header->end || record.index > index_max)
      return corrupt_object(key, "a record of another place");
    if (i > 0 && place(record) <= place((*records)[i - 1])) return corrupt_object(key, "records that do not ascend");
  }
  return Archive{header->end, std::move(*records)};
}

Task<Result<void>> archive_slots_of(Executor& executor, store::ObjectStore& store, WorkerId worker, std::uint64_t block,
                                    Slot end, const KeepRecord& keep) {
  const Slot begin = block * archive_slots;
  ZEF_CHECK(end > begin && end - begin <= archive_slots);
  ReadAhead slots(executor, store, [worker](Slot slot) { return slot_key(worker, slot); }, begin, end, reads_in_flight);
  Archive archive{end, {}};
  for (Slot slot = begin; slot < end; ++slot) {
    const std::string key = slot_key(worker, slot);
    auto got = co_await slots.next();
    for (Patience patience(&executor); !got; got = co_await store.get(key)) {
      auto trouble = store_error(key, got.error());
      if (!co_await patience.again(trouble.error().kind)) co_return trouble;
    }
    if (!*got) co_return corrupt_object(key, "missing, although it was never deleted");
    auto decoded = decode_slot_of(worker, slot, (*got)->bytes);
    if (!decoded) co_return std::unexpected(std::move(decoded.error()));
    auto* segment = std::get_if<Segment>(&*decoded);
    if (segment == nullptr) co_return corrupt_object(key, "a SEAL inside the log");
    for (std::size_t i = 0; i < segment->records.size(); ++i) {
      LogRecord& record = segment->records[i];
      if (keep(record.body))
        archive.records.push_back(
            {slot, static_cast<std::uint32_t>(i), record.shard, record.shard_epoch, std::move(record.body)});
    }
  }
  const std::string key = archive_key(worker, block);
  const auto bytes = store::content(encode_archive(worker, block, archive));
  for (Patience patience(&executor);;) {
    auto put = co_await store.put_if_absent(key, bytes);
    if (put && std::holds_alternative<store::Created>(*put)) co_return Result<void>{};
    auto there = co_await store.get(key);
    if (there && *there) {  // ours, or another worker's
      const auto decoded = decode_archive(worker, block, (*there)->bytes);
      if (!decoded) co_return std::unexpected(decoded.error());
      if (decoded->end != end || decoded->records != archive.records)
        co_return corrupt_object(key, "holds something else than the slots that it was made of");
      co_return Result<void>{};
    }
    auto trouble = there ? fail(ErrorKind::unavailable, key + ": not there yet") : store_error(key, there.error());
    if (!co_await patience.again(trouble.error().kind)) co_return trouble;
  }
}

Task<Result<std::map<Slot, Segment>>> read_archive(store::ObjectStore& store, WorkerId worker, std::uint64_t block) {
  const std::string key = archive_key(worker, block);
  auto got = co_await store.get(key);
  if (!got) co_return store_error(key, std::move(got.error()));
  if (!*got) co_return fail(ErrorKind::not_found, key + ": there is no such archive");
  auto archive = decode_archive(worker, block, (*got)->bytes);
  if (!archive) co_return std::unexpected(std::move(archive.error()));
  std::map<Slot, Segment> result;
  for (Slot slot = block * archive_slots; slot < archive->end; ++slot) {
    Segment& segment = result[slot];
    segment.header.worker = worker;
    segment.header.slot = slot;
  }
  for (ArchivedRecord& record : archive->records) {
    auto& records = result[record.slot].records;
    records.resize(std::size_t{record.index} + 1);
    records.back() = {record.shard, record.epoch, std::move(record.body)};
  }
  co_return result;
}

}  // namespace zef::ledger
