#include "net/asio_transport.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/system/error_code.hpp>
#include <cerrno>
#include <map>
#include <random>

#include "base/log.h"
#include "net/frame_parser.h"
#include "net/testing/loop_runner.h"

namespace zef::net {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using testing::TempFolder;
using testing::turn_until;
using testing::turn_while_busy;

const Address any_port{"127.0.0.1", 0};

// One end of a connection and everything that it was told.
struct End {
  explicit End(std::unique_ptr<Connection> c) : connection(std::move(c)) {}
  void start() {
    Connection::Handlers handlers;
    handlers.on_frame = [this](ByteView frame) {
      frames.push_back(to_bytes(frame));
      if (on_frame) on_frame();
    };
    handlers.on_batch_end = [this] { ++batches; };
    handlers.on_drained = [this] { ++drained; };
    handlers.on_protocol_error = [this](const Error& why) {
      protocol_error = why;
      connection->send(as_bytes("you broke it"));
    };
    handlers.on_closed = [this](Error why) { closed = std::move(why); };
    connection->start(std::move(handlers));
  }
  std::unique_ptr<Connection> connection;
  std::vector<Bytes> frames;
  std::function<void()> on_frame;
  int batches = 0;
  int drained = 0;
  std::optional<Error> protocol_error;
  std::optional<Error> closed;
};

// A blocking socket for peers that misbehave.
class RawPeer {
 public:
  explicit RawPeer(const Address& address) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(address.port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ZEF_CHECK(::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
  }
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;
  ~RawPeer() { ::close(socket_); }
  void send(ByteView bytes) const {
    ZEF_CHECK(::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
  }
  void shutdown_send() const { ::shutdown(socket_, SHUT_WR); }
  // Whether something (or the end) can be received now.
  [[nodiscard]] bool readable() const {
    pollfd entry{socket_, POLLIN, 0};
    return ::poll(&entry, 1, 0) == 1;
  }
  // One receive; empty at the end.
  [[nodiscard]] Bytes receive() const {
    Bytes out(1 << 20);
    const ssize_t got = ::recv(socket_, out.data(), out.size(), 0);
    out.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return out;
  }

 private:
  int socket_;
};

enum class Kind { tcp, tls };

class TransportTest : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    // A busy machine may be slow to shake many hands.
    server_limits.connect_time_max = client_limits.connect_time_max = 60s;
    if (GetParam() == Kind::tcp) {
      transport = make_tcp_transport(loop);
      return;
    }
    ASSERT_TRUE(make_internal_ca(folder.path()));
    const auto files = make_node_certificate(folder.path(), "node-1");
    ASSERT_TRUE(files) << files.error().message;
    auto made = make_tls_transport(loop, *files);
    ASSERT_TRUE(made) << made.error().message;
    transport = std::move(*made);
  }

  void listen() {
    auto made = transport->listen(any_port, server_limits, [this](std::unique_ptr<Connection> connection) {
      servers.push_back(std::make_unique<End>(std::move(connection)));
      servers.back()->start();
    });
    ASSERT_TRUE(made) << made.error().message;
    listener = std::move(*made);
  }

  std::unique_ptr<End> connect() {
    std::unique_ptr<End> end;
    std::optional<Error> failed;
    transport->connect(listener->address(), client_limits, [&](Result<std::unique_ptr<Connection>> result) {
      if (!result) {
        failed = result.error();
        return;
      }
      end = std::make_unique<End>(std::move(*result));
      end->start();
    });
    const std::size_t before = servers.size();
    EXPECT_TRUE(turn_until(loop, [&] { return (end && servers.size() > before) || failed; }));
    EXPECT_FALSE(failed) << failed->message;
    return end;
  }

