#include "cli/drill_load.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/parallel.h"
#include "cli/demo_check.h"
#include "crypto/batch_signer.h"

namespace zef::cli {
namespace {

using namespace protocol;
using namespace std::chrono_literals;

constexpr std::size_t connections = 4;
constexpr Duration answer_time_max = 40s;  // longer than any drill's trouble: what takes longer is an error
constexpr Duration again_after = 100ms;
constexpr Duration quiet_time_max = 60s;
constexpr std::uint32_t page = 256;

template <class T>
BatchSignature sign(const Network& network, const T& value, const crypto::SigningKey& key) {
  const Hash leaf = signing_leaf(network.id, value);
  return crypto::sign_batch(key, std::span(&leaf, 1), batch_root_prefix(network.id)).front();
}

}  // namespace

struct DrillLoad::Client {
  std::size_t index = 0;
  client::ChainState chain;
  std::vector<Hash> executed;                                 // acknowledged requests by number
  std::map<std::pair<Uid, SequenceNumber>, Amount> received;  // acknowledged payments to it, one for each request
  bool asking = false;
};

DrillLoad::DrillLoad(Parts parts)
    : parts_(std::move(parts)),
      caches_{crypto::RootCache(16384), crypto::RootCache(1024)},
      used_(parts_.accounts.size()),
      all_ended_(parts_.executor),
      rate_changed_(parts_.executor) {
  for (std::size_t i = 0; i < connections; ++i)
    connections_.push_back(std::make_unique<client::ValidatorConnection>(
        parts_.executor, parts_.transport, parts_.network, caches_, ValidatorIndex(0), parts_.validator));
  for (std::size_t i = 0; i < parts_.accounts.size(); ++i) {
    auto& client = *clients_.emplace_back(std::make_unique<Client>());
    client.index = i;
    client.chain = client::genesis_chain(parts_.genesis, parts_.network, i, true);
  }
}

DrillLoad::~DrillLoad() = default;

client::ValidatorConnection& DrillLoad::connection(const Client& client) {
  return *connections_[client.index % connections_.size()];
}

void DrillLoad::set_rate(double per_second) {
  period_ = std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(static_cast<double>(used_) / std::max(per_second, 0.001)));
  rate_changed_.set();
  rate_changed_.reset();
}

void DrillLoad::start() {
  for (std::size_t i = 0; i < used_; ++i) {
    ++living_;
    scope_.spawn(live(*clients_[i]));
  }
}

Task<void> DrillLoad::stop() {
  over_ = true;
  rate_changed_.set();
  while (living_ > 0) {
    all_ended_.reset();
    co_await all_ended_.wait();
  }
}

std::uint64_t DrillLoad::waiting() const {
  return static_cast<std::uint64_t>(std::ranges::count_if(clients_, [](const auto& client) { return client->asking; }));
}

// One after the other, at the rate; the first ones spread over a period.
Task<> DrillLoad::live(Client& client) {
  MonotonicTime last = parts_.executor.now() - period_ +
                       period_ * static_cast<Duration::rep>(client.index) / static_cast<Duration::rep>(used_);
  while (!over_) {
    const Duration left = last + period_ - parts_.executor.now();
    if (left > Duration::zero()) {
      co_await rate_changed_.wait_for(left);
      continue;
    }
    last = std::max(last + period_, parts_.executor.now() - period_);  // what was missed is not made up for
    co_await pay(client);
  }
  --living_;
  all_ended_.set();
}

void DrillLoad::wrong(const client::Complaint& complaint) {
  if (found_.errors++ == 0) found_.first_error = client::describe_complaint(complaint);
}

void DrillLoad::waited(MonotonicTime since) {
  found_.longest_gap = std::max(found_.longest_gap, parts_.executor.now() - since);
}

RequestOrder DrillLoad::make_order(std::size_t account, std::uint64_t amount) {
  const Client& client = *clients_[account];
  const Uid other = clients_[(account + 1 + parts_.rng.below(clients_.size() - 1)) % clients_.size()]->chain.account;
  RequestOrder order;
  order.request = {.epoch = current_epoch,
                   .account = client.chain.account,
                   .sequence_number = client.chain.next,
                   .previous = client.chain.head,
                   .operation = Transfer{{Payment{Account{other}, Amount(amount), {}}}}};
  order.owner = parts_.accounts[account].public_key();
  order.signature = sign(parts_.network, order.request, parts_.accounts[account]);
  return order;
}

Task<std::optional<Vote>> DrillLoad::vote_for(RequestOrder order) {
  const auto value = std::make_shared<const Value>(Confirm{order.request});
  const auto bytes = std::make_shared<const Bytes>(codec::encode(Query(SubmitOrder{std::move(order)})));
  const auto vote = co_await connections_.front()->vote(bytes, value, answer_time_max);
  if (!vote || !connections_.front()->check_vote(*vote)) co_return std::nullopt;
  co_return *vote;
}

