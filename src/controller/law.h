// The control law: how many workers there should be (docs/controller.md). A pure function of what was measured now,
// what was measured before, and numbers that the operator may set.
//
// Why it does not oscillate: it grows to the number at which utilisation is `target`, and shrinks only if the highest
// load of the whole window would leave less than `down_below` after the removal. As down_below < target < up_above, a
// load that stands still wants one number, from above and from below.
//
// Thread rule: none; the time is passed in.
#pragma once

#include <deque>
#include <optional>
#include <string_view>
#include <utility>

#include "base/executor.h"

namespace zef::controller {

struct LawOptions {
  int min = 1;
  int max = 8;
  double target = 0.60;                             // utilisation that a growing validator aims at
  double up_above = 0.70;                           // utilisation ...
  Duration up_after = std::chrono::seconds(15);     // ... for this long
  double backlog_max = 2;                           // flush intervals
  int up_factor_max = 2;                            // at most this many times as many workers in a step
  Duration cool_down = std::chrono::seconds(30);    // between steps
  double down_below = 0.50;                         // utilisation that must not be passed after a removal ...
  Duration down_window = std::chrono::minutes(10);  // ... by the highest load in this window
  Duration down_every = std::chrono::minutes(2);    // one worker at a time
};

// What was measured now, by fresh reports only.
struct LawInput {
  MonotonicTime now;
  int set = 0;             // workers that the driver was told to run
  int fresh = 0;           // workers with a fresh report
  double load = 0;         // CPU seconds per second of these
  double cores = 0;        // of these
  double backlog = 0;      // the highest log backlog, in flush intervals
  bool unsettled = false;  // a recovery is under way, or a worker drains
};

// What the law remembers. A new controller begins with an empty one, and shrinks nothing before it has seen a window.
struct LawHistory {
  std::optional<MonotonicTime> begun;       // first measurement
  std::optional<MonotonicTime> busy_since;  // utilisation above up_above without a break
  std::optional<MonotonicTime> last_step;
  std::deque<std::pair<MonotonicTime, double>> peaks;  // loads that a later one has not passed
  std::optional<MonotonicTime> last_backlog;
};

struct LawDecision {
  int wanted = 0;            // equal to LawInput::set: nothing to do
  std::string_view because;  // for the log
};

[[nodiscard]] LawDecision decide(const LawOptions& options, LawHistory& history, const LawInput& input);

}  // namespace zef::controller
