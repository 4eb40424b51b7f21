#include "http/client.h"

#include <fmt/core.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "http/transfer.h"

namespace zef::http {
namespace {

constexpr std::size_t spare_handles_max = 64;

bool same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

bool global_init() {
  static const bool good = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return good;
}

}  // namespace

std::string_view name_of(Method method) {
  switch (method) {
    case Method::get: return "GET";
    case Method::head: return "HEAD";
    case Method::put: return "PUT";
    case Method::del: return "DELETE";
  }
  return "";
}

std::string_view Response::header(std::string_view name) const {
  const auto found =
      std::ranges::find_if(headers, [name](const Header& header) { return same_name(header.name, name); });
  return found == headers.end() ? std::string_view() : std::string_view(found->value);
}

// The thread with libcurl's multi handle, and what waits for a connection. Deadlines are kept here: libcurl
// does not look at that of a request which waits for a connection, and cannot put one off.
class Client::Transfers {
 public:
  explicit Transfers(ClientOptions options) : options_(std::move(options)), multi_(curl_multi_init()) {
    if (multi_ == nullptr) return;
    curl_multi_setopt(multi_, CURLMOPT_MAX_TOTAL_CONNECTIONS, static_cast<long>(options_.connections_max));
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(options_.connections_max));
    curl_multi_setopt(multi_, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_NOTHING));
    thread_ = std::thread([this] { serve(); });
  }
  Transfers(const Transfers&) = delete;
  Transfers& operator=(const Transfers&) = delete;
  ~Transfers() {
    if (multi_ == nullptr) return;
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    curl_multi_wakeup(multi_);
    thread_.join();
    for (auto& [easy, transfer] : running_) curl_multi_remove_handle(multi_, easy);
    running_.clear();
    curl_multi_cleanup(multi_);
  }

  [[nodiscard]] bool works() const { return multi_ != nullptr; }

  [[nodiscard]] MonotonicTime deadline_of(const Request& request) const {
    return std::chrono::steady_clock::now() + request.total_timeout.value_or(options_.total_timeout);
  }

  // From any thread.
  void submit(std::unique_ptr<Transfer> transfer) {
    {
      const std::lock_guard lock(mutex_);
      submitted_.push_back(std::move(transfer));
    }
    curl_multi_wakeup(multi_);
  }

 private:
  void serve() {
    while (take_submitted()) {
      fail_waiting();
      begin_waiting();
      int running = 0;
      curl_multi_perform(multi_, &running);
      finish_done();
      end_late();  // after what came has been taken: this process may have stood still
      if (!waiting_.empty() && running_.size() < options_.connections_max) continue;
      curl_multi_poll(multi_, nullptr, 0, poll_time(), nullptr);
    }
  }

  // False when it is time to end.
  bool take_submitted() {
    std::vector<std::unique_ptr<Transfer>> submitted;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return false;
      submitted.swap(submitted_);
    }
    for (auto& transfer : submitted) waiting_.emplace(transfer->deadline(), std::move(transfer));
    return true;
  }

  void fail_waiting() {
    const MonotonicTime now = std::chrono::steady_clock::now();
    while (!waiting_.empty() && waiting_.begin()->first <= now) {
      const auto late = waiting_.extract(waiting_.begin());
      late.mapped()->fail(FailureKind::never_sent, "no connection was free in time");
    }
  }

  void begin_waiting() {
    while (!waiting_.empty() && running_.size() < options_.connections_max)
      begin(std::move(waiting_.extract(waiting_.begin()).mapped()));
  }

  // In milliseconds. A wake-up ends it sooner, and so does what libcurl waits for.
  [[nodiscard]] int poll_time() const {
    const MonotonicTime now = std::chrono::steady_clock::now();
    Duration left = std::chrono::seconds(1);
    if (!waiting_.empty()) left = std::min(left, waiting_.begin()->first - now);
    for (const auto& [easy, transfer] : running_) left = std::min(left, transfer->deadline() - now);
    return static_cast<int>(std::max(left, Duration{}) / std::chrono::milliseconds(1)) + 1;
  }

  void begin(std::unique_ptr<Transfer> transfer) {
    Easy easy;
    if (spare_.empty()) {
      easy.reset(curl_easy_init());
    } else {
      easy = std::move(spare_.back());
      spare_.pop_back();
      curl_easy_reset(easy.get());
    }
    if (!transfer->prepare(std::move(easy), options_) || curl_multi_add_handle(multi_, transfer->easy()) != CURLM_OK) {
      transfer->fail(FailureKind::never_sent, "no memory for another request");
      return;
    }
    running_.emplace(transfer->easy(), std::move(transfer));
  }

  void finish_done() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left))
      if (message->msg == CURLMSG_DONE) end(message->easy_handle, message->data.result);
  }

  void end_late() {
    const MonotonicTime now = std::chrono::steady_clock::now();
    std::vector<CURL*> late;
    for (const auto& [easy, transfer] : running_)
      if (transfer->deadline() <= now) late.push_back(easy);
    for (CURL* const easy : late) end(easy, CURLE_OPERATION_TIMEDOUT);
  }

  void end(CURL* easy, CURLcode code) {
    const auto found = running_.find(easy);
    ZEF_CHECK(found != running_.end());
    const std::unique_ptr<Transfer> transfer = std::move(found->second);
    running_.erase(found);
    curl_multi_remove_handle(multi_, easy);
    transfer->finish(code);
    if (spare_.size() < spare_handles_max) spare_.push_back(transfer->take_easy());
  }

  const ClientOptions options_;
  CURLM* multi_;
  std::multimap<MonotonicTime, std::unique_ptr<Transfer>> waiting_;  // by their deadlines: so they are begun
  std::unordered_map<CURL*, std::unique_ptr<Transfer>> running_;
  std::vector<Easy> spare_;

  std::mutex mutex_;
  bool stopping_ = false;
  std::vector<std::unique_ptr<Transfer>> submitted_;

  std::thread thread_;  // last: it uses all of the above
};

Client::Client(Executor& executor, std::unique_ptr<Transfers> transfers)
    : executor_(executor), transfers_(std::move(transfers)) {}

Client::~Client() { *alive_ = false; }

Result<std::unique_ptr<Client>> Client::make(Executor& executor, ClientOptions options) {
  if (!options.ca_file.empty() && !std::ifstream(options.ca_file).good())
    return zef::fail(ErrorKind::invalid_input,
                     fmt::format("cannot read the file of trusted certificates {}", options.ca_file));
  if (!global_init()) return zef::fail(ErrorKind::io, "libcurl does not start");
  auto transfers = std::make_unique<Transfers>(std::move(options));
  if (!transfers->works()) return zef::fail(ErrorKind::io, "libcurl does not start");
  return std::unique_ptr<Client>(new Client(executor, std::move(transfers)));
}

Task<Outcome> Client::send(Request request) {
  co_return co_await from_callback<Outcome>([this, &request](auto done) {
    auto waiting = std::make_shared<decltype(done)>(std::move(done));
    const MonotonicTime deadline = transfers_->deadline_of(request);
    transfers_->submit(std::make_unique<Transfer>(
        std::move(request), deadline, [waiting, executor = &executor_, alive = alive_](Outcome outcome) {
          executor->post([waiting, outcome = std::move(outcome), alive]() mutable {
            // After the client's end nobody may go on as if it still existed.
            if (*alive) (*waiting)(std::move(outcome));
          });
        }));
  });
}

}  // namespace zef::http
