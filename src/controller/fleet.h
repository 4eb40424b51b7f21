// The workers of one validator as a controller, or an operator, sees them: finds them by their heads in the store, asks
// each for its report over the internal port, and passes commands on. What a command did is read from the shard map,
// whatever the workers answer.
//
// Thread rule: one executor. What it is given outlives it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "controller/controller.h"
#include "ledger/ownership.h"
#include "net/rpc.h"
#include "worker/peer_messages.h"

namespace zef::controller {

struct FleetOptions {
  Duration report_every = std::chrono::seconds(1);
  Duration find_every = std::chrono::seconds(3);  // for workers that own nothing; it lists the store
  Duration smoothing{};  // loads of shards are averages over about this time; zero: of the last two reports
  Duration call_time_max = std::chrono::seconds(2);
  Duration move_time_max = std::chrono::seconds(90);     // reading a large shard takes its time
  Duration tell_again = std::chrono::seconds(3);         // to give what has not left
  Duration look_every = std::chrono::milliseconds(200);  // at the map, while a move is under way
};

// A worker that has an Active head, and what it said last.
struct FleetMember {
  ledger::WorkerHead head;
  std::optional<worker::Report> report;
  MonotonicTime heard{};  // when
  double cpu = 0;         // CPU seconds per second between its last two reports
  double answered = 0;    // queries of clients a second, between these
  std::vector<ShardLoad> shards;
};

class Fleet final : public Workers {
 public:
  Fleet(Executor& executor, Rng& rng, store::ObjectStore& store, net::Transport& internal, FleetOptions options = {});
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;
  ~Fleet() override;

  // Begins to find workers and to ask them, until destruction.
  void start();
  // Once: finds all workers and asks each, for those who do not start(). Errors: unavailable, corrupt (the store).
  Task<Result<void>> look();

  [[nodiscard]] std::vector<FleetMember> members() const;
  [[nodiscard]] const ledger::MapSnapshot& map() const { return map_.snapshot(); }  // as owners() has read it last

  [[nodiscard]] std::vector<WorkerReport> reports() override;
  Task<Result<ShardOwners>> owners() override;
  Task<Result<void>> move(Move move) override;
  Task<Result<void>> rescue(Rescue rescue) override;
  Task<Result<void>> retire(WorkerId worker, bool away) override;
  // Several shards of one worker; returns how many the map gives to the receiver in the end.
  Task<Result<std::size_t>> give(WorkerId from, WorkerId to, std::vector<ShardId> shards);

 private:
  struct Member;
  struct Batch;    // moves from one worker to another that were asked for in one turn
  struct Dealing;  // a victim's shards, and who is to have which, that were asked for in one turn
  Task<> find_again_and_again();
  Task<> ask_again_and_again();
  Task<Result<void>> find();
  void meet(ledger::WorkerHead head);
  Task<> ask(std::shared_ptr<Member> member);
  void take(Member& member, worker::Report report);
  // What is asked for under this key in this turn; its flow begins when the turn has ended.
  template <class Key, class What>
  std::shared_ptr<What> join(std::map<Key, std::shared_ptr<What>>& open, const Key& key,
                             Task<> (Fleet::*flow)(Key, std::shared_ptr<What>));
  Task<> carry_out(std::pair<WorkerId, WorkerId> who, std::shared_ptr<Batch> batch);
  [[nodiscard]] bool takes_nothing(ledger::WorkerId worker, MonotonicTime since) const;
  Task<Result<std::vector<ledger::OwnedShard>>> make_move(WorkerId from, WorkerId to, std::vector<ShardId> shards);
  Task<Result<void>> command(WorkerId worker, worker::PeerRequest request);
  Task<> deal(WorkerId victim, std::shared_ptr<Dealing> dealing);
  Task<> tell_to_look(WorkerId worker);

  Executor& executor_;
  Rng& rng_;
  store::ObjectStore& store_;
  net::Transport& internal_;
  const FleetOptions options_;
  const WorkerId me_;  // as a rescuer; never a worker
  std::map<WorkerId, std::shared_ptr<Member>> members_;
  std::set<WorkerId> sealed_;
  std::map<std::pair<WorkerId, WorkerId>, std::shared_ptr<Batch>> batches_;
  std::map<WorkerId, std::shared_ptr<Dealing>> dealings_;
  ledger::MapReader map_;
  std::vector<double> loads_;  // by shard, smoothed
  TaskScope scope_;            // last: its tasks use everything above
};

}  // namespace zef::controller
