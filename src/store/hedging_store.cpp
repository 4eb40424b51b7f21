#include "store/hedging_store.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace zef::store {

// Two reads at most; who wins is told by the event, so that the waiting task resumes outside both.
struct HedgingStore::Race {
  Event answered;
  std::optional<StoreResult<std::optional<Object>>> outcome;
  std::size_t open = 0;
};

std::optional<Duration> HedgingStore::delay() const {
  if (noted_ < reads_min) return std::nullopt;
  std::vector<Duration> sorted(
      latencies_.begin(), latencies_.begin() + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(noted_, window)));
  const auto at = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() * 95 / 100);
  std::ranges::nth_element(sorted, at);
  return std::max<Duration>(*at, std::chrono::milliseconds(1));
}

void HedgingStore::note(Duration latency) { latencies_[noted_++ % window] = latency; }

Task<void> HedgingStore::run(Race& race, std::string key, std::optional<Range> range, bool second) {
  ++race.open;
  const MonotonicTime start = executor_.now();
  auto outcome = co_await inner_->get(std::move(key), range);
  --race.open;
  if (outcome) note(executor_.now() - start);
  // An error is the answer only if nobody else is still asked.
  if (!race.outcome && (outcome || race.open == 0)) {
    race.outcome = std::move(outcome);
    if (second) ++metrics_.second_was_first;
    race.answered.set();
  }
}

Task<StoreResult<std::optional<Object>>> HedgingStore::get(std::string key, std::optional<Range> range) {
  ++metrics_.reads;
  const auto hedge_after = delay();
  Race race{.answered = Event(executor_), .outcome = std::nullopt, .open = 0};
  TaskScope scope;
  scope.spawn(run(race, key, range, false));
  if (hedge_after && !co_await race.answered.wait_for(*hedge_after) &&
      metrics_.second_reads * one_in < metrics_.reads) {
    ++metrics_.second_reads;
    scope.spawn(run(race, std::move(key), range, true));
  }
  co_await race.answered.wait();
  co_return std::move(*race.outcome);
}

Task<StoreResult<PutIfAbsent>> HedgingStore::put_if_absent(std::string key, Content bytes) {
  return inner_->put_if_absent(std::move(key), std::move(bytes));
}
Task<StoreResult<PutIfMatch>> HedgingStore::put_if_match(std::string key, Content bytes, Tag tag) {
  return inner_->put_if_match(std::move(key), std::move(bytes), std::move(tag));
}
Task<StoreResult<std::monostate>> HedgingStore::del(std::string key) { return inner_->del(std::move(key)); }
Task<StoreResult<std::vector<std::string>>> HedgingStore::list(std::string prefix, std::string start_after,
                                                               std::size_t limit) {
  return inner_->list(std::move(prefix), std::move(start_after), limit);
}
Task<StoreResult<std::monostate>> HedgingStore::check_settings() { return inner_->check_settings(); }

}  // namespace zef::store