  TempFolder folder;
  Loop loop;
  Limits server_limits;
  Limits client_limits;
  std::unique_ptr<Transport> transport;
  std::unique_ptr<Listener> listener;
  std::vector<std::unique_ptr<End>> servers;
};

INSTANTIATE_TEST_SUITE_P(, TransportTest, ::testing::Values(Kind::tcp, Kind::tls),
                         [](const auto& kind) { return kind.param == Kind::tcp ? "tcp" : "tls"; });

TEST_P(TransportTest, frames_of_all_sizes_arrive_whole_and_in_order_both_ways) {
  listen();
  const auto client = connect();
  std::mt19937 random(1);
  std::vector<Bytes> sent;
  for (const std::size_t size : {0, 1, 3, 100, 16383, 16384, 16385, 262144, 300000, 4 << 20, 0, 5}) {
    Bytes payload(size);
    for (auto& byte : payload) byte = static_cast<std::uint8_t>(random());
    client->connection->send(payload);
    servers[0]->connection->send(payload);
    sent.push_back(std::move(payload));
  }
  ASSERT_TRUE(turn_until(
      loop, [&] { return servers[0]->frames.size() == sent.size() && client->frames.size() == sent.size(); }));
  EXPECT_EQ(servers[0]->frames, sent);
  EXPECT_EQ(client->frames, sent);
  EXPECT_EQ(client->connection->queued_bytes(), 0U);
  EXPECT_FALSE(client->closed);
}

TEST_P(TransportTest, frames_of_one_turn_arrive_as_one_batch) {
  listen();
  const auto client = connect();
  for (int i = 0; i < 1000; ++i) client->connection->send(as_bytes("hello"));
  ASSERT_TRUE(turn_until(loop, [&] { return servers[0]->frames.size() == 1000; }));
  EXPECT_EQ(servers[0]->batches, 1);
}

TEST_P(TransportTest, many_connections_at_once) {
  listen();
  constexpr std::size_t count = 200;
  std::vector<std::unique_ptr<End>> clients;
  for (std::size_t i = 0; i < count; ++i) {
    transport->connect(listener->address(), client_limits, [&, i](Result<std::unique_ptr<Connection>> result) {
      ASSERT_TRUE(result) << result.error().message;
      clients.push_back(std::make_unique<End>(std::move(*result)));
      clients.back()->start();
      clients.back()->connection->send(as_bytes(std::to_string(i)));
    });
  }
  ASSERT_TRUE(turn_until(loop, [&] {
    return servers.size() == count &&
           std::ranges::all_of(servers, [](const auto& end) { return !end->frames.empty(); });
  }));
  std::set<std::string> seen;
  for (const auto& end : servers) seen.insert(std::string(as_text(end->frames[0])));
  EXPECT_EQ(seen.size(), count);
}

TEST_P(TransportTest, a_frame_too_long_is_answered_then_closed_with_a_typed_error) {
  server_limits.frame_bytes_max = 100;
  listen();
  const auto client = connect();
  client->connection->send(as_bytes("good"));
  client->connection->send(Bytes(101));
  client->connection->send(as_bytes("never seen"));
  ASSERT_TRUE(turn_until(loop, [&] { return client->closed.has_value(); }));
  ASSERT_EQ(client->frames.size(), 1U);
  EXPECT_EQ(as_text(client->frames[0]), "you broke it");
  EXPECT_EQ(servers[0]->frames.size(), 1U);
  EXPECT_EQ(servers[0]->batches, 1);
  ASSERT_TRUE(servers[0]->protocol_error);
  client->connection.reset();
  ASSERT_TRUE(turn_until(loop, [&] { return servers[0]->closed.has_value(); }));
  EXPECT_EQ(servers[0]->closed->kind, ErrorKind::invalid_input);
  EXPECT_THAT(servers[0]->closed->message, HasSubstr("a frame of 101 bytes was announced, at most 100 are allowed"));
}

TEST_P(TransportTest, sending_a_frame_too_long_closes_instead_of_ending_the_process) {
  client_limits.frame_bytes_max = 100;
  listen();
  const auto client = connect();
  client->connection->send(Bytes(101));
  EXPECT_FALSE(client->closed);  // never inside the call
  ASSERT_TRUE(turn_until(loop, [&] { return client->closed.has_value(); }));
  EXPECT_EQ(client->closed->kind, ErrorKind::invalid_input);
}

TEST_P(TransportTest, finish_delivers_what_was_sent_before_it) {
  listen();
  const auto client = connect();
  for (int i = 0; i < 50; ++i) client->connection->send(Bytes(100000, 7));
  client->connection->finish();
  client->connection->send(as_bytes("too late"));
  ASSERT_TRUE(turn_until(loop, [&] { return servers[0]->closed.has_value(); }));
  EXPECT_EQ(servers[0]->frames.size(), 50U);
  EXPECT_EQ(servers[0]->closed->kind, ErrorKind::unavailable);
  ASSERT_TRUE(turn_until(loop, [&] { return client->closed.has_value(); }));
  EXPECT_EQ(client->closed->kind, ErrorKind::cancelled);
}

TEST_P(TransportTest, finish_ends_even_if_the_peer_never_reads) {
  client_limits.finish_time_max = 20ms;
  listen();
  const auto client = connect();
  servers[0]->connection->pause_reading();
  for (int i = 0; i < 20; ++i) client->connection->send(Bytes(1 << 20));
  client->connection->finish();
  ASSERT_TRUE(turn_until(loop, [&] { return client->closed.has_value(); }));
  EXPECT_EQ(client->closed->kind, ErrorKind::cancelled);
}

TEST_P(TransportTest, destroying_one_end_closes_the_other) {
  listen();
  const auto client = connect();
  servers[0]->connection.reset();
  ASSERT_TRUE(turn_until(loop, [&] { return client->closed.has_value(); }));
  EXPECT_EQ(client->closed->kind, ErrorKind::unavailable);
  client->connection->send(as_bytes("ignored"));
  client->connection->finish();
  client->connection->pause_reading();
  client->connection->resume_reading();
  turn_while_busy(loop, 5ms);
}

TEST_P(TransportTest, a_peer_that_does_not_read_is_given_up_at_the_bound) {
  client_limits.queued_bytes_max = 8U << 20;
  listen();
  const auto client = connect();
  servers[0]->connection->pause_reading();
  std::uint64_t most = 0;
  for (int i = 0; i < 10000 && !client->closed; ++i) {
    client->connection->send(Bytes(64 << 10));
    most = std::max(most, client->connection->queued_bytes());
    loop.turn(0ms);
  }
  ASSERT_TRUE(client->closed);
  EXPECT_EQ(client->closed->kind, ErrorKind::unavailable);
  EXPECT_THAT(client->closed->message, HasSubstr("the peer does not read"));
  EXPECT_LE(most, client_limits.queued_bytes_max);
  EXPECT_EQ(client->connection->queued_bytes(), 0U);
}

TEST_P(TransportTest, a_slow_peer_gets_everything_and_the_sender_hears_that_the_queue_is_empty) {
  listen();
  const auto client = connect();
  servers[0]->connection->pause_reading();
  for (int i = 0; i < 40; ++i) client->connection->send(Bytes(1 << 20, static_cast<std::uint8_t>(i)));
  turn_while_busy(loop, 20ms);
  EXPECT_GT(client->connection->queued_bytes(), 0U);
  EXPECT_EQ(client->drained, 0);
  servers[0]->connection->resume_reading();
  ASSERT_TRUE(turn_until(loop, [&] { return servers[0]->frames.size() == 40; }));
  ASSERT_TRUE(turn_until(loop, [&] { return client->drained > 0; }));
  for (int i = 0; i < 40; ++i) EXPECT_EQ(servers[0]->frames[i], Bytes(1 << 20, static_cast<std::uint8_t>(i)));
}

TEST_P(TransportTest, no_frame_is_delivered_inside_a_pause) {
  listen();
  const auto client = connect();
  End& server = *servers[0];
  server.on_frame = [&] { server.connection->pause_reading(); };
  for (std::uint8_t i = 0; i < 10; ++i) client->connection->send({&i, 1});
  for (std::size_t i = 1; i <= 10; ++i) {
    ASSERT_TRUE(turn_until(loop, [&] { return server.frames.size() == i; }));
    turn_while_busy(loop, 2ms);
    ASSERT_EQ(server.frames.size(), i);
    EXPECT_EQ(server.frames.back()[0], i - 1);
    server.connection->resume_reading();
  }
}

TEST_P(TransportTest, a_connection_can_be_destroyed_inside_each_of_its_callbacks) {
  server_limits.frame_bytes_max = 100;
  listen();
  for (const std::string where : {"frame", "batch", "protocol_error", "closed"}) {
    auto client = connect();
    std::unique_ptr<Connection> server = std::move(servers.back()->connection);
    servers.pop_back();
    // A second, fresh pair for the handlers under test: the client side gets them.
    server.reset();
    ASSERT_TRUE(turn_until(loop, [&] { return client->closed.has_value(); }));

    std::unique_ptr<Connection> victim;
    int calls = 0;
    auto big = std::make_shared<Bytes>(1000, 1);
    const auto destroy = [&calls, &victim, big] {
      victim.reset();
      calls += big->at(999);  // the handler itself must outlive the connection's handle
    };
    auto made = transport->listen(any_port, server_limits, [&](std::unique_ptr<Connection> connection) {
      victim = std::move(connection);
      Connection::Handlers handlers;
      if (where == "frame") handlers.on_frame = [destroy](ByteView) { destroy(); };
      if (where == "batch") handlers.on_batch_end = destroy;
      if (where == "protocol_error") handlers.on_protocol_error = [destroy](const Error&) { destroy(); };
      if (where == "closed") handlers.on_closed = [destroy](const Error&) { destroy(); };
      victim->start(std::move(handlers));
    });
    ASSERT_TRUE(made);
    std::unique_ptr<Connection> peer;
    transport->connect((*made)->address(), {}, [&](Result<std::unique_ptr<Connection>> result) {
      ASSERT_TRUE(result);
      peer = std::move(*result);
      peer->start({});
      peer->send(as_bytes("one"));
      peer->send(as_bytes("two"));
      if (where == "protocol_error") peer->send(Bytes(200));
      if (where == "closed") peer->finish();
    });
    ASSERT_TRUE(turn_until(loop, [&] { return calls == 1; })) << where;
    turn_while_busy(loop, 5ms);
    EXPECT_EQ(calls, 1) << where;
    EXPECT_EQ(big.use_count(), 2) << where;  // ours and destroy's: the handlers are gone
  }
}

TEST_P(TransportTest, the_listener_can_be_destroyed_inside_on_accept) {
  bool accepted = false;
  std::unique_ptr<Listener> own;
  auto made = transport->listen(any_port, {}, [&](std::unique_ptr<Connection>) {
    own.reset();
    accepted = true;
  });
  ASSERT_TRUE(made);
  own = std::move(*made);
  Result<std::unique_ptr<Connection>> client;
  transport->connect(own->address(), {}, [&](auto result) { client = std::move(result); });
  EXPECT_TRUE(turn_until(loop, [&] { return accepted; }));
}

TEST_P(TransportTest, nobody_listening_is_said_clearly) {
  listen();
  const Address address = listener->address();
  listener.reset();
  std::optional<Error> failed;
  transport->connect(address, {}, [&](Result<std::unique_ptr<Connection>> result) { failed = result.error(); });
  EXPECT_FALSE(failed);
  ASSERT_TRUE(turn_until(loop, [&] { return failed.has_value(); }));
  EXPECT_EQ(failed->kind, ErrorKind::unavailable);
  EXPECT_EQ(failed->message, "nobody listens at " + to_string(address));
}

TEST_P(TransportTest, an_unknown_name_is_said_clearly) {
  std::optional<Error> failed;
  transport->connect({"name.invalid", 1}, {},
                     [&](Result<std::unique_ptr<Connection>> result) { failed = result.error(); });
  ASSERT_TRUE(turn_until(loop, [&] { return failed.has_value(); }));
  EXPECT_EQ(failed->kind, ErrorKind::unavailable);
}

TEST_P(TransportTest, connecting_to_a_machine_that_does_not_answer_ends_in_time) {
  // A listener whose queue is full does not answer: nobody accepts here and one connection fills it.
  const int deaf = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  ASSERT_EQ(::bind(deaf, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  ASSERT_EQ(::listen(deaf, 0), 0);
  ASSERT_EQ(::getsockname(deaf, reinterpret_cast<sockaddr*>(&at), &size), 0);
  const Address address{"127.0.0.1", ntohs(at.sin_port)};
  const RawPeer filler(address);

  client_limits.connect_time_max = 30ms;
  std::optional<Error> failed;
  const auto start = loop.now();
  transport->connect(address, client_limits,
                     [&](Result<std::unique_ptr<Connection>> result) { failed = result.error(); });
  EXPECT_TRUE(turn_until(loop, [&] { return failed.has_value(); }));
  EXPECT_GE(loop.now() - start, 30ms);
  EXPECT_EQ(failed->kind, ErrorKind::unavailable);
  EXPECT_THAT(failed->message, HasSubstr("did not accept a connection in time"));
  ::close(deaf);
}

TEST_P(TransportTest, destroying_the_transport_forgets_pending_connects) {
  listen();
  bool called = false;
  transport->connect(listener->address(), {}, [&](auto) { called = true; });
  transport->connect({"localhost", listener->address().port}, {}, [&](auto) { called = true; });
  transport.reset();
  turn_while_busy(loop, 20ms);
  EXPECT_FALSE(called);
}

TEST_P(TransportTest, a_busy_port_is_an_io_error_that_says_what_to_do) {
  listen();
  const auto second = transport->listen(listener->address(), {}, [](auto) {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::io);
  EXPECT_EQ(second.error().message,
            "port " + std::to_string(listener->address().port) +
                " of 127.0.0.1 is in use: choose another port or stop the process that holds it");
}

TEST_P(TransportTest, an_address_of_another_machine_is_an_io_error_that_says_so) {
  const auto foreign = transport->listen({"192.0.2.1", 0}, {}, [](auto) {});
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().kind, ErrorKind::io);
  EXPECT_THAT(foreign.error().message, HasSubstr("192.0.2.1 is not an address of this machine"));
  const auto unknown = transport->listen({"name.invalid", 0}, {}, [](auto) {});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().kind, ErrorKind::io);
}

TEST_P(TransportTest, a_port_can_be_taken_again_at_once_after_its_listener_is_gone) {
  listen();
  const auto client = connect();
  const Address address = listener->address();
  listener.reset();
  servers.clear();
  EXPECT_TRUE(transport->listen(address, {}, [](auto) {}));
}

TEST_P(TransportTest, garbage_closes_the_connection_and_nothing_else) {
  listen();
  const auto good = connect();
  std::mt19937 random(3);
  for (int round = 0; round < 20; ++round) {
    const RawPeer peer(listener->address());
    Bytes garbage(2000);
    for (auto& byte : garbage) byte = static_cast<std::uint8_t>(random() | 0x80);  // lengths far too large
    peer.send(garbage);
    // The server answers nothing sensible, then closes.
    ASSERT_TRUE(turn_until(loop, [&] { return peer.readable(); }));
  }
  good->connection->send(as_bytes("still here"));
  ASSERT_TRUE(turn_until(loop, [&] { return !servers[0]->frames.empty(); }));
}

TEST(TcpTransport, one_turn_is_one_write_of_length_and_payload) {
  Loop loop;
  const auto transport = make_tcp_transport(loop);
  std::unique_ptr<Connection> server;
  const auto listener = transport->listen(any_port, {}, [&](std::unique_ptr<Connection> connection) {
    server = std::move(connection);
    server->start({});
  });
  ASSERT_TRUE(listener);
  const RawPeer peer((*listener)->address());
  ASSERT_TRUE(turn_until(loop, [&] { return server != nullptr; }));
  loop.post([&] {
    server->send(as_bytes("ab"));
    loop.at_turn_end([&] { server->send(as_bytes("c")); });
  });
  ASSERT_TRUE(turn_until(loop, [&] { return peer.readable(); }));
  EXPECT_EQ(to_hex(peer.receive()), "0200000061620100000063");
}

TEST(TcpTransport, a_half_open_peer_is_noticed_and_a_frame_cut_short_is_said) {
  Loop loop;
  const auto transport = make_tcp_transport(loop);
  std::unique_ptr<End> server;
  const auto listener = transport->listen(any_port, {}, [&](std::unique_ptr<Connection> connection) {
    server = std::make_unique<End>(std::move(connection));
    server->start();
  });
  ASSERT_TRUE(listener);
  const RawPeer peer((*listener)->address());
  Bytes stream;
  append_frame(stream, as_bytes("whole"));
  append_frame(stream, as_bytes("cut"));
  stream.pop_back();
  peer.send(stream);
  peer.shutdown_send();
  ASSERT_TRUE(turn_until(loop, [&] { return server && server->closed; }));
  EXPECT_EQ(server->frames.size(), 1U);
  EXPECT_EQ(server->closed->kind, ErrorKind::unavailable);
  EXPECT_EQ(server->closed->message, "closed by the peer in the middle of a frame");
}

TEST(TcpTransport, running_out_of_descriptors_pauses_accepting_and_then_goes_on) {
  Loop loop;
  const auto transport = make_tcp_transport(loop);
  std::size_t accepted = 0;
  std::vector<std::unique_ptr<Connection>> kept;
  const auto listener = transport->listen(any_port, {}, [&](std::unique_ptr<Connection> connection) {
    ++accepted;
    kept.push_back(std::move(connection));
  });
  ASSERT_TRUE(listener);
  turn_while_busy(loop, 1ms);
  // UBSan needs a pipe for its first look at a class: let it look at those of timers, errors and logs while there are
  // descriptors.
  bool rang = false;
  loop.after(1ms, [&rang] { rang = true; });
  ASSERT_TRUE(turn_until(loop, [&rang] { return rang; }));
  const boost::system::error_code known(EMFILE, boost::system::system_category());
  ASSERT_FALSE(known.message().empty());
  log::warning("net", "descriptors run out now, in {} ms: {}", std::int64_t{0}, known.message());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const RawPeer peer((*listener)->address());
  const int next = ::dup(0);  // the lowest free descriptor
  ASSERT_GE(next, 0);
  ::close(next);
  const rlimit tight{static_cast<rlim_t>(next), before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  int turns = 0;
  const auto start = loop.now();
  while (loop.now() - start < 150ms) {
    loop.turn(150ms);
    ++turns;
  }
  EXPECT_EQ(accepted, 0U);
  EXPECT_LT(turns, 20);  // not a busy loop
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(turn_until(loop, [&] { return accepted == 1; }));
}

class TlsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* authority : {"ours", "foreign"}) {
      ASSERT_TRUE(make_internal_ca(folder.path() / authority));
      const auto made = make_node_certificate(folder.path() / authority, "node-1");
      ASSERT_TRUE(made);
      files[authority] = *made;
    }
    server = transport(files["ours"]);
    auto made = server->listen(any_port, limits, [this](std::unique_ptr<Connection> connection) {
      ends.push_back(std::make_unique<End>(std::move(connection)));
      ends.back()->start();
    });
    ASSERT_TRUE(made);
    listener = std::move(*made);
  }
  std::unique_ptr<Transport> transport(const TlsFiles& of) {
    auto made = make_tls_transport(loop, of);
    EXPECT_TRUE(made) << made.error().message;
    return std::move(*made);
  }
  // How a client fares that connects and sends a frame: the error that ends it.
  Error outcome(Transport& client) {
    std::optional<Error> error;
    std::unique_ptr<End> end;
    client.connect(listener->address(), {}, [&](Result<std::unique_ptr<Connection>> result) {
      if (!result) {
        error = result.error();
        return;
      }
      end = std::make_unique<End>(std::move(*result));
      end->start();
      end->connection->send(as_bytes("let me in"));
    });
    EXPECT_TRUE(turn_until(loop, [&] { return error || (end && end->closed); }));
    return error ? *error : *end->closed;
  }

