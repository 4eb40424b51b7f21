// Workers, their map and their driver, all in memory and on one executor: what controllers command, as fast and as
// faulty as a test wants. Commands are checked as the real map checks them, so that whoever is late is refused.
//
// Thread rule: that of the executor.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/executor.h"
#include "base/task.h"
#include "controller/controller.h"

namespace zef::controller::testing {

class FakeCluster final : public Workers, public Driver {
 public:
  static constexpr std::size_t shard_count = 64;

  struct Worker {
    WorkerId id;
    std::string name;
    MonotonicTime serves_from{};
    bool alive = true;     // false: killed
    bool stopped = false;  // silent, but would go on
    bool retiring = false;
  };

  explicit FakeCluster(Executor& executor) : executor_(executor), owners_(shard_count), loads_(shard_count) {}

  // What a test does.
  Duration start_time = std::chrono::seconds(4);
  Duration move_time = std::chrono::milliseconds(200);
  Duration rescue_time = std::chrono::milliseconds(500);
  double cores = 2;
  bool driver_answers = true;

  void set_load(double total) {
    for (double& load : loads_) load = total / static_cast<double>(shard_count);
  }
  void set_load_of(std::size_t shard, double load) { loads_[shard] = load; }
  // As many workers as the driver is told, at once, with the shards dealt out.
  void begin(int count) {
    count_ = count;
    for (int i = 0; i < count; ++i) add_worker(i, executor_.now());
    for (std::size_t i = 0; i < shard_count; ++i)
      owners_[i] = workers_[i * static_cast<std::size_t>(count) / shard_count].id;
  }
  // The process of this ordinal dies; another one starts in its place.
  void kill(int ordinal) {
    worker_of(ordinal)->alive = false;
    add_worker(ordinal, executor_.now() + start_time);
  }
  Worker* worker_of(int ordinal) {
    for (auto worker = workers_.rbegin(); worker != workers_.rend(); ++worker)
      if (worker->name == name_of(ordinal)) return &*worker;
    ZEF_CHECK(false && "no such worker");
  }

  // What a test sees.
  [[nodiscard]] int count() const { return count_; }
  [[nodiscard]] const ShardOwners& shard_owners() const { return owners_; }
  [[nodiscard]] std::size_t shards_of(const WorkerId& id) const {
    return static_cast<std::size_t>(std::count(owners_.begin(), owners_.end(), id));
  }
  [[nodiscard]] bool all_owned_by_living() const {
    for (const WorkerId& owner : owners_) {
      const Worker* worker = find(owner);
      if (!worker || !serves(*worker)) return false;
    }
    return true;
  }
  int moves_done = 0;
  int refused = 0;  // commands that came too late
  int most_moves_at_once = 0;
  int retired = 0;
  bool lost = false;  // a worker was ended that owned shards

  // Workers.
  std::vector<WorkerReport> reports() override {
    std::vector<WorkerReport> all;
    for (const Worker& worker : workers_) {
      if (worker.serves_from > executor_.now() || ended(worker)) continue;
      WorkerReport report;
      report.worker = worker.id;
      report.name = worker.name;
      report.cores = cores;
      if (!serves(worker)) {
        report.counter = 1;  // whatever it was when it stopped, it stands still
      } else {
        report.counter = static_cast<std::uint64_t>(executor_.now().time_since_epoch() / std::chrono::seconds(1)) + 2;
        report.draining = worker.retiring;
        report.retiring = worker.retiring;
        for (std::size_t i = 0; i < shard_count; ++i)
          if (owners_[i] == worker.id)
            report.shards.push_back({ShardId(static_cast<std::uint16_t>(i)), loads_[i], 1 << 20});
      }
      all.push_back(std::move(report));
    }
    return all;
  }
  Task<Result<ShardOwners>> owners() override {
    co_await sleep_for(executor_, std::chrono::milliseconds(20));
    co_return owners_;
  }
  Task<Result<void>> move(Move move) override {
    most_moves_at_once = std::max(most_moves_at_once, ++moves_now_[move.from]);
    most_moves_at_once = std::max(most_moves_at_once, ++moves_now_[move.to]);
    co_await sleep_for(executor_, move_time);
    --moves_now_[move.from];
    --moves_now_[move.to];
    const Worker* from = find(move.from);
    const Worker* to = find(move.to);
    WorkerId& owner = owners_[move.shard.value()];
    if (!from || !to || !serves(*from) || !serves(*to) || owner != move.from) {
      ++refused;
      co_return fail(ErrorKind::refused, "the shard is not its own any more");
    }
    owner = move.to;
    ++moves_done;
    co_return Result<void>{};
  }
  Task<Result<void>> rescue(Rescue rescue) override {
    co_await sleep_for(executor_, rescue_time);
    const Worker* by = find(rescue.by);
    if (!by || !serves(*by)) co_return fail(ErrorKind::unavailable, "the rescuer does not answer");
    if (Worker* victim = find(rescue.victim)) victim->alive = false;  // it is sealed: it finds out and ends
    for (const ShardId shard : rescue.shards) {
      if (owners_[shard.value()] == rescue.victim)
        owners_[shard.value()] = rescue.by;
      else
        ++refused;
    }
    co_return Result<void>{};
  }
  Task<Result<void>> retire(WorkerId id, bool away) override {
    if (Worker* worker = find(id)) worker->retiring = away;
    co_return Result<void>{};
  }

  // Driver.
  Task<Result<int>> current() override {
    if (!driver_answers) co_return fail(ErrorKind::unavailable, "the cluster does not answer");
    co_return count_;
  }
  Task<Result<void>> set(int count) override {
    for (int i = count_; i < count; ++i) add_worker(i, executor_.now() + start_time);
    count_ = std::max(count_, count);
    co_return Result<void>{};
  }
  Task<Result<void>> retire(std::string name) override {
    if (name != name_of(count_ - 1)) co_return fail(ErrorKind::refused, "not the last one");
    Worker* worker = worker_of(count_ - 1);
    lost = lost || shards_of(worker->id) != 0;
    worker->alive = false;
    --count_;
    ++retired;
    co_return Result<void>{};
  }

 private:
  [[nodiscard]] static std::string name_of(int ordinal) { return "w" + std::to_string(ordinal); }
  void add_worker(int ordinal, MonotonicTime serves_from) {
    ++last_id_;
    workers_.push_back(
        {.id = WorkerId{{static_cast<std::uint8_t>(last_id_)}}, .name = name_of(ordinal), .serves_from = serves_from});
  }
  [[nodiscard]] bool serves(const Worker& worker) const {
    return worker.alive && !worker.stopped && worker.serves_from <= executor_.now();
  }
  // It said goodbye: reports of it are not kept.
  [[nodiscard]] bool ended(const Worker& worker) const { return !worker.alive && worker.retiring; }
  [[nodiscard]] const Worker* find(const WorkerId& id) const {
    for (const Worker& worker : workers_)
      if (worker.id == id) return &worker;
    return nullptr;
  }
  Worker* find(const WorkerId& id) { return const_cast<Worker*>(std::as_const(*this).find(id)); }

  Executor& executor_;
  int count_ = 0;
  int last_id_ = 0;
  std::vector<Worker> workers_;
  ShardOwners owners_;
  std::vector<double> loads_;
  std::map<WorkerId, int> moves_now_;
};

}  // namespace zef::controller::testing
