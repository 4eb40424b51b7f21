#include "net/testing/memory_transport.h"

#include <fmt/core.h>

#include <deque>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/check.h"

namespace zef::net::testing {
namespace {

class End;

struct ListenerState {
  Limits limits;
  std::function<void(std::unique_ptr<Connection>)> on_accept;
};

}  // namespace

struct MemoryNetwork::State {
  explicit State(Executor& e) : executor(e) {}

  Executor& executor;
  std::map<Address, std::shared_ptr<ListenerState>> listeners;
  std::set<Address> denied;
  std::set<Address> frozen;
  std::vector<std::weak_ptr<End>> ends;  // of both sides
  Duration delay = Duration::zero();
  std::uint16_t next_port = 40000;
};

namespace {

using Network = MemoryNetwork::State;

// One side of a connection. Shared by its handle and by callbacks under way.
class End : public std::enable_shared_from_this<End> {
 public:
  End(std::shared_ptr<Network> network, Address listening, Limits limits, std::string peer)
      : network_(std::move(network)), listening_(std::move(listening)), limits_(limits), peer_(std::move(peer)) {}

  void join(const std::shared_ptr<End>& other) { other_ = other; }

  void start(Connection::Handlers handlers) {
    ZEF_CHECK(!started_);
    started_ = true;
    handlers_ = std::move(handlers);
    if (closed_) return report_close();
    schedule();
  }

  void send(ByteView frame) {
    if (closed_ || finishing_) return;
    const auto other = other_.lock();
    if (!other) return;
    other->incoming_.push_back(to_bytes(frame));
    other->incoming_bytes_ += frame.size();
    if (other->incoming_bytes_ > limits_.queued_bytes_max) {
      close({ErrorKind::unavailable, "the peer does not read"});
      return other->close({ErrorKind::unavailable, "connection reset by the peer"});
    }
    other->undrained_ = true;
    other->schedule();
  }

  [[nodiscard]] std::uint64_t queued_bytes() const {
    const auto other = other_.lock();
    return other ? other->incoming_bytes_ : 0;
  }

  void pause() { paused_ = true; }
  void resume() {
    paused_ = false;
    schedule();
  }

  void finish() { finish({ErrorKind::cancelled, "closed by this side"}); }

  void abandon() {
    abandoned_ = true;
    if (!closed_) {
      closed_ = true;
      tell_other_of_close();
    }
    if (depth_ == 0) handlers_ = {};
  }

  // The error is reported to the owner by a post.
  void close(Error why) {
    if (closed_) return;
    closed_ = true;
    why_ = std::move(why);
    incoming_.clear();
    incoming_bytes_ = 0;
    report_close();
  }

  void schedule() {
    if (scheduled_ || !started_ || closed_) return;
    scheduled_ = true;
    Callback deliver = [self = shared_from_this()] { self->deliver(); };
    if (network_->delay > Duration::zero())
      network_->executor.after(network_->delay, std::move(deliver));
    else
      network_->executor.post(std::move(deliver));
  }

  [[nodiscard]] bool closed() const { return closed_; }
  [[nodiscard]] const Address& listening() const { return listening_; }
  [[nodiscard]] const std::string& peer() const { return peer_; }

 private:
  [[nodiscard]] bool frozen() const { return network_->frozen.contains(listening_); }

  template <class Handler, class... Args>
  void call(Handler& handler, Args&&... args) {
    if (!handler || abandoned_) return;
    ++depth_;
    handler(std::forward<Args>(args)...);
    if (--depth_ == 0 && abandoned_) handlers_ = {};
  }

  void deliver() {
    scheduled_ = false;
    if (frozen()) return;
    bool any = false;
    std::size_t count = incoming_.size();  // what is sent meanwhile belongs to the next batch
    while (count-- > 0 && !closed_ && !abandoned_ && !paused_ && !incoming_.empty()) {
      const Bytes frame = std::move(incoming_.front());
      incoming_.pop_front();
      incoming_bytes_ -= frame.size();
      if (finishing_) continue;
      if (frame.size() > limits_.frame_bytes_max) {
        const Error why{ErrorKind::invalid_input,
                        fmt::format("a frame of {} bytes was announced, at most {} are allowed", frame.size(),
                                    limits_.frame_bytes_max)};
        if (any) call(handlers_.on_batch_end);
        call(handlers_.on_protocol_error, why);
        return finish(why);
      }
      any = true;
      call(handlers_.on_frame, ByteView(frame));
    }
    if (any && !closed_) call(handlers_.on_batch_end);
    if (closed_ || abandoned_) return;
    if (incoming_.empty() && std::exchange(undrained_, false)) notify_drained();
    if (incoming_.empty() && other_finished_) return close({ErrorKind::unavailable, "closed by the peer"});
    if (!incoming_.empty() && !paused_) schedule();
  }

  void notify_drained() {
    network_->executor.post([weak = other_] {
      if (const auto other = weak.lock(); other && !other->closed_) other->call(other->handlers_.on_drained);
    });
  }

  void finish(Error why) {
    if (closed_ || finishing_) return;
    finishing_ = true;
    tell_other_of_close();
    network_->executor.post([self = shared_from_this(), why = std::move(why)] { self->close(why); });
  }

  // The other side still receives what was sent before.
  void tell_other_of_close() {
    const auto other = other_.lock();
    if (!other) return;
    other->other_finished_ = true;
    other->schedule();
  }

  void report_close() {
    network_->executor.post([self = shared_from_this()] {
      if (self->abandoned_ || !self->started_ || std::exchange(self->reported_, true)) return;
      auto on_closed = std::move(self->handlers_.on_closed);
      self->call(on_closed, self->why_);
    });
  }

