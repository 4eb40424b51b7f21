#include "cli/demo_double_spend.h"

#include <algorithm>
#include <array>

#include "base/parallel.h"
#include "crypto/batch_signer.h"
#include "protocol/signing.h"

namespace zef::cli {
namespace {

using namespace protocol;

constexpr Duration question_time = std::chrono::seconds(10);

// An order with what is asked for it, encoded once.
struct Asking {
  explicit Asking(RequestOrder order)
      : value(std::make_shared<const Value>(Value{Confirm{order.request}})),
        query(std::make_shared<const Bytes>(codec::encode(Query(SubmitOrder{std::move(order)})))) {}
  std::shared_ptr<const Value> value;
  std::shared_ptr<const Bytes> query;
  OrderAnswers answers;
};

Task<void> ask_one(client::QuorumDriver& quorum, std::size_t validator, Asking& asking) {
  client::ValidatorConnection& connection = quorum.validator(validator);
  auto vote = co_await connection.vote(asking.query, asking.value, question_time);
  if (vote) {
    if (connection.check_vote(*vote)) asking.answers.votes.push_back(std::move(*vote));
    co_return;
  }
  const auto* refusal = std::get_if<Refusal>(&vote.error());
  if (refusal == nullptr) {
    ++asking.answers.silent;
    co_return;
  }
  ++asking.answers.refused;
  if (std::holds_alternative<PreviousRequestPending>(*refusal)) ++asking.answers.refused_as_pending;
}

unsigned __int128 weight_of(client::QuorumDriver& quorum, const std::vector<Vote>& votes) {
  unsigned __int128 weight = 0;
  for (const Vote& vote : votes) weight += quorum.network().committee.find(vote.validator)->weight;
  return weight;
}

// How many validators, from the first on, have the weight of a quorum.
std::size_t quorum_count(client::QuorumDriver& quorum) {
  unsigned __int128 weight = 0;
  for (std::size_t i = 0; i < quorum.size(); ++i)
    if ((weight += quorum.validator(i).weight()) >= quorum.network().committee.quorum()) return i + 1;
  return quorum.size();
}

void sort_votes(OrderAnswers& answers) { std::ranges::sort(answers.votes, {}, &Vote::validator); }

}  // namespace

RequestOrder sign_order(const Network& network, const crypto::SigningKey& key, Request request) {
  const std::array<Hash, 1> leaves{signing_leaf(network.id, request)};
  auto signatures = crypto::sign_batch(key, leaves, batch_root_prefix(network.id));
  return {std::move(request), key.public_key(), std::move(signatures.front()), std::nullopt};
}

Task<OrderAnswers> ask_everybody(client::QuorumDriver& quorum, RequestOrder order) {
  Asking asking(std::move(order));
  co_await in_parallel(quorum.executor(), quorum.size(), quorum.size(),
                       [&](std::size_t validator) { return ask_one(quorum, validator, asking); });
  sort_votes(asking.answers);
  co_return std::move(asking.answers);
}

Task<DoubleSpend> try_double_spend(client::QuorumDriver& quorum, RequestOrder first, RequestOrder second) {
  const Value value{Confirm{first.request}};
  std::array<Asking, 2> asking{Asking(std::move(first)), Asking(std::move(second))};
  const std::size_t enough = quorum_count(quorum);
  for (const bool crossed : {false, true})
    co_await in_parallel(quorum.executor(), quorum.size(), quorum.size(), [&, crossed](std::size_t validator) {
      return ask_one(quorum, validator, asking[(validator >= enough) != crossed]);
    });
  DoubleSpend result{std::move(asking[0].answers), std::move(asking[1].answers), std::nullopt, false};
  sort_votes(result.first);
  sort_votes(result.second);
  const auto needed = quorum.network().committee.quorum();
  result.second_certified = weight_of(quorum, result.second.votes) >= needed;
  if (weight_of(quorum, result.first.votes) >= needed) {
    result.certificate = Certificate{value, {}};
    for (const Vote& vote : result.first.votes) result.certificate->votes.emplace_back(vote.validator, vote.signature);
  }
  co_return result;
}

}  // namespace zef::cli
