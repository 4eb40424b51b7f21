// Checkpoints and archives as anybody might have put them into the store: nothing crashes, and what is taken holds
// together. The first byte says what the rest is; with the second, the rest is the header of an object whose hash fits.
#include <cstdlib>

#include "ledger/archive.h"
#include "ledger/checkpoint.h"

namespace {

using namespace zef;
using namespace zef::ledger;

void read(std::string_view magic, ByteView bytes) {
  if (magic[3] == 'C') {
    const auto decoded = Checkpoint::decode(0, {}, to_bytes(bytes));
    if (!decoded) return;
    for (const protocol::ShardId shard : decoded->shards())
      if (group_of(shard) != 0) std::abort();
    for (const protocol::ShardId shard : decoded->shards()) static_cast<void>(decoded->part(shard));
    return;
  }
  const auto decoded = decode_archive({}, 0, bytes);
  if (!decoded) return;
  const auto again = decode_archive({}, 0, encode_archive({}, 0, *decoded));
  if (!again || again->records != decoded->records) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view magic = data[0] % 2 == 0 ? std::string_view("ZEFCKPT\0", 8) : std::string_view("ZEFARCH\0", 8);
  const ByteView rest = ByteView(data, size).subspan(2);
  const std::size_t header = std::size_t{data[1]};
  if (header == 0 || header > rest.size()) {
    read(magic, rest);
    return 0;
  }
  Bytes object = packed_begin(magic, rest.first(header));
  append(object, rest.subspan(header));
  read(magic, object);
  return 0;
}
