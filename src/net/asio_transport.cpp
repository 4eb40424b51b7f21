#include "net/asio_transport.h"

#include <fmt/core.h>

#include <algorithm>
#include <exception>
#include <set>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "net/asio_connection.h"

namespace zef::net {
namespace {

// Accepted connections whose TLS handshake is not done; accepting pauses there.
constexpr std::size_t handshakes_max = 256;
constexpr Duration refused_log_interval = std::chrono::seconds(1);
// After the machine said that it has no descriptor (or memory) left for a connection.
constexpr Duration accept_retry_delay = std::chrono::milliseconds(100);

Address to_address(const Tcp::endpoint& endpoint) { return {endpoint.address().to_string(), endpoint.port()}; }

std::string peer_text(const Tcp::socket& socket) {
  ErrorCode error;
  const Tcp::endpoint endpoint = socket.remote_endpoint(error);
  return error ? "a peer that is gone" : to_string(to_address(endpoint));
}

Error listen_error(const Address& address, const ErrorCode& code) {
  if (code == asio::error::address_in_use) {
    return {ErrorKind::io, fmt::format("port {} of {} is in use: choose another port or stop the process that holds it",
                                       address.port, address.host)};
  }
  if (code == boost::system::errc::address_not_available) {
    return {ErrorKind::io,
            fmt::format("{} is not an address of this machine: choose one that it has, or 127.0.0.1", address.host)};
  }
  if (code == asio::error::access_denied) {
    return {ErrorKind::io, fmt::format("port {} of {} may not be used by this user: choose one above 1023",
                                       address.port, address.host)};
  }
  return {ErrorKind::io, fmt::format("cannot listen at {}: {}", to_string(address), code.message())};
}

// Blocks for a DNS name: listening is a matter of start-up.
Result<Tcp::endpoint> local_endpoint(Loop& loop, const Address& address) {
  ErrorCode error;
  const auto ip = asio::ip::make_address(address.host, error);
  if (!error) return Tcp::endpoint(ip, address.port);
  Tcp::resolver resolver(loop.impl().io);
  const auto found = resolver.resolve(address.host, std::to_string(address.port), Tcp::resolver::passive, error);
  if (error || found.empty()) {
    return fail(ErrorKind::io,
                fmt::format("{} is not a name or address of this machine ({})", address.host, error.message()));
  }
  return found.begin()->endpoint();
}

class ListenerCore : public std::enable_shared_from_this<ListenerCore> {
 public:
  using OnAccept = std::function<void(std::unique_ptr<Connection>)>;

  ListenerCore(Loop& loop, const Limits& limits, std::shared_ptr<TlsContext> tls, OnAccept on_accept)
      : loop_(loop),
        limits_(limits),
        tls_(std::move(tls)),
        acceptor_(loop.impl().io),
        on_accept_(std::make_shared<OnAccept>(std::move(on_accept))) {}

