#include "worker/peers.h"

#include "base/log.h"

namespace zef::worker {

using protocol::ShardId;

Peers::Peers(Executor& executor, net::Transport& transport, ledger::Directory& directory, Handlers handlers,
             Options options)
    : executor_(executor),
      transport_(transport),
      directory_(directory),
      handlers_(std::move(handlers)),
      options_(options) {}

Peers::~Peers() { *alive_ = false; }

std::size_t Peers::waiting() const {
  std::size_t count = 0;
  for (const auto& [address, peer] : peers_) count += peer.queue.size() + peer.in_flight;
  return count;
}

void Peers::fail_later(ShardId source, ShardId destination) {
  executor_.after(options_.retry_delay, [this, alive = alive_, source, destination] {
    if (*alive) handlers_.on_failed(source, destination);
  });
}

void Peers::send(shard::EffectBatch batch) {
  const ledger::WorkerHead* owner = directory_.owner_of(batch.destination);
  if (!owner) {
    directory_.refresh_soon();
    return fail_later(batch.source, batch.destination);
  }
  Peer& peer = peers_[owner->internal_address];
  if (!peer.client) {
    const auto address = net::parse_address(owner->internal_address);
    if (!address) {
      log::error("worker", "the map names a worker at '{}', which is no address", owner->internal_address);
      peers_.erase(owner->internal_address);
      return fail_later(batch.source, batch.destination);
    }
    peer.client = std::make_unique<net::RpcClient>(executor_, transport_, *address);
  }
  peer.names.emplace_back(batch.source, batch.destination);
  peer.queue.push_back(codec::encode(batch));
  if (std::exchange(flush_scheduled_, true)) return;
  executor_.at_turn_end([this, alive = alive_] {
    if (*alive) flush();
  });
}

void Peers::flush() {
  flush_scheduled_ = false;
  for (auto& [address, peer] : peers_) flush(address, peer);
}

void Peers::flush(const std::string& address, Peer& peer) {
  while (!peer.queue.empty() && peer.in_flight < options_.messages_in_flight_max) {
    std::size_t count = 0;
    std::size_t bytes = 0;
    while (count < peer.queue.size() && count < batches_per_message_max && bytes < message_bytes_max)
      bytes += peer.queue[count++].size();
    Bytes body;
    body.reserve(bytes + 8);
    codec::Writer writer(body);  // BCS(DeliverEffects): the batches are encoded already
    writer.length(count);
    std::vector<std::pair<ShardId, ShardId>> sent;
    for (std::size_t i = 0; i < count; ++i) {
      writer.raw(peer.queue.front());
      sent.push_back(peer.names.front());
      peer.queue.pop_front();
      peer.names.pop_front();
    }
    ++peer.in_flight;
    peer.client->call(body, options_.answer_time_max,
                      [this, alive = alive_, address, sent = std::move(sent)](Result<Bytes> answer) mutable {
                        if (*alive) finish(address, std::move(sent), std::move(answer));
                      });
  }
}

void Peers::finish(const std::string& address, std::vector<std::pair<ShardId, ShardId>> sent, Result<Bytes> answer) {
  const auto fail_all = [&] {
    directory_.refresh_soon();  // it may have been replaced
    for (const auto& [source, destination] : sent) fail_later(source, destination);
  };
  const auto found = peers_.find(address);
  ZEF_CHECK(found != peers_.end());
  --found->second.in_flight;
  if (!answer) {
    log::info("worker", "effects for the worker at {} wait: {}", address, answer.error().message);
    fail_all();
    // What is still queued for it may belong to another worker by now: back to the outboxes as well.
    for (const auto& [source, destination] : std::exchange(found->second.names, {})) fail_later(source, destination);
    found->second.queue.clear();
    if (found->second.in_flight == 0 && directory_.known()) {
      // Forget workers that the map no longer names; a new one has another address, or comes back here at once.
      bool named = false;
      for (const ledger::WorkerHead& head : directory_.snapshot().workers) named |= head.internal_address == address;
      if (!named)
        executor_.post([this, alive = alive_, address] {
          if (!*alive) return;
          if (const auto gone = peers_.find(address);
              gone != peers_.end() && gone->second.in_flight == 0 && gone->second.queue.empty())
            peers_.erase(gone);
        });
    }
    return;
  }
  const auto results = codec::decode<DeliveryResults>(*answer);
  if (!results || results->results.size() != sent.size()) {
    log::error("worker", "the worker at {} gave an answer that does not fit the effects sent", address);
    return fail_all();
  }
  for (std::size_t i = 0; i < sent.size(); ++i) {
    const DeliveryResult& result = results->results[i];
    if (result.source != sent[i].first || result.destination != sent[i].second) {
      log::error("worker", "the worker at {} acknowledged effects that were not sent", address);
      fail_later(sent[i].first, sent[i].second);
    } else {
      if (std::holds_alternative<NotMine>(result.result)) directory_.refresh_soon();
      handlers_.on_result(result);
    }
  }
  flush(address, found->second);
}

}  // namespace zef::worker
