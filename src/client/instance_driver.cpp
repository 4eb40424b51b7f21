#include "client/instance_driver.h"

#include <fmt/core.h>

#include <array>

#include "client/instance_impl.h"
#include "crypto/batch_signer.h"

namespace zef::client {
namespace {

constexpr std::size_t starts_max = 64;

// The same proof without the requests before that number: they are of no use to an instance.
Proof from_number(Proof proof, SequenceNumber first) {
  const auto keep =
      std::ranges::find_if(proof.earlier, [&](const Request& request) { return request.sequence_number >= first; });
  proof.earlier.erase(proof.earlier.begin(), keep);
  return proof;
}

}  // namespace

// ---- views
// -----------------------------------------------------------------------------------------------------------

bool InstanceView::all_locked() const {
  return std::ranges::all_of(locks, [](const auto& lock) { return lock.has_value(); });
}

std::optional<Decision> InstanceView::decision() const {
  if (!decided) return std::nullopt;
  return commit_of(*decided).proposal.decision;
}

std::optional<std::size_t> InstanceView::place_of(const Uid& account) const {
  for (std::size_t place = 0; place < terms.accounts.size(); ++place)
    if (terms.accounts[place].account == account) return place;
  return std::nullopt;
}

Round InstanceView::round(const Network& network) const {
  // More than f weight: an honest validator is there.
  std::vector<std::pair<Round, Weight>> rounds;
  for (const auto& [index, position] : positions)
    rounds.emplace_back(position.round, network.committee.find(index)->weight);
  std::ranges::sort(rounds, std::greater<>{});
  Weight sum = 0;
  for (const auto& [round, weight] : rounds)
    if ((sum += weight) > network.committee.faulty_max()) return round;
  return Round(0);
}

std::optional<Proof> decided_proof(const InstanceView& view, std::size_t place) {
  if (!view.decided) return std::nullopt;
  Proof proof{view.terms.accounts.at(place).account, {}, *view.decided, std::nullopt};
  if (std::holds_alternative<Confirmed>(*view.decision())) return proof;
  if (!view.locks[place]) return std::nullopt;
  proof.lock = view.locks[place];
  return proof;
}

std::size_t received_place(const StartInstance& terms, std::size_t place) {
  return (place + terms.accounts.size() - 1) % terms.accounts.size();
}

// ---- questions to all
// ------------------------------------------------------------------------------------------------

InstanceDriver::Impl::Impl(QuorumDriver& quorum_in)
    : quorum(quorum_in),
      executor(quorum_in.executor()),
      network(quorum_in.network()),
      caches{crypto::RootCache(quorum_in.options().root_cache_entries), crypto::RootCache(4)} {}

InstanceView InstanceDriver::Impl::empty_view(const Uid& instance, const Proof& start) const {
  InstanceView view{.instance = instance,
                    .start = start,
                    .terms = started_by(*find_start(start, instance)),
                    .locks = {},
                    .precommit = std::nullopt,
                    .decided = std::nullopt,
                    .positions = {}};
  view.locks.resize(view.terms.accounts.size());
  return view;
}

template <class T>
BatchSignature InstanceDriver::Impl::sign(const crypto::SigningKey& key, const T& value) const {
  const std::array<Hash, 1> leaves{signing_leaf(network.id, value)};
  return crypto::sign_batch(key, leaves, batch_root_prefix(network.id)).front();
}
template BatchSignature InstanceDriver::Impl::sign(const crypto::SigningKey&, const Proposal&) const;
template BatchSignature InstanceDriver::Impl::sign(const crypto::SigningKey&, const AskedTimeout&) const;

std::shared_ptr<Asking> InstanceDriver::Impl::ask_all(QueryInstance question, MonotonicTime deadline) {
  auto asking = std::make_shared<Asking>(executor);
  asking->query = std::make_shared<const Bytes>(codec::encode(Query(std::move(question))));
  asking->deadline = deadline;
  spawn_all(asking);
  return asking;
}

void InstanceDriver::Impl::spawn_all(const std::shared_ptr<Asking>& asking) {
  asking->running = quorum.size();
  for (std::size_t i = 0; i < quorum.size(); ++i) scope.spawn(ask_one(asking, quorum.validator(i)));
}

// Asks until the validator says something, or nobody wants to know any more.
Task<void> InstanceDriver::Impl::ask_one(std::shared_ptr<Asking> asking, ValidatorConnection& validator) {
  Backoff delays(quorum.options().retry_delay_min, quorum.options().retry_delay_max);
  auto query = asking->query;
  while (!asking->closed) {
    auto answer =
        co_await validator.ask_encoded(query, std::min(until(asking->deadline), quorum.options().answer_time_max));
    const auto* refused = answer ? std::get_if<Refused>(&*answer) : nullptr;
    if (refused && std::holds_alternative<NotFound>(refused->why) && asking->with_start &&
        query != asking->with_start) {
      query = asking->with_start;
      continue;
    }
    Duration delay = delays.take(quorum.rng());
    if (!answer) {
      asking->last_complaint = answer.error().message;
    } else if (refused && is_transient(refused->why)) {
      asking->last_complaint = describe(refused->why);
      delay = std::max(delay, asked_delay(refused->why));
    } else {
      take_answer(*asking, validator, std::move(*answer));
      break;
    }
    if (asking->closed || past(asking->deadline)) break;
    co_await sleep_for(executor, std::min(delay, until(asking->deadline)));
    if (past(asking->deadline)) break;
  }
  --asking->running;
  asking->changed.set();
}

void InstanceDriver::Impl::take_answer(Asking& asking, ValidatorConnection& validator, Answer answer) {
  if (auto* voted = std::get_if<Voted>(&answer)) {
    const bool fits = asking.wanted && voted->vote.validator == validator.index() &&
                      voted->vote.value == *asking.wanted && validator.check_vote(voted->vote);
    if (!fits) {
      asking.last_complaint = validator.info().name + " gave no valid vote for what was asked";
      return;
    }
    asking.answered += validator.weight();
    asking.vote_weight += validator.weight();
    asking.votes.emplace(validator.index(), std::move(voted->vote.signature));
    return;
  }
  if (auto* state = std::get_if<InstanceState>(&answer)) {
    asking.answered += validator.weight();
    asking.states.emplace_back(validator.index(), std::move(*state));
    return;
  }
  auto* refused = std::get_if<Refused>(&answer);
  if (!refused) {
    asking.last_complaint = validator.info().name + " answered another question";
    return;
  }
  asking.answered += validator.weight();
  asking.last_complaint = describe(refused->why);
  if (std::holds_alternative<NotFound>(refused->why)) asking.ignorant.push_back(validator.index());
  if (auto* why = std::get_if<InstanceRefused>(&refused->why)) {
    asking.retry_after = std::max<Duration>(asking.retry_after, std::chrono::milliseconds(why->retry_after_ms));
    asking.states.emplace_back(validator.index(), std::move(why->state));
  }
}

Task<void> InstanceDriver::Impl::gather(std::shared_ptr<Asking> asking, Duration grace) {
  std::optional<MonotonicTime> give_up;
  while (asking->running > 0 && !past(asking->deadline)) {
    if (asking->wanted && asking->vote_weight >= quorum_weight()) break;
    if (!give_up && asking->answered >= quorum_weight()) give_up = executor.now() + grace;
    if (give_up && past(*give_up)) break;
    asking->changed.reset();
    co_await asking->changed.wait_for(until(give_up ? std::min(*give_up, asking->deadline) : asking->deadline));
  }
}

Certificate InstanceDriver::Impl::certificate_of(const Asking& asking) const {
  ZEF_CHECK(asking.wanted && asking.vote_weight >= quorum_weight());
  Certificate certificate{*asking.wanted, {}};
  for (const auto& [index, signature] : asking.votes) certificate.votes.emplace_back(index, signature);
  return certificate;
}

// ---- what answers prove
// ----------------------------------------------------------------------------------------------

void InstanceDriver::Impl::absorb_locks(InstanceView& view, const std::vector<Certificate>& locks) {
  for (const Certificate& certificate : locks) {
    const auto* lock = std::get_if<Lock>(&certificate.value.kind);
    const auto place = lock ? place_of_lock(view.terms, lock->request) : std::nullopt;
    if (place && !view.locks[*place] && verify_certificate(network, caches, certificate))
      view.locks[*place] = certificate;
  }
}

void InstanceDriver::Impl::absorb(InstanceView& view, ValidatorIndex index, const InstanceState& state) {
  const Request* start = find_start(view.start, view.instance);
  if (state.start != *start) return;  // it speaks of something else: nothing in it counts
  view.positions[index] = {state.round, state.voted};
  if (state.locks.size() <= view.locks.size()) absorb_locks(view, state.locks);  // else it lies, to make us work
  if (state.lock) {
    const auto* value = std::get_if<PreCommit>(&state.lock->value.kind);
    const bool newer = value && value->proposal.instance == view.instance &&
                       (!view.precommit || precommit_of(*view.precommit).proposal.round < value->proposal.round);
    if (newer && verify_certificate(network, caches, *state.lock)) view.precommit = state.lock;
  }
  if (state.decided && !view.decided) {
    const auto* value = std::get_if<Commit>(&state.decided->value.kind);
    if (value && value->proposal.instance == view.instance && verify_certificate(network, caches, *state.decided))
      view.decided = state.decided;
  }
}

void InstanceDriver::Impl::absorb(InstanceView& view, const Asking& asking) {
  for (const ValidatorIndex index : asking.ignorant) view.positions[index] = {};
  for (const auto& [index, state] : asking.states) absorb(view, index, state);
}

// ---- what callers run
// ------------------------------------------------------------------------------------------------

Task<Outcome<Proof>> InstanceDriver::Impl::start_proof(Uid instance) {
  if (const auto known = starts.find(instance); known != starts.end()) co_return known->second;
  const auto creator = instance.parent();
  const std::uint64_t number = instance.parts().back();
  if (!creator || number > sequence_number_last.value())
    co_return failed(FailureKind::not_found, fmt::format("{} is no instance: it has no creator", instance.text()));
  auto proof = co_await quorum.fetch_proof(*creator, SequenceNumber(number));
  if (!proof)
    co_return failed(proof.error().kind,
                     fmt::format("there is no instance {} (yet), or nobody who knows of it answers: check the number, "
                                 "or try again",
                                 instance.text()));
  Proof start = from_number(std::move(*proof), SequenceNumber(number));
  const Request* request = find_start(start, instance);
  if (!request || !check_start(network, *request))
    co_return failed(FailureKind::not_found, fmt::format("{} is no instance: operation {} of account {} started none",
                                                         instance.text(), number, creator->text()));
  if (starts.size() >= starts_max) starts.clear();
  starts.emplace(std::move(instance), start);
  co_return start;
}

Task<Outcome<InstanceView>> InstanceDriver::Impl::query(Uid instance) {
  auto start = co_await start_proof(instance);
  if (!start) co_return std::unexpected(std::move(start.error()));
  InstanceView view = empty_view(instance, *start);
  auto asking = ask_all(QueryInstance{instance}, executor.now() + quorum.options().query_time_max);
  co_await gather(asking, quorum.options().straggler_time);
  asking->closed = true;
  if (asking->answered < quorum_weight())
    co_return failed(FailureKind::unavailable,
                     fmt::format("too few validators answered about instance {}; try again{}", instance.text(),
                                 asking->last_complaint.empty() ? "" : " (last: " + asking->last_complaint + ")"));
  absorb(view, *asking);
  co_return view;
}

Task<Outcome<void>> InstanceDriver::Impl::show_locks(Uid instance, std::vector<Certificate> locks) {
  auto start = co_await start_proof(instance);
  if (!start) co_return std::unexpected(std::move(start.error()));
  ShowLocks message{.instance = instance, .locks = {}, .start = std::nullopt};
  for (Certificate& lock : locks) message.locks.push_back(std::move(lock));
  auto asking = ask_all(std::move(message), *start, std::nullopt, executor.now() + quorum.options().operation_time_max);
  co_await gather(asking, Duration::zero());  // the others go on
  if (asking->answered < quorum_weight())
    co_return failed(FailureKind::unavailable, fmt::format("no quorum of validators has seen the lock; try again "
                                                           "(last: {})",
                                                           asking->last_complaint));
  co_return Outcome<void>{};
}

namespace {

struct Courtesy {
  explicit Courtesy(Executor& executor) : done(executor) {}
  std::size_t running = 0;
  std::size_t executed = 0;
  Event done;
};

Task<void> execute_one(QuorumDriver& quorum, Proof proof, std::shared_ptr<Courtesy> courtesy) {
  if (co_await quorum.execute(std::move(proof))) ++courtesy->executed;
  if (--courtesy->running == 0) courtesy->done.set();
}

}  // namespace

Task<std::size_t> InstanceDriver::Impl::execute_all(InstanceView decided, Duration time) {
  auto courtesy = std::make_shared<Courtesy>(executor);
  std::vector<Proof> proofs;
  for (std::size_t place = 0; place < decided.terms.accounts.size(); ++place)
    if (auto proof = decided_proof(decided, place)) proofs.push_back(std::move(*proof));
  courtesy->running = proofs.size();
  if (proofs.empty()) co_return 0;
  for (Proof& proof : proofs) scope.spawn(execute_one(quorum, std::move(proof), courtesy));
  co_await courtesy->done.wait_for(time);
  co_return courtesy->executed;
}

InstanceDriver::InstanceDriver(QuorumDriver& quorum) : impl_(std::make_unique<Impl>(quorum)) {}
InstanceDriver::~InstanceDriver() = default;

Task<Outcome<Proof>> InstanceDriver::start_proof(Uid instance) { return impl_->start_proof(std::move(instance)); }
Task<Outcome<InstanceView>> InstanceDriver::query(Uid instance) { return impl_->query(std::move(instance)); }
Task<Outcome<Certificate>> InstanceDriver::lock(RequestOrder order) {
  ZEF_CHECK(std::holds_alternative<LockInto>(order.request.operation) && order.proof);
  return impl_->quorum.submit(std::move(order));
}
Task<Outcome<void>> InstanceDriver::show_locks(Uid instance, std::vector<Certificate> locks) {
  return impl_->show_locks(std::move(instance), std::move(locks));
}
Task<Outcome<InstanceView>> InstanceDriver::drive(Uid instance, std::vector<Delegate> delegates,
                                                  std::vector<Certificate> locks, Wish wish, Duration time) {
  return impl_->drive(std::move(instance), std::move(delegates), std::move(locks), wish, time);
}
Task<std::size_t> InstanceDriver::execute_all(InstanceView decided, Duration time) {
  return impl_->execute_all(std::move(decided), time);
}

}  // namespace zef::client
