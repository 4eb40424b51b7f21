#include "sim/network.h"

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

#include "base/check.h"

namespace zef::sim {

using net::Address;
using net::Connection;
using net::Limits;

namespace {

class End;

struct ListenerState {
  SimExecutor* process;
  Site site;
  Limits limits;
  std::function<void(std::unique_ptr<Connection>)> on_accept;
};

// How long a side waits until it takes a peer that says nothing for gone.
constexpr Duration silence_max = std::chrono::seconds(3);
constexpr Duration connect_retry = std::chrono::milliseconds(100);

}  // namespace

struct Network::State {
  State(Schedule& s, SimRng r) : rng(r), machine(s.make_process()) {}

  SimRng rng;
  SimExecutor& machine;  // the wires themselves: never dies
  NetworkWeather weather;
  std::function<void(const Sent&)> on_sent;
  std::map<Address, std::shared_ptr<ListenerState>> listeners;
  std::set<std::pair<Site, Site>> blocked;
  std::vector<std::weak_ptr<End>> ends;
  std::size_t sweep_at = 64;
  Counters counters;
  std::uint64_t connections = 0;
  std::uint32_t sites = 0;
  std::uint16_t next_port = 1024;

  [[nodiscard]] bool is_blocked(Site one, Site other) const {
    return blocked.contains({std::min(one, other), std::max(one, other)});
  }
  // When something sent now arrives.
  MonotonicTime arrival() {
    Duration delay = rng.between(weather.delay_min, weather.delay_max);
    if (rng.chance(weather.slow_chance)) {
      ++counters.slow;
      delay += rng.between(Duration::zero(), weather.slow_delay);
    }
    const Duration at = (machine.now() + delay).time_since_epoch();
    return MonotonicTime{(at + weather.grain - Duration(1)) / weather.grain * weather.grain};
  }
  void remember(const std::shared_ptr<End>& end);
};

namespace {

using State = Network::State;

// One side of a connection. Shared by its handle and by what is under way.
class End : public std::enable_shared_from_this<End> {
 public:
  End(State& network, SimExecutor& process, Site site, Address listening, std::uint64_t number, bool is_listener,
      const Limits& limits, std::string peer)
      : network_(network),
        process_(process),
        site_(site),
        listening_(std::move(listening)),
        number_(number),
        is_listener_(is_listener),
        limits_(limits),
        peer_(std::move(peer)) {}

  void join(const std::shared_ptr<End>& other) { other_ = other; }
  [[nodiscard]] Site site() const { return site_; }
  [[nodiscard]] const std::string& peer() const { return peer_; }
  [[nodiscard]] bool closed() const { return closed_; }

  void start(Connection::Handlers handlers) {
    ZEF_CHECK(!started_);
    started_ = true;
    handlers_ = std::move(handlers);
    if (closed_) return report_close();
    wake();
  }

  void send(ByteView frame) {
    if (closed_ || finishing_) return;
    ++network_.counters.frames;
    if (network_.on_sent) network_.on_sent({listening_, number_, !is_listener_, frame});
    const auto other = other_.lock();
    if (!other || silent_ || other->silent_) return;
    if (network_.rng.chance(network_.weather.cut_chance)) {
      ++network_.counters.cuts;
      return break_connection();
    }
    queued_ += frame.size();
    if (queued_ > limits_.queued_bytes_max) return break_connection();
    undrained_ = true;
    other->take({network_.arrival(), to_bytes(frame)});
  }

  [[nodiscard]] std::uint64_t queued_bytes() const { return queued_; }
  void pause() { paused_ = true; }
  void resume() {
    paused_ = false;
    wake();
  }

  void finish(Error why = {ErrorKind::cancelled, "closed by this side"}) {
    if (closed_ || finishing_) return;
    finishing_ = true;
    tell_other_of_end();
    process_.post([self = shared_from_this(), why = std::move(why)] { self->close(why); });
  }

