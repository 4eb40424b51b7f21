#include "controller/suspicion.h"

namespace zef::controller {

void Suspicion::look_for(const WorkerId& worker, MonotonicTime now) { seen_.try_emplace(worker, Seen{.since = now}); }

void Suspicion::heard(const WorkerId& worker, std::uint64_t counter, MonotonicTime now) {
  const auto [place, added] = seen_.try_emplace(worker, Seen{.since = now});
  Seen& seen = place->second;
  if (seen.ever_heard && counter <= seen.counter) return;
  seen = {.ever_heard = true, .counter = counter, .since = now};
}

bool Suspicion::suspect(const WorkerId& worker, MonotonicTime now) const {
  const auto found = seen_.find(worker);
  return found != seen_.end() && now - found->second.since >= stall_;
}

bool Suspicion::alive(const WorkerId& worker, MonotonicTime now) const {
  const auto found = seen_.find(worker);
  return found != seen_.end() && found->second.ever_heard && now - found->second.since < stall_;
}

}  // namespace zef::controller