  Result<Address> open(const Address& address) {
    const auto endpoint = local_endpoint(loop_, address);
    if (!endpoint) return std::unexpected(endpoint.error());
    ErrorCode error;
    acceptor_.open(endpoint->protocol(), error);
    // A restarted process takes its port back at once; a port that another process listens at stays busy all the same.
    if (!error) acceptor_.set_option(Tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(*endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) return std::unexpected(listen_error(address, error));
    const Tcp::endpoint real = acceptor_.local_endpoint(error);
    if (error) return std::unexpected(listen_error(address, error));
    accept();
    return to_address(real);
  }

  void close() {
    closed_ = true;
    loop_.cancel(retry_);
    ErrorCode ignored;
    acceptor_.close(ignored);
    for (const auto& core : std::exchange(handshakes_, {})) core->abandon();
  }

 private:
  void accept() {
    if (closed_ || accepting_ || handshakes_.size() >= handshakes_max) return;
    accepting_ = true;
    acceptor_.async_accept([self = shared_from_this()](ErrorCode error, Tcp::socket socket) {
      self->accepting_ = false;
      if (self->closed_) return;
      if (!error) {
        self->take(std::move(socket));
      } else if (error != asio::error::connection_aborted && error != asio::error::interrupted) {
        return self->retry_later(error);
      }
      self->accept();
    });
  }

  void retry_later(const ErrorCode& error) {
    log::warning("net", "cannot accept a connection, trying again in {} ms: {}",
                 std::chrono::duration_cast<std::chrono::milliseconds>(accept_retry_delay).count(), error.message());
    retry_ = loop_.after(accept_retry_delay, [self = shared_from_this()] { self->accept(); });
  }

  void take(Tcp::socket socket) {
    std::string peer = peer_text(socket);
    auto session = tls_ ? std::make_unique<TlsSession>(*tls_, TlsSession::Role::server) : nullptr;
    const auto core =
        std::make_shared<ConnectionCore>(loop_, std::move(socket), limits_, std::move(session), std::move(peer));
    if (!tls_) return deliver(core);
    handshakes_.insert(core);
    core->handshake(limits_.connect_time_max, [weak = weak_from_this(), raw = core.get()](Result<void> result) {
      if (const auto self = weak.lock()) self->on_handshake(raw->shared_from_this(), result);
    });
  }

  void on_handshake(const std::shared_ptr<ConnectionCore>& core, const Result<void>& result) {
    if (closed_) return;
    handshakes_.erase(core);
    if (result)
      deliver(core);
    else
      log_refused(*core, result.error());
    accept();
  }

  // At most one line a second: strangers do not fill the disk.
  void log_refused(const ConnectionCore& core, const Error& why) {
    ++refused_;
    const MonotonicTime now = loop_.now();
    if (refused_ > 1 && now - refused_logged_ < refused_log_interval) return;
    refused_logged_ = now;
    log::warning("net", "peer refused peer={} why=\"{}\" refused_so_far={}", core.peer(), why.message, refused_);
  }

  void deliver(const std::shared_ptr<ConnectionCore>& core) {
    // A copy: the listener may be destroyed in there.
    const std::shared_ptr<OnAccept> on_accept = on_accept_;
    (*on_accept)(std::make_unique<AsioConnection>(core));
  }

  Loop& loop_;
  const Limits limits_;
  std::shared_ptr<TlsContext> tls_;
  Tcp::acceptor acceptor_;
  std::shared_ptr<OnAccept> on_accept_;
  std::set<std::shared_ptr<ConnectionCore>> handshakes_;
  std::uint64_t refused_ = 0;
  MonotonicTime refused_logged_{};
  TimerId retry_ = TimerId::none;
  bool accepting_ = false;
  bool closed_ = false;
};

class AsioListener final : public Listener {
 public:
  AsioListener(std::shared_ptr<ListenerCore> core, Address address)
      : core_(std::move(core)), address_(std::move(address)) {}
  ~AsioListener() override { core_->close(); }
  [[nodiscard]] Address address() const override { return address_; }

 private:
  std::shared_ptr<ListenerCore> core_;
  Address address_;
};

// One call of connect(): name look-up, TCP, TLS, all before one deadline.
class Attempt : public std::enable_shared_from_this<Attempt> {
 public:
  using Done = std::move_only_function<void(Result<std::unique_ptr<Connection>>)>;

  Attempt(Loop& loop, Address address, const Limits& limits, std::shared_ptr<TlsContext> tls, Done done)
      : loop_(loop),
        name_(to_string(address)),
        address_(std::move(address)),
        limits_(limits),
        tls_(std::move(tls)),
        resolver_(loop.impl().io),
        socket_(loop.impl().io),
        done_(std::move(done)) {}

  void start() {
    deadline_ = loop_.now() + limits_.connect_time_max;
    timer_ = loop_.after(limits_.connect_time_max, [self = shared_from_this()] {
      self->end(fail(ErrorKind::unavailable, fmt::format("{} did not accept a connection in time", self->name_)));
    });
    ErrorCode error;
    const auto ip = asio::ip::make_address(address_.host, error);
    if (!error) return connect({Tcp::endpoint(ip, address_.port)});
    try {  // Asio starts a thread for the look-up, and throws if it cannot.
      resolver_.async_resolve(address_.host, std::to_string(address_.port),
                              [self = shared_from_this()](ErrorCode failed, const Tcp::resolver::results_type& found) {
                                self->on_resolved(failed, found);
                              });
    } catch (const std::exception& problem) {
      end_later({ErrorKind::io, fmt::format("cannot look up {}: {}", address_.host, problem.what())});
    }
  }

  // Nobody is called any more.
  void abandon() {
    done_ = nullptr;
    stop();
  }
  [[nodiscard]] bool over() const { return !done_; }

 private:
  void on_resolved(const ErrorCode& failed, const Tcp::resolver::results_type& found) {
    if (over()) return;
    if (failed) {
      return end(fail(ErrorKind::unavailable,
                      fmt::format("no machine is known by the name {}: {}", address_.host, failed.message())));
    }
    std::vector<Tcp::endpoint> endpoints;
    for (const auto& entry : found) endpoints.push_back(entry.endpoint());
    connect(std::move(endpoints));
  }

