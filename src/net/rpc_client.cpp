#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <unordered_map>
#include <vector>

#include "base/check.h"
#include "net/rpc.h"
#include "net/rpc_frame.h"

namespace zef::net {

// Callbacks of the connection and of the executor hold a weak pointer: destroying the client is enough to stop them.
struct RpcClient::Impl : std::enable_shared_from_this<RpcClient::Impl> {
  struct Call {
    Done done;
    MonotonicTime deadline;
    Bytes frame;  // while there is no connection
  };
  enum class State { idle, waiting, connecting, connected };

  Impl(Executor& e, Transport& t, Address a, RpcClientOptions o)
      : executor(e), transport(t), address(std::move(a)), options(std::move(o)), name(to_string(address)) {}

  void call(ByteView body, Duration timeout, Done done);
  void need_connection();
  void connect();
  void on_connected(Result<std::unique_ptr<Connection>> result);
  void on_frame(ByteView frame);
  void lost(const Error& why);
  void fail_all(const Error& why);
  void arm_timer();
  void expire();
  void fail_later(Done done, Error why);

  Executor& executor;
  Transport& transport;
  Address address;
  RpcClientOptions options;
  std::string name;

  bool closed = false;
  State state = State::idle;
  std::unique_ptr<Connection> connection;
  std::optional<Error> refusal;
  Duration delay = Duration::zero();  // before the next attempt
  MonotonicTime attempt_not_before{};
  TimerId attempt_timer = TimerId::none;

  std::uint64_t last_id = 0;
  std::unordered_map<std::uint64_t, Call> calls;
  std::vector<std::uint64_t> unsent;  // in the order of the calls; some may have expired
  std::uint64_t unsent_bytes = 0;
  std::uint64_t answers = 0;
  std::uint64_t late = 0;
  Bytes scratch;

  std::set<std::pair<MonotonicTime, std::uint64_t>> deadlines;
  TimerId deadline_timer = TimerId::none;
  MonotonicTime armed_for = MonotonicTime::max();
};

RpcClient::RpcClient(Executor& executor, Transport& transport, Address address, RpcClientOptions options)
    : impl_(std::make_shared<Impl>(executor, transport, std::move(address), std::move(options))) {}

RpcClient::~RpcClient() {
  impl_->executor.cancel(impl_->deadline_timer);
  impl_->executor.cancel(impl_->attempt_timer);
  impl_->connection.reset();
  impl_->deadlines.clear();
  impl_->closed = true;  // for a method of impl_ that may be on the stack
  const auto forgotten = std::exchange(impl_->calls, {});
}

void RpcClient::call(ByteView body, Duration timeout, Done done) { impl_->call(body, timeout, std::move(done)); }

Task<Result<Bytes>> RpcClient::call(Bytes body, Duration timeout) {
  co_return co_await from_callback<Result<Bytes>>(
      [this, &body, timeout](auto done) { impl_->call(body, timeout, std::move(done)); });
}

void RpcClient::abandon(Error why) {
  impl_->executor.cancel(std::exchange(impl_->attempt_timer, TimerId::none));
  impl_->executor.post([weak = std::weak_ptr(impl_), why = std::move(why)] {
    const auto self = weak.lock();
    if (!self) return;
    if (self->connection) return self->lost(why);
    if (self->state == Impl::State::waiting) self->state = Impl::State::idle;
    self->fail_all(why);
  });
}

const Address& RpcClient::address() const { return impl_->address; }
bool RpcClient::connected() const { return impl_->state == Impl::State::connected; }
std::size_t RpcClient::outstanding() const { return impl_->calls.size(); }
std::uint64_t RpcClient::answers() const { return impl_->answers; }
std::uint64_t RpcClient::late_answers() const { return impl_->late; }

void RpcClient::Impl::fail_later(Done done, Error why) {
  executor.post([weak = weak_from_this(), done = std::move(done), why = std::move(why)]() mutable {
    if (!weak.expired()) done(std::unexpected(std::move(why)));
  });
}

void RpcClient::Impl::call(ByteView body, Duration timeout, Done done) {
  if (body.size() + request_id_bytes > options.limits.frame_bytes_max) {
    return fail_later(std::move(done), {ErrorKind::invalid_input,
                                        fmt::format("a request of {} bytes is too long for {}: at most {}", body.size(),
                                                    name, options.limits.frame_bytes_max - request_id_bytes)});
  }
  const std::uint64_t queued = connection ? connection->queued_bytes() : unsent_bytes;
  if (calls.size() >= options.calls_max || queued + body.size() > options.queued_bytes_max) {
    return fail_later(std::move(done), {ErrorKind::unavailable,
                                        fmt::format("{} does not keep up: {} calls and {} unsent bytes wait for it",
                                                    name, calls.size(), queued)});
  }
  const std::uint64_t id = ++last_id;
  const Duration longest = MonotonicTime::max() - executor.now();
  const MonotonicTime deadline = executor.now() + std::min(timeout, longest);
  Call& entry = calls.emplace(id, Call{std::move(done), deadline, {}}).first->second;
  deadlines.emplace(deadline, id);
  arm_timer();

  if (state == State::connected) {
    write_rpc_frame(scratch, id, body);
    connection->send(scratch);
    return;
  }
  write_rpc_frame(entry.frame, id, body);
  unsent.push_back(id);
  unsent_bytes += entry.frame.size();
  need_connection();
}

void RpcClient::Impl::need_connection() {
  if (state != State::idle) return;
  const MonotonicTime now = executor.now();
  if (now >= attempt_not_before) return connect();
  state = State::waiting;
  attempt_timer = executor.after(attempt_not_before - now, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->state = State::idle;
    if (!self->calls.empty()) self->connect();
  });
}

