#include "store/retrying_store.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "store/errors.h"

namespace zef::store {
namespace {

bool nothing_happened(const StoreError& error) {
  return error.kind == StoreErrorKind::throttled || error.kind == StoreErrorKind::unavailable;
}

bool worth_another_try(const StoreError& error) {
  return nothing_happened(error) || error.kind == StoreErrorKind::ambiguous;
}

// What a conditional write ends with when it cannot go on.
std::unexpected<StoreError> give_up(bool maybe_applied, StoreError error) {
  // An invalid key or content never was acceptable, so no earlier try can have happened either.
  if (maybe_applied && error.kind != StoreErrorKind::ambiguous && error.kind != StoreErrorKind::invalid)
    return store_fail(StoreErrorKind::ambiguous,
                      fmt::format("an earlier try may have happened or may still happen; now: {}", error.message));
  return std::unexpected(std::move(error));
}

}  // namespace

struct RetryingStore::Attempts {
  MonotonicTime start;
  std::uint32_t retries = 0;
};

RetryingStore::RetryingStore(StoreRef inner, Executor& executor, Rng& rng, RetryOptions options)
    : inner_(std::move(inner)),
      executor_(executor),
      rng_(rng),
      options_(options),
      budget_tenths_(std::uint64_t{options.budget_max} * 10) {
  for (const RetryPolicy* policy : {&options_.put, &options_.get, &options_.del, &options_.list})
    ZEF_CHECK(policy->delay_first > Duration::zero() && policy->delay_max >= policy->delay_first);
}

void RetryingStore::succeeded() {
  budget_tenths_ = std::min<std::uint64_t>(budget_tenths_ + 1, std::uint64_t{options_.budget_max} * 10);
}

Task<bool> RetryingStore::pause(const RetryPolicy& policy, Attempts& attempts) {
  Duration ceiling = policy.delay_first;
  for (std::uint32_t i = 0; i < attempts.retries && ceiling < policy.delay_max; ++i) ceiling *= 2;
  ceiling = std::min(ceiling, policy.delay_max);
  if (budget_tenths_ >= 10) {
    budget_tenths_ -= 10;
  } else {
    ceiling = policy.delay_max;
  }
  // Between half and all of it, so that many callers that failed together do not come back together.
  const auto half = static_cast<std::uint64_t>(ceiling.count()) / 2;
  const Duration delay(static_cast<Duration::rep>(half + rng_.below(half + 1)));
  if (policy.deadline && executor_.now() + delay > attempts.start + *policy.deadline) co_return false;
  ++attempts.retries;
  ++retries_;
  co_await sleep_for(executor_, delay);
  co_return true;
}

template <class T, class Start>
Task<StoreResult<T>> RetryingStore::repeat(const RetryPolicy& policy, Start start) {
  Attempts attempts{executor_.now()};
  for (;;) {
    StoreResult<T> outcome = co_await start();
    if (outcome) succeeded();
    if (outcome || !worth_another_try(outcome.error())) co_return outcome;
    if (!co_await pause(policy, attempts)) co_return outcome;
  }
}

Task<StoreResult<std::optional<Object>>> RetryingStore::get(std::string key, std::optional<Range> range) {
  return repeat<std::optional<Object>>(options_.get,
                                       [this, key = std::move(key), range] { return inner_->get(key, range); });
}

Task<StoreResult<std::monostate>> RetryingStore::del(std::string key) {
  return repeat<std::monostate>(options_.del, [this, key = std::move(key)] { return inner_->del(key); });
}

Task<StoreResult<std::vector<std::string>>> RetryingStore::list(std::string prefix, std::string start_after,
                                                                std::size_t limit) {
  return repeat<std::vector<std::string>>(
      options_.list, [this, prefix = std::move(prefix), start_after = std::move(start_after), limit] {
        return inner_->list(prefix, start_after, limit);
      });
}

// A read inside a write: it shares the write's count of tries and its deadline.
Task<StoreResult<std::optional<Object>>> RetryingStore::get_within(std::string key, std::optional<Range> range,
                                                                   const RetryPolicy& policy, Attempts& attempts) {
  for (;;) {
    auto outcome = co_await inner_->get(key, range);
    if (outcome || !worth_another_try(outcome.error())) co_return outcome;
    if (!co_await pause(policy, attempts)) co_return outcome;
  }
}

Task<StoreResult<PutIfAbsent>> RetryingStore::put_if_absent(std::string key, Content bytes) {
  Attempts attempts{executor_.now()};
  bool maybe_applied = false;
  for (;;) {
    auto outcome = co_await inner_->put_if_absent(key, bytes);
    StoreError trouble{StoreErrorKind::ambiguous, "the object was there and is not: written and deleted, or not yet"};
    if (outcome) {
      succeeded();
      if (!maybe_applied || std::holds_alternative<Created>(*outcome)) co_return outcome;
      auto found = co_await get_within(key, std::nullopt, options_.put, attempts);
      if (!found) co_return give_up(true, std::move(found.error()));
      if (*found) {
        if ((*found)->bytes == *bytes) co_return Created{std::move((*found)->tag)};
        co_return Exists{};
      }
    } else {
      trouble = std::move(outcome.error());
      if (!worth_another_try(trouble)) co_return give_up(maybe_applied, std::move(trouble));
      if (!nothing_happened(trouble)) maybe_applied = true;
    }
    if (!co_await pause(options_.put, attempts)) co_return give_up(maybe_applied, std::move(trouble));
  }
}

Task<StoreResult<PutIfMatch>> RetryingStore::put_if_match(std::string key, Content bytes, Tag tag) {
  Attempts attempts{executor_.now()};
  bool maybe_applied = false;
  for (;;) {
    auto outcome = co_await inner_->put_if_match(key, bytes, tag);
    StoreError trouble{StoreErrorKind::ambiguous, "the old version is still there after an unclear answer"};
    if (outcome) {
      succeeded();
      if (!maybe_applied || std::holds_alternative<Updated>(*outcome)) co_return outcome;
    } else {
      trouble = std::move(outcome.error());
      if (!worth_another_try(trouble)) co_return give_up(maybe_applied, std::move(trouble));
      if (!nothing_happened(trouble)) maybe_applied = true;
    }
    if (maybe_applied) {
      auto found = co_await get_within(key, std::nullopt, options_.put, attempts);
      if (!found) co_return give_up(true, std::move(found.error()));
      if (*found && (*found)->bytes == *bytes) co_return Updated{std::move((*found)->tag)};
      if (!*found || (*found)->tag != tag) co_return Mismatch{};
    }
    if (!co_await pause(options_.put, attempts)) co_return give_up(maybe_applied, std::move(trouble));
  }
}

Task<StoreResult<std::monostate>> RetryingStore::check_settings() {
  return repeat<std::monostate>(options_.get, [this] { return inner_->check_settings(); });
}

}  // namespace zef::store
