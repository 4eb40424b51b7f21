#include "prober.h"

#include <fmt/core.h>

#include "base/parallel.h"
#include "cli/demo_double_spend.h"

namespace zef::networks {
namespace {

using namespace std::chrono_literals;
using namespace protocol;

constexpr Duration question_time = 5s;
constexpr Duration answer_time_max = 600s;  // of a validator whose processes may be starting
constexpr Duration retry_delay = 20ms;
constexpr std::size_t questions_at_once = 32;

struct Pair {
  std::size_t probe;
  std::size_t validator;
};

bool passes_by_itself(const Answer& answer) {
  const auto* refused = std::get_if<Refused>(&answer);
  return refused != nullptr &&
         (std::holds_alternative<Overloaded>(refused->why) || std::holds_alternative<Unavailable>(refused->why) ||
          std::holds_alternative<Moved>(refused->why));
}

bool is_vote_for(const Answer& answer, const Request& request) {
  const auto* voted = std::get_if<Voted>(&answer);
  return voted != nullptr && voted->vote.value == Value{Confirm{request}};
}

std::string describe_answer(const Answer& answer) {
  if (const auto* refused = std::get_if<Refused>(&answer)) return describe(refused->why);
  return std::holds_alternative<Voted>(answer) ? "a vote" : "another answer";
}

}  // namespace

Prober::Prober(Rig& rig, cli::DemoBook& book, std::uint64_t first, std::size_t count, std::uint64_t seed)
    : rig_(rig), book_(book), rng_(seed) {
  const cli::LocalNetwork& network = *rig.network;
  for (std::uint64_t i = first; i < first + count; ++i)
    probes_.push_back({network.account_key(i),
                       client::genesis_chain(network.genesis(), network.network(), i),
                       std::nullopt,
                       std::nullopt,
                       std::nullopt,
                       {},
                       {}});
}

void Prober::problem(const Probe& probe, std::size_t validator, std::string_view what, const Answer& answer) {
  problems_.push_back(fmt::format("{}: validator {}, account {}, number {}: {}", what, validator,
                                  probe.chain.account.text(), probe.chain.next.value(), describe_answer(answer)));
}

Task<std::optional<Answer>> Prober::insist(RequestOrder order, std::size_t validator) {
  const auto query = std::make_shared<const Bytes>(codec::encode(Query(SubmitOrder{std::move(order)})));
  const MonotonicTime give_up = rig_.loop.now() + answer_time_max;
  while (true) {
    auto answer = co_await rig_.quorum->validator(validator).ask_encoded(query, question_time);
    if (answer && !passes_by_itself(*answer)) co_return std::move(*answer);
    if (rig_.loop.now() >= give_up) {
      problems_.push_back(fmt::format("validator {} does not answer an order", validator));
      co_return std::nullopt;
    }
    co_await sleep_for(rig_.loop, retry_delay);
  }
}

Task<void> Prober::collect_votes(std::size_t from, std::size_t to) {
  std::vector<Pair> pairs;
  for (std::size_t i = from; i < to; ++i) {
    Probe& probe = probes_[i];
    const auto order = [&](std::uint64_t recipient, std::uint64_t amount) {
      Transfer transfer;
      transfer.payments.push_back({Account{Uid::genesis(recipient)}, Amount(amount), {}});
      return cli::sign_order(rig_.network->network(), probe.key,
                             {current_epoch, probe.chain.account, probe.chain.next, probe.chain.head, transfer});
    };
    probe.first = order(0, 1 + rng_.below(1000));
    probe.second = order(1, 1 + rng_.below(1000));
    probe.asked.clear();
    probe.voted.clear();
    for (std::size_t validator = 0; validator < rig_.quorum->size(); ++validator)
      if (rng_.below(2) == 0) probe.asked.push_back(validator);
    if (probe.asked.empty()) probe.asked.push_back(rng_.below(rig_.quorum->size()));
    for (const std::size_t validator : probe.asked) pairs.push_back({i, validator});
  }
  co_await in_parallel(rig_.loop, pairs.size(), questions_at_once,
                       [&](std::size_t i) { return collect(probes_[pairs[i].probe], pairs[i].validator); });
}

Task<void> Prober::collect(Probe& probe, std::size_t validator) {
  auto answer = co_await insist(*probe.first, validator);
  const MonotonicTime give_up = rig_.loop.now() + answer_time_max;
  while (answer && probe.last && lags(probe, validator, *answer) && rig_.loop.now() < give_up) {
    (void)co_await rig_.quorum->execute(*probe.last);  // tells those again that have not heard
    co_await sleep_for(rig_.loop, retry_delay);
    answer = co_await insist(*probe.first, validator);
  }
  if (!answer) co_return;
  if (is_vote_for(*answer, probe.first->request))
    probe.voted.push_back(validator);
  else
    problem(probe, validator, "no vote for a good order", *answer);
}

bool Prober::lags(const Probe& probe, std::size_t validator, const Answer& answer) const {
  const auto* refused = std::get_if<Refused>(&answer);
  const auto* unexpected = refused == nullptr ? nullptr : std::get_if<UnexpectedSequenceNumber>(&refused->why);
  return unexpected != nullptr && unexpected->expected < probe.chain.next &&
         rig_.witness->acknowledged(validator, probe.chain.account) <= unexpected->expected;
}

Task<void> Prober::ask_for_second_votes(std::size_t from, std::size_t to) {
  std::vector<Pair> pairs;
  for (std::size_t i = from; i < to; ++i)
    for (const std::size_t validator : probes_[i].voted) pairs.push_back({i, validator});
  co_await in_parallel(rig_.loop, pairs.size(), questions_at_once,
                       [&](std::size_t i) { return ask_again(probes_[pairs[i].probe], pairs[i].validator); });
}

Task<void> Prober::ask_again(Probe& probe, std::size_t validator) {
  const auto other = co_await insist(*probe.second, validator);
  if (!other) co_return;
  const auto* refused = std::get_if<Refused>(&*other);
  const auto* pending = refused == nullptr ? nullptr : std::get_if<PreviousRequestPending>(&refused->why);
  if (pending != nullptr && pending->pending == probe.first->request)
    ++refusals_;
  else
    problem(probe, validator, "a second order was not refused as it must be", *other);

  const auto again = co_await insist(*probe.first, validator);
  if (again && !is_vote_for(*again, probe.first->request))
    problem(probe, validator, "the first vote is not given again", *again);
}

Task<void> Prober::finish() {
  co_await in_parallel(rig_.loop, probes_.size(), questions_at_once,
                       [this](std::size_t i) { return finish_one(probes_[i]); });
}

Task<void> Prober::finish_one(Probe& probe) {
  if (!probe.first) co_return;
  const RequestOrder order = *probe.first;
  const MonotonicTime give_up = rig_.loop.now() + answer_time_max;
  std::string why;
  do {
    const auto certificate = co_await rig_.quorum->submit(order);
    if (certificate) {
      const auto executed = co_await rig_.quorum->execute(*certificate);
      if (executed) {
        book_.enter(order.request);
        probe.chain = client::chain_after(rig_.network->network(), std::move(probe.chain), order.request);
        probe.first.reset();
        probe.last = *certificate;
        co_return;
      }
      why = executed.error().message;
    } else {
      why = certificate.error().message;
    }
    co_await sleep_for(rig_.loop, retry_delay);
  } while (rig_.loop.now() < give_up);
  problems_.push_back(fmt::format("account {} cannot finish its first order: {}", probe.chain.account.text(), why));
}

}  // namespace zef::networks
