// One TCP connection with its frames and, if asked for, its TLS. Internal to the Asio transport.
//
// The core is shared by the handle that the owner holds (AsioConnection) and by operations under way; when the handle
// goes, the core closes the socket and calls nobody any more, and dies with its last operation.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "net/asio.h"
#include "net/frame_parser.h"
#include "net/loop_impl.h"
#include "net/tls.h"
#include "net/transport.h"

namespace zef::net {

class ConnectionCore final : public TurnWork, public std::enable_shared_from_this<ConnectionCore> {
 public:
  // The socket is connected. `tls` may be null.
  ConnectionCore(Loop& loop, Tcp::socket socket, const Limits& limits, std::unique_ptr<TlsSession> tls,
                 std::string peer);

  // TLS only, before start(): calls `done` once, later, unless abandoned.
  void handshake(Duration time_max, std::move_only_function<void(Result<void>)> done);

  void start(Connection::Handlers handlers);
  void send(ByteView frame);
  [[nodiscard]] std::uint64_t queued_bytes() const { return outgoing_.size() + writing_.size() - written_; }
  void pause_reading() { paused_ = true; }
  void resume_reading();
  void finish(Error why);
  void abandon();
  [[nodiscard]] const std::string& peer() const { return peer_; }

  void turn_ended() override;

 private:
  void need_turn_end();
  [[nodiscard]] bool wants_to_read() const;
  void arm_read();
  void on_readable(ErrorCode error);
  void take_input(ByteView chunk);
  void step_handshake();
  void decrypt_all();
  void deliver_frames();
  void end_batch();
  void continue_input();

  void flush();
  bool refill();  // the next bytes to write; false: none
  void on_written_all();
  void arm_write();

  void fail(Error why);
  void close_socket();
  void report_close();
  template <class Handler, class... Args>
  void call(Handler& handler, Args&&... args);

  Loop& loop_;
  Tcp::socket socket_;
  const Limits limits_;
  std::unique_ptr<TlsSession> tls_;
  std::string peer_;

  Connection::Handlers handlers_;
  std::move_only_function<void(Result<void>)> on_handshake_;
  int depth_ = 0;  // of calls into the owner

  FrameParser parser_;
  std::optional<Error> bad_frame_;
  bool batch_open_ = false;  // on_frame was called, on_batch_end not yet

  Bytes outgoing_;  // frames not given to writing_ yet (plain)
  Bytes writing_;   // what goes to the socket (ciphertext if TLS)
  std::size_t written_ = 0;

  TimerId timer_ = TimerId::none;  // of the handshake, later of finish()
  Error why_;                      // it closed or finishes
  bool handshaking_ = false;
  bool started_ = false;
  bool paused_ = false;
  bool read_armed_ = false;
  bool write_armed_ = false;
  bool turn_end_needed_ = false;
  bool undrained_ = false;  // something was queued since the last on_drained
  bool finishing_ = false;
  bool tls_shut_ = false;
  bool lingering_ = false;  // everything was sent; waits for the peer to close
  bool closed_ = false;
  bool reported_ = false;
  bool abandoned_ = false;
};

// The owner's handle.
class AsioConnection final : public Connection {
 public:
  explicit AsioConnection(std::shared_ptr<ConnectionCore> core) : core_(std::move(core)) {}
  ~AsioConnection() override { core_->abandon(); }
  void start(Handlers handlers) override { core_->start(std::move(handlers)); }
  void send(ByteView frame) override { core_->send(frame); }
  [[nodiscard]] std::uint64_t queued_bytes() const override { return core_->queued_bytes(); }
  void pause_reading() override { core_->pause_reading(); }
  void resume_reading() override { core_->resume_reading(); }
  void finish() override { core_->finish({ErrorKind::cancelled, "closed by this side"}); }
  [[nodiscard]] const std::string& peer() const override { return core_->peer(); }

 private:
  std::shared_ptr<ConnectionCore> core_;
};

}  // namespace zef::net