  TempFolder folder;
  Loop loop;
  Limits limits;
  std::map<std::string, TlsFiles> files;
  std::unique_ptr<Transport> server;
  std::unique_ptr<Listener> listener;
  std::vector<std::unique_ptr<End>> ends;
};

TEST_F(TlsTest, good_peers_see_each_others_names) {
  const auto other = make_node_certificate(folder.path() / "ours", "node-2");
  ASSERT_TRUE(other);
  const auto client = transport(*other);
  std::unique_ptr<End> end;
  client->connect(listener->address(), {}, [&](Result<std::unique_ptr<Connection>> result) {
    ASSERT_TRUE(result) << result.error().message;
    end = std::make_unique<End>(std::move(*result));
    end->start();
  });
  ASSERT_TRUE(turn_until(loop, [&] { return end && !ends.empty(); }));
  EXPECT_EQ(end->connection->peer(), to_string(listener->address()) + " (node-1)");
  EXPECT_THAT(ends[0]->connection->peer(), HasSubstr("(node-2)"));
}

TEST_F(TlsTest, a_client_of_a_foreign_authority_is_refused) {
  // It trusts the server, but shows a certificate that the server does not know.
  const TlsFiles mixed{files["ours"].ca, files["foreign"].certificate, files["foreign"].key};
  const Error why = outcome(*transport(mixed));
  EXPECT_EQ(why.kind, ErrorKind::refused);
  EXPECT_TRUE(ends.empty());
}

