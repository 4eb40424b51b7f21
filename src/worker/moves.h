// Shards that come to a running worker and leave it: adopting what the map gives it, planned moves in both directions,
// rescuing the shards of workers that were sealed (docs/storage.md, "Planned moves", "Rescue").
//
// Invariants. A shard is served only at an epoch at which the map names this worker, and each epoch is begun at most
// once (known_): an old copy of the map can never bring back a state that has gone on. From the hand-over on the shard
// is out of the shard table, so nothing of it is accepted, acknowledgements, effects and timers included; it comes back
// only by a new epoch that this worker wrote into the map itself.
//
// Thread rule: one executor.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "ledger/directory.h"
#include "ledger/follow.h"
#include "ledger/ownership.h"
#include "net/rpc.h"
#include "protocol/genesis.h"
#include "worker/checkpointer.h"
#include "worker/peer_messages.h"
#include "worker/shard_table.h"

namespace zef::worker {

class Tick;

struct MoveOptions {
  Duration cancel_after = std::chrono::seconds(5);       // after a durable hand-over that the map does not show
  Duration save_time_max = std::chrono::seconds(10);     // to wait for checkpoints that make reading short
  Duration prepare_time_max = std::chrono::seconds(60);  // for the receiver to read what there is
  Duration watch_period = std::chrono::seconds(1);       // of looking at one's own head
  Duration rescue_after = std::chrono::seconds(3);       // a sealed worker's successor of its own name goes first
};

class Moves {
 public:
  // All must outlive it.
  struct Parts {
    Executor& executor;
    Rng& rng;
    store::ObjectStore& store;
    net::Transport& internal_transport;
    const protocol::Network& network;
    const protocol::Genesis& genesis;
    ledger::Directory& directory;
    ledger::WorkerIdentity self;
    ShardTable& shards;
    ledger::WorkerLog& log;
    Tick& tick;
    Checkpointer& checkpoints;
  };
  struct Handlers {
    std::function<void()> on_came;             // the tick has something to do
    std::function<void(Error why)> on_sealed;  // somebody has sealed this worker: stop at once
  };
  Moves(Parts parts, Handlers handlers, MoveOptions options);

  // Loads the checkpoints of these shards, replays the lineage behind them and serves them. Entries that this worker
  // has begun before, at their epoch or a later one, are left out.
  Task<Result<void>> adopt(std::vector<ledger::OwnedShard> owned);
  // Begins to watch the map and the own head.
  void start();
  void look_soon() { wanted_.set(); }

  // The giver's part of a move; returns when the map has told what became of it. Errors: refused (not ours, on
  // their way already, or the receiver does not want), unavailable, fenced.
  Task<Result<void>> give(std::vector<protocol::ShardId> shards, ledger::WorkerId to);
  // The receiver's part.
  Task<TakeAnswer> prepare(Take take);
  Task<HandedOverAnswer> receive(HandedOver handed);
  // Gives everything away, if there are others; takes nothing any more. Bounded by `limit`.
  Task<void> give_all(Duration limit);

  // A controller empties this worker (it takes nothing any more), or lets it stay after all.
  void retire(bool away) { retiring_ = away; }

  // A shard that was handed over and may come back; nullptr for all others.
  [[nodiscard]] OwnedShard* leaving(protocol::ShardId shard);
  [[nodiscard]] std::size_t leaving_count() const { return leaving_.size(); }
  [[nodiscard]] bool draining() const { return draining_ || retiring_; }
  [[nodiscard]] bool retiring() const { return retiring_; }
  [[nodiscard]] std::uint64_t replayed() const { return replayed_; }

 private:
  // A shard that is not served yet, and the checkpoints that its state was loaded from.
  struct Arrival {
    OwnedShard owned;
    std::vector<ledger::CheckpointName> objects;
    std::size_t whole_bytes = 0;
    std::size_t changes_bytes = 0;
  };
  using Arriving = std::map<protocol::ShardId, Arrival>;
  // What a receiver holds between Take and HandedOver.
  struct Session {
    MonotonicTime since;
    Arriving arriving;
    std::set<protocol::ShardId> handed_off;
    std::unique_ptr<ledger::LogFollower> follower;
  };

  Task<> watch();
  Task<> look_at_map();
  Task<> adopt_named();
  Task<> rescue_sealed();
  Task<> give_some(std::vector<protocol::ShardId> shards, ledger::WorkerId to, std::shared_ptr<std::size_t> running);
  Task<Result<void>> hand_over(const std::vector<protocol::ShardId>& shards, ledger::WorkerId to);
  Task<Result<TakeAnswer>> offer(net::RpcClient& receiver, std::uint64_t move,
                                 const std::vector<protocol::ShardId>& shards);
  // Saves those of which the next owner would have much to read.
  Task<> shorten_tails(std::vector<protocol::ShardId> shards);
  Task<> save_groups(std::vector<std::size_t> groups, std::shared_ptr<Event> done);
  // The hand-overs of those that are still here, logged; which they were.
  std::vector<protocol::ShardId> freeze(const std::vector<protocol::ShardId>& shards);
  Task<> settle(std::vector<protocol::ShardId> shards, ledger::Slot end, MonotonicTime cancel_at);
  // Of the shards handed over, takes out those of which the map says what became; true if none is left.
  bool sort_out(const std::vector<ledger::OwnedShard>& entries);
  void come_back(protocol::ShardId shard, std::uint64_t epoch);
  void begin(protocol::ShardId shard, OwnedShard owned, std::uint64_t epoch);
  void arrive(const ledger::OwnedShard& one, Arrival arrival);

  // All shards as their checkpoints have them, or as the genesis has.
  Task<Result<Arriving>> load(const std::vector<ledger::OwnedShard>& shards);
  static Result<void> replay(OwnedShard& owned, const ledger::ReadPlace& place, ByteView body, bool& handed_off);

  Parts parts_;
  Handlers handlers_;
  MoveOptions options_;
  std::vector<std::vector<std::uint64_t>> genesis_accounts_;  // by shard
  std::array<std::uint64_t, protocol::shard_count> known_{};  // by shard: the last epoch begun here
  std::map<protocol::ShardId, OwnedShard> leaving_;
  std::map<std::pair<ledger::WorkerId, std::uint64_t>, std::shared_ptr<Session>> sessions_;  // by giver and move
  std::uint64_t last_move_ = 0;
  std::set<protocol::ShardId> being_given_;  // from the first question to the receiver on
  std::set<protocol::ShardId> being_received_;
  std::map<ledger::WorkerId, MonotonicTime> sealed_since_;  // owners in the map whose head is not Active
  std::uint64_t replayed_ = 0;
  bool draining_ = false;  // this process ends
  bool retiring_ = false;
  Event wanted_;
  TaskScope scope_;  // last: its tasks use everything above
};

}  // namespace zef::worker
