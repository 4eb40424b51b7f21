// Votes: one task per validator asks until it voted, gave its last word, or time is over; a quorum ends them all.
#include "client/quorum_impl.h"

namespace zef::client {

struct Submission {
  Submission(Executor& executor, const Network& network) : verdict(network), done(executor) {}

  Request request;
  std::shared_ptr<const Value> value;
  std::shared_ptr<const Bytes> query;
  MonotonicTime deadline;

  std::map<ValidatorIndex, BatchSignature> votes;  // valid
  std::vector<std::pair<ValidatorConnection*, Vote>> unchecked;
  Weight weight = 0;  // of votes
  Weight unchecked_weight = 0;
  Verdict verdict;
  std::size_t running = 0;
  bool finished = false;
  Event done;

  void finish() {
    finished = true;
    done.set();
  }
};

namespace {

Value value_of(const Request& request) {
  if (std::holds_alternative<LockInto>(request.operation)) return Value{Lock{request}};
  return Value{Confirm{request}};
}

}  // namespace

// Signatures are checked when enough votes are there to make a quorum: what comes later costs nothing.
void QuorumDriver::Impl::add_vote(Submission& submission, ValidatorConnection& validator, Vote vote) {
  submission.unchecked_weight += validator.weight();
  submission.unchecked.emplace_back(&validator, std::move(vote));
  if (submission.weight + submission.unchecked_weight < network.committee.quorum()) return;
  for (auto& [voter, unchecked] : submission.unchecked) {
    if (voter->check_vote(unchecked)) {
      submission.weight += voter->weight();
      submission.votes.emplace(voter->index(), std::move(unchecked.signature));
    } else {
      ++counters.votes_dropped;
    }
  }
  submission.unchecked.clear();
  submission.unchecked_weight = 0;
  if (submission.weight >= network.committee.quorum()) submission.finish();
}

// What a refusal asks for, if it is one that a validator gives because it lags; whether to ask for the vote again.
Task<bool> QuorumDriver::Impl::help_to_vote(std::shared_ptr<Submission> submission, ValidatorConnection& validator,
                                            Refusal refusal, bool first_time) {
  const Request& request = submission->request;
  if (std::holds_alternative<InsufficientFunds>(refusal)) {
    const Brought brought = co_await bring_credits(validator, request.account, submission->deadline);
    co_return brought == Brought::done || brought == Brought::unreached;
  }
  const auto* number = std::get_if<UnexpectedSequenceNumber>(&refusal);
  // An old owner's validator says InvalidOwner before it looks at the number (R3 before R4).
  const bool may_lag = std::holds_alternative<InactiveAccount>(refusal) ||
                       std::holds_alternative<InvalidOwner>(refusal) ||
                       (number && number->expected < request.sequence_number);
  if (!may_lag) co_return false;
  const Brought brought =
      co_await bring_account(validator, request.account, request.sequence_number, submission->deadline);
  // `already`: somebody else brought it up to date between refusal and look-up. Of InvalidOwner that is one
  // possibility, the other is that the key is wrong: once is enough to tell.
  co_return brought == Brought::done || brought == Brought::unreached ||
      (brought == Brought::already && (first_time || !std::holds_alternative<InvalidOwner>(refusal)));
}

Task<void> QuorumDriver::Impl::ask_for_vote(std::shared_ptr<Submission> submission, ValidatorConnection& validator) {
  constexpr int helps_max = 4;
  Backoff delays = backoff();
  int helps = 0;
  bool last_word = false;
  while (!submission->finished && !past(submission->deadline) && !last_word) {
    auto vote = co_await validator.vote(submission->query, submission->value, question_time(submission->deadline));
    if (submission->finished) break;
    if (vote) {
      add_vote(*submission, validator, std::move(*vote));
      break;
    }
    Duration delay = delays.take(rng);
    if (const auto* error = std::get_if<Error>(&vote.error())) {
      submission->verdict.add_silent(error->message);
      if (error->kind == ErrorKind::corrupt) {  // it lies: nothing more is asked of it
        ++counters.votes_dropped;
        break;
      }
    } else {
      const Refusal refusal = std::get<Refusal>(std::move(vote.error()));
      if (is_transient(refusal)) {
        submission->verdict.add_silent(describe(refusal));
        delay = std::max(delay, asked_delay(refusal));
      } else if (helps < helps_max && co_await help_to_vote(submission, validator, refusal, helps == 0)) {
        ++helps;
        if (helps == 1) continue;  // afterwards with growing delays: effects need time to travel
      } else {
        submission->verdict.add(validator.weight(), refusal);
        last_word = true;
        break;
      }
    }
    if (submission->finished) break;
    co_await sleep_for(executor, std::min(delay, until(submission->deadline)));
  }
  --submission->running;
  // More than f weight says so (at least one honest validator), or nobody is left.
  if (!submission->finished && (submission->running == 0 || (last_word && submission->verdict.decided())))
    submission->finish();
}

Task<Outcome<Certificate>> QuorumDriver::Impl::submit(RequestOrder order) {
  auto submission = std::make_shared<Submission>(executor, network);
  submission->request = order.request;
  submission->value = std::make_shared<const Value>(value_of(order.request));
  submission->query = std::make_shared<const Bytes>(codec::encode(Query(SubmitOrder{std::move(order)})));
  submission->deadline = executor.now() + options.operation_time_max;
  submission->running = validators.size();
  for (auto& validator : validators) {
    if (validator->weight() == 0) {  // its votes count for nothing
      --submission->running;
      continue;
    }
    scope.spawn(ask_for_vote(submission, *validator));
  }
  co_await submission->done.wait_for(options.operation_time_max);
  submission->finished = true;
  if (submission->weight < network.committee.quorum()) {
    co_return std::unexpected(submission->verdict.without_quorum("voted in time"));
  }
  Certificate certificate{*submission->value, {}};
  for (auto& [index, signature] : submission->votes) certificate.votes.emplace_back(index, std::move(signature));
  ++counters.certificates;
  co_return certificate;
}

}  // namespace zef::client
