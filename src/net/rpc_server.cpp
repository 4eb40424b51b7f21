#include <fmt/core.h>

#include <unordered_map>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "net/rpc.h"
#include "net/rpc_frame.h"

namespace zef::net {

struct RpcServer::Impl {
  struct Peer {
    std::unique_ptr<Connection> connection;
    std::size_t unanswered = 0;
    bool full = false;       // calls_per_connection_max reached: reading pauses until half are answered
    bool congested = false;  // queued_bytes_pause reached: reading pauses until on_drained
    bool finishing = false;
    bool refused = false;  // was never opened for the handlers
    MonotonicTime last_active{};
  };

  Impl(Executor& e, Transport& t, Handlers h, RpcServerOptions o)
      : executor(e), transport(t), handlers(std::move(h)), options(o) {}

  void accept(std::unique_ptr<Connection> connection);
  void refuse(std::unique_ptr<Connection> connection);
  void on_frame(ConnectionId id, ByteView frame);
  void on_protocol_error(ConnectionId id, const Error& why);
  void on_closed(ConnectionId id, const Error& why);
  void on_drained(ConnectionId id);
  void answered(Peer& peer);
  void send_refusal(Connection& connection, const Error& why);
  void finish_peer(Peer& peer);
  void check_drained();
  void sweep_idle();
  [[nodiscard]] bool may_read(const Peer& peer) const { return !paused && !draining && !peer.full && !peer.congested; }