// The real vote and as many of the others' as a quorum needs.
Certificate DrillLoad::certified(Vote vote) const {
  const Committee& committee = parts_.network.committee;
  Certificate certificate{.value = vote.value, .votes = {}};
  certificate.votes.emplace_back(vote.validator, std::move(vote.signature));
  unsigned __int128 weight = parts_.genesis.validators[0].weight;
  for (std::size_t i = 0; i < parts_.cosigners.size() && weight < committee.quorum(); ++i) {
    certificate.votes.emplace_back(ValidatorIndex(static_cast<std::uint16_t>(i + 1)),
                                   sign(parts_.network, certificate.value, parts_.cosigners[i]));
    weight += parts_.genesis.validators[i + 1].weight;
  }
  return certificate;
}

Task<> DrillLoad::pay(Client& client) {
  const RequestOrder order = make_order(client.index, 1 + client.index % 10);
  client::ValidatorConnection& validator = connection(client);
  client.asking = true;
  const MonotonicTime signed_at = parts_.executor.now();
  const auto value = std::make_shared<const Value>(Confirm{order.request});
  const auto asked = std::make_shared<const Bytes>(codec::encode(Query(SubmitOrder{order})));
  MonotonicTime began = parts_.executor.now();
  std::optional<Vote> vote;
  while (!vote) {
    auto got = co_await validator.vote(asked, value, answer_time_max);
    if (got && validator.check_vote(*got)) {
      vote = std::move(*got);
    } else {
      wrong(got ? client::Complaint(Error{ErrorKind::corrupt, "a vote with a bad signature"}) : got.error());
      co_await sleep_for(parts_.executor, again_after);
    }
  }
  waited(began);
  Proof proof{.account = order.request.account, .earlier = {}, .certificate = certified(std::move(*vote)), .lock = {}};
  const auto shown = std::make_shared<const Bytes>(codec::encode(Query(SubmitProof{std::move(proof)})));
  began = parts_.executor.now();
  for (;;) {
    const auto state = co_await validator.execute(shown, client.chain.account, answer_time_max);
    if (state && state->next > order.request.sequence_number) break;
    wrong(state ? client::Complaint(Error{ErrorKind::corrupt, "an old state after an execution"}) : state.error());
    co_await sleep_for(parts_.executor, again_after);
  }
  waited(began);
  client.asking = false;
  latencies_.add(parts_.executor.now() - signed_at);
  ++found_.acknowledged;
  client.chain = client::chain_after(parts_.network, client.chain, order.request);
  client.executed.push_back(client.chain.head);
  const Payment& payment = std::get<Transfer>(order.request.operation).payments.front();
  for (const auto& other : clients_)
    if (Account{other->chain.account} == std::get<Account>(payment.recipient))
      other->received[{order.request.account, order.request.sequence_number}] = payment.amount;
}

// ---- afterwards ----

Task<DrillFindings> DrillLoad::check() {
  client::ValidatorConnection& validator = *connections_.front();
  const MonotonicTime until = parts_.executor.now() + quiet_time_max;
  bool quiet = false;
  while (!quiet && parts_.executor.now() < until) {
    if (const auto totals = co_await validator.totals(answer_time_max)) {
      found_.totals = *totals;
      quiet = is_quiet(*totals);
    }
    if (!quiet) co_await sleep_for(parts_.executor, again_after);
  }
  found_.supply_ok = quiet && supply_in(found_.totals) == supply_of(parts_.genesis) && found_.totals.conflicts == 0;
  co_await in_parallel(parts_.executor, clients_.size(), 8, [this](std::size_t i) { return compare(*clients_[i]); });
  co_return found_;
}

Task<> DrillLoad::compare(Client& client) {
  co_await compare_executed(client);
  co_await compare_received(client);
}

Task<> DrillLoad::compare_executed(Client& client) {
  std::vector<Hash> there;
  for (std::optional<SequenceNumber> from = SequenceNumber(0); from;) {
    const auto got = co_await connection(client).executed(client.chain.account, *from, page, answer_time_max);
    if (!got) {
      wrong(got.error());
      break;
    }
    for (const Proof& proof : got->proofs)
      if (const auto requests = requests_of(parts_.network, proof))
        for (const auto& item : *requests)
          if (item.request->sequence_number.value() == there.size()) there.push_back(item.hash);
    from = got->more_from;
  }
  const std::size_t common = std::min(there.size(), client.executed.size());
  std::size_t same = 0;
  while (same < common && there[same] == client.executed[same]) ++same;
  found_.lost += client.executed.size() - same;
  found_.duplicated += there.size() - same;
}

Task<> DrillLoad::compare_received(Client& client) {
  auto expected = client.received;
  for (std::uint64_t from = 0;;) {
    const auto got = co_await connection(client).received(client.chain.account, from, page, answer_time_max);
    if (!got) {
      wrong(got.error());
      break;
    }
    for (const ReceivedCredit& credit : got->credits) {
      const auto found = expected.find({credit.sender, credit.sequence_number});
      if (found == expected.end() || found->second != credit.amount)
        ++found_.duplicated;
      else
        expected.erase(found);
    }
    if (got->credits.empty() || got->next >= got->total) break;
    from = got->next;
  }
  found_.lost += expected.size();
}

}  // namespace zef::cli
