#include "http/transfer.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

namespace zef::http {
namespace {

long milliseconds(Duration duration) {
  return std::max<long>(1, static_cast<long>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()));
}

std::string_view trimmed(std::string_view text) {
  const auto from = text.find_first_not_of(" \t\r\n");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t\r\n") - from + 1);
}

// Scheme and host only: paths are long, and queries may hold signatures.
std::string server_of(std::string_view url) {
  const auto host = url.find("://");
  return std::string(host == std::string_view::npos ? url : url.substr(0, url.find_first_of("/?", host + 3)));
}

}  // namespace

bool Transfer::prepare(Easy easy, const ClientOptions& options) {
  easy_ = std::move(easy);
  CURL* const handle = easy_.get();
  if (handle == nullptr || !set_headers()) return false;
  curl_easy_setopt(handle, CURLOPT_PRIVATE, this);
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, error_.data());
  curl_easy_setopt(handle, CURLOPT_URL, request_.url.c_str());
  curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(handle, CURLOPT_PROXY, "");
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(handle, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!options.ca_file.empty()) curl_easy_setopt(handle, CURLOPT_CAINFO, options.ca_file.c_str());
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers_.get());
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(handle, CURLOPT_PREREQFUNCTION, &Transfer::on_connected);
  curl_easy_setopt(handle, CURLOPT_PREREQDATA, this);
  set_method();
  set_limits(options);
  return true;
}

bool Transfer::set_headers() {
  // libcurl would wait for leave to send a body, and would name itself.
  request_.headers.push_back({"Expect", ""});
  request_.headers.push_back({"User-Agent", "zef"});
  request_.headers.push_back({"Accept", ""});
  for (const Header& header : request_.headers) {
    const std::string line = fmt::format("{}:{}{}", header.name, header.value.empty() ? "" : " ", header.value);
    curl_slist* const grown = curl_slist_append(headers_.get(), line.c_str());
    if (grown == nullptr) return false;
    if (!headers_) headers_.reset(grown);
  }
  return true;
}

void Transfer::set_method() {
  CURL* const handle = easy_.get();
  switch (request_.method) {
    case Method::get: break;
    case Method::head: curl_easy_setopt(handle, CURLOPT_NOBODY, 1L); break;
    case Method::del: curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, "DELETE"); break;
    case Method::put: {
      const std::size_t size = request_.body ? request_.body->size() : 0;
      curl_easy_setopt(handle, CURLOPT_UPLOAD, 1L);
      curl_easy_setopt(handle, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(size));
      // When a connection that was used before dies, libcurl sends the request again by itself. It must not: the first
      // one may have taken effect. It cannot when it would have to rewind a body and there is no seek function. A PUT
      // without a body would need no rewinding: it gets a connection of its own.
      curl_easy_setopt(handle, CURLOPT_READFUNCTION, &Transfer::on_read);
      curl_easy_setopt(handle, CURLOPT_READDATA, this);
      if (size == 0) curl_easy_setopt(handle, CURLOPT_FRESH_CONNECT, 1L);
      break;
    }
  }
}

void Transfer::set_limits(const ClientOptions& options) {
  CURL* const handle = easy_.get();
  body_max_ = options.body_max;
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(options.connect_timeout));
  // Does not wait for the thread that still asks for the address of a server: nothing else would move meanwhile.
  curl_easy_setopt(handle, CURLOPT_QUICK_EXIT, 1L);
  const auto idle = std::chrono::duration_cast<std::chrono::seconds>(options.idle_max).count();
  curl_easy_setopt(handle, CURLOPT_MAXAGE_CONN, std::max<long>(1, static_cast<long>(idle)));
}

// A large body may take its time, if it moves: 1 MB/s.
void Transfer::moved(std::size_t bytes) { deadline_ += std::chrono::microseconds(bytes); }

std::size_t Transfer::on_body(char* data, std::size_t size, std::size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  const std::size_t length = size * count;
  if (transfer.response_.body.size() + length > transfer.body_max_) {
    transfer.too_large_ = true;
    return 0;
  }
  append(transfer.response_.body, {reinterpret_cast<const std::uint8_t*>(data), length});
  transfer.moved(length);
  return length;
}

std::size_t Transfer::on_header(char* data, std::size_t size, std::size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  const std::string_view line(data, size * count);
  if (line.starts_with("HTTP/")) {  // another answer begins: what came before was an interim one
    transfer.response_.headers.clear();
    return line.size();
  }
  if (const auto colon = line.find(':'); colon != std::string_view::npos)
    transfer.response_.headers.push_back(
        {std::string(trimmed(line.substr(0, colon))), std::string(trimmed(line.substr(colon + 1)))});
  return line.size();
}

std::size_t Transfer::on_read(char* out, std::size_t size, std::size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  if (!transfer.request_.body) return 0;
  const Bytes& body = *transfer.request_.body;
  const std::size_t length = std::min(size * count, body.size() - transfer.body_sent_);
  if (length > 0) std::memcpy(out, body.data() + transfer.body_sent_, length);
  transfer.body_sent_ += length;
  transfer.moved(length);
  return length;
}

// Called when there is a connection, before the first byte of the request.
int Transfer::on_connected(void* self, char* /*remote*/, char* /*local*/, int /*remote_port*/, int /*local_port*/) {
  static_cast<Transfer*>(self)->may_be_sent_ = true;
  return CURL_PREREQFUNC_OK;
}

Failure Transfer::failure_of(CURLcode code) const {
  const char* const what = error_[0] != '\0' ? error_.data() : curl_easy_strerror(code);
  const std::string message = fmt::format("{}: {}", server_of(request_.url), what);
  if (too_large_) return {FailureKind::too_large, fmt::format("{}: the answer is too large", server_of(request_.url))};
  if (may_be_sent_) return {FailureKind::unknown, message};
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR: return {FailureKind::untrusted, message};
    default: return {FailureKind::never_sent, message};
  }
}

void Transfer::finish(CURLcode code) {
  if (code != CURLE_OK) {
    done_(std::unexpected(failure_of(code)));
    return;
  }
  long status = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
  response_.status = static_cast<int>(status);
  done_(std::move(response_));
}

void Transfer::fail(FailureKind kind, std::string_view message) {
  done_(std::unexpected(Failure{kind, fmt::format("{}: {}", server_of(request_.url), message)}));
}

}  // namespace zef::http
