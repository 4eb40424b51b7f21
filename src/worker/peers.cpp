#include "worker/peers.h"

#include <algorithm>

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

void Peers::forget_gone() {
  if (!directory_.known()) return;
  std::erase_if(peers_, [this](const auto& entry) {
    if (entry.second.in_flight > 0 || !entry.second.queue.empty()) return false;
    return std::ranges::none_of(directory_.snapshot().workers,
                                [&](const ledger::WorkerHead& head) { return head.internal_address == entry.first; });
  });
}

void Peers::fail_later(ShardId source, ShardId destination) {
  executor_.after(options_.retry_delay, [this, alive = alive_, source, destination] {
    if (*alive) handlers_.on_failed(source, destination);
  });
}

void Peers::send(const EffectsOut& effects) {
  const ledger::WorkerHead* owner = directory_.owner_of(effects.destination);
  if (!owner) {
    directory_.refresh_soon();
    return fail_later(effects.source, effects.destination);
  }
  Peer& peer = peers_[owner->internal_address];
  if (!peer.client) {
    const auto address = net::parse_address(owner->internal_address);
    if (!address) {
      log::error("worker", "the map names a worker at '{}', which is no address", owner->internal_address);
      peers_.erase(owner->internal_address);
      return fail_later(effects.source, effects.destination);
    }
    peer.client = std::make_unique<net::RpcClient>(executor_, transport_, *address);
  }
  peer.queue.push_back(effects);
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
    Bytes batches;
    std::vector<std::pair<ShardId, ShardId>> sent;
    while (!peer.queue.empty() && sent.size() < batches_per_message_max) {
      const EffectsOut& next = peer.queue.front();
      if (peer.front.empty()) peer.front = handlers_.build(next);
      if (peer.front.empty()) {
        fail_later(next.source, next.destination);  // looked at again, should the shard still be here
        peer.queue.pop_front();
        continue;
      }
      if (!sent.empty() && batches.size() + peer.front.size() > message_bytes_max) break;
      append(batches, peer.front);
      peer.front.clear();
      sent.emplace_back(next.source, next.destination);
      peer.queue.pop_front();
    }
    if (sent.empty()) break;
    Bytes body;
    body.reserve(batches.size() + 8);
    codec::Writer writer(body);  // BCS(PeerRequest(DeliverEffects)): the batches are encoded already
    writer.length(0);
    writer.length(sent.size());
    writer.raw(batches);
    ++peer.in_flight;
    peer.client->call(body, options_.answer_time_max,
                      [this, alive = alive_, address, sent = std::move(sent)](Result<Bytes> answer) mutable {
                        if (*alive) finish(address, std::move(sent), std::move(answer));
                      });
  }
}

void Peers::finish(const std::string& address, std::vector<std::pair<ShardId, ShardId>> sent, Result<Bytes> answer) {
  const auto found = peers_.find(address);
  ZEF_CHECK(found != peers_.end());
  Peer& peer = found->second;
  --peer.in_flight;
  // What is still queued for it may belong to another worker by now: back to the outboxes as well.
  const auto fail_all = [&] {
    directory_.refresh_soon();  // it may have been replaced
    for (const auto& [source, destination] : sent) fail_later(source, destination);
    for (const EffectsOut& waiting : std::exchange(peer.queue, {})) fail_later(waiting.source, waiting.destination);
    peer.front.clear();
  };
  const auto say_that_it_waits = [&](std::string_view why) {
    if (!std::exchange(peer.silent, true)) log::info("worker", "effects for the worker at {} wait: {}", address, why);
  };
  if (!answer) {
    say_that_it_waits(answer.error().message);
    return fail_all();
  }
  const auto results = codec::decode<DeliveryResults>(*answer);
  if (results && results->results.empty()) {  // what a worker says until it serves
    say_that_it_waits("it is starting");
    return fail_all();
  }
  peer.silent = false;
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
  flush(address, peer);
}

}  // namespace zef::worker