  std::shared_ptr<Network> network_;
  Address listening_;
  Limits limits_;
  std::string peer_;
  std::weak_ptr<End> other_;
  Connection::Handlers handlers_;
  std::deque<Bytes> incoming_;
  std::uint64_t incoming_bytes_ = 0;
  Error why_;
  int depth_ = 0;
  bool started_ = false;
  bool paused_ = false;
  bool finishing_ = false;
  bool other_finished_ = false;
  bool undrained_ = false;
  bool scheduled_ = false;
  bool closed_ = false;
  bool abandoned_ = false;
  bool reported_ = false;
};

class MemoryConnection final : public Connection {
 public:
  explicit MemoryConnection(std::shared_ptr<End> end) : end_(std::move(end)) {}
  ~MemoryConnection() override { end_->abandon(); }
  void start(Handlers handlers) override { end_->start(std::move(handlers)); }
  void send(ByteView frame) override { end_->send(frame); }
  [[nodiscard]] std::uint64_t queued_bytes() const override { return end_->queued_bytes(); }
  void pause_reading() override { end_->pause(); }
  void resume_reading() override { end_->resume(); }
  void finish() override { end_->finish(); }
  [[nodiscard]] const std::string& peer() const override { return end_->peer(); }

 private:
  std::shared_ptr<End> end_;
};

class MemoryListener final : public Listener {
 public:
  MemoryListener(std::shared_ptr<Network> network, Address address)
      : network_(std::move(network)), address_(std::move(address)) {}
  ~MemoryListener() override { network_->listeners.erase(address_); }
  [[nodiscard]] Address address() const override { return address_; }

 private:
  std::shared_ptr<Network> network_;
  Address address_;
};

class MemoryTransport final : public Transport {
 public:
  explicit MemoryTransport(std::shared_ptr<Network> network) : network_(std::move(network)) {}

  Result<std::unique_ptr<Listener>> listen(const Address& address, const Limits& limits,
                                           std::function<void(std::unique_ptr<Connection>)> on_accept) override {
    Address real = address;
    while (real.port == 0 || (address.port == 0 && network_->listeners.contains(real)))
      real.port = network_->next_port++;
    if (network_->listeners.contains(real)) {
      return fail(ErrorKind::io, fmt::format("port {} of {} is in use: choose another port or stop the process that "
                                             "holds it",
                                             real.port, real.host));
    }
    network_->listeners.emplace(real, std::make_shared<ListenerState>(limits, std::move(on_accept)));
    return std::make_unique<MemoryListener>(network_, real);
  }

  void connect(const Address& address, const Limits& limits,
               std::move_only_function<void(Result<std::unique_ptr<Connection>>)> done) override {
    const Duration delay = network_->frozen.contains(address) ? limits.connect_time_max : network_->delay;
    Callback attempt = [network = network_, address, limits, done = std::move(done),
                        alive = std::weak_ptr<int>(alive_)]() mutable {
      if (!alive.expired()) connect_now(network, address, limits, std::move(done));
    };
    if (delay > Duration::zero())
      network_->executor.after(delay, std::move(attempt));
    else
      network_->executor.post(std::move(attempt));
  }

 private:
  static void connect_now(const std::shared_ptr<Network>& network, const Address& address, const Limits& limits,
                          std::move_only_function<void(Result<std::unique_ptr<Connection>>)> done) {
    if (network->frozen.contains(address))
      return done(fail(ErrorKind::unavailable, "connecting to " + to_string(address) + " took too long"));
    const auto found = network->listeners.find(address);
    if (found == network->listeners.end() || network->denied.contains(address))
      return done(fail(ErrorKind::unavailable, "nobody listens at " + to_string(address)));
    const std::shared_ptr<ListenerState> listener = found->second;
    const auto ours = std::make_shared<End>(network, address, limits, to_string(address));
    const auto theirs = std::make_shared<End>(network, address, listener->limits, "client of " + to_string(address));
    ours->join(theirs);
    theirs->join(ours);
    std::erase_if(network->ends, [](const std::weak_ptr<End>& end) { return end.expired(); });
    network->ends.push_back(ours);
    network->ends.push_back(theirs);
    listener->on_accept(std::make_unique<MemoryConnection>(theirs));
    done(std::make_unique<MemoryConnection>(ours));
  }

  std::shared_ptr<Network> network_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace

MemoryNetwork::MemoryNetwork(Executor& executor) : state_(std::make_shared<State>(executor)) {}
MemoryNetwork::~MemoryNetwork() = default;

std::unique_ptr<Transport> MemoryNetwork::transport() { return std::make_unique<MemoryTransport>(state_); }

std::size_t MemoryNetwork::cut(const Address& address) {
  std::size_t count = 0;
  for (const auto& weak : std::vector(state_->ends)) {
    const auto end = weak.lock();
    if (!end || end->closed() || end->listening() != address) continue;
    end->close({ErrorKind::unavailable, "the connection was cut"});
    ++count;
  }
  return count / 2;
}

void MemoryNetwork::deny(const Address& address, bool denied) {
  if (denied)
    state_->denied.insert(address);
  else
    state_->denied.erase(address);
}

void MemoryNetwork::freeze(const Address& address, bool frozen) {
  if (frozen) {
    state_->frozen.insert(address);
    return;
  }
  state_->frozen.erase(address);
  for (const auto& weak : state_->ends) {
    const auto end = weak.lock();
    if (end && end->listening() == address) end->schedule();
  }
}

void MemoryNetwork::set_delay(Duration delay) { state_->delay = delay; }

std::size_t MemoryNetwork::open_connections() const {
  std::size_t count = 0;
  for (const auto& weak : state_->ends) {
    const auto end = weak.lock();
    if (end && !end->closed()) ++count;
  }
  return (count + 1) / 2;
}

}  // namespace zef::net::testing
