// Attacks on protocol instances: joins those of others to break them, and starts its own, all of whose participants
// conspire.
#include <algorithm>

#include "crypto/batch_signer.h"
#include "protocol/instance_rules.h"
#include "protocol/messages.h"
#include "protocol/signing.h"
#include "sim/attacker_impl.h"

namespace zef::sim {

using namespace protocol;
using std::chrono::milliseconds;

template <class T>
BatchSignature Attacker::sign_with(const T& value, const KeySeed& seed) const {
  const Hash leaf = signing_leaf(world_.rules.id, value);
  return crypto::sign_batch(crypto::SigningKey::from_seed(seed), std::span(&leaf, 1),
                            batch_root_prefix(world_.rules.id))
      .front();
}

Task<std::vector<Attacker::Ballot>> Attacker::poll(Process& process, Query query, std::vector<std::size_t> whom) {
  const Bytes bytes = codec::encode(query);
  std::vector<Ballot> ballots;
  for (const std::size_t validator : whom) {
    const auto reply = co_await process.validators[validator]->call(bytes, answer_time_max);
    auto answer = reply ? codec::decode<Answer>(*reply) : std::unexpected(codec::DecodeError::truncated);
    auto* voted = answer ? std::get_if<Voted>(&*answer) : nullptr;
    if (!voted || voted->vote.validator.value() != validator || !verify_vote(world_.rules, process.caches, voted->vote))
      continue;
    auto ballot = std::ranges::find(ballots, voted->vote.value, &Ballot::value);
    if (ballot == ballots.end()) ballot = ballots.insert(ballots.end(), Ballot{voted->vote.value, {}});
    ballot->votes.emplace_back(voted->vote.validator, std::move(voted->vote.signature));
  }
  co_return ballots;
}

Task<std::optional<Proof>> Attacker::start_of(Process& process, Uid instance) {
  std::optional<Proof> start;
  for (const std::size_t validator : everybody()) {
    const Query query = QueryExecuted{*instance.parent(), SequenceNumber(instance.parts().back()), 1};
    const auto reply = co_await process.validators[validator]->call(codec::encode(query), answer_time_max);
    auto answer = reply ? codec::decode<Answer>(*reply) : std::unexpected(codec::DecodeError::truncated);
    if (auto* page = answer ? std::get_if<ExecutedPage>(&*answer) : nullptr; page && !page->proofs.empty())
      start = std::move(page->proofs.front());
  }
  co_return start;
}

Task<bool> Attacker::lock_in(Process& process, Purse& purse, Plot& plot) {
  Seat seat{.account = purse.account, .delegate = {}, .lock = {}};
  process.rng.fill(seat.delegate);
  const PublicKey delegate = crypto::SigningKey::from_seed(seat.delegate).public_key();
  RequestOrder order =
      sign({current_epoch, purse.account, purse.next, purse.head, LockInto{plot.instance, delegate}}, purse.seed);
  order.proof = plot.start;
  const Value value{Lock{order.request}};
  Votes votes;
  co_await gather(process, std::move(order), everybody(), votes);
  if (weight_of(votes) < world_.rules.committee.quorum()) co_return false;
  seat.lock = certificate_of(value, votes);
  world_.journal.count("attackers that locked");
  (void)co_await show(process, seat.lock, some(process));  // a Lock executes nothing
  (void)co_await poll(process, ShowLocks{plot.instance, {seat.lock}, plot.start},
                      process.rng.chance(700'000) ? everybody() : some(process));
  plot.locks.push_back(seat.lock);
  plot.seats.push_back(std::move(seat));
  co_return true;
}

Task<void> Attacker::propose(Process& process, Plot& plot, const Seat& seat, Proposal proposal,
                             std::vector<std::size_t> whom) {
  SubmitProposal message{.proposal = std::move(proposal),
                         .delegate = crypto::SigningKey::from_seed(seat.delegate).public_key(),
                         .signature = {},
                         .locks = {},
                         .carried = {},
                         .start = plot.start};
  if (!plot.precommits.empty() && process.rng.chance(plot.plan == Plan::old_certificate ? 1'000'000 : 600'000))
    message.carried =
        plot.precommits[plot.plan == Plan::old_certificate ? 0 : process.rng.pick(plot.precommits.size())];
  for (const Certificate& known : plot.locks) message.locks.push_back(known);
  message.signature = sign_with(message.proposal, seat.delegate);
  for (const Ballot& ballot : co_await poll(process, std::move(message), std::move(whom))) {
    if (weight_of(ballot.votes) < world_.rules.committee.quorum()) continue;
    plot.precommits.push_back(certificate_of(ballot.value, ballot.votes));
    world_.journal.count("hidden PreCommit certificates");
  }
}

Task<void> Attacker::commit(Process& process, Plot& plot, Certificate precommit, std::vector<std::size_t> whom) {
  for (const Ballot& ballot : co_await poll(
           process, SubmitInstanceCertificate{plot.instance, std::move(precommit), plot.start}, std::move(whom))) {
    if (weight_of(ballot.votes) < world_.rules.committee.quorum()) continue;
    plot.decided.push_back(certificate_of(ballot.value, ballot.votes));
    world_.journal.count("hidden Commit certificates");
  }
}

Task<void> Attacker::end_round(Process& process, Plot& plot, Round round, std::vector<std::size_t> whom) {
  const Seat& seat = plot.seats.front();
  AskTimeout ask{plot.instance, round,     crypto::SigningKey::from_seed(seat.delegate).public_key(), {},
                 seat.lock,     plot.start};
  ask.signature = sign_with(AskedTimeout{current_epoch, plot.instance, round}, seat.delegate);
  for (const Ballot& ballot : co_await poll(process, std::move(ask), everybody())) {
    if (weight_of(ballot.votes) < world_.rules.committee.quorum()) continue;
    (void)co_await poll(
        process, SubmitInstanceCertificate{plot.instance, certificate_of(ballot.value, ballot.votes), plot.start},
        whom);
  }
}

// Joins an instance to break it: locks and runs, proposes both decisions to different halves, hides certificates and
// shows them late, to few.
Task<void> Attacker::meddle(Process& process, Purse& purse) {
  SimRng& rng = process.rng;
  const auto& offers = world_.workload.offers;
  const Participant self{purse.account, purse.next};
  const auto names = [&](const Workload::Offer& offer) { return std::ranges::count(offer.terms.accounts, self) > 0; };
  const auto newest = std::find_if(offers.rbegin(), offers.rend(), names);
  if (newest == offers.rend()) co_return;
  const Uid instance = newest->instance;
  auto start = co_await start_of(process, instance);
  if (!start) co_return;
  Plot plot{.plan = Plan::chance, .instance = instance, .start = std::move(*start)};
  if (!co_await lock_in(process, purse, plot) || rng.chance(300'000)) co_return;  // or runs

  for (std::uint32_t turn = 0; turn < 3; ++turn) {
    co_await sleep_for(process.executor, milliseconds(rng.between(1, 400)));
    // The others' locks, as some validator tells them.
    const auto reply = co_await process.validators[rng.pick(world_.validators.size())]->call(
        codec::encode(Query(QueryInstance{instance})), answer_time_max);
    auto answer = reply ? codec::decode<Answer>(*reply) : std::unexpected(codec::DecodeError::truncated);
    Round round{turn};
    if (auto* state = answer ? std::get_if<InstanceState>(&*answer) : nullptr) {
      round = state->round;
      plot.locks = {plot.seats.front().lock};
      for (Certificate& shown : state->locks)
        if (shown.value != plot.locks.front().value && plot.locks.size() < 16) plot.locks.push_back(std::move(shown));
    }
    for (const Decision& decision : {Decision{Confirmed{}}, Decision{Aborted{}}})
      co_await propose(process, plot, plot.seats.front(), {current_epoch, instance, round, decision}, some(process));
    if (!plot.precommits.empty()) co_await commit(process, plot, plot.precommits.back(), some(process));
    if (!plot.decided.empty())
      (void)co_await poll(process, SubmitInstanceCertificate{instance, plot.decided.back(), plot.start},
                          {rng.pick(world_.validators.size())});
    co_await end_round(process, plot, round, some(process));
  }
}

// An instance of which all participants conspire. Whatever certificate they come by they keep, use late, or use against
// a later one. If two decisions come out of it, both are shown.
Task<void> Attacker::conspire(Process& process, Purse& one, Purse& other) {
  SimRng& rng = process.rng;
  co_await look_up(process, one);
  co_await look_up(process, other);
  const Uid instance = one.account.child(one.next);
  const SequenceNumber at(one.next.value() + 1);
  AtomicPayments payments;
  payments.legs.push_back({one.account, other.account, Amount(rng.between(10, 50))});
  StartInstance terms{instance, std::move(payments), {}};
  terms.accounts.push_back({one.account, at});
  terms.accounts.push_back({other.account, other.next});
  const Request request{current_epoch, one.account, one.next, one.head, terms};
  Votes votes;
  co_await gather(process, sign(request, one.seed), everybody(), votes);
  if (weight_of(votes) < world_.rules.committee.quorum()) co_return;
  Plot plot{.plan = Plan::chance,
            .instance = instance,
            .start = {one.account, {}, certificate_of(value_of(request), votes), std::nullopt}};
  co_await show(process, plot.start.certificate, everybody());
  one.next = at;
  one.head = hash_of(world_.rules.id, request);
  if (!co_await lock_in(process, one, plot) || !co_await lock_in(process, other, plot)) co_return;
  world_.journal.count("conspiracies");

  plot.plan = static_cast<Plan>(rng.pick(3));
  const bool planned = plot.plan != Plan::chance;
  const auto whom = [&] { return planned || rng.chance(700'000) ? everybody() : some(process); };
  Decision decisions[] = {Confirmed{}, Aborted{}};
  if (rng.chance(500'000)) std::swap(decisions[0], decisions[1]);
  for (std::uint32_t round = 0; round < 3; ++round) {
    const std::size_t leader = leader_of(terms, Round(round));
    const Seat& seat = plot.seats[round == 0 ? rng.pick(2) : leader];
    for (const Decision& decision : decisions) {
      if (planned && &decision != &decisions[round % 2]) continue;
      co_await propose(process, plot, seat, {current_epoch, instance, Round(round), decision}, whom());
    }
    const bool keeps = plot.plan == Plan::old_certificate && round == 0;
    for (std::size_t i = plot.precommits.size(); i > 0 && !keeps; --i)
      if (planned ? i == plot.precommits.size() : rng.chance(400'000))
        co_await commit(process, plot, plot.precommits[i - 1], whom());
    co_await sleep_for(process.executor, milliseconds(1200U << round));
    co_await end_round(process, plot, Round(round), whom());
  }
  for (const Certificate& precommit : std::vector(plot.precommits))
    co_await commit(process, plot, precommit, everybody());
  for (const Certificate& decided : plot.decided)
    (void)co_await poll(process, SubmitInstanceCertificate{instance, decided, plot.start}, some(process));
  if (plot.decided.empty()) co_return;
  // The accounts are needed again.
  for (const Seat& seat : plot.seats) {
    Proof proof{seat.account, {}, plot.decided.front(), std::nullopt};
    if (std::get<Commit>(proof.certificate.value.kind).requests.empty()) proof.lock = seat.lock;
    const Bytes query = codec::encode(Query(SubmitProof{std::move(proof)}));
    for (const std::size_t validator : everybody())
      (void)co_await process.validators[validator]->call(query, answer_time_max);
  }
}

}  // namespace zef::sim