  // The handle is gone.
  void abandon() {
    abandoned_ = true;
    if (!closed_) {
      closed_ = true;
      if (!finishing_) tell_other_of_end();
    }
    if (depth_ == 0) handlers_ = {};
  }

  // Both ends go, each when it learns of it.
  void break_connection() {
    if (const auto other = other_.lock()) other->break_at(network_.arrival());
    break_at(network_.arrival());
  }
  void silence() {
    silent_ = true;
    if (const auto other = other_.lock()) other->break_at(network_.machine.now() + silence_max);
  }

  // Frames that arrived and could not be delivered, because of a blocked link or a paused reader, go on.
  void wake() { schedule(network_.machine.now()); }

 private:
  struct Frame {
    MonotonicTime when;
    Bytes bytes;
  };

  void take(Frame frame) {
    if (closed_) return;
    if (!incoming_.empty()) frame.when = std::max(frame.when, incoming_.back().when);
    const MonotonicTime when = frame.when;
    incoming_.push_back(std::move(frame));
    schedule(when);
  }

  void schedule(MonotonicTime when) {
    if (!started_ || closed_) return;
    if (wake_at_ && *wake_at_ <= when) return;
    wake_at_ = when;
    process_.after(when - network_.machine.now(), [self = shared_from_this(), when] {
      if (self->wake_at_ != when) return;  // an earlier one was asked for meanwhile
      self->wake_at_.reset();
      self->deliver();
    });
  }

  void break_at(MonotonicTime when) {
    process_.after(when - network_.machine.now(),
                   [self = shared_from_this()] { self->close({ErrorKind::unavailable, "the connection broke"}); });
  }

  template <class Handler, class... Args>
  void call(Handler& handler, Args&&... args) {
    if (!handler || abandoned_) return;
    ++depth_;
    handler(std::forward<Args>(args)...);
    if (--depth_ == 0 && abandoned_) handlers_ = {};
  }

  void deliver() {
    const auto other = other_.lock();
    if (other && network_.is_blocked(site_, other->site_)) {
      // Heard of again when the link is healed; until then the kernel tries, and gives up after a while.
      if (!blocked_since_) blocked_since_ = network_.machine.now();
      if (network_.machine.now() - *blocked_since_ > silence_max) return break_connection();
      return schedule(network_.machine.now() + std::chrono::milliseconds(250));
    }
    blocked_since_.reset();
    const MonotonicTime now = network_.machine.now();
    bool any = false;
    while (!closed_ && !abandoned_ && !paused_ && !incoming_.empty() && incoming_.front().when <= now) {
      const Bytes frame = std::move(incoming_.front().bytes);
      incoming_.pop_front();
      if (other) other->arrived(frame.size());
      if (finishing_) continue;
      if (frame.size() > limits_.frame_bytes_max) {
        const Error why{ErrorKind::invalid_input, "a frame too long was announced"};
        if (any) call(handlers_.on_batch_end);
        call(handlers_.on_protocol_error, why);
        return finish(why);
      }
      any = true;
      call(handlers_.on_frame, ByteView(frame));
    }
    if (any && !closed_) call(handlers_.on_batch_end);
    if (closed_ || abandoned_) return;
    if (incoming_.empty() && other_ended_) return close({ErrorKind::unavailable, "closed by the peer"});
    if (!incoming_.empty() && !paused_) schedule(incoming_.front().when);
  }

  // The other side has taken that much.
  void arrived(std::size_t bytes) {
    queued_ -= std::min<std::uint64_t>(queued_, bytes);
    if (queued_ > 0 || !std::exchange(undrained_, false)) return;
    process_.post([weak = weak_from_this()] {
      if (const auto self = weak.lock(); self && !self->closed_) self->call(self->handlers_.on_drained);
    });
  }

