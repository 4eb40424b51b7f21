// Executions: all validators at once, until a quorum has acknowledged; the others go on in the background.
#include <fmt/core.h>

#include "base/log.h"
#include "client/quorum_impl.h"

namespace zef::client {

struct Execution {
  Execution(Executor& executor, const Network& network) : verdict(network), done(executor) {}

  std::shared_ptr<const Proof> proof;
  std::shared_ptr<const Bytes> query;
  SequenceNumber last;  // number and hash of the last request
  Hash head;
  MonotonicTime deadline;

  std::vector<ValidatorIndex> acknowledged;
  Weight weight = 0;
  Verdict verdict;
  std::size_t running = 0;
  bool finished = false;
  Event done;

  void finish() {
    finished = true;
    done.set();
  }
  // What an honest validator must say after it has executed the proof.
  [[nodiscard]] bool confirmed_by(const AccountState& state) const {
    if (state.next <= last) return false;
    return state.next.value() != last.value() + 1 || state.head == head;
  }
};

std::optional<SequenceNumber> last_number(const Network& network, const Proof& proof) {
  const auto requests = requests_of(network, proof);
  if (!requests || requests->empty()) return std::nullopt;
  return requests->back().request->sequence_number;
}

Task<void> QuorumDriver::Impl::push(std::shared_ptr<Execution> execution, ValidatorConnection& validator) {
  constexpr int helps_max = 4;
  Backoff delays = backoff();
  int helps = 0;
  bool acknowledged = false;
  bool last_word = false;
  while (!past(execution->deadline)) {
    auto state =
        co_await validator.execute(execution->query, execution->proof->account, question_time(execution->deadline));
    if (state) {
      acknowledged = execution->confirmed_by(*state);
      last_word = !acknowledged;
      if (last_word) execution->verdict.add_silent(validator.info().name + " shows a state from before the execution");
      break;
    }
    Duration delay = delays.take(rng);
    bool again_at_once = false;
    if (const auto* error = std::get_if<Error>(&state.error())) {
      execution->verdict.add_silent(error->message);
      last_word = error->kind == ErrorKind::corrupt;
    } else {
      const Refusal refusal = std::get<Refusal>(std::move(state.error()));
      const bool lags = std::holds_alternative<MissingOperations>(refusal) ||
                        std::holds_alternative<InactiveAccount>(refusal) || std::holds_alternative<NotFound>(refusal);
      if (is_transient(refusal)) {
        execution->verdict.add_silent(describe(refusal));
        delay = std::max(delay, asked_delay(refusal));
      } else if (lags && execution->finished) {
        break;  // the quorum is complete: the background does the rest, a few accounts at a time
      } else if (lags && helps++ < helps_max) {
        const SequenceNumber first(execution->last.value() - execution->proof->earlier.size());
        const Brought brought =
            co_await bring_account(validator, execution->proof->account, first, execution->deadline);
        last_word = brought == Brought::impossible;
        again_at_once = brought == Brought::done || brought == Brought::already;
      } else {
        last_word = true;
      }
      if (last_word) {
        execution->verdict.add(validator.weight(), refusal);
        if (std::holds_alternative<ConflictingCertificate>(refusal))
          log::error("client", "{} executed another request: account={} number={}", validator.info().name,
                     execution->proof->account.text(), execution->last.value());
      }
    }
    if (last_word || execution->finished) break;
    if (!again_at_once) co_await sleep_for(executor, std::min(delay, until(execution->deadline)));
  }
  --execution->running;
  if (acknowledged && !execution->finished) {
    execution->acknowledged.push_back(validator.index());
    execution->weight += validator.weight();
    if (execution->weight >= network.committee.quorum()) execution->finish();
  }
  if (!execution->finished && (execution->running == 0 || (last_word && execution->verdict.decided())))
    execution->finish();
  if (!acknowledged && !last_word) go_on_in_background(validator, execution->proof);
  --pushes;
  check_quiet();
}

Task<Outcome<ExecutionSummary>> QuorumDriver::Impl::execute(std::shared_ptr<const Proof> proof) {
  const auto requests = requests_of(network, *proof);
  if (!requests) co_return failed(FailureKind::invalid, describe(requests.error()), requests.error());
  auto execution = std::make_shared<Execution>(executor, network);
  execution->proof = proof;
  execution->last = requests->back().request->sequence_number;
  execution->head = requests->back().hash;
  execution->query = std::make_shared<const Bytes>(codec::encode(Query(SubmitProof{*proof})));
  execution->deadline = executor.now() + options.operation_time_max;
  execution->running = validators.size();
  pushes += validators.size();
  for (auto& validator : validators) scope.spawn(push(execution, *validator));
  co_await execution->done.wait_for(options.operation_time_max);
  execution->finished = true;
  if (execution->weight < network.committee.quorum())
    co_return std::unexpected(execution->verdict.without_quorum("executed it in time"));
  ++counters.executions;
  const SequenceNumber next(execution->last.value() + 1);
  co_return ExecutionSummary{proof->account, next, execution->head, execution->acknowledged};
}

// ---- the background -------------------------------------------------------------------------------------------------

Task<Brought> QuorumDriver::Impl::deliver(ValidatorConnection& validator, std::shared_ptr<const Proof> proof,
                                          MonotonicTime deadline) {
  Brought brought = co_await upload(validator, proof, deadline);
  if (brought != Brought::impossible) co_return brought;
  const auto last = last_number(network, *proof);
  if (!last) co_return Brought::impossible;
  const SequenceNumber first(last->value() - proof->earlier.size());
  brought = co_await bring_account(validator, proof->account, first, deadline);
  if (brought == Brought::impossible || brought == Brought::unreached) co_return brought;
  co_return co_await upload(validator, std::move(proof), deadline);
}

void QuorumDriver::Impl::go_on_in_background(ValidatorConnection& validator,
                                             const std::shared_ptr<const Proof>& proof) {
  const std::size_t index = validator.index().value();
  Behind& waiting = behind[index];
  const auto found = waiting.proofs.find(proof->account);
  if (found != waiting.proofs.end()) {
    if (last_number(network, *found->second) < last_number(network, *proof)) found->second = proof;
  } else if (waiting.proofs.size() + waiting.in_work >= options.background_accounts_max) {
    ++counters.background_dropped;  // the next operation of that account brings the validator up to date
    return;
  } else {
    waiting.proofs.emplace(proof->account, proof);
    waiting.order.push_back(proof->account);
  }
  start_background(index);
}

void QuorumDriver::Impl::start_background(std::size_t validator) {
  Behind& waiting = behind[validator];
  if (waiting.tasks == 0) waiting.last_success = executor.now();
  while (waiting.tasks < options.background_tasks_max && waiting.tasks < waiting.proofs.size()) {
    ++waiting.tasks;
    scope.spawn(work_in_background(validator));
  }
}

Task<void> QuorumDriver::Impl::work_in_background(std::size_t validator) {
  Backoff delays = backoff();
  while (!behind[validator].order.empty()) {
    Behind& waiting = behind[validator];
    const Uid account = waiting.order.front();
    waiting.order.pop_front();
    std::shared_ptr<const Proof> proof = std::move(waiting.proofs.extract(account).mapped());
    ++waiting.in_work;
    const Brought brought = co_await deliver(*validators[validator], proof, executor.now() + options.answer_time_max);
    --behind[validator].in_work;
    if (brought == Brought::done || brought == Brought::already) {
      ++counters.background_done;
      behind[validator].last_success = executor.now();
      delays = backoff();
      continue;
    }
    if (brought == Brought::impossible) {
      log::warning("client", "{} cannot be brought up to date: account={}", validators[validator]->info().name,
                   account.text());
      continue;
    }
    if (behind[validator].proofs.emplace(account, std::move(proof)).second) behind[validator].order.push_back(account);
    if (executor.now() - behind[validator].last_success > options.background_time_max) break;
    co_await sleep_for(executor, delays.take(rng));
  }
  --behind[validator].tasks;
  check_quiet();
}

void QuorumDriver::Impl::check_quiet() {
  if (pushes != 0) return;
  for (const Behind& waiting : behind)
    if (waiting.tasks != 0) return;
  quiet.set();
}

Task<bool> QuorumDriver::Impl::finish_background(Duration limit) {
  for (std::size_t i = 0; i < behind.size(); ++i) start_background(i);
  quiet.reset();
  check_quiet();
  co_await quiet.wait_for(limit);
  if (pushes != 0) co_return false;
  for (const Behind& waiting : behind)
    if (!waiting.proofs.empty() || waiting.tasks != 0) co_return false;
  co_return true;
}

}  // namespace zef::client
