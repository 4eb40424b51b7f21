#include "controller/law.h"

#include <algorithm>
#include <cmath>

namespace zef::controller {
namespace {

// A quotient of sums of many doubles is not exact: what is nearly a whole number is that number.
constexpr double rounding = 1e-9;

void remember(const LawOptions& options, LawHistory& history, const LawInput& input) {
  if (input.fresh == 0 || input.cores <= 0) {
    history.busy_since.reset();
    return;
  }
  if (!history.begun) history.begun = input.now;
  while (!history.peaks.empty() && history.peaks.back().second <= input.load) history.peaks.pop_back();
  history.peaks.emplace_back(input.now, input.load);
  while (input.now - history.peaks.front().first > options.down_window) history.peaks.pop_front();
  if (input.load / input.cores <= options.up_above)
    history.busy_since.reset();
  else if (!history.busy_since)
    history.busy_since = input.now;
  if (input.backlog > options.backlog_max) history.last_backlog = input.now;
}

bool passed(const std::optional<MonotonicTime>& since, MonotonicTime now, Duration time) {
  return !since || now - *since >= time;
}

// Workers at which the load makes the utilisation that is aimed at.
int needed(const LawOptions& options, const LawInput& input) {
  const double cores_each = input.cores / input.fresh;
  const double workers = std::ceil(input.load / (cores_each * options.target) - rounding);
  return static_cast<int>(std::clamp(workers, 0.0, static_cast<double>(options.max)));
}

std::optional<LawDecision> up(const LawOptions& options, const LawHistory& history, const LawInput& input) {
  const int limit = std::min(options.max, input.set * options.up_factor_max);
  if (input.set >= limit || !passed(history.last_step, input.now, options.cool_down)) return std::nullopt;
  const bool busy = history.busy_since && input.now - *history.busy_since >= options.up_after;
  const int wanted = std::min(limit, needed(options, input));
  if (busy && wanted > input.set) return LawDecision{wanted, "utilisation is high"};
  // Workers that are starting will help with the backlog: wait for them.
  if (input.backlog > options.backlog_max && input.fresh >= input.set)
    return LawDecision{std::min(limit, std::max(wanted, input.set + 1)), "the logs fall behind"};
  return std::nullopt;
}

bool may_shrink(const LawOptions& options, const LawHistory& history, const LawInput& input) {
  return !input.unsettled && input.fresh >= input.set && passed(history.last_step, input.now, options.down_every);
}

std::optional<LawDecision> down(const LawOptions& options, const LawHistory& history, const LawInput& input) {
  if (input.set <= options.min || !may_shrink(options, history, input)) return std::nullopt;
  const bool whole_window = history.begun && input.now - *history.begun >= options.down_window;
  if (!whole_window || !passed(history.last_backlog, input.now, options.down_window)) return std::nullopt;
  const double cores_left = input.cores / input.fresh * (input.set - 1);
  if (history.peaks.front().second >= options.down_below * cores_left) return std::nullopt;
  return LawDecision{input.set - 1, "utilisation is low"};
}

LawDecision decided(const LawOptions& options, const LawHistory& history, const LawInput& input) {
  if (input.set < options.min) return {options.min, "fewer than the least"};
  if (input.set > options.max) {
    if (may_shrink(options, history, input)) return {input.set - 1, "more than the most"};
    return {input.set, "more than the most; a worker can leave later"};
  }
  if (input.fresh == 0 || input.cores <= 0) return {input.set, "no fresh report"};
  if (auto decision = up(options, history, input)) return *decision;
  if (auto decision = down(options, history, input)) return *decision;
  return {input.set, "as it should be"};
}

}  // namespace

LawDecision decide(const LawOptions& options, LawHistory& history, const LawInput& input) {
  remember(options, history, input);
  const LawDecision decision = decided(options, history, input);
  if (decision.wanted != input.set) {
    history.last_step = input.now;
    history.busy_since.reset();
  }
  return decision;
}

}  // namespace zef::controller
