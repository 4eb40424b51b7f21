// One request on its way through libcurl. Inside the room only.
//
// Thread rule: made on any thread, then used by the client's transfer thread alone.
#pragma once

#include <curl/curl.h>

#include <array>
#include <cstddef>
#include <functional>
#include <memory>

#include "http/client.h"

namespace zef::http {

struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
using Easy = std::unique_ptr<CURL, EasyDeleter>;

class Transfer {
 public:
  using Done = std::move_only_function<void(Outcome)>;

  // `deadline`: of all of it, the wait for its turn included; bodies that move put it off.
  Transfer(Request request, MonotonicTime deadline, Done done)
      : request_(std::move(request)), deadline_(deadline), done_(std::move(done)) {}
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  ~Transfer() = default;

  // Sets everything up on a fresh or reset handle, which the transfer owns until take_easy(). False: no memory.
  [[nodiscard]] bool prepare(Easy easy, const ClientOptions& options);
  [[nodiscard]] CURL* easy() const { return easy_.get(); }
  [[nodiscard]] Easy take_easy() { return std::move(easy_); }
  [[nodiscard]] MonotonicTime deadline() const { return deadline_; }
  // Makes the outcome of what libcurl says, and hands it on.
  void finish(CURLcode code);
  void fail(FailureKind kind, std::string_view message);

 private:
  struct ListDeleter {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };

  bool set_headers();
  void set_method();
  void set_limits(const ClientOptions& options);
  [[nodiscard]] Failure failure_of(CURLcode code) const;

  void moved(std::size_t bytes);

  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t on_read(char* out, std::size_t size, std::size_t count, void* self);
  static int on_connected(void* self, char*, char*, int, int);

  Request request_;
  MonotonicTime deadline_;
  Done done_;
  Easy easy_;
  std::unique_ptr<curl_slist, ListDeleter> headers_;
  std::array<char, CURL_ERROR_SIZE> error_{};
  Response response_;
  std::size_t body_max_ = 0;
  std::size_t body_sent_ = 0;
  bool may_be_sent_ = false;
  bool too_large_ = false;
};

}  // namespace zef::http
