// Where a query goes, read from its first bytes without decoding the rest (a worker decodes it fully).
#pragma once

#include <expected>
#include <variant>

#include "protocol/messages.h"

namespace zef::balancer {

struct ToShard {
  protocol::ShardId shard;
};  // the account's or instance's
struct ToAnyWorker {};   // QueryNetwork
struct ToAllWorkers {};  // QueryTotals: the answers are summed
using Route = std::variant<ToShard, ToAnyWorker, ToAllWorkers>;

[[nodiscard]] std::expected<Route, codec::DecodeError> route_of(ByteView query);

// Whether an answer says that the worker cannot serve this now, but another one, or the same a little later, can.
[[nodiscard]] bool asks_for_another_try(ByteView answer);

}  // namespace zef::balancer
