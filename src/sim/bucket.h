// The object storage of one simulated validator: what is put there survives every process. A request travels, takes
// effect, and its answer travels back; a process that dies in between has no say in it any more.
//
// Faults: requests lost before or after they took effect, writes that take effect long after everybody gave up on them,
// throttling, an endpoint that is away, slowness. Thread rule: the simulation's thread. A bucket outlives its stores.
#pragma once

#include <functional>
#include <memory>

#include "sim/random.h"
#include "sim/schedule.h"
#include "store/memory_store.h"

namespace zef::sim {

// Chances in millionths of the requests.
struct BucketWeather {
  std::uint64_t lost_before = 0;  // ambiguous; it never happened
  std::uint64_t lost_after = 0;   // ambiguous; it happened
  std::uint64_t late = 0;         // ambiguous; a write happens between late_min and late_max later
  std::uint64_t throttled = 0;    // 503, or 409: it never happened
  std::uint64_t unavailable = 0;  // it never happened
  Duration delay_min = std::chrono::milliseconds(2);
  Duration delay_max = std::chrono::milliseconds(12);
  Duration late_min = std::chrono::milliseconds(1);
  Duration late_max = std::chrono::seconds(8);
};

class Bucket {
 public:
  Bucket(Schedule& schedule, SimRng rng)
      : rng_(rng), machine_(schedule.make_process()), state_(std::make_shared<store::MemoryState>()) {}

  [[nodiscard]] std::unique_ptr<store::ObjectStore> open(SimExecutor& process);
  void set_weather(const BucketWeather& weather) { weather_ = weather; }
  // Called when an object came to be, at that moment.
  void on_created(std::function<void(const std::string& key, ByteView bytes)> callback) {
    on_created_ = std::move(callback);
  }
  [[nodiscard]] store::MemoryState& state() { return *state_; }
  [[nodiscard]] std::uint64_t faults() const { return faults_; }

 private:
  friend class BucketStore;
  enum class Fault { none, lost_before, lost_after, late, throttled, unavailable };
  Fault draw(bool writes);

  SimRng rng_;
  SimExecutor& machine_;  // never dies
  std::shared_ptr<store::MemoryState> state_;
  BucketWeather weather_;
  std::function<void(const std::string&, ByteView)> on_created_;
  std::uint64_t faults_ = 0;
};

}  // namespace zef::sim
