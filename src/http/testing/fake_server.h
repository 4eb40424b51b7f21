// A small HTTP/1.1 server on loopback, for tests of what speaks to one: its handler sees each request and says what is
// answered, or that the connection is cut instead.
//
// Thread rule: made and destroyed on one thread; each connection has a thread of its own, and the handler is called by
// one of them at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.h"

namespace zef::http::testing {

struct FakeRequest {
  std::string method;
  std::string target;                          // as it was sent: path and query
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  std::size_t connection = 0;  // which one, from 0

  [[nodiscard]] std::string path() const { return target.substr(0, target.find('?')); }
  // A parameter of the query, percent-decoded; "" if it is not there.
  [[nodiscard]] std::string parameter(const std::string& name) const;
  [[nodiscard]] std::string header(const std::string& name) const;
};

struct FakeReply {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  enum class Then { keep, cut_before_answer, never_answer } then = Then::keep;
};

class FakeServer {
 public:
  using Handler = std::function<FakeReply(const FakeRequest&)>;

  explicit FakeServer(Handler handler);
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;
  ~FakeServer();

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] std::size_t connections() const;
  [[nodiscard]] std::vector<FakeRequest> seen() const;

 private:
  void accept_all();
  void serve(int socket, std::size_t connection);
  bool read_request(int socket, std::string& buffer, FakeRequest& out);
  bool answer(int socket, const FakeRequest& request);

  Handler handler_;
  std::uint16_t port_ = 0;  // before the listener, which sets it
  int listener_ = -1;
  mutable std::mutex mutex_;
  bool stopping_ = false;
  std::vector<int> sockets_;
  std::vector<FakeRequest> seen_;
  std::vector<std::thread> threads_;
  std::mutex handling_;
  std::thread acceptor_;
};

// A port of this machine on which nobody listens.
[[nodiscard]] std::uint16_t closed_port();

}  // namespace zef::http::testing
