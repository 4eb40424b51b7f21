#include "ledger/packed.h"

#include <fmt/core.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

#include "crypto/sha256.h"

namespace zef::ledger {
namespace {

constexpr std::size_t magic_size = 8;
constexpr std::size_t section_bytes_max = 1U << 30;
constexpr std::size_t header_bytes_max = 1U << 20;
constexpr std::size_t expansion_max = 256;  // writers do not compress further, so readers need not allocate more
constexpr std::size_t compress_from = 256;
constexpr int zstd_level = 1;

struct FreeZstd {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

std::unexpected<Error> corrupt(std::string what) { return fail(ErrorKind::corrupt, std::move(what)); }

}  // namespace

PackedSection pack(Bytes bytes) {
  ZEF_CHECK(bytes.size() <= section_bytes_max);
  PackedSection result;
  result.section.unpacked = static_cast<std::uint32_t>(bytes.size());
  if (bytes.size() >= compress_from) {
    thread_local const std::unique_ptr<ZSTD_CCtx, FreeZstd> context(ZSTD_createCCtx());
    ZEF_CHECK(context);
    Bytes out(bytes.size() - bytes.size() / 16);
    const std::size_t size =
        ZSTD_compressCCtx(context.get(), out.data(), out.size(), bytes.data(), bytes.size(), zstd_level);
    if (ZSTD_isError(size) == 0 && bytes.size() <= size * expansion_max) {
      out.resize(size);
      bytes = std::move(out);
      result.section.compressed = true;
    }
  }
  result.section.length = static_cast<std::uint32_t>(bytes.size());
  result.section.hash = crypto::sha256(bytes);
  result.bytes = std::move(bytes);
  return result;
}

Result<Bytes> unpack(const Section& section, ByteView bytes) {
  if (bytes.size() != section.length) return corrupt("a section of another length");
  if (section.unpacked > section_bytes_max || section.unpacked > std::size_t{section.length} * expansion_max ||
      (!section.compressed && section.unpacked != section.length))
    return corrupt("lengths of a section do not fit each other");
  if (crypto::sha256(bytes) != section.hash) return corrupt("wrong SHA-256 of a section");
  if (!section.compressed) return to_bytes(bytes);
  thread_local const std::unique_ptr<ZSTD_DCtx, FreeZstd> context(ZSTD_createDCtx());
  ZEF_CHECK(context);
  Bytes out(section.unpacked);
  const std::size_t size = ZSTD_decompressDCtx(context.get(), out.data(), out.size(), bytes.data(), bytes.size());
  if (ZSTD_isError(size) != 0) return corrupt(fmt::format("decompression fails: {}", ZSTD_getErrorName(size)));
  if (size != section.unpacked) return corrupt("decompressed length differs from the header");
  return out;
}

Bytes packed_begin(std::string_view magic, ByteView header) {
  ZEF_CHECK(magic.size() == magic_size && header.size() <= header_bytes_max);
  Bytes out = to_bytes(magic);
  codec::Writer writer(out);
  writer.fixed(static_cast<std::uint32_t>(header.size()));
  writer.raw(header);
  const crypto::Hash hash = crypto::sha256(out);
  writer.raw(hash.bytes);
  return out;
}

Result<PackedParts> packed_open(std::string_view magic, ByteView object) {
  codec::Reader reader(object);
  const ByteView found = reader.raw(magic_size);
  const auto length = reader.fixed<std::uint32_t>();
  if (reader.error()) return corrupt("truncated: shorter than a header");
  if (as_text(found) != magic) return corrupt("wrong magic");
  if (length > header_bytes_max) return corrupt("a header that is too long");
  const ByteView header = reader.raw(length);
  const auto hash = codec::read<crypto::Hash>(reader);
  if (reader.error()) return corrupt("truncated: shorter than its header says");
  if (crypto::sha256(object.first(magic_size + sizeof length + length)) != hash)
    return corrupt("wrong SHA-256 of the header");
  return PackedParts{header, reader.rest()};
}

}  // namespace zef::ledger
