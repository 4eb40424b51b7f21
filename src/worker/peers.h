// Effects on their way to other workers of the same validator: one queue and one connection for each of them, several
// messages under way at a time, so that a worker that is away holds up nobody else. Nothing is kept here that is not in
// a shard's outbox too: what fails is reported, and built again from the outbox later. It never gives up.
//
// Thread rule: one executor.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>

#include "base/task.h"
#include "ledger/directory.h"
#include "net/rpc.h"
#include "worker/peer_messages.h"
#include "worker/release.h"

namespace zef::worker {

class Peers {
 public:
  struct Options {
    std::size_t messages_in_flight_max = 4;  // to one worker
    Duration answer_time_max = std::chrono::seconds(10);
    Duration retry_delay = std::chrono::milliseconds(200);
  };
  struct Handlers {
    // BCS(EffectBatch), when it goes: what waits here is only its name. Empty: there is nothing to send any more.
    std::function<Bytes(const EffectsOut& effects)> build;
    std::function<void(DeliveryResult)> on_result;  // durable at the destination
    // Not delivered; to be built again. Called retry_delay after the failure.
    std::function<void(protocol::ShardId source, protocol::ShardId destination)> on_failed;
  };

  // `transport` authenticates both sides (mutual TLS). All must outlive this.
  Peers(Executor& executor, net::Transport& transport, ledger::Directory& directory, Handlers handlers,
        Options options);
  ~Peers();

  // Sends effects to the worker that owns their destination now; at the end of the turn, with others for that worker.
  void send(const EffectsOut& effects);
  // Reports a failure after retry_delay.
  void fail_later(protocol::ShardId source, protocol::ShardId destination);
  // Drops the connections to workers that the map no longer names. Not from within a callback of this.
  void forget_gone();
  [[nodiscard]] std::size_t waiting() const;

 private:
  struct Peer {
    std::unique_ptr<net::RpcClient> client;
    std::deque<EffectsOut> queue;
    Bytes front;  // the queue's first batch, if it was built and did not fit the last message
    std::size_t in_flight = 0;
    bool silent = false;  // it has not taken the last message; the log has said so
  };
  void flush();
  void flush(const std::string& address, Peer& peer);
  void finish(const std::string& address, std::vector<std::pair<protocol::ShardId, protocol::ShardId>> sent,
              Result<Bytes> answer);

  Executor& executor_;
  net::Transport& transport_;
  ledger::Directory& directory_;
  Handlers handlers_;
  Options options_;
  std::map<std::string, Peer> peers_;  // by internal address
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool flush_scheduled_ = false;
};

}  // namespace zef::worker
