// Validators that lag: proofs of the account, of its parents up to one that the validator knows, and of the senders
// whose credits it lacks (docs/protocol.md, section 7). Everything uploaded was verified here first.
#include <fmt/core.h>

#include <set>

#include "client/hunts.h"
#include "client/quorum_impl.h"

namespace zef::client {

// Asks until the validator has said something about this proof: done (executed, or it was already), impossible (it
// refuses it: something before it is missing, or worse), unreached (no answer until the deadline).
Task<Brought> QuorumDriver::Impl::upload(ValidatorConnection& validator, std::shared_ptr<const Proof> proof,
                                         MonotonicTime deadline) {
  constexpr int attempts_max = 3;
  auto query = std::make_shared<const Bytes>(codec::encode(Query(SubmitProof{*proof})));
  const auto last = last_number(network, *proof);
  Backoff delays = backoff();
  for (int attempt = 0; attempt < attempts_max && !past(deadline); ++attempt) {
    const auto state = co_await validator.execute(query, proof->account, question_time(deadline));
    if (state) {
      if (!last || state->next <= *last) co_return Brought::impossible;
      ++counters.proofs_uploaded;
      co_return Brought::done;
    }
    Duration delay = delays.take(rng);
    if (const auto* refusal = std::get_if<Refusal>(&state.error())) {
      if (!is_transient(*refusal)) co_return Brought::impossible;
      delay = std::max(delay, asked_delay(*refusal));
    }
    co_await sleep_for(executor, std::min(delay, until(deadline)));
  }
  co_return Brought::unreached;
}

Task<Brought> QuorumDriver::Impl::bring_account(ValidatorConnection& validator, Uid account, SequenceNumber up_to,
                                                MonotonicTime deadline) {
  Brought result = Brought::already;
  // Until the account exists there: its parent executes the creating request (C2), then the effect travels.
  const MonotonicTime effect_deadline = std::min(deadline, executor.now() + options.effect_time_max);
  Backoff delays = backoff();
  std::optional<AccountState> state;
  bool created = false;
  while (true) {
    Nonce nonce;
    rng.fill(nonce.bytes);
    auto asked = co_await validator.account(account, nonce, question_time(deadline));
    if (asked && (asked->owner || asked->closed)) {
      state = std::move(*asked);
      break;
    }
    const auto* refusal = asked ? nullptr : std::get_if<Refusal>(&asked.error());
    const bool missing =
        asked ||
        (refusal && (std::holds_alternative<NotFound>(*refusal) || std::holds_alternative<InactiveAccount>(*refusal)));
    if (!missing && refusal && !is_transient(*refusal)) co_return Brought::impossible;
    if (missing && !created) {
      const auto parent = account.parent();
      if (!parent || account.parts().back() > SequenceNumber::max - 1) co_return Brought::impossible;
      const Brought brought =
          co_await bring_account(validator, *parent, SequenceNumber(account.parts().back() + 1), deadline);
      if (brought == Brought::impossible || brought == Brought::unreached) co_return brought;
      created = true;
      result = Brought::done;
      continue;
    }
    if (past(effect_deadline)) co_return Brought::unreached;
    co_await sleep_for(executor, std::min(delays.take(rng), until(effect_deadline)));
  }
  // Its own chain, page by page.
  SequenceNumber next = state->next;
  while (next < up_to) {
    if (past(deadline)) co_return Brought::unreached;
    const auto page = co_await fetch_page(account, next, up_to, options.page_limit, &validator);
    if (page.empty()) co_return Brought::impossible;
    for (const Proof& proof : page) {
      const Brought uploaded = co_await upload(validator, std::make_shared<const Proof>(proof), deadline);
      if (uploaded != Brought::done) co_return uploaded;
      next = SequenceNumber(last_number(network, proof)->value() + 1);
    }
    result = Brought::done;
  }
  co_return result;
}

// The newest credits of an account as one validator lists them; empty if it does not answer.
Task<std::vector<ReceivedCredit>> QuorumDriver::Impl::list_credits(ValidatorConnection& validator, Uid account,
                                                                   MonotonicTime deadline) {
  std::vector<ReceivedCredit> credits;
  const MonotonicTime give_up = std::min(deadline, executor.now() + options.query_time_max);
  auto page = co_await validator.received(account, 0, options.page_limit, until(give_up));
  if (!page) co_return credits;
  std::uint64_t from = 0;
  if (page->total > options.catch_up_credits_max) {
    from = page->total - options.catch_up_credits_max;
    page = co_await validator.received(account, from, options.page_limit, until(give_up));
  }
  while (page && !page->credits.empty()) {
    credits.insert(credits.end(), page->credits.begin(), page->credits.end());
    from = page->next;
    if (from >= page->total || credits.size() >= options.catch_up_credits_max || past(give_up)) break;
    page = co_await validator.received(account, from, options.page_limit, until(give_up));
  }
  co_return credits;
}

namespace {

// Lists of several validators, side by side.
struct CreditHunt {
  explicit CreditHunt(Executor& executor) : done(executor) {}
  std::vector<std::vector<ReceivedCredit>> lists;
  std::size_t running = 0;
  Event done;
};

Task<void> list_into(Task<std::vector<ReceivedCredit>> listing, std::shared_ptr<CreditHunt> hunt, std::size_t place) {
  hunt->lists[place] = co_await std::move(listing);
  if (--hunt->running == 0) hunt->done.set();
}

}  // namespace

Task<Brought> QuorumDriver::Impl::bring_credits(ValidatorConnection& validator, Uid account, MonotonicTime deadline) {
  auto hunt = std::make_shared<CreditHunt>(executor);
  hunt->lists.resize(validators.size());
  hunt->running = validators.size();
  for (std::size_t i = 0; i < validators.size(); ++i)
    scope.spawn(list_into(list_credits(*validators[i], account, deadline), hunt, i));
  co_await hunt->done.wait_for(std::min(until(deadline), options.query_time_max));

  using Key = std::pair<Uid, SequenceNumber>;
  std::set<Key> known;
  for (const ReceivedCredit& credit : hunt->lists[validator.index().value()])
    known.emplace(credit.sender, credit.sequence_number);
  // One upload per sender goes as far as its newest missing credit. What others list is a hint only: the proofs count.
  std::map<Uid, std::set<SequenceNumber>> missing;
  for (const auto& list : hunt->lists)
    for (const ReceivedCredit& credit : list)
      if (!known.contains(Key(credit.sender, credit.sequence_number)))
        missing[credit.sender].insert(credit.sequence_number);
  Brought result = Brought::already;
  for (const auto& [sender, numbers] : missing) {
    for (const SequenceNumber number : numbers) {  // ascending: an invented number at the end spoils nothing before it
      if (number.value() >= SequenceNumber::max) break;
      const Brought brought = co_await bring_account(validator, sender, SequenceNumber(number.value() + 1), deadline);
      if (brought == Brought::unreached) co_return Brought::unreached;
      if (brought == Brought::impossible) break;
      result = Brought::done;  // or the effect is under way: either way the funds will come
    }
  }
  co_return result;
}

Task<void> QuorumDriver::Impl::bring_one(std::shared_ptr<StateHunt> hunt, ValidatorConnection& validator,
                                         SequenceNumber up_to) {
  const MonotonicTime deadline = executor.now() + options.operation_time_max;
  const Brought brought = co_await bring_account(validator, hunt->account, up_to, deadline);
  if (brought == Brought::done || brought == Brought::already) ++hunt->reached;
  if (--hunt->running == 0) hunt->done.set();
}

Task<Outcome<std::size_t>> QuorumDriver::Impl::bring_up_to_date(Uid account) {
  const auto states = co_await ask_states(account);
  std::set<SequenceNumber, std::greater<>> candidates;
  for (const auto& [index, state] : states->states) candidates.insert(state.next);
  if (candidates.empty())
    co_return failed(FailureKind::unavailable, fmt::format("no validator knows account {} now", account.text()));
  // The farthest that somebody can prove: whoever claims more without proofs is ignored.
  SequenceNumber up_to{0};
  for (const SequenceNumber candidate : candidates) {
    if (candidate.value() == 0) break;
    const SequenceNumber last(candidate.value() - 1);
    if (!(co_await fetch_page(account, last, candidate, 1, nullptr)).empty()) {
      up_to = candidate;
      break;
    }
  }
  auto hunt = std::make_shared<StateHunt>(executor);
  hunt->account = account;
  hunt->running = validators.size();
  for (auto& validator : validators) scope.spawn(bring_one(hunt, *validator, up_to));
  co_await hunt->done.wait_for(options.operation_time_max);
  co_return hunt->reached;
}

}  // namespace zef::client
