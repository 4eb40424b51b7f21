// The public front of a validator: takes the frames of clients, finds the worker that serves the account's shard, and
// passes the answer back. It holds no state but the cached shard map, so any number of balancers may stand side by
// side.
//
// A worker that goes away, moves a shard or is just starting costs its clients time, not errors: every query may be
// sent twice without harm (rules R5, C1), so the balancer asks again, for Options::hold_time_max, and holds at most
// Options::held_bytes_max of queries meanwhile.
//
// Thread rule: one executor.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "balancer/route.h"
#include "ledger/directory.h"
#include "net/rpc.h"

namespace zef::balancer {

struct Options {
  net::Address address;
  net::RpcServerOptions server{.limits = {.frame_bytes_max = 4U << 20, .queued_bytes_max = 16ULL << 20},
                               .connections_max = 4096,
                               .calls_per_connection_max = 1024,
                               .queued_bytes_pause = 256U << 10,  // a client that does not read asks no more
                               .idle_time_max = std::chrono::minutes(10)};
  ledger::Directory::Options directory;
  Duration answer_time_max = std::chrono::seconds(5);     // of one try
  Duration hold_time_max = std::chrono::seconds(15);      // of all tries of a query
  Duration silence_max = std::chrono::milliseconds(500);  // of a worker that has calls: then the map is looked at
  Duration retry_delay_min = std::chrono::milliseconds(20);
  Duration retry_delay_max = std::chrono::milliseconds(500);
  std::size_t held_bytes_max = 256U << 20;  // queries under way; beyond, clients are told Overloaded
};

class Balancer {
 public:
  // All must outlive the balancer.
  Balancer(Executor& executor, Rng& rng, store::ObjectStore& store, net::Transport& transport, Options options);
  ~Balancer();

  // Listens and begins to read the map. Errors: io (a busy port).
  Result<net::Address> start();
  // Stops listening, answers what is under way, then calls `done`.
  void drain(Callback done);

  struct Metrics {
    std::uint64_t queries = 0, refused = 0, retried = 0, given_up = 0;
  };
  [[nodiscard]] Metrics metrics() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace zef::balancer
