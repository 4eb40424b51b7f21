#include "net/asio_connection.h"

#include <fmt/core.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <utility>

#include "base/check.h"

namespace zef::net {
namespace {

// A buffer that once held a burst does not keep its memory.
constexpr std::size_t idle_capacity_max = 256U << 10;

// A peer whose machine vanished is noticed after about a minute without traffic, and after half a minute with.
constexpr int keepalive_idle_seconds = 30;
constexpr int keepalive_interval_seconds = 10;
constexpr int keepalive_probes = 3;
constexpr int unacknowledged_ms_max = 30000;

void set_option(int descriptor, int level, int name, int value) {
  // Best effort: a connection works without each of them.
  (void)::setsockopt(descriptor, level, name, &value, sizeof value);
}

void reset(Bytes& buffer) {
  if (buffer.capacity() > idle_capacity_max)
    buffer = Bytes();
  else
    buffer.clear();
}

Error network_error(const ErrorCode& code) {
  if (code == asio::error::eof) return {ErrorKind::unavailable, "closed by the peer"};
  return {ErrorKind::unavailable, code.message()};
}

}  // namespace

ConnectionCore::ConnectionCore(Loop& loop, Tcp::socket socket, const Limits& limits, std::unique_ptr<TlsSession> tls,
                               std::string peer)
    : loop_(loop),
      socket_(std::move(socket)),
      limits_(limits),
      tls_(std::move(tls)),
      peer_(std::move(peer)),
      parser_(limits.frame_bytes_max) {
  ErrorCode error;
  socket_.non_blocking(true, error);
  if (error) fail(network_error(error));
  const int descriptor = socket_.native_handle();
  set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);  // frames are gathered here, not by Nagle
  set_option(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, keepalive_idle_seconds);
  set_option(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, keepalive_interval_seconds);
  set_option(descriptor, IPPROTO_TCP, TCP_KEEPCNT, keepalive_probes);
  set_option(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, unacknowledged_ms_max);
}

template <class Handler, class... Args>
void ConnectionCore::call(Handler& handler, Args&&... args) {
  if (!handler || abandoned_) return;
  ++depth_;
  handler(std::forward<Args>(args)...);
  // The owner may have destroyed its handle in there; the handlers themselves had to live until now.
  if (--depth_ == 0 && abandoned_) handlers_ = {};
}

void ConnectionCore::handshake(Duration time_max, std::move_only_function<void(Result<void>)> done) {
  ZEF_CHECK(tls_ && !handshaking_ && !started_);
  handshaking_ = true;
  on_handshake_ = std::move(done);
  if (closed_) return loop_.post([self = shared_from_this()] { self->report_close(); });
  timer_ = loop_.after(
      time_max, [self = shared_from_this()] { self->fail({ErrorKind::unavailable, "TLS: no handshake in time"}); });
  step_handshake();
}

void ConnectionCore::step_handshake() {
  const auto done = tls_->handshake();
  if (!done) {
    flush();  // the alert that tells the peer why; best effort
    return fail(done.error());
  }
  need_turn_end();
  if (!*done) return;
  handshaking_ = false;
  loop_.cancel(timer_);
  const std::string name = tls_->peer_name();
  if (!name.empty()) peer_ += " (" + name + ")";
  loop_.post([self = shared_from_this()] {
    if (self->abandoned_ || self->closed_) return;
    if (auto call_back = std::exchange(self->on_handshake_, nullptr)) call_back({});
  });
}

void ConnectionCore::start(Connection::Handlers handlers) {
  ZEF_CHECK(!started_);
  started_ = true;
  handlers_ = std::move(handlers);
  if (closed_) return loop_.post([self = shared_from_this()] { self->report_close(); });
  // TLS may hold frames that came with the end of the handshake.
  loop_.post([self = shared_from_this()] { self->continue_input(); });
}

void ConnectionCore::resume_reading() {
  if (!paused_) return;
  paused_ = false;
  if (started_ && !closed_) loop_.post([self = shared_from_this()] { self->continue_input(); });
}

void ConnectionCore::continue_input() {
  if (closed_ || !started_ || paused_ || finishing_) return;
  take_input({});
  if (!closed_) need_turn_end();
}

bool ConnectionCore::wants_to_read() const {
  if (closed_) return false;
  return handshaking_ || finishing_ || (started_ && !paused_);
}

void ConnectionCore::arm_read() {
  if (read_armed_ || !wants_to_read()) return;
  read_armed_ = true;
  socket_.async_wait(Tcp::socket::wait_read, [self = shared_from_this()](ErrorCode error) {
    self->read_armed_ = false;
    self->on_readable(error);
  });
}

void ConnectionCore::on_readable(ErrorCode error) {
  if (!wants_to_read()) return;
  if (error) return fail(network_error(error));
  Bytes& buffer = loop_.impl().read_buffer;
  const std::size_t got = socket_.read_some(asio::buffer(buffer), error);
  if (!error) take_input(ByteView(buffer).first(got));
  if (error && error != asio::error::would_block && error != asio::error::interrupted) {
    if (finishing_) return fail(why_);
    Error why = network_error(error);
    if (parser_.pending_bytes() > 0) why.message += " in the middle of a frame";
    return fail(std::move(why));
  }
  if (!closed_) need_turn_end();  // one read a turn: the next is armed at its end
}

// `chunk` lies in the loop's read buffer.
void ConnectionCore::take_input(ByteView chunk) {
  if (finishing_) return;
  if (!tls_) {
    parser_.feed(chunk);
    deliver_frames();
    return end_batch();
  }
  tls_->feed(chunk);
  if (handshaking_) return step_handshake();
  if (!started_) return;
  parser_.feed({});  // what waited for resume_reading()
  deliver_frames();
  decrypt_all();
  end_batch();
}

