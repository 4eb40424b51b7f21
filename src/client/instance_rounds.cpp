// The way to a decision (rules L3 to L5, from a participant's side). Each turn looks at all validators, then does the
// first of these that may help:
//
//   a PreCommit certificate that a quorum can still vote for  -> to all; Commit votes make the decision
//   a quorum has not reached the round of the others          -> the Timeout certificate of the round it is in
//   it is our turn to propose                                 -> the highest PreCommit certificate seen, carried; else
//                                                                what was voted for in this round; else our wish
//   nothing of it moved                                       -> the Timeout certificate of this round
//
// What validators tell of rounds and votes is a hint. A liar can make a step useless, not wrong: votes are counted
// against the value asked for, and the next turn looks again.
#include <fmt/core.h>

#include "client/instance_impl.h"

namespace zef::client {
namespace {

constexpr Duration leader_grace = std::chrono::seconds(1);  // L5: beyond a quorum
constexpr Duration pause_min = std::chrono::milliseconds(50);
constexpr Duration pause_max = std::chrono::seconds(1);
constexpr Duration poll = std::chrono::milliseconds(250);  // while others have to act

}  // namespace

Weight InstanceDriver::Impl::voted(const InstanceView& view, Round round, const Decision& decision) const {
  Weight weight = 0;
  for (const auto& [index, position] : view.positions)
    if (position.round == round && position.voted == decision) weight += network.committee.find(index)->weight;
  return weight;
}

// The highest round that so much weight has reached, those that did not answer left out.
Round InstanceDriver::Impl::reached_by(const InstanceView& view, Weight needed) const {
  std::vector<std::pair<Round, Weight>> rounds;
  for (const auto& [index, position] : view.positions)
    rounds.emplace_back(position.round, network.committee.find(index)->weight);
  std::ranges::sort(rounds, std::greater<>{});
  Weight sum = 0;
  for (const auto& [round, weight] : rounds)
    if ((sum += weight) >= needed) return round;
  return Round(0);
}

// L3.
const Delegate* InstanceDriver::Impl::proposer_of(const Drive& drive, Round round) const {
  if (round == Round(0)) return &drive.delegates.front();
  const Uid& leader = drive.view.terms.accounts[leader_of(drive.view.terms, round)].account;
  const auto mine = std::ranges::find(drive.delegates, leader, &Delegate::account);
  return mine == drive.delegates.end() ? nullptr : &*mine;
}

// What to propose in this round, if anything makes sense.
std::optional<Decision> InstanceDriver::Impl::choose(const Drive& drive, Round round) const {
  const InstanceView& view = drive.view;
  const auto possible = [&](const Decision& decision) {
    return std::holds_alternative<Aborted>(decision) || view.all_locked();
  };
  if (view.precommit) {  // L4, L5: whatever was wished
    if (precommit_of(*view.precommit).proposal.round >= round) return std::nullopt;
    const Decision decision = precommit_of(*view.precommit).proposal.decision;
    return possible(decision) ? std::optional(decision) : std::nullopt;
  }
  // What was voted in this round stays voted. In round 0 others may have asked for it, and helping them gives up one's
  // own wish: only if it is as good as certified. Later only we can have proposed it, before a crash perhaps.
  const Weight enough = round == Round(0) ? quorum_weight() : network.committee.faulty_max() + 1;
  for (const Decision& decision : {Decision(Confirmed{}), Decision(Aborted{})})
    if (voted(view, round, decision) >= enough && possible(decision)) return decision;
  const Decision wished = drive.wish == Wish::abort ? Decision(Aborted{}) : Decision(Confirmed{});
  const Decision other = drive.wish == Wish::abort ? Decision(Confirmed{}) : Decision(Aborted{});
  if (voted(view, round, other) > network.committee.total_weight() - quorum_weight()) return std::nullopt;
  return possible(wished) ? std::optional(wished) : std::nullopt;
}

// Whoever wishes to confirm lets a round go on while others have to lock and nobody decides otherwise.
bool InstanceDriver::Impl::only_waits(Drive& drive, Round round) const {
  const InstanceView& view = drive.view;
  if (drive.wish == Wish::abort || view.precommit || view.all_locked()) return false;
  if (voted(view, round, Decision(Aborted{})) > network.committee.faulty_max()) return false;
  std::string names;
  for (std::size_t place = 0; place < view.locks.size(); ++place)
    if (!view.locks[place]) names += (names.empty() ? "" : ", ") + view.terms.accounts[place].account.text();
  drive.missing = fmt::format("not locked yet: {}", names);
  return true;
}

Task<Outcome<InstanceView>> InstanceDriver::Impl::drive(Uid instance, std::vector<Delegate> delegates,
                                                        std::vector<Certificate> locks, Wish wish, Duration time) {
  auto start = co_await start_proof(instance);
  if (!start) co_return std::unexpected(std::move(start.error()));
  auto drive = std::make_shared<Drive>(Drive{.view = empty_view(instance, *start),
                                             .delegates = std::move(delegates),
                                             .wish = wish,
                                             .deadline = executor.now() + time,
                                             .grace = quorum.options().straggler_time,
                                             .answered = 0,
                                             .brought_along = std::nullopt,
                                             .missing = "no quorum of validators answered"});
  absorb_locks(drive->view, locks);
  ZEF_CHECK(!drive->delegates.empty());
  for (const Delegate& delegate : drive->delegates) {
    const auto place = drive->view.place_of(delegate.account);
    if (!place || !drive->view.locks[*place])
      co_return failed(FailureKind::invalid, fmt::format("account {} is not locked into instance {}",
                                                         delegate.account.text(), instance.text()));
  }
  while (true) {
    co_await look(drive);
    Duration pause = Duration::zero();
    if (!drive->view.decided) pause = co_await step(drive);
    if (drive->view.decided) {
      co_await spread_decision(drive);
      co_return drive->view;
    }
    if (past(drive->deadline))
      co_return failed(FailureKind::unavailable,
                       fmt::format("instance {} is not decided yet: {}", instance.text(), drive->missing));
    if (pause > Duration::zero()) co_await sleep_for(executor, std::min(pause, until(drive->deadline)));
  }
}

Task<void> InstanceDriver::Impl::look(std::shared_ptr<Drive> drive) {
  // Who leads a later round waits for more than a quorum, as somebody among the rest may hold the newest lock (L5).
  const Round round = drive->view.round(network);
  drive->grace = round > Round(0) && proposer_of(*drive, round) ? leader_grace : quorum.options().straggler_time;
  auto asking = ask_all(QueryInstance{drive->view.instance},
                        std::max(executor.now() + pause_min,
                                 std::min(drive->deadline, executor.now() + quorum.options().query_time_max)));
  co_await gather(asking, drive->grace);
  asking->closed = true;
  drive->answered = asking->answered;
  drive->view.positions.clear();
  absorb(drive->view, *asking);
  if (drive->answered < quorum_weight())
    drive->missing = fmt::format("too few validators answer (last: {})", asking->last_complaint);
}

Task<Duration> InstanceDriver::Impl::step(std::shared_ptr<Drive> drive) {
  if (drive->answered < quorum_weight()) co_return poll;
  if (co_await try_commit(drive)) co_return Duration::zero();
  const Round round = drive->view.round(network);
  Duration pause = pause_max;
  // Some went on without the others: a Timeout certificate of the round before brings those along. Not twice in a row:
  // who says that it is still there may lie, or have lost it.
  const Round behind = reached_by(drive->view, quorum_weight());
  if (behind < round && drive->brought_along != behind) {
    pause = co_await end_round(drive, behind);
    if (drive->view.decided) co_return Duration::zero();
    if (pause == Duration::zero()) {
      drive->brought_along = behind;
      co_return pause;
    }
  }
  drive->brought_along.reset();
  if (only_waits(*drive, round)) co_return poll;
  const Delegate* proposer = proposer_of(*drive, round);
  const auto decision = choose(*drive, round);
  if (proposer && decision && co_await propose(drive, round, *decision, *proposer)) {
    static_cast<void>(co_await try_commit(drive));
    co_return Duration::zero();
  }
  if (drive->view.decided) co_return Duration::zero();
  if (!proposer)
    drive->missing = fmt::format("round {} is led by account {}", round.value(),
                                 drive->view.terms.accounts[leader_of(drive->view.terms, round)].account.text());
  co_return std::min(pause, co_await end_round(drive, round));
}

Task<bool> InstanceDriver::Impl::try_commit(std::shared_ptr<Drive> drive) {
  if (drive->view.decided) co_return true;
  if (!drive->view.precommit) co_return false;
  const PreCommit& value = precommit_of(*drive->view.precommit);
  Weight beyond = 0;  // L4 (d)
  for (const auto& [index, position] : drive->view.positions)
    if (position.round > value.proposal.round) beyond += network.committee.find(index)->weight;
  if (network.committee.total_weight() - beyond < quorum_weight()) co_return false;
  auto asking = ask_all(SubmitInstanceCertificate{drive->view.instance, *drive->view.precommit, std::nullopt},
                        drive->view.start, Value{Commit{value.epoch, value.proposal, value.requests}},
                        executor.now() + quorum.options().query_time_max);
  co_await gather(asking, quorum.options().straggler_time);
  asking->closed = true;
  absorb(drive->view, *asking);
  if (!drive->view.decided && asking->vote_weight >= quorum_weight()) drive->view.decided = certificate_of(*asking);
  if (!drive->view.decided) drive->missing = fmt::format("no quorum committed (last: {})", asking->last_complaint);
  co_return drive->view.decided.has_value();
}

Task<bool> InstanceDriver::Impl::propose(std::shared_ptr<Drive> drive, Round round, Decision decision,
                                         const Delegate& proposer) {
  const InstanceView& view = drive->view;
  const bool confirms = std::holds_alternative<Confirmed>(decision);
  const Proposal proposal{current_epoch, view.instance, round, decision};
  SubmitProposal message{.proposal = proposal,
                         .delegate = proposer.key->public_key(),
                         .signature = sign(*proposer.key, proposal),
                         .locks = {},
                         .carried = std::nullopt,
                         .start = std::nullopt};
  PreCommit value{current_epoch, proposal, {}};
  std::vector<const Request*> requests;
  for (std::size_t place = 0; place < view.locks.size(); ++place) {
    if (!confirms && view.terms.accounts[place].account != proposer.account) continue;
    message.locks.push_back(*view.locks[place]);
    requests.push_back(&locked_request(*view.locks[place]));
  }
  if (confirms)
    for (Request& request : confirmed_requests(view.terms, requests)) value.requests.push_back(std::move(request));
  if (view.precommit && precommit_of(*view.precommit).proposal.round < round) message.carried = view.precommit;
  auto asking = ask_all(std::move(message), view.start, Value{value}, executor.now() + quorum.options().query_time_max);
  co_await gather(asking, drive->grace);
  asking->closed = true;
  absorb(drive->view, *asking);
  if (asking->vote_weight < quorum_weight()) {
    drive->missing =
        fmt::format("no quorum for the proposal of round {} (last: {})", round.value(), asking->last_complaint);
    co_return false;
  }
  drive->view.precommit = certificate_of(*asking);
  co_return true;
}

// L5.
Task<Duration> InstanceDriver::Impl::end_round(std::shared_ptr<Drive> drive, Round round) {
  const InstanceView& view = drive->view;
  const Delegate& delegate = drive->delegates.front();
  const AskedTimeout asked{current_epoch, view.instance, round};
  auto asking = ask_all(AskTimeout{.instance = view.instance,
                                   .round = round,
                                   .delegate = delegate.key->public_key(),
                                   .signature = sign(*delegate.key, asked),
                                   .lock = *view.locks[*view.place_of(delegate.account)],
                                   .start = std::nullopt},
                        view.start, Value{Timeout{current_epoch, view.instance, round}},
                        executor.now() + quorum.options().query_time_max);
  co_await gather(asking, quorum.options().straggler_time);
  asking->closed = true;
  absorb(drive->view, *asking);
  if (asking->vote_weight < quorum_weight())
    co_return std::clamp(asking->retry_after > Duration::zero() ? asking->retry_after : poll, pause_min, pause_max);
  auto telling = ask_all(SubmitInstanceCertificate{view.instance, certificate_of(*asking), std::nullopt}, view.start,
                         std::nullopt, executor.now() + quorum.options().query_time_max);
  co_await gather(telling, leader_grace);
  absorb(drive->view, *telling);  // stays open: whoever is slow hears of it too
  co_return Duration::zero();
}

// L6. A quorum has it when this returns, unless time is over.
Task<void> InstanceDriver::Impl::spread_decision(std::shared_ptr<Drive> drive) {
  const MonotonicTime deadline = std::min(std::max(drive->deadline, executor.now() + leader_grace),
                                          executor.now() + quorum.options().operation_time_max);
  auto asking = ask_all(SubmitInstanceCertificate{drive->view.instance, *drive->view.decided, std::nullopt},
                        drive->view.start, std::nullopt, deadline);
  co_await gather(asking, Duration::zero());  // the others go on
  absorb(drive->view, *asking);               // locks, for the executions
}

}  // namespace zef::client
