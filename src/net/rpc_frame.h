// The payload of an RPC frame, see rpc.h. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace zef::net {

struct RpcFrame {
  std::uint64_t request_id = 0;
  ByteView body;
};

// Nothing if the payload is too short. The body refers to the payload.
inline std::optional<RpcFrame> read_rpc_frame(ByteView payload) {
  constexpr std::size_t id_bytes = sizeof(std::uint64_t);
  if (payload.size() < id_bytes) return std::nullopt;
  std::uint64_t id = 0;
  for (std::size_t i = 0; i < id_bytes; ++i) id |= static_cast<std::uint64_t>(payload[i]) << (8 * i);
  return RpcFrame{id, payload.subspan(id_bytes)};
}

// Replaces what `out` holds.
inline void write_rpc_frame(Bytes& out, std::uint64_t request_id, ByteView body) {
  out.clear();
  out.reserve(sizeof(request_id) + body.size());
  for (std::size_t i = 0; i < sizeof(request_id); ++i) out.push_back(static_cast<std::uint8_t>(request_id >> (8 * i)));
  append(out, body);
}

}  // namespace zef::net
