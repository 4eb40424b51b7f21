// The inside of a QuorumDriver, for its own files only: quorum_driver.cpp (what is public), submit.cpp (votes),
// execute.cpp (executions and the background), catch_up.cpp (validators that lag), queries.cpp.
//
// Every flow that outlives one question is a root task of `scope` and shares its state with the task that waits for it
// through a shared_ptr: either may end first.
#pragma once

#include <algorithm>
#include <deque>

#include "client/quorum_driver.h"
#include "client/verdict.h"

namespace zef::client {

// Delays between attempts: doubling, with jitter so that clients do not come in step.
class Backoff {
 public:
  Backoff(Duration first, Duration most) : next_(first), most_(most) {}
  Duration take(Rng& rng) {
    const Duration delay =
        next_ / 2 + Duration(static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(next_.count() / 2 + 1))));
    next_ = std::min(next_ * 2, most_);
    return delay;
  }

 private:
  Duration next_;
  Duration most_;
};

enum class Brought {
  already,    // the validator knew it all
  done,       // it was behind and no longer is
  unreached,  // it does not answer now, or an effect has not arrived yet: worth another attempt
  impossible  // the proofs are nowhere to be found, or it refuses them
};

struct Submission;
struct Execution;
struct PageHunt;
struct StateHunt;

struct QuorumDriver::Impl {
  Impl(Executor& executor_in, Rng& rng_in, net::Transport& transport, const Network& network_in,
       const std::vector<net::Address>& addresses, DriverOptions options_in);

  // ---- submit.cpp
  Task<Outcome<Certificate>> submit(RequestOrder order);
  Task<void> ask_for_vote(std::shared_ptr<Submission> submission, ValidatorConnection& validator);
  Task<bool> help_to_vote(std::shared_ptr<Submission> submission, ValidatorConnection& validator, Refusal refusal,
                          bool first_time);
  void add_vote(Submission& submission, ValidatorConnection& validator, Vote vote);

  // ---- execute.cpp
  Task<Outcome<ExecutionSummary>> execute(std::shared_ptr<const Proof> proof);
  Task<void> push(std::shared_ptr<Execution> execution, ValidatorConnection& validator);
  // One attempt with all that the validator misses before it.
  Task<Brought> deliver(ValidatorConnection& validator, std::shared_ptr<const Proof> proof, MonotonicTime deadline);
  void go_on_in_background(ValidatorConnection& validator, const std::shared_ptr<const Proof>& proof);
  void start_background(std::size_t validator);
  Task<void> work_in_background(std::size_t validator);
  Task<bool> finish_background(Duration limit);

  // ---- catch_up.cpp
  // Until the validator's `next` of this account is at least `up_to`; an account that it does not know is created by
  // its parents' chains first. up_to 0: only until it knows the account.
  Task<Brought> bring_account(ValidatorConnection& validator, Uid account, SequenceNumber up_to,
                              MonotonicTime deadline);
  // The senders of credits that others list and this validator does not. `already`: nothing was missing.
  Task<Brought> bring_credits(ValidatorConnection& validator, Uid account, MonotonicTime deadline);
  Task<Brought> upload(ValidatorConnection& validator, std::shared_ptr<const Proof> proof, MonotonicTime deadline);
  Task<std::vector<ReceivedCredit>> list_credits(ValidatorConnection& validator, Uid account, MonotonicTime deadline);
  Task<Outcome<std::size_t>> bring_up_to_date(Uid account);
  Task<void> bring_one(std::shared_ptr<StateHunt> hunt, ValidatorConnection& validator, SequenceNumber up_to);

  // ---- queries.cpp
  // Verified proofs that begin with request `from` and go at most to `to`; empty if nobody has it.
  Task<std::vector<Proof>> fetch_page(Uid account, SequenceNumber from, SequenceNumber to, std::uint32_t limit,
                                      const ValidatorConnection* not_this);
  Task<void> ask_page(std::shared_ptr<PageHunt> hunt, ValidatorConnection& validator);
  Task<Outcome<AccountSummary>> query_account(Uid account);
  Task<std::shared_ptr<StateHunt>> ask_states(Uid account);
  Task<void> ask_state(std::shared_ptr<StateHunt> hunt, ValidatorConnection& validator);
  Task<Outcome<std::vector<Proof>>> fetch_executed(Uid account, SequenceNumber from, SequenceNumber to);
  Task<Outcome<Proof>> fetch_proof(Uid account, SequenceNumber at);
  Task<Outcome<CertifiedCredit>> certify_credit(Uid recipient, ReceivedCredit credit);
  // The sequence numbers that a valid proof of this account vouches for: first and last. Nothing if it is not valid.
  std::optional<std::pair<SequenceNumber, SequenceNumber>> verified_range(const Proof& proof, const Uid& account);

  [[nodiscard]] Duration until(MonotonicTime deadline) const {
    return std::max(deadline - executor.now(), Duration::zero());
  }
  [[nodiscard]] bool past(MonotonicTime deadline) const { return executor.now() >= deadline; }
  // The time that one question may take.
  [[nodiscard]] Duration question_time(MonotonicTime deadline) const {
    return std::min(until(deadline), options.answer_time_max);
  }
  [[nodiscard]] Backoff backoff() const { return {options.retry_delay_min, options.retry_delay_max}; }

  Executor& executor;
  Rng& rng;
  const Network& network;
  DriverOptions options;
  RootCaches caches;
  DriverCounters counters;
  ProofSource* source = nullptr;
  std::vector<std::unique_ptr<ValidatorConnection>> validators;
  std::size_t preferred = 0;  // gave the last page

  // What a validator has still to hear about: the newest proof of each account.
  struct Behind {
    std::unordered_map<Uid, std::shared_ptr<const Proof>> proofs;
    std::deque<Uid> order;
    std::size_t tasks = 0;
    std::size_t in_work = 0;  // taken out of `proofs` by a task for the moment
    MonotonicTime last_success;
  };
  std::vector<Behind> behind;
  std::size_t pushes = 0;  // running
  Event quiet;             // nothing runs in the background; armed by whoever waits
  void check_quiet();

  TaskScope scope;  // last: its tasks go before what they use
};

[[nodiscard]] inline bool is_transient(const Refusal& refusal) {
  return std::holds_alternative<Overloaded>(refusal) || std::holds_alternative<Unavailable>(refusal) ||
         std::holds_alternative<Moved>(refusal);
}
[[nodiscard]] inline Duration asked_delay(const Refusal& refusal) {
  const auto* overloaded = std::get_if<Overloaded>(&refusal);
  return overloaded ? std::min<Duration>(std::chrono::milliseconds(overloaded->retry_after_ms), std::chrono::seconds(5))
                    : Duration::zero();
}
// Of a proof whose form has been checked: the request that it ends with.
[[nodiscard]] std::optional<SequenceNumber> last_number(const Network& network, const Proof& proof);

}  // namespace zef::client
