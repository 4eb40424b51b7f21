// Connections that carry frames, as interfaces: the real ones (Asio, TLS) are made by net/asio_transport.h, simulated
// ones by sim. A frame on the wire is a u32 little-endian length and as many payload bytes.
//
// Thread rule: everything happens on the executor's thread. Ownership: whoever holds the unique_ptr owns the
// connection; destroying it closes it at once and no callback follows. Frames sent in one turn of the loop leave in
// one write. Sending never blocks: queued_bytes() tells how much has not left yet, and the owner decides what to do
// about it (stop reading with pause_reading(), refuse, or close). A connection whose peer does not read is closed by
// the transport when more than Limits::queued_bytes_max wait.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/executor.h"
#include "base/result.h"

namespace zef::net {

// "host:port"; host is an IPv4 or bracketed IPv6 address or a DNS name. Port 0 listens on any free port.
struct Address {
  std::string host;
  std::uint16_t port = 0;
  friend auto operator<=>(const Address&, const Address&) = default;
};
[[nodiscard]] Result<Address> parse_address(std::string_view text);
[[nodiscard]] std::string to_string(const Address& address);

struct Limits {
  std::uint32_t frame_bytes_max = 4U << 20;             // a longer frame is a protocol error: on_closed says so
  std::uint64_t queued_bytes_max = 64ULL << 20;         // unsent bytes before the connection is given up
  Duration connect_time_max = std::chrono::seconds(5);  // name look-up, TCP and (on both sides) TLS
  Duration finish_time_max = std::chrono::seconds(5);   // from finish() until the connection is closed regardless
};

class Connection {
 public:
  virtual ~Connection() = default;

  // All are optional. Destroying the connection inside any of them is allowed.
  struct Handlers {
    // One call per frame, in order; the view is valid during the call only. None follows inside pause_reading().
    std::move_only_function<void(ByteView frame)> on_frame;
    // After the last on_frame of one read from the socket: the place to act on a whole batch.
    std::move_only_function<void()> on_batch_end;
    // Everything that send() queued has left: queued_bytes() is 0 again.
    std::move_only_function<void()> on_drained;
    // The peer broke the framing (a frame too long). Last chance to send an answer; the connection then finishes as by
    // finish(), and on_closed follows with the same error.
    std::move_only_function<void(const Error& why)> on_protocol_error;
    // At most once, and last: the connection is dead, destroy it. invalid_input: the peer broke the framing; refused:
    // TLS says no; cancelled: after finish(); unavailable: the peer closed, does not read, or the network failed.
    std::move_only_function<void(Error why)> on_closed;
  };
  // Must be called once; frames are delivered from then on, never inside this call.
  virtual void start(Handlers handlers) = 0;

  // Queues one frame. Ignored after finish() and after the connection has closed.
  virtual void send(ByteView frame) = 0;
  [[nodiscard]] virtual std::uint64_t queued_bytes() const = 0;
  // No on_frame follows before resume_reading(); what was read already waits in memory. A peer that goes away meanwhile
  // is noticed by sending or after resuming.
  virtual void pause_reading() = 0;
  virtual void resume_reading() = 0;
  // Sends what is queued, then closes; on_closed follows. Frames that arrive from now on are dropped.
  virtual void finish() = 0;
  [[nodiscard]] virtual const std::string& peer() const = 0;  // for logs, "address:port", and its certificate's name
};

class Listener {
 public:
  virtual ~Listener() = default;                      // stops listening; allowed inside on_accept
  [[nodiscard]] virtual Address address() const = 0;  // with the real port
};

class Transport {
 public:
  virtual ~Transport() = default;  // forgets pending connects without a call
  // Calls on_accept for every connection (of TLS: after the handshake). A busy port or an address that is not ours is
  // an io error that says so. The listener may outlive the transport.
  virtual Result<std::unique_ptr<Listener>> listen(const Address& address, const Limits& limits,
                                                   std::function<void(std::unique_ptr<Connection>)> on_accept) = 0;
  // Calls `done` exactly once, later; with a connection that start() was not called on yet, or with the reason.
  virtual void connect(const Address& address, const Limits& limits,
                       std::move_only_function<void(Result<std::unique_ptr<Connection>>)> done) = 0;
};

}  // namespace zef::net
