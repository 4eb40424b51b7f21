// Requests and answers over connections: what clients, balancers and workers speak with each other. Works on the
// abstract Transport and Executor, so simulation runs the same code.
//
// Payload of a frame: request id (u64, little-endian) and body. The caller chooses ids from 1 on; the answer carries
// the id of its request; answers come in any order. Id 0 is used by servers only: a refusal of the whole connection
// (too many connections, a frame too long), after which the server closes.
//
// Thread rule: everything on the executor's thread. Callbacks never run inside the call that asked for them.
// Bounds: RpcClientOptions and RpcServerOptions name all of them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/executor.h"
#include "base/result.h"
#include "base/task.h"
#include "net/transport.h"

namespace zef::net {

inline constexpr std::size_t request_id_bytes = 8;
inline constexpr std::uint64_t refusal_request_id = 0;

struct RpcClientOptions {
  Limits limits;
  std::size_t calls_max = 65536;                 // outstanding
  std::uint64_t queued_bytes_max = 32ULL << 20;  // unsent; a call beyond is refused, the connection stays
  Duration reconnect_delay_min = std::chrono::milliseconds(20);  // after a failed attempt; doubles with each
  Duration reconnect_delay_max = std::chrono::seconds(2);
  // What a refusal of the server means; without it: refused, "the server refused the connection".
  std::function<Error(ByteView body)> explain_refusal;
};

// One connection to one address. It connects at the first call and again after it was lost. A call fails with
//   unavailable    no connection, connection lost, no answer in time, or too much outstanding: it may have been
//   executed refused        the server refused the connection (see explain_refusal) invalid_input  the body is longer
//   than a frame may be
// Destroying the client closes the connection and forgets all calls without calling back; it is allowed in callbacks.
class RpcClient {
 public:
  using Done = std::move_only_function<void(Result<Bytes> answer)>;

  RpcClient(Executor& executor, Transport& transport, Address address, RpcClientOptions options = {});
  RpcClient(const RpcClient&) = delete;
  RpcClient& operator=(const RpcClient&) = delete;
  ~RpcClient();

  // `done` is called exactly once, later. All calls of a turn leave in one write. The body is copied.
  void call(ByteView body, Duration timeout, Done done);
  [[nodiscard]] Task<Result<Bytes>> call(Bytes body, Duration timeout);

  // Closes the connection; all calls fail, later, with this error: their answers are no longer worth waiting for.
  void abandon(Error why);

  [[nodiscard]] const Address& address() const;
  [[nodiscard]] bool connected() const;
  [[nodiscard]] std::size_t outstanding() const;
  [[nodiscard]] std::uint64_t answers() const;       // so far, in time
  [[nodiscard]] std::uint64_t late_answers() const;  // answers that nobody waited for any more

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

enum class ConnectionId : std::uint64_t {};

struct RpcServerOptions {
  Limits limits;
  std::size_t connections_max = 4096;
  std::size_t refusals_max = 64;                  // refused connections that wait for their refusal to leave
  std::size_t calls_per_connection_max = 4096;    // unanswered ones; reading pauses there until half are answered
  std::uint64_t queued_bytes_pause = 4ULL << 20;  // unsent answers of one connection; reading pauses until they left
  Duration idle_time_max = Duration::zero();      // a connection without calls is closed after this time; zero: never
};

// Listens and hands out calls. Each call is to be answered once with respond(), or given up with forget(): until then
// it counts against its connection. Not to be destroyed inside its own handlers (post that).
class RpcServer {
 public:
  struct Handlers {
    // The body is valid during the call only. Required.
    std::move_only_function<void(ConnectionId connection, std::uint64_t request_id, ByteView body)> on_call;
    // After the last on_call of one read of one connection.
    std::move_only_function<void(ConnectionId connection)> on_batch_end;
    std::move_only_function<void(ConnectionId connection, const std::string& peer)> on_opened;
    std::move_only_function<void(ConnectionId connection)> on_closed;  // calls without an answer stay unanswered
    // The body of the refusal (id 0) sent before a connection is closed for a reason that is the peer's fault or for
    // want of room (unavailable: too many connections; invalid_input: bad framing). Without it nothing is sent.
    std::move_only_function<Bytes(const Error& why)> refusal_body;
  };

  RpcServer(Executor& executor, Transport& transport, Handlers handlers, RpcServerOptions options = {});
  RpcServer(const RpcServer&) = delete;
  RpcServer& operator=(const RpcServer&) = delete;
  ~RpcServer();

  // May be called for several addresses. Returns the real address (port 0: a free one).
  [[nodiscard]] Result<Address> listen(const Address& address);
  // Ignored if the connection is gone. A body too long for a frame closes the connection (logged).
  void respond(ConnectionId connection, std::uint64_t request_id, ByteView body);
  void forget(ConnectionId connection);  // one call fewer to answer
  // Sends what is queued, then closes. Its further calls are dropped.
  void finish(ConnectionId connection);
  // No on_call follows on any connection, present and future, until resume_all(): back-pressure from below.
  void pause_all();
  void resume_all();
  // Stops listening and reading; each connection is closed when its calls are answered; then calls `done`, once.
  void drain(Callback done);

  [[nodiscard]] std::size_t connections() const;
  [[nodiscard]] std::size_t outstanding() const;  // calls not answered yet
  [[nodiscard]] std::uint64_t refused_connections() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace zef::net