void ConnectionCore::decrypt_all() {
  Bytes& plain = loop_.impl().plain_buffer;
  while (!closed_ && !finishing_ && !bad_frame_) {
    const auto got = tls_->read(plain);
    if (!got) {
      end_batch();
      return fail(got.error());
    }
    if (*got == 0) break;
    parser_.feed(ByteView(plain).first(*got));
    deliver_frames();
  }
  need_turn_end();  // TLS may have something to say itself
}

void ConnectionCore::deliver_frames() {
  while (!closed_ && !paused_ && !finishing_) {
    const auto next = parser_.next();
    if (!next) {
      bad_frame_ = next.error();
      break;
    }
    if (!*next) break;
    batch_open_ = true;
    call(handlers_.on_frame, **next);
  }
  parser_.save();
}

void ConnectionCore::end_batch() {
  if (std::exchange(batch_open_, false) && !closed_) call(handlers_.on_batch_end);
  if (!bad_frame_ || closed_ || finishing_) return;
  const Error why = *bad_frame_;
  call(handlers_.on_protocol_error, why);
  if (!closed_) finish(why);
}

void ConnectionCore::send(ByteView frame) {
  if (closed_ || finishing_) return;
  if (frame.size() > limits_.frame_bytes_max) {
    return fail({ErrorKind::invalid_input, fmt::format("a frame of {} bytes was to be sent, at most {} are allowed",
                                                       frame.size(), limits_.frame_bytes_max)});
  }
  if (queued_bytes() + frame.size() + frame_header_bytes > limits_.queued_bytes_max) {
    return fail({ErrorKind::unavailable,
                 fmt::format("the peer does not read: {} bytes wait for it", queued_bytes() + frame.size())});
  }
  append_frame(outgoing_, frame);
  undrained_ = true;
  need_turn_end();
}

void ConnectionCore::need_turn_end() {
  if (turn_end_needed_ || closed_) return;
  turn_end_needed_ = true;
  loop_.impl().turn_work.push_back(shared_from_this());
}

void ConnectionCore::turn_ended() {
  turn_end_needed_ = false;
  if (closed_) return;
  flush();
  arm_read();
}

void ConnectionCore::flush() {
  while (!closed_ && !write_armed_) {
    if (written_ == writing_.size() && !refill()) return on_written_all();
    ErrorCode error;
    written_ += socket_.write_some(asio::buffer(writing_) + written_, error);
    if (error == asio::error::would_block) return arm_write();
    if (error && error != asio::error::interrupted) return fail(network_error(error));
  }
}

bool ConnectionCore::refill() {
  written_ = 0;
  reset(writing_);
  if (!tls_) {
    writing_.swap(outgoing_);
    return !writing_.empty();
  }
  if (!handshaking_ && !outgoing_.empty()) {
    const auto encrypted = tls_->write(outgoing_);
    reset(outgoing_);
    if (!encrypted) {
      fail(encrypted.error());
      return false;
    }
  }
  if (finishing_ && !handshaking_ && !std::exchange(tls_shut_, true)) tls_->shutdown();
  tls_->take_output(writing_);
  return !writing_.empty();
}

void ConnectionCore::on_written_all() {
  if (closed_) return;
  if (std::exchange(undrained_, false)) call(handlers_.on_drained);
  // The handler may have sent or closed; what it sent leaves at the end of the next turn.
  if (closed_ || !finishing_ || lingering_ || !outgoing_.empty()) return;
  lingering_ = true;
  ErrorCode error;
  socket_.shutdown(Tcp::socket::shutdown_send, error);
  if (error) fail(why_);
}

void ConnectionCore::arm_write() {
  write_armed_ = true;
  socket_.async_wait(Tcp::socket::wait_write, [self = shared_from_this()](ErrorCode error) {
    self->write_armed_ = false;
    if (self->closed_) return;
    if (error) return self->fail(network_error(error));
    self->flush();
  });
}

// Sends what is queued, says that nothing follows, and waits until the peer closes too: a socket closed with unread
// input would make the kernel throw away what the peer has not received yet.
void ConnectionCore::finish(Error why) {
  if (closed_ || finishing_) return;
  finishing_ = true;
  why_ = std::move(why);
  timer_ = loop_.after(limits_.finish_time_max, [self = shared_from_this()] { self->fail(self->why_); });
  need_turn_end();
}

void ConnectionCore::fail(Error why) {
  if (closed_) return;
  why_ = std::move(why);
  close_socket();
  // In the constructor there is nobody to tell yet: start() and handshake() look at closed_.
  if (auto self = weak_from_this().lock()) loop_.post([self = std::move(self)] { self->report_close(); });
}

void ConnectionCore::close_socket() {
  closed_ = true;
  loop_.cancel(timer_);
  ErrorCode ignored;
  socket_.close(ignored);
  outgoing_ = Bytes();
  writing_ = Bytes();
  written_ = 0;
}

void ConnectionCore::report_close() {
  if (abandoned_ || reported_) return;
  if (on_handshake_) {
    reported_ = true;
    auto call_back = std::exchange(on_handshake_, nullptr);
    return call_back(std::unexpected(why_));
  }
  if (!started_) return;  // start() reports
  reported_ = true;
  auto on_closed = std::move(handlers_.on_closed);
  call(on_closed, why_);
}

void ConnectionCore::abandon() {
  abandoned_ = true;
  on_handshake_ = nullptr;
  if (!closed_) close_socket();
  if (depth_ == 0) handlers_ = {};
}

}  // namespace zef::net
