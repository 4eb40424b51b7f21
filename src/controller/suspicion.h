// Failure suspicion: a worker whose counter stalls is suspect. Judged by the observer's own monotonic clock only; a
// wrong suspicion costs availability, never safety (docs/storage.md, "Takeover").
//
// Thread rule: none; the time is passed in.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "controller/reports.h"

namespace zef::controller {

class Suspicion {
 public:
  explicit Suspicion(Duration stall = std::chrono::seconds(3)) : stall_(stall) {}

  // The worker ought to be alive: from now on its silence counts. Only the first call for a worker matters.
  void look_for(const WorkerId& worker, MonotonicTime now);
  // Its newest report. One heard again, or an older one that arrives late, is no sign of life.
  void heard(const WorkerId& worker, std::uint64_t counter, MonotonicTime now);
  void forget(const WorkerId& worker) { seen_.erase(worker); }

  // Workers that nobody looked for are unknown, and not suspect.
  [[nodiscard]] bool suspect(const WorkerId& worker, MonotonicTime now) const;
  // Heard of, and lately enough.
  [[nodiscard]] bool alive(const WorkerId& worker, MonotonicTime now) const;
  [[nodiscard]] Duration stall() const { return stall_; }

 private:
  struct Seen {
    bool ever_heard = false;
    std::uint64_t counter = 0;
    MonotonicTime since;  // when the counter changed, or the worker was first looked for
  };
  Duration stall_;
  std::unordered_map<WorkerId, Seen> seen_;
};

}  // namespace zef::controller
