#include "net/rpc.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <vector>

#include "base/testing/manual_executor.h"
#include "net/rpc_frame.h"
#include "net/testing/memory_transport.h"

namespace zef::net {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using zef::testing::ManualExecutor;

struct Call {
  ConnectionId connection;
  std::uint64_t id;
  std::string body;
};

class RpcTest : public ::testing::Test {
 protected:
  RpcTest() { make_server(); }

  void make_server() {
    RpcServer::Handlers handlers;
    handlers.on_call = [this](ConnectionId connection, std::uint64_t id, ByteView body) {
      calls.push_back({connection, id, std::string(as_text(body))});
      if (echo) server->respond(connection, id, body);
    };
    handlers.on_batch_end = [this](ConnectionId) { ++batches; };
    handlers.on_opened = [this](ConnectionId, const std::string&) { ++opened; };
    handlers.on_closed = [this](ConnectionId) { ++closed; };
    handlers.refusal_body = [](const Error& why) { return to_bytes(why.message); };
    server = std::make_unique<RpcServer>(executor, *transport, std::move(handlers), server_options);
    const auto listening = server->listen(address);
    ASSERT_TRUE(listening) << listening.error().message;
    address = *listening;
  }

  std::unique_ptr<RpcClient> make_client() {
    client_options.explain_refusal = [](ByteView body) {
      return Error{ErrorKind::refused, std::string(as_text(body))};
    };
    return std::make_unique<RpcClient>(executor, *transport, address, client_options);
  }

  // Keeps each outcome as "answer" or "!kind".
  void call(RpcClient& client, std::string_view body, Duration timeout = 1s) {
    client.call(as_bytes(body), timeout, [this](Result<Bytes> answer) {
      outcomes.push_back(answer ? std::string(as_text(*answer)) : std::string("!"));
      if (!answer) last_error = answer.error();
    });
  }

  ManualExecutor executor;
  testing::MemoryNetwork network{executor};
  std::unique_ptr<Transport> transport = network.transport();
  Address address{"server", 0};
  RpcServerOptions server_options;
  RpcClientOptions client_options;
  std::unique_ptr<RpcServer> server;
  std::vector<Call> calls;
  bool echo = true;
  int batches = 0, opened = 0, closed = 0;
  std::vector<std::string> outcomes;
  Error last_error;
};

Task<> collect(RpcClient& client, std::string body, std::vector<std::string>& out) {
  const auto answer = co_await client.call(to_bytes(body), std::chrono::seconds(1));
  out.push_back(answer ? std::string(as_text(*answer)) : "!" + answer.error().message);
}

TEST(RpcFrame, begins_with_the_id_in_little_endian) {
  Bytes out;
  write_rpc_frame(out, 0x0102, as_bytes("x"));
  EXPECT_EQ(to_hex(out), "020100000000000078");
  const auto read = read_rpc_frame(out);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->request_id, 0x0102U);
  EXPECT_EQ(as_text(read->body), "x");
  EXPECT_FALSE(read_rpc_frame(ByteView(out).first(7)));
}

TEST_F(RpcTest, calls_are_pipelined_over_one_connection_and_arrive_as_one_batch) {
  const auto client = make_client();
  for (int i = 0; i < 100; ++i) call(*client, std::to_string(i));
  EXPECT_TRUE(outcomes.empty());
  executor.run();
  ASSERT_EQ(outcomes.size(), 100U);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(outcomes[i], std::to_string(i));
  EXPECT_EQ(opened, 1);
  EXPECT_EQ(batches, 1);
  EXPECT_EQ(client->outstanding(), 0U);
  EXPECT_EQ(server->outstanding(), 0U);
}

TEST_F(RpcTest, answers_may_come_in_any_order) {
  echo = false;
  const auto client = make_client();
  for (const char* body : {"a", "b", "c"}) call(*client, body);
  executor.run();
  for (auto it = calls.rbegin(); it != calls.rend(); ++it) server->respond(it->connection, it->id, as_bytes(it->body));
  executor.run();
  EXPECT_EQ(outcomes, (std::vector<std::string>{"c", "b", "a"}));
}

