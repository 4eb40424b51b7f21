// Injected faults, for tests and simulations: a store that loses requests and answers, applies writes late, throttles,
// delays, damages what is read, or refuses everything. The same seed gives the same faults.
//
// Thread rule: that of the store inside. Tasks must end, or be dropped, before the wrapper; late writes that are still
// under way are dropped with it.
#pragma once

#include <cstdint>
#include <optional>

#include "base/executor.h"
#include "store/object_store.h"
#include "store/store_ref.h"

namespace zef::store {

// Chances are in thousandths of the requests; their sum is at most 1000.
struct FaultPlan {
  std::uint32_t lost_before = 0;   // ambiguous; it never happened
  std::uint32_t lost_after = 0;    // ambiguous; it happened
  std::uint32_t late = 0;          // ambiguous; a write happens after a delay between late_min and late_max
  std::uint32_t throttled = 0;     // it never happened
  std::uint32_t unavailable = 0;   // it never happened
  std::uint32_t damaged_read = 0;  // of reads: one bit of what is read is flipped
  Duration delay_min{};            // of every request
  Duration delay_max{};
  Duration late_min = std::chrono::milliseconds(1);
  Duration late_max = std::chrono::seconds(10);
};

class FaultyStore final : public ObjectStore {
 public:
  FaultyStore(StoreRef inner, Executor& executor, Rng& rng, FaultPlan plan = {});

  Task<StoreResult<PutIfAbsent>> put_if_absent(std::string key, Content bytes) override;
  Task<StoreResult<PutIfMatch>> put_if_match(std::string key, Content bytes, Tag tag) override;
  Task<StoreResult<std::optional<Object>>> get(std::string key, std::optional<Range> range = std::nullopt) override;
  Task<StoreResult<std::monostate>> del(std::string key) override;
  Task<StoreResult<std::vector<std::string>>> list(std::string prefix, std::string start_after,
                                                   std::size_t limit) override;
  Task<StoreResult<std::monostate>> check_settings() override;

  void set_plan(FaultPlan plan);
  // Every request fails with this, untouched, until set to nothing: a full disk, withdrawn credentials, an outage.
  void fail_all(std::optional<StoreError> error) { fail_all_ = std::move(error); }

  [[nodiscard]] std::uint64_t faults() const { return faults_; }
  // Late writes that have not happened yet.
  [[nodiscard]] std::size_t late_writes() const { return late_.running(); }

 private:
  enum class Fault { none, lost_before, lost_after, late, throttled, unavailable };

  Fault draw();
  Duration between(Duration from, Duration to);
  template <class T, class Start>
  Task<StoreResult<T>> inject(Start start, bool writes);
  template <class Start>
  static Task<void> apply_late(Executor& executor, Duration delay, Start start);

  StoreRef inner_;
  Executor& executor_;
  Rng& rng_;
  FaultPlan plan_;
  std::optional<StoreError> fail_all_;
  std::uint64_t faults_ = 0;
  TaskScope late_;  // last: its tasks use the store inside
};

}  // namespace zef::store
