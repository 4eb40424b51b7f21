// What every drill has: one validator of a network of four, with its workers and its controller as processes, load on
// it, and an observer that writes down which workers there are and what they own.
//
// Thread rule: the loop's thread.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cli/drill_load.h"
#include "cli/fleet_access.h"
#include "cli/flow.h"
#include "cli/local_network.h"
#include "cli/scratch_folder.h"

namespace zef::cli {

struct DrillFlags {
  std::string store;
  std::string dir;  // of a network that was made for drills before; empty: a temporary one
  std::uint64_t workers = 3;
  std::uint64_t accounts = 64;
  double rate = 100;  // operations a second
  std::uint64_t times = 3;
  std::uint64_t stall_ms = 3000;
  std::uint64_t restart_after_ms = 8000;
  std::uint64_t outage_s = 10;
  std::vector<int> store_pids;
  std::optional<std::uint64_t> flush_delay_ms;  // of the workers' logs: 25 on a store that is no folder
  bool json = false;
};

struct DrillEvent {
  double at = 0;  // seconds since the load began
  std::string what;
};

class DrillStage {
 public:
  // Makes or opens the network; starts nothing. `workers_min`, `workers_max`: of the validator.
  [[nodiscard]] static Result<std::unique_ptr<DrillStage>> make(const DrillFlags& flags, std::uint64_t workers_min,
                                                                std::uint64_t workers_max,
                                                                std::vector<std::string> worker_flags,
                                                                std::vector<std::string> controller_flags);

  // Starts the validator and the observer.
  [[nodiscard]] Task<Result<void>> start();
  // Ends the load, compares, and stops everything.
  [[nodiscard]] Task<DrillFindings> finish();

  void note(std::string what);
  [[nodiscard]] const std::vector<DrillEvent>& timeline() const { return timeline_; }

  // As the observer saw them last.
  [[nodiscard]] std::size_t shards_of(const ledger::WorkerId& worker) const;
  [[nodiscard]] std::size_t orphans() const;
  [[nodiscard]] std::size_t serving() const;  // workers that live and own something
  [[nodiscard]] std::optional<controller::FleetMember> member(const std::string& name) const;
  [[nodiscard]] bool is_back(const ledger::WorkerHead& before) const;  // another process of its name lives
  [[nodiscard]] controller::Fleet& fleet() { return *fleet_; }
  [[nodiscard]] std::size_t worker_processes() const;
  // Until `holds`, looked at with every observation; whether that came in time.
  [[nodiscard]] Task<bool> wait_until(std::function<bool()> holds, Duration limit);

  const DrillFlags& flags;
  net::Loop loop;
  net::SystemRng rng;
  Event asked{loop};  // to stop
  std::unique_ptr<LocalNetwork> network;
  std::unique_ptr<net::Transport> tcp;
  std::unique_ptr<DrillLoad> load;

 private:
  explicit DrillStage(const DrillFlags& f) : flags(f) {}
  [[nodiscard]] Result<void> make_load();
  Task<> observe();
  void compare_with_before();

  std::unique_ptr<ScratchFolder> scratch_;
  std::unique_ptr<net::Transport> internal_;
  std::unique_ptr<ServerStore> store_;
  std::unique_ptr<controller::Fleet> fleet_;
  MonotonicTime began_{};
  std::vector<DrillEvent> timeline_;
  std::map<std::string, std::size_t> shards_before_;  // by worker name and id
  TaskScope scope_;                                   // last: its tasks use everything above
};

// Makes SIGINT and the like set `asked`; the second one ends the program at once.
void listen_to_signals(DrillStage& stage);
// Lets the store go on, whatever came between.
void continue_store(const DrillFlags& flags);

// Turns the loop until the flow has ended, or somebody wants it to.
template <class T>
Result<T> run_stage(DrillStage& stage, Task<Result<T>> flow) {
  listen_to_signals(stage);
  std::optional<Result<T>> result;
  {
    TaskScope scope;
    scope.spawn(detail::keep_result(std::move(flow), result));
    while (!result && !stage.asked.is_set()) stage.loop.turn();
  }
  continue_store(stage.flags);
  if (!result) return fail(ErrorKind::cancelled, "interrupted");
  return std::move(*result);
}

}  // namespace zef::cli