TEST_F(RpcTest, coroutines_wait_for_their_answer_or_the_deadline) {
  const auto client = make_client();
  TaskScope scope;
  std::vector<std::string> out;
  scope.spawn(collect(*client, "hello", out));
  executor.run();
  EXPECT_EQ(out, std::vector<std::string>{"hello"});
  echo = false;
  scope.spawn(collect(*client, "silence", out));
  executor.advance(1s);
  ASSERT_EQ(out.size(), 2U);
  EXPECT_THAT(out[1], HasSubstr("did not answer in time"));
}

TEST_F(RpcTest, each_call_has_its_own_deadline_and_late_answers_are_dropped) {
  echo = false;
  const auto client = make_client();
  call(*client, "long", 10s);
  call(*client, "short", 1s);
  call(*client, "middle", 5s);
  executor.advance(999ms);
  EXPECT_TRUE(outcomes.empty());
  executor.advance(1ms);
  EXPECT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(last_error.kind, ErrorKind::unavailable);
  executor.advance(4s);
  EXPECT_EQ(outcomes.size(), 2U);
  for (const Call& late : calls) server->respond(late.connection, late.id, as_bytes(late.body));
  executor.run();
  EXPECT_EQ(outcomes, (std::vector<std::string>{"!", "!", "long"}));
  EXPECT_EQ(client->late_answers(), 2U);
  executor.advance(5s);
  EXPECT_EQ(executor.pending_timers(), 0U);
}

TEST_F(RpcTest, a_lost_connection_fails_all_calls_and_the_next_call_connects_again) {
  echo = false;
  const auto client = make_client();
  call(*client, "a");
  call(*client, "b");
  executor.run();
  EXPECT_EQ(network.cut(address), 1U);
  executor.run();
  EXPECT_EQ(outcomes, (std::vector<std::string>{"!", "!"}));
  EXPECT_EQ(last_error.kind, ErrorKind::unavailable);
  EXPECT_THAT(last_error.message, HasSubstr("connection to server:40000 lost"));
  EXPECT_FALSE(client->connected());
  EXPECT_EQ(closed, 1);
  EXPECT_EQ(server->outstanding(), 0U);
  echo = true;
  call(*client, "c");
  executor.run();
  EXPECT_EQ(outcomes.back(), "c");
  EXPECT_EQ(opened, 2);
}

TEST_F(RpcTest, answers_to_connections_that_are_gone_are_ignored) {
  echo = false;
  auto client = make_client();
  call(*client, "a");
  executor.run();
  client.reset();
  executor.run();
  EXPECT_EQ(server->connections(), 0U);
  server->respond(calls[0].connection, calls[0].id, as_bytes("late"));
  server->forget(calls[0].connection);
  server->finish(calls[0].connection);
  EXPECT_TRUE(outcomes.empty());
}

TEST_F(RpcTest, failed_attempts_are_spaced_out_and_calls_made_meanwhile_wait_for_the_next) {
  network.deny(address);
  const auto client = make_client();
  call(*client, "a");
  executor.run();
  EXPECT_EQ(outcomes.size(), 1U);  // the first attempt is made at once
  call(*client, "b", 10s);
  executor.advance(19ms);
  EXPECT_EQ(outcomes.size(), 1U);
  executor.advance(1ms);
  EXPECT_EQ(outcomes.size(), 2U);
  call(*client, "c", 10s);
  executor.advance(39ms);
  EXPECT_EQ(outcomes.size(), 2U);
  network.deny(address, false);
  executor.advance(1ms);
  EXPECT_EQ(outcomes.back(), "c");
}

TEST_F(RpcTest, a_call_that_waits_for_a_connection_keeps_its_deadline) {
  network.freeze(address);
  const auto client = make_client();
  call(*client, "a", 100ms);
  executor.advance(100ms);
  EXPECT_EQ(outcomes, std::vector<std::string>{"!"});
  network.freeze(address, false);
  executor.advance(10s);
  EXPECT_TRUE(calls.empty());  // an expired call is not sent
}

TEST_F(RpcTest, a_frozen_server_fails_calls_in_time_and_only_them) {
  const auto client = make_client();
  call(*client, "a");
  executor.run();
  network.freeze(address);
  call(*client, "b", 50ms);
  call(*client, "c", 500ms);
  executor.advance(100ms);
  EXPECT_EQ(outcomes, (std::vector<std::string>{"a", "!"}));
  network.freeze(address, false);
  executor.run();
  EXPECT_EQ(outcomes.back(), "c");
}