void RpcClient::Impl::connect() {
  state = State::connecting;
  transport.connect(address, options.limits,
                    [weak = weak_from_this()](Result<std::unique_ptr<Connection>> result) mutable {
                      if (const auto self = weak.lock()) self->on_connected(std::move(result));
                    });
}

void RpcClient::Impl::on_connected(Result<std::unique_ptr<Connection>> result) {
  if (!result) {
    delay = std::clamp(delay * 2, options.reconnect_delay_min, options.reconnect_delay_max);
    attempt_not_before = executor.now() + delay;
    state = State::idle;
    return fail_all(result.error());
  }
  state = State::connected;
  refusal.reset();
  connection = std::move(*result);
  Connection::Handlers handlers;
  handlers.on_frame = [weak = weak_from_this()](ByteView frame) {
    if (const auto self = weak.lock()) self->on_frame(frame);
  };
  handlers.on_closed = [weak = weak_from_this()](Error why) {
    if (const auto self = weak.lock()) self->lost(why);
  };
  connection->start(std::move(handlers));
  for (const std::uint64_t id : std::exchange(unsent, {})) {
    const auto found = calls.find(id);
    if (found != calls.end()) connection->send(std::exchange(found->second.frame, {}));
  }
  unsent_bytes = 0;
}

void RpcClient::Impl::on_frame(ByteView frame) {
  const auto parsed = read_rpc_frame(frame);
  if (!parsed) return lost({ErrorKind::invalid_input, "an answer without a request id"});
  if (parsed->request_id == refusal_request_id) {
    refusal = options.explain_refusal ? options.explain_refusal(parsed->body)
                                      : Error{ErrorKind::refused, "the server refused the connection"};
    return;  // the server closes; the calls then fail with this
  }
  delay = Duration::zero();  // a server that answers is a good one
  const auto found = calls.find(parsed->request_id);
  if (found == calls.end()) {
    ++late;
    return;
  }
  const auto entry = calls.extract(found);
  deadlines.erase({entry.mapped().deadline, entry.key()});
  ++answers;
  entry.mapped().done(to_bytes(parsed->body));
}

void RpcClient::Impl::lost(const Error& why) {
  connection.reset();
  state = State::idle;
  // A server that accepts and closes at once must not be hammered: only an answer resets the delay.
  attempt_not_before = executor.now() + delay;
  delay = std::clamp(delay * 2, options.reconnect_delay_min, options.reconnect_delay_max);
  if (refusal) return fail_all(*refusal);
  const ErrorKind kind = why.kind == ErrorKind::refused ? ErrorKind::refused : ErrorKind::unavailable;
  fail_all({kind, fmt::format("connection to {} lost: {}", name, why.message)});
}

void RpcClient::Impl::fail_all(const Error& why) {
  auto failed = std::exchange(calls, {});
  deadlines.clear();
  unsent.clear();
  unsent_bytes = 0;
  // In the order of the calls, so that a simulation repeats itself. A callback may destroy the client: the rest is then
  // forgotten.
  std::vector<std::uint64_t> ids;
  ids.reserve(failed.size());
  for (const auto& [id, call] : failed) ids.push_back(id);
  std::ranges::sort(ids);
  for (const std::uint64_t id : ids) {
    if (closed) return;
    failed.at(id).done(std::unexpected(why));
  }
}

void RpcClient::Impl::arm_timer() {
  if (deadlines.empty() || deadlines.begin()->first >= armed_for) return;
  executor.cancel(deadline_timer);
  armed_for = deadlines.begin()->first;
  deadline_timer = executor.after(std::max(armed_for - executor.now(), Duration::zero()), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->expire();
  });
}

void RpcClient::Impl::expire() {
  armed_for = MonotonicTime::max();
  deadline_timer = TimerId::none;
  const MonotonicTime now = executor.now();
  while (!deadlines.empty() && deadlines.begin()->first <= now) {
    const auto entry = calls.extract(deadlines.begin()->second);
    deadlines.erase(deadlines.begin());
    ZEF_CHECK(!entry.empty());
    unsent_bytes -= std::min<std::uint64_t>(unsent_bytes, entry.mapped().frame.size());
    entry.mapped().done(fail(ErrorKind::unavailable, fmt::format("{} did not answer in time", name)));
  }
  // Ids of calls that expired before they were sent must not pile up while the server is away.
  if (state != State::connected && unsent.size() > calls.size())
    std::erase_if(unsent, [&](std::uint64_t id) { return !calls.contains(id); });
  arm_timer();
}

}  // namespace zef::net
