#include "http/testing/fake_server.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/check.h"

namespace zef::http::testing {
namespace {

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = text[i] == '%' && i + 2 < text.size() ? from_hex(text.substr(i + 1, 2)) : std::nullopt;
    if (byte) i += 2;
    out.push_back(byte ? static_cast<char>(byte->front()) : text[i]);
  }
  return out;
}

int bound_socket(std::uint16_t& port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ZEF_CHECK(socket >= 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ZEF_CHECK(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  socklen_t size = sizeof address;
  ZEF_CHECK(::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port = ntohs(address.sin_port);
  return socket;
}

bool send_all(int socket, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void parse_head(std::string_view head, FakeRequest& out) {
  std::size_t at = head.find("\r\n");
  const std::string_view first = head.substr(0, at);
  out.method = first.substr(0, first.find(' '));
  const std::string_view rest = first.substr(std::min(first.size(), out.method.size() + 1));
  out.target = rest.substr(0, rest.find(' '));
  while (at != std::string_view::npos && at + 2 < head.size()) {
    const std::size_t end = head.find("\r\n", at + 2);
    const std::string_view line = head.substr(at + 2, end == std::string_view::npos ? end : end - at - 2);
    if (const auto colon = line.find(':'); colon != std::string_view::npos) {
      const std::size_t value = line.find_first_not_of(' ', colon + 1);
      out.headers[lower(std::string(line.substr(0, colon)))] =
          value == std::string_view::npos ? std::string() : std::string(line.substr(value));
    }
    at = end;
  }
}

}  // namespace

std::string FakeRequest::parameter(const std::string& name) const {
  const auto question = target.find('?');
  if (question == std::string::npos) return "";
  std::string_view query = std::string_view(target).substr(question + 1);
  while (!query.empty()) {
    const std::string_view item = query.substr(0, query.find('&'));
    if (percent_decoded(item.substr(0, item.find('='))) == name)
      return item.contains('=') ? percent_decoded(item.substr(item.find('=') + 1)) : "";
    query.remove_prefix(std::min(query.size(), item.size() + 1));
  }
  return "";
}

std::string FakeRequest::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

FakeServer::FakeServer(Handler handler) : handler_(std::move(handler)), listener_(bound_socket(port_)) {
  ZEF_CHECK(::listen(listener_, 128) == 0);
  acceptor_ = std::thread([this] { accept_all(); });
}

FakeServer::~FakeServer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
  }
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
  for (const int socket : sockets_) ::close(socket);
  ::close(listener_);
}

std::size_t FakeServer::connections() const {
  const std::lock_guard lock(mutex_);
  return sockets_.size();
}

std::vector<FakeRequest> FakeServer::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

void FakeServer::accept_all() {
  for (;;) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const std::lock_guard lock(mutex_);
    if (socket < 0 || stopping_) {
      if (socket >= 0) ::close(socket);
      return;
    }
    const std::size_t number = sockets_.size();
    sockets_.push_back(socket);
    threads_.emplace_back([this, socket, number] { serve(socket, number); });
  }
}

void FakeServer::serve(int socket, std::size_t connection) {
  std::string buffer;
  for (;;) {
    FakeRequest request;
    request.connection = connection;
    if (!read_request(socket, buffer, request) || !answer(socket, request)) break;
  }
  ::shutdown(socket, SHUT_RDWR);  // closed by the destructor, so that the number is not used again before
}

bool FakeServer::read_request(int socket, std::string& buffer, FakeRequest& out) {
  std::array<char, 65536> chunk{};
  std::size_t whole = std::string::npos;
  std::size_t head_end = std::string::npos;
  while (whole == std::string::npos || buffer.size() < whole) {
    if (head_end == std::string::npos) {
      head_end = buffer.find("\r\n\r\n");
      if (head_end != std::string::npos) {
        parse_head(std::string_view(buffer).substr(0, head_end), out);
        const std::string length = out.header("content-length");
        std::size_t size = 0;
        std::from_chars(length.data(), length.data() + length.size(), size);
        whole = head_end + 4 + size;
        continue;
      }
    }
    const ssize_t got = ::recv(socket, chunk.data(), chunk.size(), 0);
    if (got <= 0) return false;
    buffer.append(chunk.data(), static_cast<std::size_t>(got));
  }
  out.body = buffer.substr(head_end + 4, whole - head_end - 4);
  buffer.erase(0, whole);
  return true;
}

bool FakeServer::answer(int socket, const FakeRequest& request) {
  FakeReply reply;
  {
    const std::lock_guard one(handling_);
    {
      const std::lock_guard lock(mutex_);
      seen_.push_back(request);
    }
    reply = handler_(request);
  }
  if (reply.then == FakeReply::Then::cut_before_answer) return false;
  if (reply.then == FakeReply::Then::never_answer) {
    char ignored = 0;
    while (::recv(socket, &ignored, 1, 0) > 0) {
    }
    return false;
  }
  std::string text = fmt::format("HTTP/1.1 {} Fake\r\n", reply.status);
  const bool has_length =
      std::ranges::any_of(reply.headers, [](const auto& header) { return lower(header.first) == "content-length"; });
  for (const auto& [name, value] : reply.headers) text += fmt::format("{}: {}\r\n", name, value);
  if (!has_length && reply.status != 204) text += fmt::format("Content-Length: {}\r\n", reply.body.size());
  text += "\r\n";
  if (request.method != "HEAD") text += reply.body;
  return send_all(socket, text);
}

std::uint16_t closed_port() {
  std::uint16_t port = 0;
  ::close(bound_socket(port));
  return port;
}

}  // namespace zef::http::testing