  void tell_other_of_end() {
    const auto other = other_.lock();
    if (!other || silent_) return;
    network_.machine.after(network_.arrival() - network_.machine.now(), [weak = other_] {
      const auto end = weak.lock();
      if (!end) return;
      end->other_ended_ = true;
      end->schedule(
          std::max(end->network_.machine.now(), end->incoming_.empty() ? MonotonicTime{} : end->incoming_.back().when));
    });
  }

  void close(Error why) {
    if (closed_) return;
    closed_ = true;
    why_ = std::move(why);
    incoming_.clear();
    report_close();
  }
  void report_close() {
    process_.post([self = shared_from_this()] {
      if (self->abandoned_ || !self->started_ || std::exchange(self->reported_, true)) return;
      auto on_closed = std::move(self->handlers_.on_closed);
      self->call(on_closed, self->why_);
    });
  }

  State& network_;
  SimExecutor& process_;
  Site site_;
  Address listening_;
  std::uint64_t number_;
  bool is_listener_;
  Limits limits_;
  std::string peer_;
  std::weak_ptr<End> other_;
  Connection::Handlers handlers_;
  std::deque<Frame> incoming_;
  std::uint64_t queued_ = 0;  // sent and not arrived
  std::optional<MonotonicTime> wake_at_;
  std::optional<MonotonicTime> blocked_since_;
  Error why_;
  int depth_ = 0;
  bool started_ = false;
  bool paused_ = false;
  bool finishing_ = false;
  bool other_ended_ = false;
  bool undrained_ = false;
  bool closed_ = false;
  bool silent_ = false;
  bool abandoned_ = false;
  bool reported_ = false;
};

class SimConnection final : public Connection {
 public:
  explicit SimConnection(std::shared_ptr<End> end) : end_(std::move(end)) {}
  ~SimConnection() override { end_->abandon(); }
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

class SimListener final : public net::Listener {
 public:
  SimListener(State& network, Address address) : network_(network), address_(std::move(address)) {}
  ~SimListener() override { network_.listeners.erase(address_); }
  [[nodiscard]] Address address() const override { return address_; }

 private:
  State& network_;
  Address address_;
};

class SimTransport final : public net::Transport {
 public:
  SimTransport(State& network, SimExecutor& process, Site site) : network_(network), process_(process), site_(site) {}

  Result<std::unique_ptr<net::Listener>> listen(const Address& address, const Limits& limits,
                                                std::function<void(std::unique_ptr<Connection>)> on_accept) override {
    Address real = address;
    if (real.port == 0) real.port = network_.next_port++;
    if (network_.listeners.contains(real)) return fail(ErrorKind::io, net::to_string(real) + " is in use");
    network_.listeners.emplace(
        real, std::make_shared<ListenerState>(ListenerState{&process_, site_, limits, std::move(on_accept)}));
    return std::make_unique<SimListener>(network_, real);
  }

  void connect(const Address& address, const Limits& limits,
               std::move_only_function<void(Result<std::unique_ptr<Connection>>)> done) override {
    auto attempt =
        std::make_shared<Attempt>(Attempt{network_, process_, site_, address, limits, alive_,
                                          network_.machine.now() + limits.connect_time_max, std::move(done)});
    arrive_later(std::move(attempt));
  }

 private:
  struct Attempt {
    State& network;
    SimExecutor& process;
    Site site;
    Address address;
    Limits limits;
    std::weak_ptr<int> alive;
    MonotonicTime give_up;
    std::move_only_function<void(Result<std::unique_ptr<Connection>>)> done;

    // The answer travels back.
    void answer(Result<std::unique_ptr<Connection>> outcome) {
      process.after(network.arrival() - network.machine.now(),
                    [still = alive, call_back = std::move(done), outcome = std::move(outcome)]() mutable {
                      if (!still.expired()) call_back(std::move(outcome));
                    });
    }
  };

  static void arrive_later(std::shared_ptr<Attempt> attempt) {
    State& network = attempt->network;
    network.machine.after(network.arrival() - network.machine.now(),
                          [attempt = std::move(attempt)]() mutable { arrive(std::move(attempt)); });
  }

