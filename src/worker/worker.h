// A worker process' life: begin (take over what earlier workers of its name own, replay), serve, and stop. Shards come
// and go while it serves (worker/moves). It wires the tick, the log, the release queue, the connections to other
// workers and the served history together; decisions are made below it.
//
// Thread rule: one executor. Destroying a worker at any moment is what a crash is: nothing acknowledged is lost.
#pragma once

#include <functional>
#include <memory>

#include "crypto/keys.h"
#include "ledger/directory.h"
#include "ledger/garbage.h"
#include "ledger/takeover.h"
#include "net/rpc.h"
#include "protocol/genesis.h"
#include "worker/checkpointer.h"
#include "worker/moves.h"
#include "worker/peers.h"

namespace zef::worker {

struct WorkerOptions {
  std::string name;               // slot name, "w0": whose predecessors' shards it takes over at its start
  net::Address client_address;    // balancers connect here
  net::Address internal_address;  // other workers connect here, with mutual TLS
  ledger::WorkerLog::Options log;
  ledger::Directory::Options directory;
  Peers::Options peers;
  Checkpointer::Options checkpoints;
  Duration garbage_grace = std::chrono::hours(1);  // kept so long after nobody needs it; zero: for ever
  MoveOptions moves;
  Duration drain_time_max = std::chrono::seconds(30);  // for giving all shards away
  double cores = 1;                                    // CPU that this process may use: what a controller reckons with
  std::uint64_t queries_max = 0;  // a second, that are all it can do, whatever the CPU says; 0: not known
  // What this process has used, for reports; without it they say zero.
  struct Usage {
    Duration cpu{};
    std::uint64_t memory_bytes = 0;
    StoreUsage store;
  };
  std::function<Usage()> usage;
  Duration fee_period = std::chrono::seconds(10);
  std::size_t releases_max = 200'000;   // answers waiting for the log: beyond, clients are told Overloaded
  std::size_t history_reads_max = 256;  // pages being read at a time
  std::size_t segment_cache_bytes = 64U << 20;
  std::size_t validator_roots = 1U << 16;  // verified batch roots remembered
  std::size_t client_roots = 1U << 14;
};

class Worker {
 public:
  // What a worker needs from the world; all must outlive it.
  struct World {
    Executor& executor;
    Rng& rng;
    store::ObjectStore& store;
    net::Transport& client_transport;
    net::Transport& internal_transport;
  };
  Worker(World world, const protocol::Genesis& genesis, const crypto::SigningKey& key, WorkerOptions options);
  ~Worker();

  // Listens, takes its shards over, replays, and serves once this has returned. Errors: refused (the key is not of the
  // committee, a foreign store), io (a busy port), corrupt (a damaged log), unavailable (the store), fenced.
  Task<Result<void>> start();
  // Called once when this process must stop at once: another one has taken its log over.
  void on_fatal(std::move_only_function<void(Error why)> callback);
  // Gives all shards to the other workers, if there are any; then takes no new requests, answers those under way, waits
  // until all is durable and seals its log.
  Task<Result<void>> drain();
  // Gives shards to another worker (docs/storage.md, "Planned moves"). Returns when the map has told what became of it:
  // given, or cancelled. Errors: refused, unavailable, fenced.
  Task<Result<void>> give(std::vector<protocol::ShardId> shards, ledger::WorkerId to);

  [[nodiscard]] net::Address client_address() const;
  [[nodiscard]] net::Address internal_address() const;
  [[nodiscard]] protocol::Totals totals() const;
  [[nodiscard]] std::size_t shard_count() const;
  [[nodiscard]] bool serves(protocol::ShardId shard) const;
  [[nodiscard]] bool moving() const;  // shards that were handed over may come back
  [[nodiscard]] ledger::WorkerId id() const;
  [[nodiscard]] Report report();
  [[nodiscard]] std::uint64_t replayed_records() const;
  [[nodiscard]] Checkpointer::Metrics checkpoint_metrics() const;
  [[nodiscard]] ledger::GarbageCollector::Metrics garbage_metrics() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace zef::worker
