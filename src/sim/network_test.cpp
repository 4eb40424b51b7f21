#include "sim/network.h"

#include <gtest/gtest.h>

namespace zef::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Two processes with one connection.
class SimNetwork : public ::testing::Test {
 protected:
  void connect() {
    listener_ = *listening_->listen({"server", 1}, {}, [this](std::unique_ptr<net::Connection> connection) {
      server_ = std::move(connection);
      server_->start({.on_frame = [this](ByteView frame) { heard_ += as_text(frame); },
                      .on_batch_end = {},
                      .on_drained = {},
                      .on_protocol_error = {},
                      .on_closed = [this](const Error&) { server_closed_ = true; }});
    });
    calling_->connect({"server", 1}, {}, [this](Result<std::unique_ptr<net::Connection>> connection) {
      ASSERT_TRUE(connection);
      client_ = std::move(*connection);
      client_->start({.on_frame = {},
                      .on_batch_end = {},
                      .on_drained = {},
                      .on_protocol_error = {},
                      .on_closed = [this](const Error&) { client_closed_ = true; }});
    });
    ASSERT_TRUE(schedule_.run_until([this] { return client_ && server_; }, seconds(1)));
  }
  void say(std::string_view text) { client_->send(as_bytes(text)); }
  void pass(Duration time) {
    const MonotonicTime end = schedule_.now() + time;
    server_process_.after(time, [] {});
    schedule_.run_until([&] { return schedule_.now() >= end; }, time);
  }
  ~SimNetwork() override { schedule_.clear(); }

  Schedule schedule_;
  Network network_{schedule_, SimRng(3)};
  SimExecutor& server_process_ = schedule_.make_process();
  SimExecutor& client_process_ = schedule_.make_process();
  Site server_site_ = network_.new_site();
  Site client_site_ = network_.new_site();
  std::unique_ptr<net::Transport> listening_ = network_.transport(server_process_, server_site_);
  std::unique_ptr<net::Transport> calling_ = network_.transport(client_process_, client_site_);
  std::unique_ptr<net::Listener> listener_;
  std::unique_ptr<net::Connection> server_;
  std::unique_ptr<net::Connection> client_;
  std::string heard_;
  bool server_closed_ = false;
  bool client_closed_ = false;
};

TEST_F(SimNetwork, frames_of_one_connection_arrive_in_order_whatever_their_delay) {
  network_.set_weather({.delay_max = milliseconds(50), .slow_chance = 300'000});
  connect();
  std::string all;
  for (char c = 'a'; c <= 'z'; ++c) {
    say(std::string(1, c));
    all += c;
  }
  pass(seconds(5));
  EXPECT_EQ(heard_, all);
}

TEST_F(SimNetwork, a_blocked_link_holds_frames_and_a_short_block_loses_none) {
  connect();
  network_.block(server_site_, client_site_);
  say("held");
  pass(seconds(1));
  EXPECT_EQ(heard_, "");
  network_.heal();
  pass(seconds(1));
  EXPECT_EQ(heard_, "held");
  EXPECT_FALSE(client_closed_);
}

TEST_F(SimNetwork, a_cut_tells_both_ends_and_loses_what_was_under_way) {
  connect();
  say("lost");
  network_.cut(server_site_);
  pass(seconds(1));
  EXPECT_TRUE(client_closed_);
  EXPECT_TRUE(server_closed_);
}

TEST_F(SimNetwork, a_machine_without_power_is_missed_late) {
  connect();
  network_.silence(server_site_);
  server_process_.kill();
  server_.reset();
  say("nobody hears this");
  pass(seconds(1));
  EXPECT_FALSE(client_closed_);
  pass(seconds(20));
  EXPECT_TRUE(client_closed_);
}

TEST_F(SimNetwork, what_was_sent_is_seen_although_it_never_arrives) {
  std::string seen;
  network_.on_sent([&](const Sent& sent) { seen += as_text(sent.frame); });
  connect();
  network_.block(server_site_, client_site_);
  say("seen");
  EXPECT_EQ(seen, "seen");
}

}  // namespace
}  // namespace zef::sim
