#include <algorithm>

#include "crypto/batch_signer.h"
#include "protocol/messages.h"
#include "protocol/signing.h"
#include "protocol/verification.h"
#include "sim/attacker_impl.h"

namespace zef::sim {

using namespace protocol;
using std::chrono::milliseconds;

namespace {

Operation pay(const Uid& recipient, std::uint64_t amount) {
  Transfer transfer;
  transfer.payments.push_back({Account{recipient}, Amount(amount), {}});
  return transfer;
}

}  // namespace

Attacker::Attacker(World world, SimRng rng) : world_(world), rng_(rng), site_(world.network.new_site()) {}
Attacker::~Attacker() = default;

void Attacker::add_account(const client::ChainState& chain, const KeySeed& seed) {
  purses_.push_back({chain.account, chain.next, chain.head, seed});
}

void Attacker::start() {
  process_ = std::make_unique<Process>(*this, world_.schedule.make_process(), rng_.fork());
  for (std::size_t i = 0; i < purses_.size(); ++i)
    if (i != conspirators.back()) process_->scope.spawn(live(*process_, i));
}

void Attacker::stop() { process_.reset(); }

std::vector<std::size_t> Attacker::everybody() const {
  std::vector<std::size_t> all(world_.validators.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  return all;
}

unsigned __int128 Attacker::weight_of(const Votes& votes) const {
  unsigned __int128 sum = 0;
  for (const auto& [index, signature] : votes) sum += world_.rules.committee.find(index)->weight;
  return sum;
}

Value Attacker::value_of(const Request& request) {
  if (std::holds_alternative<LockInto>(request.operation)) return Value{Lock{request}};
  return Value{Confirm{request}};
}

Certificate Attacker::certificate_of(const Value& value, const Votes& votes) {
  Certificate certificate{.value = value, .votes = {}};
  for (const auto& vote : votes) certificate.votes.push_back(vote);
  std::ranges::sort(certificate.votes, {}, [](const auto& vote) { return vote.first; });
  return certificate;
}

RequestOrder Attacker::sign(const Request& request, const KeySeed& seed) const {
  const crypto::SigningKey key = crypto::SigningKey::from_seed(seed);
  const Hash leaf = signing_leaf(world_.rules.id, request);
  auto signature = crypto::sign_batch(key, std::span(&leaf, 1), batch_root_prefix(world_.rules.id)).front();
  return {request, key.public_key(), std::move(signature), std::nullopt};
}

Request Attacker::make_request(Process& process, const Purse& purse) {
  SimRng& rng = process.rng;
  Request request{current_epoch, purse.account, purse.next, purse.head, Skip{}};
  const Uid& recipient = world_.workload.book[rng.pick(world_.workload.book.size())];
  if (rng.chance(850'000)) request.operation = pay(recipient, rng.between(10, 400));
  if (rng.chance(60'000)) request.operation = pay(purse.account, rng.between(10, 400));
  return request;
}

Task<void> Attacker::live(Process& process, std::size_t index) {
  Purse& purse = purses_[index];
  MonotonicTime still_until{};
  while (true) {
    co_await sleep_for(process.executor, milliseconds(process.rng.between(10, 600)));
    if (index == conspirators.front()) {
      co_await conspire(process, purses_[conspirators.front()], purses_[conspirators.back()]);
      continue;
    }
    if (index == meddler) {  // this account keeps out of double spends, so that others deal with it
      if (auto* invitation = world_.workload.invitation(purse.account, process.executor.now())) {
        co_await look_up(process, purse);
        invitation = world_.workload.invitation(purse.account, process.executor.now());
        if (!invitation) continue;
        invitation->answer = purse.next;
        still_until = process.executor.now() + std::chrono::seconds(4);
      } else if (world_.workload.offered(purse.account, purse.next)) {
        co_await meddle(process, purse);
      } else if (process.executor.now() > still_until && process.rng.chance(300'000)) {
        co_await go_on(process, purse);
      }
      continue;
    }
    const std::uint64_t choice = process.rng.pick(100);
    if (choice < 40)
      co_await spend_twice(process, purse);
    else if (choice < 60)
      co_await go_on(process, purse);
    else if (choice < 80)
      co_await break_rules(process, purse);
    else
      co_await disturb(process);
  }
}

Task<void> Attacker::ask_one(Process& process, std::size_t validator, std::shared_ptr<const Bytes> query,
                             std::shared_ptr<const Value> value, Votes& votes, std::size_t& left,
                             std::shared_ptr<Event> all) {
  auto bytes = co_await process.validators[validator]->call(*query, answer_time_max);
  if (bytes) {
    auto answer = codec::decode<Answer>(*bytes);
    if (answer)
      if (auto* voted = std::get_if<Voted>(&*answer); voted && voted->vote.value == *value &&
                                                      voted->vote.validator.value() == validator &&
                                                      verify_vote(world_.rules, process.caches, voted->vote))
        votes.emplace_back(voted->vote.validator, std::move(voted->vote.signature));
  }
  if (--left == 0) all->set();
}

Task<void> Attacker::gather(Process& process, RequestOrder order, std::vector<std::size_t> whom, Votes& votes) {
  if (whom.empty()) co_return;
  const auto value = std::make_shared<const Value>(value_of(order.request));
  const auto query = std::make_shared<const Bytes>(codec::encode(Query(SubmitOrder{std::move(order)})));
  std::size_t left = whom.size();
  const auto all = std::make_shared<Event>(process.executor);
  // Their frames end before this one: it waits for all of them, and the scope drops all together.
  for (const std::size_t validator : whom)
    process.scope.spawn(ask_one(process, validator, query, value, votes, left, all));
  co_await all->wait();
}

Task<bool> Attacker::show(Process& process, Certificate certificate, std::vector<std::size_t> whom) {
  Uid account;
  if (const auto* confirm = std::get_if<Confirm>(&certificate.value.kind)) account = confirm->request.account;
  if (const auto* lock = std::get_if<Lock>(&certificate.value.kind)) account = lock->request.account;
  const Bytes query = codec::encode(Query(SubmitProof{Proof{account, {}, std::move(certificate), std::nullopt}}));
  bool executed = false;
  for (const std::size_t validator : whom) {
    const auto bytes = co_await process.validators[validator]->call(query, answer_time_max);
    const auto answer = bytes ? codec::decode<Answer>(*bytes) : std::unexpected(codec::DecodeError::truncated);
    executed |= answer && std::holds_alternative<SignedAccountState>(*answer);
  }
  co_return executed;
}

// Two requests for one number, each to its half; then what was gathered is completed, and shown to few.
Task<void> Attacker::spend_twice(Process& process, Purse& purse) {
  SimRng& rng = process.rng;
  const Request first = make_request(process, purse);
  Request second = make_request(process, purse);
  if (first == second) co_return;
  world_.journal.count("double spends");
  std::vector<std::size_t> one;
  std::vector<std::size_t> other;
  for (const std::size_t validator : everybody()) {
    if (rng.chance(100'000)) {
      one.push_back(validator);
      other.push_back(validator);
    } else {
      (rng.chance(500'000) ? one : other).push_back(validator);
    }
  }
  Votes for_first;
  Votes for_second;
  co_await gather(process, sign(first, purse.seed), one, for_first);
  co_await gather(process, sign(second, purse.seed), other, for_second);
  const auto quorum = world_.rules.committee.quorum();
  // Everybody is asked for both.
  if (weight_of(for_first) < quorum) {
    co_await gather(process, sign(first, purse.seed), other, for_first);
    std::ranges::sort(for_first, {}, [](const auto& vote) { return vote.first; });
    const auto repeated = std::ranges::unique(for_first, {}, [](const auto& vote) { return vote.first; });
    for_first.erase(repeated.begin(), repeated.end());
  }
  if (weight_of(for_second) < quorum) {
    co_await gather(process, sign(second, purse.seed), one, for_second);
    std::ranges::sort(for_second, {}, [](const auto& vote) { return vote.first; });
    const auto repeated = std::ranges::unique(for_second, {}, [](const auto& vote) { return vote.first; });
    for_second.erase(repeated.begin(), repeated.end());
  }
  co_await forge(process, first, for_first);
  co_await forge(process, second, for_second);
  std::vector<std::size_t> few{rng.pick(world_.validators.size())};
  if (rng.chance(500'000)) few = everybody();
  for (const auto& [request, votes] : {std::pair(first, for_first), std::pair(second, for_second)}) {
    if (weight_of(votes) < quorum) continue;
    co_await show(process, certificate_of(value_of(request), votes), few);
    if (request.sequence_number == purse.next) {
      purse.next = SequenceNumber(purse.next.value() + 1);
      purse.head = hash_of(world_.rules.id, request);
    }
  }
}

// Certificates that are none, put together from what is there.
Task<void> Attacker::forge(Process& process, const Request& request, const Votes& votes) {
  SimRng& rng = process.rng;
  if (votes.empty() || weight_of(votes) >= world_.rules.committee.quorum() || rng.chance(300'000)) co_return;
  world_.journal.count("forged certificates");
  Certificate certificate = certificate_of(value_of(request), votes);
  switch (rng.pick(4)) {
    case 0: break;  // too few
    case 1:         // one signer several times
      while (certificate.votes.size() < world_.validators.size()) certificate.votes.push_back(certificate.votes.back());
      break;
    case 2: {  // signatures for another value, or none at all
      for (std::size_t validator = 0; validator < world_.validators.size(); ++validator) {
        const auto i = static_cast<std::uint16_t>(validator);
        if (std::ranges::any_of(certificate.votes, [i](const auto& vote) { return vote.first.value() == i; })) continue;
        BatchSignature signature = certificate.votes.front().second;
        if (rng.chance(500'000)) rng.fill(signature.signature.bytes);
        certificate.votes.emplace_back(ValidatorIndex(i), signature);
      }
      std::ranges::sort(certificate.votes, {}, [](const auto& vote) { return vote.first; });
      break;
    }
    default:  // strangers
      for (std::uint16_t i = 0; i < 4; ++i)
        certificate.votes.emplace_back(ValidatorIndex(static_cast<std::uint16_t>(world_.validators.size() + i)),
                                       certificate.votes.front().second);
      break;
  }
  co_await show(process, std::move(certificate), everybody());
}

// The chain goes on as an honest one would, but its certificates are shown to few; or what stuck is tried to the end.
Task<void> Attacker::go_on(Process& process, Purse& purse) {
  SimRng& rng = process.rng;
  const Request request = make_request(process, purse);
  Votes votes;
  co_await gather(process, sign(request, purse.seed), everybody(), votes);
  if (weight_of(votes) < world_.rules.committee.quorum()) {
    co_await forge(process, request, votes);
    co_return;
  }
  std::vector<std::size_t> whom;
  for (const std::size_t validator : everybody())
    if (rng.chance(500'000)) whom.push_back(validator);
  co_await show(process, certificate_of(value_of(request), votes), whom);
  purse.next = SequenceNumber(purse.next.value() + 1);
  purse.head = hash_of(world_.rules.id, request);
}

// At somebody else's account, as it stands.
Task<void> Attacker::aim_at(Process& process, Request& request) {
  const Uid victim = world_.workload.book[process.rng.pick(world_.workload.book.size())];
  const std::size_t validator = process.rng.pick(world_.validators.size());
  const auto bytes =
      co_await process.validators[validator]->call(codec::encode(Query(QueryAccount{victim, {}})), answer_time_max);
  const auto answer = bytes ? codec::decode<Answer>(*bytes) : std::unexpected(codec::DecodeError::truncated);
  const auto* state = answer ? std::get_if<SignedAccountState>(&*answer) : nullptr;
  if (!state) co_return;
  request.account = victim;
  request.sequence_number = state->state.next;
  request.previous = state->state.head;
  victim_owner_ = state->state.owner;
}

// Where its own account stands: an instance may have moved it.
Task<void> Attacker::look_up(Process& process, Purse& purse) {
  const std::size_t validator = process.rng.pick(world_.validators.size());
  const auto bytes = co_await process.validators[validator]->call(codec::encode(Query(QueryAccount{purse.account, {}})),
                                                                  answer_time_max);
  const auto answer = bytes ? codec::decode<Answer>(*bytes) : std::unexpected(codec::DecodeError::truncated);
  const auto* state = answer ? std::get_if<SignedAccountState>(&*answer) : nullptr;
  if (!state || state->state.next < purse.next) co_return;
  purse.next = state->state.next;
  purse.head = state->state.head;
}

// Requests that nobody may vote for. If somebody does, it is driven to the end.
Task<void> Attacker::break_rules(Process& process, Purse& purse) {
  SimRng& rng = process.rng;
  Request request = make_request(process, purse);
  KeySeed seed = purse.seed;
  switch (rng.pick(8)) {
    case 0: rng.fill(request.previous.bytes); break;
    case 1: request.sequence_number = SequenceNumber(request.sequence_number.value() + rng.between(1, 3)); break;
    case 2: request.operation = pay(world_.workload.book[rng.pick(world_.workload.book.size())], 1ULL << 40); break;
    case 3: request.operation = pay(world_.workload.book[rng.pick(world_.workload.book.size())], 0); break;
    case 4: rng.fill(seed); break;  // somebody else's signature
    case 5: co_await aim_at(process, request); break;
    case 6:
      request.operation = OpenAccount{world_.workload.book[rng.pick(world_.workload.book.size())],
                                      crypto::SigningKey::from_seed(purse.seed).public_key(), Amount(0)};
      break;
    default:
      if (request.sequence_number.value() > 0)
        request.sequence_number = SequenceNumber(request.sequence_number.value() - 1);
      break;
  }
  world_.journal.count("requests against the rules");
  Votes votes;
  RequestOrder order = sign(request, seed);
  // The owner's key, but not his signature.
  if (request.account != purse.account && victim_owner_ && rng.chance(500'000)) order.owner = *victim_owner_;
  co_await gather(process, std::move(order), everybody(), votes);
  if (weight_of(votes) >= world_.rules.committee.quorum())
    co_await show(process, certificate_of(value_of(request), votes), everybody());
  else
    co_await forge(process, request, votes);
}

std::vector<std::size_t> Attacker::some(Process& process) const {
  std::vector<std::size_t> chosen;
  for (const std::size_t validator : everybody())
    if (process.rng.chance(500'000)) chosen.push_back(validator);
  return chosen;
}

// Garbage, and what others have sent before.
Task<void> Attacker::disturb(Process& process) {
  SimRng& rng = process.rng;
  const std::size_t validator = rng.pick(world_.validators.size());
  Bytes query;
  if (!world_.witness.overheard().empty() && rng.chance(800'000)) {
    query = *world_.witness.overheard()[rng.pick(world_.witness.overheard().size())];
    if (rng.chance(200'000)) query[rng.pick(query.size())] ^= static_cast<std::uint8_t>(1U << rng.pick(8));
    if (rng.chance(50'000)) query.resize(rng.pick(query.size()));
    world_.journal.count("replays");
  } else {
    query.resize(rng.between(1, 300));
    rng.fill(query);
    world_.journal.count("garbage");
  }
  (void)co_await process.validators[validator]->call(std::move(query), answer_time_max);
}

}  // namespace zef::sim
