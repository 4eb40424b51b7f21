// Hedged reads: a GET that takes longer than nearly all others gets a second one beside it, and the first answer
// counts. A store of many machines answers most reads quickly and a few very slowly, and a replay waits for the
// slowest.
//
// Only get() is hedged; everything else is passed on. The delay is the 95th percentile of the last reads. At most one
// read in twenty gets a second one, so a store that is slow for everybody sees little more than its usual load.
//
// Thread rule: that of the store inside. Tasks must end, or be dropped, before the wrapper. Wrap it around a
// MeteredStore, which then counts both reads, as the store bills them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/executor.h"
#include "store/object_store.h"
#include "store/store_ref.h"

namespace zef::store {

struct HedgeMetrics {
  std::uint64_t reads = 0;
  std::uint64_t second_reads = 0;
  std::uint64_t second_was_first = 0;  // the second one answered first
};

class HedgingStore final : public ObjectStore {
 public:
  static constexpr std::size_t window = 128;    // reads whose latencies are remembered
  static constexpr std::size_t reads_min = 32;  // before that many nothing is hedged
  static constexpr std::uint64_t one_in = 20;

  HedgingStore(StoreRef inner, Executor& executor) : inner_(std::move(inner)), executor_(executor) {}

  Task<StoreResult<PutIfAbsent>> put_if_absent(std::string key, Content bytes) override;
  Task<StoreResult<PutIfMatch>> put_if_match(std::string key, Content bytes, Tag tag) override;
  Task<StoreResult<std::optional<Object>>> get(std::string key, std::optional<Range> range = std::nullopt) override;
  Task<StoreResult<std::monostate>> del(std::string key) override;
  Task<StoreResult<std::vector<std::string>>> list(std::string prefix, std::string start_after,
                                                   std::size_t limit) override;
  Task<StoreResult<std::monostate>> check_settings() override;

  [[nodiscard]] const HedgeMetrics& metrics() const { return metrics_; }
  // After which time a read gets a second one; nothing if too few are known.
  [[nodiscard]] std::optional<Duration> delay() const;

 private:
  struct Race;
  Task<void> run(Race& race, std::string key, std::optional<Range> range, bool second);
  void note(Duration latency);

  StoreRef inner_;
  Executor& executor_;
  std::array<Duration, window> latencies_{};
  std::uint64_t noted_ = 0;
  HedgeMetrics metrics_;
};

}  // namespace zef::store
