// The controller: looks after the workers of one validator. It rescues the shards of workers that stall, moves shards
// away from those that drain and towards those that have less to do, and runs as many workers as the law wants.
//
// Its whole state is the map and the workers' reports. Any process may run one; the one that holds the lease acts, the
// others watch, so that they know at once who is alive when it is their turn. Two that act at once only do things
// twice: every command is one that the map's compare-and-set, or the driver, refuses the second time.
//
// Thread rule: one executor. What it is given outlives it; destroying it drops what is under way.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/result.h"
#include "base/task.h"
#include "controller/driver.h"
#include "controller/law.h"
#include "controller/lease.h"
#include "controller/placement.h"
#include "controller/reports.h"
#include "controller/suspicion.h"

namespace zef::controller {

// How the controller hears of workers and tells them what to do. Every task ends in bounded time; a command that fails,
// or of which nothing is known, is given again when it is still needed.
class Workers {
 public:
  virtual ~Workers() = default;

  // The newest report of every worker that ever sent one to this process and is not known to have ended.
  [[nodiscard]] virtual std::vector<WorkerReport> reports() = 0;
  // Reads the map.
  virtual Task<Result<ShardOwners>> owners() = 0;
  // A planned move; done when the map names the new owner.
  virtual Task<Result<void>> move(Move move) = 0;
  // The rescuer seals the victim's log, unless that has been done, and takes these shards, as far as they are still the
  // victim's.
  virtual Task<Result<void>> rescue(Rescue rescue) = 0;
  // From now on the worker reports that it is retiring, and drains; or, if it was, that it stays.
  virtual Task<Result<void>> retire(WorkerId worker, bool away) = 0;
};

struct ControllerOptions {
  LawOptions law;
  PlacementOptions placement;
  LeaseOptions lease;
  Duration stall = std::chrono::seconds(3);              // a worker that is silent for so long is suspect
  Duration tick_every = std::chrono::milliseconds(500);  // suspicion, rescues, moves
  Duration lease_every = std::chrono::seconds(1);  // a read and, for the holder, a write, which the store may bill
  Duration law_every = std::chrono::seconds(5);
  Duration map_every = std::chrono::seconds(5);  // when nothing happens; else at every tick
};

// For operators.
struct ControllerStatus {
  bool leads = false;
  std::string leader;              // of the process that holds the lease
  int wanted = 0;                  // workers
  std::string because;             // why the law wants that
  std::vector<WorkerId> suspects;  // that own shards
  std::vector<Move> moves;         // under way
  std::size_t orphans = 0;         // shards whose owner is suspect or nobody
};

class Controller {
 public:
  Controller(Executor& executor, Rng& rng, store::ObjectStore& store, Workers& workers, Driver& driver,
             ControllerOptions options);
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;
  ~Controller();

  void start();
  // Gives no more commands and gives up the lease; those under way go on.
  Task<void> stop();
  [[nodiscard]] const ControllerStatus& status() const { return status_; }

 private:
  Task<void> run();
  Task<void> tick();
  void observe();
  Task<bool> read_map();
  void plan();
  [[nodiscard]] std::vector<PlacedWorker> placed_workers() const;
  [[nodiscard]] std::vector<PlacedShard> placed_shards() const;
  [[nodiscard]] std::vector<Move> under_way() const;
  Task<void> obey_law();
  [[nodiscard]] LawInput measured(int set) const;
  Task<void> grow(int set, int wanted);
  Task<void> shrink(int set);
  Task<void> retire_drained(int set);
  Task<void> carry_out(Move move);
  Task<void> carry_out(Rescue rescue);
  [[nodiscard]] bool owns_something(const WorkerId& worker) const;

  Executor& executor_;
  Workers& workers_;
  Driver& driver_;
  const ControllerOptions options_;
  Lease lease_;
  Suspicion suspicion_;
  LawHistory history_;
  ControllerStatus status_;
  bool stopping_ = false;
  bool leads_ = false;

  std::map<WorkerId, WorkerReport> reports_;
  ShardOwners owners_;  // empty: never read
  bool map_is_old_ = true;
  MonotonicTime map_read_{};
  std::optional<MonotonicTime> lease_asked_;
  MonotonicTime law_asked_{};
  std::map<std::uint16_t, Move> moves_;                                    // planned, under way
  std::map<std::pair<WorkerId, WorkerId>, std::vector<ShardId>> rescues_;  // by (victim, rescuer), under way
  TaskScope scope_;
};

}  // namespace zef::controller