  Executor& executor;
  Transport& transport;
  Handlers handlers;
  RpcServerOptions options;
  std::vector<std::unique_ptr<Listener>> listeners;
  std::unordered_map<ConnectionId, Peer> peers;
  std::uint64_t last_id = 0;
  std::size_t opened = 0;
  std::size_t unanswered = 0;
  std::uint64_t refused_count = 0;
  std::uint64_t logged_refusals_at = 0;
  bool paused = false;
  bool draining = false;
  Callback on_all_drained;
  TimerId idle_timer = TimerId::none;
  TimerId drained_timer = TimerId::none;
};

RpcServer::RpcServer(Executor& executor, Transport& transport, Handlers handlers, RpcServerOptions options)
    : impl_(std::make_unique<Impl>(executor, transport, std::move(handlers), options)) {
  ZEF_CHECK(impl_->handlers.on_call);
  if (impl_->options.idle_time_max > Duration::zero()) impl_->sweep_idle();
}

RpcServer::~RpcServer() {
  impl_->executor.cancel(impl_->idle_timer);
  impl_->executor.cancel(impl_->drained_timer);
}

Result<Address> RpcServer::listen(const Address& address) {
  auto listener = impl_->transport.listen(
      address, impl_->options.limits,
      [impl = impl_.get()](std::unique_ptr<Connection> connection) { impl->accept(std::move(connection)); });
  if (!listener) return std::unexpected(listener.error());
  impl_->listeners.push_back(std::move(*listener));
  return impl_->listeners.back()->address();
}

void RpcServer::Impl::accept(std::unique_ptr<Connection> connection) {
  if (draining) return;  // destroying it closes it
  if (opened >= options.connections_max) return refuse(std::move(connection));
  const auto id = static_cast<ConnectionId>(++last_id);
  Peer& peer = peers[id];
  peer.connection = std::move(connection);
  peer.last_active = executor.now();
  ++opened;

  Connection::Handlers calls;
  calls.on_frame = [this, id](ByteView frame) { on_frame(id, frame); };
  if (handlers.on_batch_end) calls.on_batch_end = [this, id] { handlers.on_batch_end(id); };
  calls.on_drained = [this, id] { on_drained(id); };
  calls.on_protocol_error = [this, id](const Error& why) { on_protocol_error(id, why); };
  calls.on_closed = [this, id](const Error& why) { on_closed(id, why); };
  peer.connection->start(std::move(calls));
  if (paused) peer.connection->pause_reading();
  log::debug("net", "connection opened peer={}", peer.connection->peer());
  // Last: it may finish this connection.
  if (handlers.on_opened) handlers.on_opened(id, peer.connection->peer());
}

void RpcServer::Impl::refuse(std::unique_ptr<Connection> connection) {
  ++refused_count;
  // A flood of refused connections does not flood the log: 1st, 2nd, 4th, 8th ...
  if (refused_count >= 2 * logged_refusals_at) {
    logged_refusals_at = refused_count;
    log::warning("net", "too many connections, peer refused peer={} open={} refused_so_far={}", connection->peer(),
                 opened, refused_count);
  }
  if (peers.size() - opened >= options.refusals_max) return;
  const auto id = static_cast<ConnectionId>(++last_id);
  Peer& peer = peers[id];
  peer.connection = std::move(connection);
  peer.refused = true;
  peer.finishing = true;
  Connection::Handlers calls;
  calls.on_closed = [this, id](const Error& why) { on_closed(id, why); };
  peer.connection->start(std::move(calls));
  send_refusal(*peer.connection,
               {ErrorKind::unavailable, fmt::format("{} connections are open, no more are accepted: try again later",
                                                    options.connections_max)});
  peer.connection->finish();
}

void RpcServer::Impl::send_refusal(Connection& connection, const Error& why) {
  if (!handlers.refusal_body) return;
  Bytes frame;
  write_rpc_frame(frame, refusal_request_id, handlers.refusal_body(why));
  connection.send(frame);
}

void RpcServer::Impl::on_frame(ConnectionId id, ByteView frame) {
  const auto found = peers.find(id);
  ZEF_CHECK(found != peers.end());
  Peer& peer = found->second;
  if (peer.finishing) return;
  const auto parsed = read_rpc_frame(frame);
  if (!parsed || parsed->request_id == refusal_request_id) {
    const Error why{ErrorKind::invalid_input, "a frame without a request id"};
    on_protocol_error(id, why);
    return finish_peer(peer);
  }
  peer.last_active = executor.now();
  ++unanswered;
  if (++peer.unanswered >= options.calls_per_connection_max && !peer.full) {
    peer.full = true;
    peer.connection->pause_reading();
  }
  // Last: it may answer at once, or finish this connection.
  handlers.on_call(id, parsed->request_id, parsed->body);
}

void RpcServer::Impl::on_protocol_error(ConnectionId id, const Error& why) {
  Peer& peer = peers.at(id);
  log::warning("net", "peer broke the protocol peer={} why=\"{}\"", peer.connection->peer(), why.message);
  send_refusal(*peer.connection, why);
}

void RpcServer::Impl::on_closed(ConnectionId id, const Error& why) {
  auto gone = peers.extract(id);
  ZEF_CHECK(!gone.empty());
  const Peer& peer = gone.mapped();
  log::debug("net", "connection closed peer={} why=\"{}\"", peer.connection->peer(), why.message);
  unanswered -= peer.unanswered;
  if (!peer.refused) {
    --opened;
    if (handlers.on_closed) handlers.on_closed(id);
  }
  check_drained();
}

void RpcServer::Impl::on_drained(ConnectionId id) {
  Peer& peer = peers.at(id);
  if (!peer.congested) return;
  peer.congested = false;
  if (may_read(peer)) peer.connection->resume_reading();
}

void RpcServer::respond(ConnectionId connection, std::uint64_t request_id, ByteView body) {
  const auto found = impl_->peers.find(connection);
  if (found == impl_->peers.end()) return;
  Impl::Peer& peer = found->second;
  Bytes frame;
  write_rpc_frame(frame, request_id, body);
  peer.connection->send(frame);
  if (!peer.congested && peer.connection->queued_bytes() > impl_->options.queued_bytes_pause) {
    peer.congested = true;
    peer.connection->pause_reading();
  }
  impl_->answered(peer);
}

void RpcServer::forget(ConnectionId connection) {
  const auto found = impl_->peers.find(connection);
  if (found != impl_->peers.end()) impl_->answered(found->second);
}

void RpcServer::Impl::answered(Peer& peer) {
  ZEF_CHECK(peer.unanswered > 0 && unanswered > 0);  // each call is answered once
  --peer.unanswered;
  --unanswered;
  peer.last_active = executor.now();
  if (peer.full && peer.unanswered <= options.calls_per_connection_max / 2) {
    peer.full = false;
    if (may_read(peer)) peer.connection->resume_reading();
  }
  if (draining && peer.unanswered == 0) finish_peer(peer);
}

void RpcServer::finish(ConnectionId connection) {
  const auto found = impl_->peers.find(connection);
  if (found != impl_->peers.end()) impl_->finish_peer(found->second);
}

void RpcServer::Impl::finish_peer(Peer& peer) {
  if (peer.finishing) return;
  peer.finishing = true;
  peer.connection->finish();
}

void RpcServer::pause_all() {
  if (impl_->paused) return;
  impl_->paused = true;
  for (auto& [id, peer] : impl_->peers) peer.connection->pause_reading();
}

void RpcServer::resume_all() {
  if (!impl_->paused) return;
  impl_->paused = false;
  for (auto& [id, peer] : impl_->peers) {
    if (impl_->may_read(peer)) peer.connection->resume_reading();
  }
}

void RpcServer::drain(Callback done) {
  ZEF_CHECK(!impl_->draining);
  impl_->draining = true;
  impl_->on_all_drained = std::move(done);
  impl_->listeners.clear();
  for (auto& [id, peer] : impl_->peers) {
    peer.connection->pause_reading();
    if (peer.unanswered == 0) impl_->finish_peer(peer);
  }
  // Not inside this call.
  impl_->drained_timer = impl_->executor.after(Duration::zero(), [impl = impl_.get()] { impl->check_drained(); });
}

void RpcServer::Impl::check_drained() {
  if (!draining || !peers.empty()) return;
  // By a post: it may destroy the server.
  if (Callback done = std::exchange(on_all_drained, nullptr)) executor.post(std::move(done));
}

void RpcServer::Impl::sweep_idle() {
  const MonotonicTime now = executor.now();
  for (auto& [id, peer] : peers) {
    if (peer.unanswered == 0 && now - peer.last_active >= options.idle_time_max) finish_peer(peer);
  }
  idle_timer = executor.after(options.idle_time_max / 4, [this] { sweep_idle(); });
}

std::size_t RpcServer::connections() const { return impl_->opened; }
std::size_t RpcServer::outstanding() const { return impl_->unanswered; }
std::uint64_t RpcServer::refused_connections() const { return impl_->refused_count; }

}  // namespace zef::net
