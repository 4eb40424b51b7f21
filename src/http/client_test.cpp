#include "http/client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <vector>

#include "base/testing/manual_executor.h"
#include "http/testing/fake_server.h"

namespace zef::http {
namespace {

using namespace std::chrono_literals;
using testing::FakeReply;
using testing::FakeRequest;
using testing::FakeServer;

class HttpClient : public ::testing::Test {
 protected:
  void use(ClientOptions options = {}) { client_ = std::move(*Client::make(executor_, std::move(options))); }
  Outcome send(Request request) { return executor_.run_until(client_->send(std::move(request))); }
  static Request put(const std::string& url, std::string_view body) {
    return {.method = Method::put, .url = url, .body = std::make_shared<const Bytes>(to_bytes(body))};
  }

  zef::testing::ManualExecutor executor_;
  std::unique_ptr<Client> client_;
};

TEST_F(HttpClient, sends_what_it_was_given_and_returns_what_came) {
  FakeServer server([](const FakeRequest& request) {
    return FakeReply{
        .status = 201,
        .headers = {{"X-Tag", "one"}, {"ETag", "\"two\""}},
        .body = request.method + " " + request.target + " " + request.header("x-more") + " " + request.body};
  });
  use();
  Request request = put(server.url() + "/a%2Fb?x=1", "hello");
  request.headers.push_back({"x-more", "three"});
  const Outcome outcome = send(std::move(request));
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->status, 201);
  EXPECT_EQ(as_text(outcome->body), "PUT /a%2Fb?x=1 three hello");
  EXPECT_EQ(outcome->header("etag"), "\"two\"");
  EXPECT_EQ(outcome->header("x-tag"), "one");
  EXPECT_EQ(outcome->header("absent"), "");
  EXPECT_EQ(server.seen().front().header("expect"), "");
}

TEST_F(HttpClient, sends_each_method_and_empty_bodies) {
  FakeServer server([](const FakeRequest& request) {
    return FakeReply{.body = request.method == "HEAD" ? "123" : request.method + request.header("content-length")};
  });
  use();
  const auto ask = [&](Method method) { return send({.method = method, .url = server.url() + "/x"}); };
  EXPECT_EQ(as_text(ask(Method::get)->body), "GET");
  EXPECT_EQ(as_text(ask(Method::del)->body), "DELETE");
  EXPECT_EQ(as_text(ask(Method::put)->body), "PUT0");
  const auto head = ask(Method::head);
  EXPECT_EQ(head->body.size(), 0U);
  EXPECT_EQ(head->header("content-length"), "3");
}

TEST_F(HttpClient, uses_connections_again) {
  FakeServer server([](const FakeRequest&) { return FakeReply{}; });
  use();
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(send(put(server.url() + "/x", "body")).has_value());
  EXPECT_EQ(server.connections(), 1U);
}

TEST_F(HttpClient, a_closed_port_is_never_sent) {
  use();
  const Outcome outcome = send(put("http://127.0.0.1:" + std::to_string(testing::closed_port()) + "/x", "body"));
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(outcome.error().kind, FailureKind::never_sent);
}

TEST_F(HttpClient, a_name_that_does_not_exist_is_never_sent) {
  use();
  const Outcome outcome = send({.url = "http://no-such-name.invalid/x"});
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(outcome.error().kind, FailureKind::never_sent);
}

TEST_F(HttpClient, an_answer_that_does_not_come_is_unknown) {
  FakeServer server([](const FakeRequest&) { return FakeReply{.then = FakeReply::Then::never_answer}; });
  use({.total_timeout = 200ms});
  const Outcome outcome = send(put(server.url() + "/x", "body"));
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(outcome.error().kind, FailureKind::unknown);
}

// libcurl would send it again by itself, on another connection, and the second answer would speak about the first.
TEST_F(HttpClient, a_put_that_was_received_is_never_sent_twice) {
  for (const std::string body : {"body", ""}) {
    int puts = 0;
    FakeServer server([&puts](const FakeRequest& request) {
      if (request.method == "PUT" && ++puts == 2) return FakeReply{.then = FakeReply::Then::cut_before_answer};
      return FakeReply{};
    });
    use();
    EXPECT_TRUE(send(put(server.url() + "/x", body)).has_value());
    const Outcome outcome = send(put(server.url() + "/x", body));
    ASSERT_FALSE(outcome.has_value()) << body;
    EXPECT_EQ(outcome.error().kind, FailureKind::unknown) << outcome.error().message;
    EXPECT_EQ(server.seen().size(), 2U);
  }
}

TEST_F(HttpClient, waiting_for_a_free_connection_until_time_is_up_is_never_sent) {
  std::atomic<bool> received = false;
  FakeServer server([&received](const FakeRequest&) {
    received = true;
    received.notify_one();
    return FakeReply{.then = FakeReply::Then::never_answer};
  });
  use({.total_timeout = 5s, .connections_max = 1});
  std::optional<Outcome> first;
  std::optional<Outcome> second;
  TaskScope scope;
  const auto keep = [](Task<Outcome> task, std::optional<Outcome>& out) -> Task<void> {
    out = co_await std::move(task);
  };
  scope.spawn(keep(client_->send(put(server.url() + "/x", "first")), first));
  executor_.run_until_idle();
  received.wait(false);
  Request waiting = put(server.url() + "/x", "second");
  waiting.total_timeout = 200ms;
  scope.spawn(keep(client_->send(std::move(waiting)), second));
  executor_.run_while_not([&] { return second.has_value(); });
  EXPECT_FALSE(first.has_value()) << "the wait lasted until the connection was free";
  EXPECT_EQ(second->error().kind, FailureKind::never_sent) << second->error().message;
  EXPECT_EQ(server.seen().size(), 1U);
}

// At 1 MB/s, 1.5 MB may take 1.5 s longer.
TEST_F(HttpClient, a_large_body_that_moves_may_take_its_time) {
  FakeServer server([](const FakeRequest&) { return FakeReply{.then = FakeReply::Then::never_answer}; });
  use({.total_timeout = 100ms});
  const auto time_of = [&](std::size_t size) {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(send(put(server.url() + "/x", std::string(size, 'x'))).error().kind, FailureKind::unknown);
    return std::chrono::steady_clock::now() - begin;
  };
  EXPECT_GE(time_of(1'500'000), 1500ms);
  EXPECT_LT(time_of(10), 1500ms);
}

TEST_F(HttpClient, as_many_at_a_time_as_there_may_be_connections) {
  FakeServer server([](const FakeRequest&) { return FakeReply{}; });
  use({.connections_max = 3});
  std::size_t answered = 0;
  TaskScope scope;
  const auto count = [](Task<Outcome> task, std::size_t& out) -> Task<void> {
    out += (co_await std::move(task)) ? 1 : 0;
  };
  for (int i = 0; i < 200; ++i) scope.spawn(count(client_->send(put(server.url() + "/x", "body")), answered));
  executor_.run_while_not([&] { return answered == 200; });
  EXPECT_LE(server.connections(), 3U);
}

TEST_F(HttpClient, refuses_answers_larger_than_the_limit) {
  FakeServer server([](const FakeRequest&) { return FakeReply{.body = std::string(1001, 'x')}; });
  use({.body_max = 1000});
  const Outcome outcome = send({.url = server.url() + "/x"});
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(outcome.error().kind, FailureKind::too_large);
}

TEST_F(HttpClient, a_cut_answer_is_no_answer) {
  FakeServer server([](const FakeRequest&) {
    return FakeReply{.headers = {{"Content-Length", "10"}, {"Connection", "close"}}, .body = "short"};
  });
  use({.total_timeout = 300ms});
  EXPECT_EQ(send({.url = server.url() + "/x"}).error().kind, FailureKind::unknown);
}

TEST_F(HttpClient, does_not_follow_redirects) {
  FakeServer server([](const FakeRequest&) { return FakeReply{.status = 307, .headers = {{"Location", "/other"}}}; });
  use();
  EXPECT_EQ(send({.url = server.url() + "/x"})->status, 307);
  EXPECT_EQ(server.seen().size(), 1U);
}

TEST_F(HttpClient, rejects_a_missing_file_of_certificates) {
  EXPECT_EQ(Client::make(executor_, {.ca_file = "/no/such/file.pem"}).error().kind, ErrorKind::invalid_input);
}

TEST_F(HttpClient, may_go_while_a_request_is_under_way) {
  FakeServer server([](const FakeRequest&) { return FakeReply{.then = FakeReply::Then::never_answer}; });
  use();
  std::vector<Outcome> outcomes;
  TaskScope scope;
  const auto keep = [](Task<Outcome> task, std::vector<Outcome>& out) -> Task<void> {
    out.push_back(co_await std::move(task));
  };
  scope.spawn(keep(client_->send({.url = server.url() + "/x"}), outcomes));
  client_.reset();
  executor_.run_until_idle();
  EXPECT_TRUE(outcomes.empty());
}

}  // namespace
}  // namespace zef::http
