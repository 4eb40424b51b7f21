// Immutable objects of sections (checkpoints, archives): a header that says what they are, and payloads that can be
// checked and unpacked one at a time.
//
//   object = magic (8 bytes), length of the header u32, header (BCS), SHA-256 of all before it, sections; nothing more.
//   The header holds a Section for each of the sections, in their order. Numbers are little-endian.
//
// Decoders check lengths before they allocate, then the hashes, and take nothing else. Pure; any thread.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "codec/bcs.h"
#include "crypto/types.h"

namespace zef::ledger {

struct Section {
  bool compressed = false;     // zstd
  std::uint32_t length = 0;    // as it stands in the object
  std::uint32_t unpacked = 0;  // the same as `length` unless compressed
  crypto::Hash hash;           // SHA-256 of it as it stands
  static constexpr auto fields =
      codec::fields<&Section::compressed, &Section::length, &Section::unpacked, &Section::hash>;
};

struct PackedSection {
  Section section;
  Bytes bytes;
};
[[nodiscard]] PackedSection pack(Bytes bytes);
// The errors of this and the next say what is wrong, not where.
[[nodiscard]] Result<Bytes> unpack(const Section& section, ByteView bytes);

// `magic` has 8 characters. The sections follow by packed_append.
[[nodiscard]] Bytes packed_begin(std::string_view magic, ByteView header);

struct PackedParts {
  ByteView header;
  ByteView sections;  // all of them, one after the other
};
[[nodiscard]] Result<PackedParts> packed_open(std::string_view magic, ByteView object);

}  // namespace zef::ledger