  void connect(std::vector<Tcp::endpoint> endpoints) {
    endpoints_ = std::move(endpoints);
    asio::async_connect(socket_, endpoints_, [self = shared_from_this()](ErrorCode failed, const Tcp::endpoint&) {
      self->on_connected(failed);
    });
  }

  void on_connected(const ErrorCode& failed) {
    if (over()) return;
    if (failed == asio::error::connection_refused)
      return end(fail(ErrorKind::unavailable, fmt::format("nobody listens at {}", name_)));
    if (failed)
      return end(fail(ErrorKind::unavailable, fmt::format("cannot connect to {}: {}", name_, failed.message())));
    auto session = tls_ ? std::make_unique<TlsSession>(*tls_, TlsSession::Role::client) : nullptr;
    core_ = std::make_shared<ConnectionCore>(loop_, std::move(socket_), limits_, std::move(session), name_);
    if (!tls_) return end(std::make_unique<AsioConnection>(std::exchange(core_, nullptr)));
    core_->handshake(std::max(deadline_ - loop_.now(), Duration::zero()), [weak = weak_from_this()](Result<void> done) {
      if (const auto self = weak.lock()) self->on_handshake(std::move(done));
    });
    keep_ = shared_from_this();
  }

  void on_handshake(Result<void> result) {
    const auto self = std::exchange(keep_, nullptr);
    if (over()) return;
    if (result) return end(std::make_unique<AsioConnection>(std::exchange(core_, nullptr)));
    end(fail(result.error().kind, fmt::format("cannot connect to {}: {}", name_, result.error().message)));
  }

  void end(Result<std::unique_ptr<Connection>> result) {
    if (over()) return;
    const auto self = shared_from_this();
    Done done = std::exchange(done_, nullptr);
    stop();
    done(std::move(result));
  }

  void end_later(Error why) {
    loop_.post([self = shared_from_this(), why = std::move(why)] { self->end(std::unexpected(why)); });
  }

  void stop() {
    loop_.cancel(timer_);
    resolver_.cancel();
    ErrorCode ignored;
    socket_.close(ignored);
    if (const auto core = std::exchange(core_, nullptr)) core->abandon();
    const auto self = std::exchange(keep_, nullptr);
  }

  Loop& loop_;
  std::string name_;
  Address address_;
  Limits limits_;
  std::shared_ptr<TlsContext> tls_;
  Tcp::resolver resolver_;
  Tcp::socket socket_;
  std::vector<Tcp::endpoint> endpoints_;
  std::shared_ptr<ConnectionCore> core_;  // while TLS shakes hands
  std::shared_ptr<Attempt> keep_;         // this one, while only core_ knows it
  Done done_;
  MonotonicTime deadline_{};
  TimerId timer_ = TimerId::none;
};

class AsioTransport final : public Transport {
 public:
  AsioTransport(Loop& loop, std::shared_ptr<TlsContext> tls) : loop_(loop), tls_(std::move(tls)) {}
  ~AsioTransport() override {
    for (const auto& weak : attempts_) {
      if (const auto attempt = weak.lock()) attempt->abandon();
    }
  }

  Result<std::unique_ptr<Listener>> listen(const Address& address, const Limits& limits,
                                           std::function<void(std::unique_ptr<Connection>)> on_accept) override {
    const auto core = std::make_shared<ListenerCore>(loop_, limits, tls_, std::move(on_accept));
    const auto real = core->open(address);
    if (!real) return std::unexpected(real.error());
    return std::make_unique<AsioListener>(core, *real);
  }

  void connect(const Address& address, const Limits& limits,
               std::move_only_function<void(Result<std::unique_ptr<Connection>>)> done) override {
    std::erase_if(attempts_, [](const std::weak_ptr<Attempt>& weak) {
      const auto attempt = weak.lock();
      return !attempt || attempt->over();
    });
    const auto attempt = std::make_shared<Attempt>(loop_, address, limits, tls_, std::move(done));
    attempts_.push_back(attempt);
    attempt->start();
  }

 private:
  Loop& loop_;
  std::shared_ptr<TlsContext> tls_;
  std::vector<std::weak_ptr<Attempt>> attempts_;  // not over yet, or about to be forgotten
};

}  // namespace

std::unique_ptr<Transport> make_tcp_transport(Loop& loop) { return std::make_unique<AsioTransport>(loop, nullptr); }

Result<std::unique_ptr<Transport>> make_tls_transport(Loop& loop, const TlsFiles& files) {
  auto context = TlsContext::load(files);
  if (!context) return std::unexpected(context.error());
  return std::make_unique<AsioTransport>(loop, std::move(*context));
}

}  // namespace zef::net
