// Counts what a store is asked, for the price sheet and the dashboards: requests by class with failures included (a
// provider bills them too), bytes both ways, latencies. Wrap it directly around the provider, below the retries.
//
// Thread rule: that of the store inside. Tasks must end, or be dropped, before the wrapper.
#pragma once

#include <array>
#include <cstdint>

#include "base/executor.h"
#include "store/object_store.h"
#include "store/store_ref.h"

namespace zef::store {

// Count, sum, maximum, and a histogram in powers of two of a microsecond: bucket i counts what took less than 2^i us
// (and at least half of that); the last one takes the rest.
class LatencySummary {
 public:
  static constexpr std::size_t bucket_count = 32;
  void add(Duration latency);
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] Duration total() const { return total_; }
  [[nodiscard]] Duration max() const { return max_; }
  [[nodiscard]] const std::array<std::uint64_t, bucket_count>& buckets() const { return buckets_; }
  // An upper bound of the quantile (0 < q <= 1), at most twice the true value; zero if nothing was counted.
  [[nodiscard]] Duration quantile(double q) const;

 private:
  std::uint64_t count_ = 0;
  Duration total_{};
  Duration max_{};
  std::array<std::uint64_t, bucket_count> buckets_{};
};

struct RequestMetrics {
  std::uint64_t requests = 0;   // sent, whatever came of them
  std::uint64_t failures = 0;   // ended with a StoreError
  std::uint64_t throttled = 0;  // of the failures
  std::uint64_t ambiguous = 0;  // of the failures
  std::uint64_t refused = 0;    // conditional writes answered Exists or Mismatch
  LatencySummary latency;       // of all requests that ended
};

struct StoreMetrics {
  RequestMetrics put;  // put_if_absent and put_if_match
  RequestMetrics get;
  RequestMetrics del;
  RequestMetrics list;
  std::uint64_t bytes_written = 0;  // bodies sent, also of puts that failed or were refused
  std::uint64_t bytes_read = 0;     // bodies received
};

class MeteredStore final : public ObjectStore {
 public:
  MeteredStore(StoreRef inner, const Clock& clock) : inner_(std::move(inner)), clock_(clock) {}

  Task<StoreResult<PutIfAbsent>> put_if_absent(std::string key, Content bytes) override;
  Task<StoreResult<PutIfMatch>> put_if_match(std::string key, Content bytes, Tag tag) override;
  Task<StoreResult<std::optional<Object>>> get(std::string key, std::optional<Range> range = std::nullopt) override;
  Task<StoreResult<std::monostate>> del(std::string key) override;
  Task<StoreResult<std::vector<std::string>>> list(std::string prefix, std::string start_after,
                                                   std::size_t limit) override;
  Task<StoreResult<std::monostate>> check_settings() override;

  [[nodiscard]] const StoreMetrics& metrics() const { return metrics_; }

 private:
  template <class T>
  Task<StoreResult<T>> measure(RequestMetrics& metrics, Task<StoreResult<T>> call);

  StoreRef inner_;
  const Clock& clock_;
  StoreMetrics metrics_;
};

}  // namespace zef::store
