#include "store/conformance_probe.h"

#include <fmt/core.h>

#include <array>
#include <vector>

#include "store/errors.h"

namespace zef::store {
namespace {

constexpr std::size_t creators = 32;

std::unexpected<Error> broken(std::string_view what) {
  return fail(ErrorKind::refused,
              fmt::format("the store ignores conditional writes; votes would not be safe on it ({}). Use a store with "
                          "put-if-absent and put-if-match, or turn on its support for them",
                          what));
}

std::unexpected<Error> not_asked(StoreError error) {
  error.message = fmt::format("could not check the store: {}", error.message);
  return std::unexpected(to_error(std::move(error)));
}

template <class T>
Task<void> keep(Task<StoreResult<T>> call, StoreResult<T>& out, std::size_t& open, Event& all_done) {
  out = co_await std::move(call);
  if (--open == 0) all_done.set();
}

// Starts all calls before any of them is waited for.
template <class T>
Task<std::vector<StoreResult<T>>> race(Executor& executor, std::vector<Task<StoreResult<T>>> calls) {
  std::vector<StoreResult<T>> outcomes(calls.size());
  std::size_t open = calls.size();
  Event all_done(executor);
  TaskScope scope;
  for (std::size_t i = 0; i < calls.size(); ++i) scope.spawn(keep(std::move(calls[i]), outcomes[i], open, all_done));
  co_await all_done.wait();
  co_return outcomes;
}

class Probe {
 public:
  Probe(ObjectStore& store, Executor& executor, Rng& rng, const std::string& prefix)
      : store_(store), executor_(executor), rng_(rng), key_(prefix + "probe-" + random_hex()) {}

  Task<Result<void>> run() {
    if (const auto good = co_await store_.check_settings(); !good) co_return not_asked(good.error());
    auto outcome = co_await check();
    const auto deleted = co_await store_.del(key_);
    if (!outcome) co_return outcome;
    if (!deleted) co_return not_asked(deleted.error());
    const auto left = co_await store_.get(key_);
    if (!left) co_return not_asked(left.error());
    if (*left) co_return broken("an object that was deleted can still be read");
    co_return outcome;
  }

 private:
  std::string random_hex() {
    std::array<std::uint8_t, 16> raw{};
    rng_.fill(raw);
    return to_hex(raw);
  }
  // Different every time, as everything that is compared and set must be.
  Content value(std::string_view what) { return content(to_bytes(fmt::format("{} {}", what, random_hex()))); }

  Task<Result<void>> check() {
    if (auto absent = co_await refuses_match_on_nothing(); !absent) co_return absent;
    auto first = co_await one_creation_wins();
    if (!first) co_return std::unexpected(std::move(first.error()));
    co_return co_await one_replacement_wins(std::move(*first));
  }

  Task<Result<void>> refuses_match_on_nothing() {
    const auto outcome = co_await store_.put_if_match(key_, value("nothing"), Tag{"no-such-version"});
    if (!outcome) co_return not_asked(outcome.error());
    if (std::holds_alternative<Updated>(*outcome)) co_return broken("put-if-match created an object");
    co_return Result<void>{};
  }

  Task<Result<Tag>> one_creation_wins() {
    std::vector<Content> values;
    std::vector<Task<StoreResult<PutIfAbsent>>> calls;
    for (std::size_t i = 0; i < creators; ++i) {
      values.push_back(value("created"));
      calls.push_back(store_.put_if_absent(key_, values[i]));
    }
    const auto outcomes = co_await race(executor_, std::move(calls));
    std::size_t winners = 0;
    std::size_t winner = 0;
    for (std::size_t i = 0; i < creators; ++i) {
      if (!outcomes[i]) co_return not_asked(outcomes[i].error());
      if (!std::holds_alternative<Created>(*outcomes[i])) continue;
      ++winners;
      winner = i;
    }
    if (winners != 1) co_return broken(fmt::format("{} of {} racing creations of one key won", winners, creators));
    auto read = co_await store_.get(key_);
    if (!read) co_return not_asked(read.error());
    if (!*read || (*read)->bytes != *values[winner]) co_return broken("a read after a write gives something else");
    if ((*read)->tag != std::get<Created>(*outcomes[winner]).tag) co_return broken("a read gives another tag");
    co_return std::move((*read)->tag);
  }

  Task<Result<void>> one_replacement_wins(Tag first) {
    const std::array<Content, 2> values{value("replaced"), value("replaced")};
    std::vector<Task<StoreResult<PutIfMatch>>> calls;
    for (const Content& bytes : values) calls.push_back(store_.put_if_match(key_, bytes, first));
    const auto outcomes = co_await race(executor_, std::move(calls));
    std::size_t winners = 0;
    std::size_t winner = 0;
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      if (!outcomes[i]) co_return not_asked(outcomes[i].error());
      if (!std::holds_alternative<Updated>(*outcomes[i])) continue;
      ++winners;
      winner = i;
    }
    if (winners != 1) co_return broken(fmt::format("{} of 2 racing put-if-match won", winners));
    const auto stale = co_await store_.put_if_match(key_, value("stale"), first);
    if (!stale) co_return not_asked(stale.error());
    if (std::holds_alternative<Updated>(*stale)) co_return broken("put-if-match took a stale tag");
    const auto read = co_await store_.get(key_);
    if (!read) co_return not_asked(read.error());
    if (!*read || (*read)->bytes != *values[winner]) co_return broken("a read after a write gives something else");
    const auto again = co_await store_.put_if_absent(key_, value("again"));
    if (!again) co_return not_asked(again.error());
    if (std::holds_alternative<Created>(*again)) co_return broken("put-if-absent replaced an object");
    co_return Result<void>{};
  }

  ObjectStore& store_;
  Executor& executor_;
  Rng& rng_;
  const std::string key_;
};

}  // namespace

Task<Result<void>> probe(ObjectStore& store, Executor& executor, Rng& rng, std::string prefix) {
  Probe flow(store, executor, rng, prefix);
  co_return co_await flow.run();
}

}  // namespace zef::store
