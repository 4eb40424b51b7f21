// One simulated validator: the real workers, the real balancer and real controllers, each a process of its own on the
// validator's bucket, with somebody who starts again what has died. Whoever injects faults crashes, stalls and doubles
// its processes.
//
// Thread rule: the simulation's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "balancer/balancer.h"
#include "sim/bucket.h"
#include "sim/controllers.h"
#include "sim/network.h"
#include "store/retrying_store.h"
#include "worker/worker.h"

namespace zef::sim {

struct ValidatorOptions {
  std::size_t workers = 2;      // at the beginning
  std::size_t controllers = 0;  // they run between workers_min and one more than `workers`
  std::size_t workers_min = 1;
  Duration fee_period = std::chrono::seconds(2);
  Duration map_period = std::chrono::seconds(10);
  Duration checkpoint_period = std::chrono::seconds(2);  // zero: never
  Duration garbage_grace = std::chrono::seconds(2);      // zero: kept for ever
  bool behind_front = false;  // somebody else listens at the public address, and asks the balancer when he likes
};

class Validator {
 public:
  // All but the options outlive it.
  Validator(Schedule& schedule, Network& network, SimRng rng, const protocol::Genesis& genesis,
            const crypto::SigningKey& key, std::size_t index, const ValidatorOptions& options);
  Validator(const Validator&) = delete;
  Validator& operator=(const Validator&) = delete;
  ~Validator();

  // Makes the store and starts all processes.
  void start();
  [[nodiscard]] std::size_t index() const { return index_; }
  // Where clients find it: the balancer's address.
  [[nodiscard]] const net::Address& address() const { return address_; }
  // The balancer itself.
  [[nodiscard]] const net::Address& inner_address() const { return inner_address_; }
  [[nodiscard]] const crypto::SigningKey& key() const { return key_; }
  [[nodiscard]] Bucket& bucket() { return bucket_; }
  [[nodiscard]] std::size_t worker_count() const { return count_; }       // that are to run now
  [[nodiscard]] std::size_t slot_count() const { return slots_.size(); }  // that may ever run
  // Of the slots of workers, the controllers, and the balancer's last.
  [[nodiscard]] const std::vector<Site>& sites() const { return sites_; }
  // Every slot has a worker that serves, and each shard is served by one process.
  [[nodiscard]] bool complete() const;
  // Summed over the workers; of use while complete() only.
  [[nodiscard]] protocol::Totals totals() const;
  // Checkpoints and garbage of the workers that live now, and what controllers did.
  void count_up(std::map<std::string, std::uint64_t>& counters) const;
  // Nobody but a controller gives a shard another owner that was given to a process which was dead by then. Where there
  // is none, one may have to tidy up at the end.
  void tidy_up();
  // None: nullptr.
  [[nodiscard]] Controllers* controllers() { return controllers_.get(); }

  // ---- faults
  // The process ends; with `power`, its connections say nothing of it. Another one starts after that time.
  void crash_worker(std::size_t slot, Duration down, bool power);
  // A second process of the same name starts beside the first.
  void double_worker(std::size_t slot);
  void stall_worker(std::size_t slot, Duration time);
  void crash_balancer(Duration down, bool power);
  // Some of a worker's shards are to go to another one, as a controller decides.
  void move_shards(std::size_t from, std::size_t to);
  // A controller believes a worker to be dead, rightly or not, and gives its shards to another one. The worker goes on
  // until it notices.
  void rescue_worker(std::size_t victim, std::size_t heir);
  void jump_clocks(Duration by);
  // CPU time that its workers use together, in hundredths of a core: what controllers act upon.
  void set_load(std::uint64_t percent) { load_percent_ = percent; }

  // Called when a worker has begun to serve.
  void on_serving(std::function<void()> callback) { on_serving_ = std::move(callback); }
  [[nodiscard]] std::uint64_t starts() const { return starts_; }

 private:
  struct WorkerProcess;
  struct BalancerProcess;
  struct Slot {
    std::string name;
    std::unique_ptr<WorkerProcess> process;
    std::vector<std::unique_ptr<WorkerProcess>> strays;  // replaced, but nobody has told them yet
  };
  void start_worker(std::size_t slot);
  void start_balancer();
  void ended(std::size_t slot, const WorkerProcess* process);
  void restart_later(std::size_t slot, Duration down);
  void make_controllers(std::size_t count, int workers_min, int workers_max);
  void raise(std::size_t count);
  void end_last();
  template <class Visit>
  void for_each_process(Visit visit) const;

  Schedule& schedule_;
  Network& network_;
  SimRng rng_;
  const protocol::Genesis& genesis_;
  const crypto::SigningKey& key_;
  std::size_t index_;
  ValidatorOptions options_;
  SimExecutor& supervisor_;
  net::Address address_;
  net::Address inner_address_;
  Bucket bucket_;
  std::vector<Site> sites_;
  std::vector<Slot> slots_;
  std::size_t count_;
  std::uint64_t load_percent_ = 0;
  std::unique_ptr<BalancerProcess> balancer_;
  std::unique_ptr<Controllers> controllers_;
  std::unique_ptr<store::ObjectStore> rescuers_store_;
  std::function<void()> on_serving_;
  std::uint64_t starts_ = 0;
  std::uint64_t added_ = 0;
  std::uint64_t retired_ = 0;
  bool rescued_ = false;
  TaskScope rescuers_;  // last: its tasks use the store
};

// The address at which a worker's slot listens for balancers, port aside: its answers leave there.
[[nodiscard]] std::string worker_host(std::size_t validator, std::size_t slot);

}  // namespace zef::sim
