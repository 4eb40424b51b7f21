// Any stream, cut anywhere: the parser finds exactly the frames that a naive reading of the whole stream finds, and
// keeps no more than arrived. Input: one byte that seeds the cuts, then the stream.
#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/check.h"
#include "net/frame_parser.h"
#include "net/rpc_frame.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zef;
  using namespace zef::net;
  constexpr std::uint32_t frame_bytes_max = 300;
  if (size == 0) return 0;
  std::uint32_t cuts = data[0];
  const ByteView stream(data + 1, size - 1);

  std::size_t at = 0;
  FrameParser parser(frame_bytes_max);
  for (std::size_t fed = 0; fed < stream.size();) {
    cuts = cuts * 1664525 + 1013904223;
    const std::size_t take = std::min<std::size_t>(stream.size() - fed, 1 + (cuts >> 16) % 64);
    parser.feed(stream.subspan(fed, take));
    fed += take;
    bool stop_early = (cuts >> 8 & 7) == 0;  // as when reading pauses
    while (!stop_early) {
      std::optional<std::uint32_t> length;
      if (fed - at >= frame_header_bytes) {
        length = stream[at] | stream[at + 1] << 8 | stream[at + 2] << 16 | std::uint32_t{stream[at + 3]} << 24;
      }
      const auto next = parser.next();
      if (length && *length > frame_bytes_max) {
        ZEF_CHECK(!next);
        return 0;
      }
      ZEF_CHECK(next);
      const bool whole = length && fed - at - frame_header_bytes >= *length;
      ZEF_CHECK(next->has_value() == whole);
      if (!whole) break;
      const ByteView expected = stream.subspan(at + frame_header_bytes, *length);
      ZEF_CHECK(std::equal(expected.begin(), expected.end(), (*next)->begin(), (*next)->end()));
      if (const auto rpc = read_rpc_frame(**next)) {
        Bytes again;
        write_rpc_frame(again, rpc->request_id, rpc->body);
        ZEF_CHECK(std::equal(again.begin(), again.end(), expected.begin(), expected.end()));
      }
      at += frame_header_bytes + *length;
    }
    parser.save();
    ZEF_CHECK(parser.pending_bytes() == fed - at);
  }
  return 0;
}
