#include "cli/bench_load.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"

namespace zef::cli {

Duration Latencies::quantile(double part) const {
  if (values_.empty()) return Duration::zero();
  std::vector<Duration> sorted = values_;
  const auto rank = static_cast<std::size_t>(std::ceil(part * static_cast<double>(sorted.size())));
  const std::size_t place = std::clamp<std::size_t>(rank, 1, sorted.size()) - 1;
  std::ranges::nth_element(sorted, sorted.begin() + static_cast<std::ptrdiff_t>(place));
  return sorted[place];
}

// A lane owns every lanes-th account, so no account is ever asked for two transfers at once.
Task<void> Load::run_lane(std::size_t lane, std::size_t lanes) {
  Executor& executor = quorum_.executor();
  for (std::size_t at = lane; !over_; at = at + lanes < accounts_.size() ? at + lanes : lane) {
    const std::size_t other = (at + 1 + quorum_.rng().below(accounts_.size() - 1)) % accounts_.size();
    const MonotonicTime began = executor.now();
    std::vector<client::Payment> payments{
        {protocol::Account{accounts_[other]->uid()}, protocol::Amount(1 + at % 10), {}}};
    const auto outcome = co_await accounts_[at]->transfer(std::move(payments));
    if (!outcome) {
      if (result_.failed++ == 0) result_.first_failure = outcome.error().message;
      continue;
    }
    ++result_.all_confirmed;
    if (measuring_) {
      ++result_.confirmed;
      result_.latencies.add(executor.now() - began);
    }
    if (callbacks_.on_progress) callbacks_.on_progress(result_.all_confirmed);
  }
}

Task<void> Load::watch(Duration warm_up, Duration measured) {
  Executor& executor = quorum_.executor();
  co_await sleep_for(executor, warm_up);
  callbacks_.on_begin();
  measuring_ = true;
  const MonotonicTime began = executor.now();
  co_await sleep_for(executor, measured);
  result_.seconds = std::chrono::duration<double>(executor.now() - began).count();
  measuring_ = false;
  callbacks_.on_end();
  over_ = true;
}

Task<LoadResult> Load::run(std::size_t concurrency, Duration warm_up, Duration measured, Callbacks callbacks) {
  callbacks_ = std::move(callbacks);
  const std::size_t lanes = std::min(concurrency, accounts_.size());
  // The last flow watches the clock.
  co_await in_parallel(quorum_.executor(), lanes + 1, lanes + 1,
                       [&](std::size_t i) { return i < lanes ? run_lane(i, lanes) : watch(warm_up, measured); });
  co_return std::move(result_);
}

}  // namespace zef::cli