TEST_F(RpcTest, outstanding_calls_and_unsent_bytes_are_bounded) {
  echo = false;
  client_options.calls_max = 3;
  client_options.queued_bytes_max = 100;
  const auto client = make_client();
  call(*client, std::string(101, 'x'));
  executor.run();
  EXPECT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(last_error.kind, ErrorKind::unavailable);
  for (int i = 0; i < 4; ++i) {
    call(*client, "x");
    executor.run();
  }
  EXPECT_EQ(outcomes.size(), 2U);
  EXPECT_THAT(last_error.message, HasSubstr("does not keep up"));
  EXPECT_EQ(client->outstanding(), 3U);
}

TEST_F(RpcTest, a_body_too_long_is_refused_before_it_is_sent) {
  client_options.limits.frame_bytes_max = 20;
  const auto client = make_client();
  call(*client, std::string(13, 'x'));
  call(*client, std::string(12, 'x'));
  executor.run();
  EXPECT_EQ(outcomes.size(), 2U);
  EXPECT_EQ(last_error.kind, ErrorKind::invalid_input);
  EXPECT_EQ(calls.size(), 1U);
}

TEST_F(RpcTest, destroying_the_client_inside_an_answer_forgets_the_rest) {
  auto client = make_client();
  int count = 0;
  for (int i = 0; i < 3; ++i) {
    client->call(as_bytes("x"), 1s, [&](const Result<Bytes>&) {
      ++count;
      client.reset();
    });
  }
  executor.run();
  EXPECT_EQ(count, 1);
  executor.advance(10s);
  EXPECT_EQ(count, 1);
}

TEST_F(RpcTest, destroying_the_client_inside_a_failure_forgets_the_rest) {
  for (const bool by_deadline : {true, false}) {
    echo = false;
    auto client = make_client();
    int count = 0;
    for (int i = 0; i < 3; ++i) {
      client->call(as_bytes("x"), 1s, [&](const Result<Bytes>&) {
        ++count;
        client.reset();
      });
    }
    executor.run();
    if (by_deadline)
      executor.advance(1s);
    else
      network.cut(address);
    executor.run();
    EXPECT_EQ(count, 1);
  }
}

TEST_F(RpcTest, a_connection_with_too_many_calls_is_read_no_further_until_half_are_answered) {
  server.reset();
  server_options.calls_per_connection_max = 10;
  make_server();
  echo = false;
  const auto client = make_client();
  for (int i = 0; i < 30; ++i) call(*client, "x");
  executor.run();
  EXPECT_EQ(calls.size(), 10U);
  for (int i = 0; i < 4; ++i) server->respond(calls[i].connection, calls[i].id, {});
  executor.run();
  EXPECT_EQ(calls.size(), 10U);
  server->respond(calls[4].connection, calls[4].id, {});
  executor.run();
  EXPECT_EQ(calls.size(), 15U);
  for (std::size_t i = 5; i < calls.size(); ++i) {
    server->respond(calls[i].connection, calls[i].id, {});
    executor.run();
  }
  EXPECT_EQ(calls.size(), 30U);
  EXPECT_EQ(outcomes.size(), 30U);
}

TEST_F(RpcTest, connections_beyond_the_maximum_are_refused_with_a_reason) {
  server.reset();
  server_options.connections_max = 2;
  make_server();
  std::vector<std::unique_ptr<RpcClient>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(make_client());
    call(*clients.back(), "x");
    executor.run();
  }
  EXPECT_EQ(outcomes, (std::vector<std::string>{"x", "x", "!"}));
  EXPECT_EQ(last_error.kind, ErrorKind::refused);
  EXPECT_EQ(last_error.message, "2 connections are open, no more are accepted: try again later");
  EXPECT_EQ(server->refused_connections(), 1U);
  EXPECT_EQ(server->connections(), 2U);
  clients[0].reset();
  executor.run();
  call(*clients[2], "y");
  executor.run();
  EXPECT_EQ(outcomes.back(), "y");
}

