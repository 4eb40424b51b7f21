#include "balancer/route.h"

#include <array>

namespace zef::balancer {
namespace {

using namespace protocol;

// What stands before the UID in each alternative of Query.
enum class Before { nothing, epoch, no_uid };

template <class Alternative>
constexpr Before before_uid() {
  if constexpr (std::same_as<Alternative, SubmitOrder> || std::same_as<Alternative, SubmitProposal>)
    return Before::epoch;  // Request and Proposal begin with their epoch
  else if constexpr (std::same_as<Alternative, QueryNetwork> || std::same_as<Alternative, QueryTotals>)
    return Before::no_uid;
  else
    return Before::nothing;
}

template <std::size_t... I>
constexpr auto table_of(std::index_sequence<I...>) {
  return std::array{before_uid<std::variant_alternative_t<I, Query>>()...};
}
constexpr auto before_uid_of = table_of(std::make_index_sequence<std::variant_size_v<Query>>());

template <class T, class Variant, std::size_t I = 0>
constexpr std::uint8_t index_in() {
  static_assert(I < std::variant_size_v<Variant>);
  if constexpr (std::same_as<T, std::variant_alternative_t<I, Variant>>)
    return I;
  else
    return index_in<T, Variant, I + 1>();
}

}  // namespace

std::expected<Route, codec::DecodeError> route_of(ByteView query) {
  codec::Reader reader(query);
  const std::uint32_t index = reader.uleb();
  if (!reader.error() && index >= before_uid_of.size()) reader.fail(codec::DecodeError::unknown_variant);
  if (reader.error()) return std::unexpected(*reader.error());
  if (index == index_in<QueryNetwork, Query>()) return ToAnyWorker{};
  if (index == index_in<QueryTotals, Query>()) return ToAllWorkers{};
  if (before_uid_of[index] == Before::epoch) codec::read<Epoch>(reader);
  const Uid uid = Uid::decode(reader);
  if (reader.error()) return std::unexpected(*reader.error());
  return ToShard{shard_of(uid)};
}

bool asks_for_another_try(ByteView answer) {
  return answer.size() >= 2 && answer[0] == index_in<Refused, Answer>() &&
         (answer[1] == index_in<Moved, Refusal>() || answer[1] == index_in<Unavailable, Refusal>());
}

}  // namespace zef::balancer
