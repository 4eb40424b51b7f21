// What the files of a wallet's database share: its newer tables, and values that are read from blobs. Inside of
// WalletFile.
#pragma once

#include <fmt/core.h>

#include "base/result.h"
#include "codec/bcs.h"

namespace zef::client {

inline constexpr const char* instances_schema = R"sql(
CREATE TABLE instances (
  instance TEXT PRIMARY KEY, start BLOB, proposed INTEGER NOT NULL, decided BLOB, at_ms INTEGER NOT NULL) STRICT;
CREATE TABLE locks (
  instance TEXT NOT NULL REFERENCES instances (instance), uid TEXT NOT NULL REFERENCES accounts (uid),
  number INTEGER NOT NULL, delegate BLOB NOT NULL, certificate BLOB, settled INTEGER NOT NULL,
  PRIMARY KEY (instance, uid)) STRICT;
)sql";

[[nodiscard]] inline Error damaged(std::string_view what) {
  return {ErrorKind::corrupt,
          fmt::format("the wallet holds {} that cannot be read: restore it from a backup, then synchronise", what)};
}

template <class T>
Result<T> decoded(const Bytes& bytes, std::string_view what) {
  auto value = codec::decode<T>(bytes);
  if (!value) return std::unexpected(damaged(what));
  return std::move(*value);
}

}  // namespace zef::client