TEST_F(RpcTest, bad_framing_is_refused_with_a_reason_and_closed) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{7}, std::size_t{5} << 20}) {
    std::unique_ptr<Connection> connection;
    std::vector<Bytes> frames;
    bool gone = false;
    Limits loose;
    loose.frame_bytes_max = 16U << 20;
    transport->connect(address, loose, [&](Result<std::unique_ptr<Connection>> result) {
      ASSERT_TRUE(result);
      connection = std::move(*result);
      Connection::Handlers handlers;
      handlers.on_frame = [&](ByteView frame) { frames.push_back(to_bytes(frame)); };
      handlers.on_closed = [&](const Error&) { gone = true; };
      connection->start(std::move(handlers));
      connection->send(Bytes(size));
      connection->send(Bytes(20, 1));
    });
    executor.run();
    EXPECT_TRUE(gone);
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(read_rpc_frame(frames[0])->request_id, refusal_request_id);
    EXPECT_TRUE(calls.empty());
    EXPECT_EQ(server->connections(), 0U);
  }
}

TEST_F(RpcTest, a_client_that_does_not_read_is_read_no_further) {
  server.reset();
  server_options.queued_bytes_pause = 1000;
  make_server();
  std::unique_ptr<Connection> connection;
  std::size_t answers = 0;
  Bytes request;
  write_rpc_frame(request, 1, Bytes(500));
  transport->connect(address, {}, [&](Result<std::unique_ptr<Connection>> result) {
    connection = std::move(*result);
    Connection::Handlers handlers;
    handlers.on_frame = [&](ByteView) { ++answers; };
    connection->start(std::move(handlers));
    connection->pause_reading();
    for (int i = 0; i < 10; ++i) connection->send(request);
  });
  executor.run();
  EXPECT_EQ(calls.size(), 2U);
  connection->resume_reading();
  executor.run();
  EXPECT_EQ(calls.size(), 10U);
  EXPECT_EQ(answers, 10U);
}

TEST_F(RpcTest, pausing_everything_holds_calls_back_and_loses_none) {
  const auto client = make_client();
  call(*client, "a");
  executor.run();
  server->pause_all();
  const auto second = make_client();
  call(*client, "b");
  call(*second, "c");
  executor.run();
  EXPECT_EQ(outcomes.size(), 1U);
  server->resume_all();
  executor.run();
  EXPECT_EQ(outcomes.size(), 3U);
}

TEST_F(RpcTest, draining_answers_what_was_asked_then_closes) {
  echo = false;
  const auto client = make_client();
  const auto idle = make_client();
  call(*client, "a");
  executor.run();
  bool drained = false;
  server->drain([&] {
    drained = true;
    server.reset();
  });
  call(*client, "not read any more");
  executor.run();
  EXPECT_FALSE(drained);
  server->respond(calls[0].connection, calls[0].id, as_bytes("a"));
  executor.run();
  EXPECT_TRUE(drained);
  EXPECT_EQ(outcomes, (std::vector<std::string>{"a", "!"}));
  call(*client, "nobody there");
  executor.advance(1s);
  EXPECT_EQ(outcomes.size(), 3U);
}

TEST_F(RpcTest, idle_connections_are_closed_busy_ones_are_not) {
  server.reset();
  server_options.idle_time_max = 10s;
  make_server();
  const auto idle = make_client();
  const auto busy = make_client();
  call(*idle, "a");
  executor.run();
  echo = false;
  call(*busy, "b", 100s);
  executor.run();
  executor.advance(13s);
  EXPECT_EQ(server->connections(), 1U);
  EXPECT_FALSE(idle->connected());
  EXPECT_TRUE(busy->connected());
  echo = true;
  call(*idle, "again");
  executor.run();
  EXPECT_EQ(outcomes, (std::vector<std::string>{"a", "again"}));
}

TEST_F(RpcTest, a_server_that_closes_every_connection_is_not_hammered) {
  server.reset();
  std::size_t accepted = 0;
  const auto listener = transport->listen(address, {}, [&](std::unique_ptr<Connection>) { ++accepted; });
  ASSERT_TRUE(listener);
  const auto client = make_client();
  std::function<void()> retry = [&] { client->call(as_bytes("x"), 10s, [&](const Result<Bytes>&) { retry(); }); };
  retry();
  executor.advance(10s);
  EXPECT_LT(accepted, 15U);
  EXPECT_GT(accepted, 5U);
}

}  // namespace
}  // namespace zef::net
