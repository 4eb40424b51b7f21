// Asynchronous HTTP/1.1 requests: what the object stores of other companies speak. Connections are kept and used again.
//
// What matters most here is what a failure says: `never_sent` means that not one byte of the request left, so it
// certainly had no effect; anything else may have been received, and may take effect even later. A request that may
// have been received is never sent again by this room if it is a PUT. (GET, HEAD and DELETE do no more when they come
// twice: libcurl repeats them when a connection that was used before turns out to be closed.)
//
// Thread rule: a client and its tasks belong to one executor; transfers run on one thread of the client's own, and
// their outcomes are posted. It may be destroyed with transfers under way: they are cut off, and tasks that still wait
// are never resumed (their owner drops them). The executor must outlive the client. Redirects are not followed, proxies
// of the environment are not used, answers are not decompressed.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/executor.h"
#include "base/result.h"
#include "base/task.h"

namespace zef::http {

enum class Method { get, head, put, del };

[[nodiscard]] std::string_view name_of(Method method);

struct Header {
  std::string name;
  std::string value;
};

struct Request {
  Method method = Method::get;
  std::string url;  // percent-encoded already: it is sent as it is
  std::vector<Header> headers;
  std::shared_ptr<const Bytes> body;      // of a PUT; nothing: empty
  std::optional<Duration> total_timeout;  // else the client's
};

struct Response {
  int status = 0;
  std::vector<Header> headers;
  Bytes body;

  // The first header of that name, in any case of letters; "" if there is none.
  [[nodiscard]] std::string_view header(std::string_view name) const;
};

enum class FailureKind {
  never_sent,  // no connection, no name, no time left before the first byte
  untrusted,   // never sent either: the server's certificate is not trusted, so trying again will not help
  unknown,     // it may have been received
  too_large,   // an answer came, and it is larger than the limit
};

struct Failure {
  FailureKind kind;
  std::string message;  // for people
};

using Outcome = std::expected<Response, Failure>;

struct ClientOptions {
  std::string ca_file;  // who is trusted, PEM; "": who the machine trusts
  Duration connect_timeout = std::chrono::seconds(3);
  // Of a whole request, connecting and waiting for its turn included; each megabyte of a body, in either direction,
  // that has moved buys another second.
  Duration total_timeout = std::chrono::seconds(20);
  // A connection that was idle for longer is not used again: servers close theirs after 5 s and more, and a request
  // that meets the closing is `unknown`.
  Duration idle_max = std::chrono::seconds(4);
  std::uint32_t connections_max = 64;  // more requests wait for their turn
  std::size_t body_max = std::size_t{64} << 20;
};

class Client {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Client>> make(Executor& executor, ClientOptions options = {});
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();

  [[nodiscard]] Task<Outcome> send(Request request);

 private:
  class Transfers;
  Client(Executor& executor, std::unique_ptr<Transfers> transfers);

  Executor& executor_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // read and written on the executor's thread only
  std::unique_ptr<Transfers> transfers_;
};

}  // namespace zef::http
