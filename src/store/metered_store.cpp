#include "store/metered_store.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace zef::store {

void LatencySummary::add(Duration latency) {
  latency = std::max(latency, Duration::zero());
  ++count_;
  total_ += latency;
  max_ = std::max(max_, latency);
  const auto us = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(latency).count());
  ++buckets_[std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(us)), bucket_count - 1)];
}

Duration LatencySummary::quantile(double q) const {
  if (count_ == 0) return {};
  const auto rank = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(count_))));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i + 1 < bucket_count; ++i) {
    seen += buckets_[i];
    if (seen >= rank) return std::min<Duration>(max_, std::chrono::microseconds(std::uint64_t{1} << i));
  }
  return max_;
}

template <class T>
Task<StoreResult<T>> MeteredStore::measure(RequestMetrics& metrics, Task<StoreResult<T>> call) {
  ++metrics.requests;
  const MonotonicTime start = clock_.now();
  auto outcome = co_await std::move(call);
  metrics.latency.add(clock_.now() - start);
  if (!outcome) {
    ++metrics.failures;
    if (outcome.error().kind == StoreErrorKind::throttled) ++metrics.throttled;
    if (outcome.error().kind == StoreErrorKind::ambiguous) ++metrics.ambiguous;
  }
  co_return outcome;
}

Task<StoreResult<PutIfAbsent>> MeteredStore::put_if_absent(std::string key, Content bytes) {
  metrics_.bytes_written += bytes->size();
  auto outcome = co_await measure(metrics_.put, inner_->put_if_absent(std::move(key), std::move(bytes)));
  if (outcome && std::holds_alternative<Exists>(*outcome)) ++metrics_.put.refused;
  co_return outcome;
}

Task<StoreResult<PutIfMatch>> MeteredStore::put_if_match(std::string key, Content bytes, Tag tag) {
  metrics_.bytes_written += bytes->size();
  auto outcome = co_await measure(metrics_.put, inner_->put_if_match(std::move(key), std::move(bytes), std::move(tag)));
  if (outcome && std::holds_alternative<Mismatch>(*outcome)) ++metrics_.put.refused;
  co_return outcome;
}

Task<StoreResult<std::optional<Object>>> MeteredStore::get(std::string key, std::optional<Range> range) {
  auto outcome = co_await measure(metrics_.get, inner_->get(std::move(key), range));
  if (outcome && *outcome) metrics_.bytes_read += (*outcome)->bytes.size();
  co_return outcome;
}

Task<StoreResult<std::monostate>> MeteredStore::del(std::string key) {
  return measure(metrics_.del, inner_->del(std::move(key)));
}

Task<StoreResult<std::vector<std::string>>> MeteredStore::list(std::string prefix, std::string start_after,
                                                               std::size_t limit) {
  return measure(metrics_.list, inner_->list(std::move(prefix), std::move(start_after), limit));
}

Task<StoreResult<std::monostate>> MeteredStore::check_settings() { return inner_->check_settings(); }

}  // namespace zef::store