  static void arrive(std::shared_ptr<Attempt> attempt) {
    State& network = attempt->network;
    if (attempt->alive.expired()) return;
    const auto found = network.listeners.find(attempt->address);
    if (found == network.listeners.end() || !found->second->process->alive())
      return attempt->answer(fail(ErrorKind::unavailable, "nobody listens there"));
    if (network.rng.chance(network.weather.refuse_chance)) {
      ++network.counters.refused;
      return attempt->answer(fail(ErrorKind::unavailable, "simulated: connection refused"));
    }
    const std::shared_ptr<ListenerState> listener = found->second;
    if (network.is_blocked(attempt->site, listener->site)) {
      if (network.machine.now() >= attempt->give_up)
        return attempt->answer(fail(ErrorKind::unavailable, "connecting took too long"));
      network.machine.after(connect_retry, [attempt = std::move(attempt)]() mutable { arrive(std::move(attempt)); });
      return;
    }
    const std::uint64_t number = ++network.connections;
    const std::string name = net::to_string(attempt->address);
    const auto ours = std::make_shared<End>(network, attempt->process, attempt->site, attempt->address, number, false,
                                            attempt->limits, name);
    const auto theirs = std::make_shared<End>(network, *listener->process, listener->site, attempt->address, number,
                                              true, listener->limits, "client of " + name);
    ours->join(theirs);
    theirs->join(ours);
    network.remember(ours);
    network.remember(theirs);
    auto accepted = std::make_unique<SimConnection>(theirs);
    listener->process->post(
        [listener, accepted = std::move(accepted), address = attempt->address, state = &network]() mutable {
          // Still the same one: a process that died and came back knows nothing of this connection.
          const auto now = state->listeners.find(address);
          if (now != state->listeners.end() && now->second == listener) listener->on_accept(std::move(accepted));
        });
    attempt->answer(std::make_unique<SimConnection>(ours));
  }

  State& network_;
  SimExecutor& process_;
  Site site_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace

void Network::State::remember(const std::shared_ptr<End>& end) {
  if (ends.size() >= sweep_at) {
    std::erase_if(ends, [](const std::weak_ptr<End>& weak) { return weak.expired(); });
    sweep_at = std::max<std::size_t>(64, ends.size() * 2);
  }
  ends.push_back(end);
}

Network::Network(Schedule& schedule, SimRng rng) : state_(std::make_shared<State>(schedule, rng)) {}
Network::~Network() = default;

std::unique_ptr<net::Transport> Network::transport(SimExecutor& process, Site site) {
  return std::make_unique<SimTransport>(*state_, process, site);
}
Site Network::new_site() { return static_cast<Site>(++state_->sites); }
void Network::set_weather(const NetworkWeather& weather) { state_->weather = weather; }
void Network::on_sent(std::function<void(const Sent&)> callback) { state_->on_sent = std::move(callback); }
void Network::block(Site one, Site other) { state_->blocked.insert({std::min(one, other), std::max(one, other)}); }
bool Network::blocked(Site one, Site other) const { return state_->is_blocked(one, other); }
const Network::Counters& Network::counters() const { return state_->counters; }

void Network::heal() {
  state_->blocked.clear();
  for (const auto& weak : std::vector(state_->ends))
    if (const auto end = weak.lock()) end->wake();
}

void Network::cut(Site site) {
  for (const auto& weak : std::vector(state_->ends)) {
    const auto end = weak.lock();
    if (!end || end->closed() || end->site() != site) continue;
    ++state_->counters.cuts;
    end->break_connection();
  }
}

void Network::silence(Site site) {
  for (const auto& weak : std::vector(state_->ends)) {
    const auto end = weak.lock();
    if (end && !end->closed() && end->site() == site) end->silence();
  }
}

}  // namespace zef::sim