TEST_F(TlsTest, a_server_of_a_foreign_authority_is_refused_by_the_client) {
  const Error why = outcome(*transport(files["foreign"]));
  EXPECT_EQ(why.kind, ErrorKind::refused);
  EXPECT_THAT(why.message, HasSubstr("certificate"));
  turn_while_busy(loop, 5ms);
  EXPECT_TRUE(ends.empty());
}

TEST_F(TlsTest, a_plain_client_is_refused) {
  const auto plain = make_tcp_transport(loop);
  const Error why = outcome(*plain);
  EXPECT_NE(why.kind, ErrorKind::cancelled);
  EXPECT_TRUE(ends.empty());
}

TEST_F(TlsTest, a_client_that_never_shakes_hands_is_closed_in_time) {
  limits.connect_time_max = 20ms;
  auto made = server->listen(any_port, limits, [](auto) { FAIL(); });
  ASSERT_TRUE(made);
  const RawPeer silent((*made)->address());
  ASSERT_TRUE(turn_until(loop, [&] { return silent.readable(); }));
  EXPECT_TRUE(silent.receive().empty());
}

TEST_F(TlsTest, closing_the_listener_closes_handshakes_under_way) {
  const RawPeer silent(listener->address());
  turn_while_busy(loop, 10ms);
  listener.reset();
  ASSERT_TRUE(turn_until(loop, [&] { return silent.readable(); }));
}

TEST_F(TlsTest, keys_that_others_may_read_are_refused) {
  std::filesystem::permissions(files["ours"].key, std::filesystem::perms::group_read,
                               std::filesystem::perm_options::add);
  const auto made = make_tls_transport(loop, files["ours"]);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind, ErrorKind::refused);
  EXPECT_THAT(made.error().message, HasSubstr("chmod 600"));
}

TEST_F(TlsTest, missing_and_mismatched_files_are_said_clearly) {
  TlsFiles missing = files["ours"];
  missing.ca = folder.path() / "nothing.pem";
  EXPECT_EQ(make_tls_transport(loop, missing).error().kind, ErrorKind::not_found);
  missing = files["ours"];
  missing.key = folder.path() / "nothing.key";
  EXPECT_EQ(make_tls_transport(loop, missing).error().kind, ErrorKind::not_found);
  TlsFiles mixed = files["ours"];
  mixed.key = files["foreign"].key;
  EXPECT_EQ(make_tls_transport(loop, mixed).error().kind, ErrorKind::invalid_input);
}

}  // namespace
}  // namespace zef::net
