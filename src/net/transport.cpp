#include "net/transport.h"

#include <charconv>

namespace zef::net {
namespace {

constexpr std::size_t host_bytes_max = 253;  // of a DNS name

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

bool is_ipv6_character(char c) {
  return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || (c >= '0' && c <= '9') || c == '.' || c == ':';
}

std::unexpected<Error> bad_address(std::string_view text) {
  return fail(ErrorKind::invalid_input, "'" + std::string(text.substr(0, host_bytes_max)) +
                                            "' is not an address: write host:port, for example 127.0.0.1:9000, "
                                            "[::1]:9000 or node.example.com:9000");
}

}  // namespace

Result<Address> parse_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad_address(text);
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);

  const bool bracketed = host.starts_with('[') && host.ends_with(']') && host.size() > 2;
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host.empty() || host.size() > host_bytes_max) return bad_address(text);
  for (const char c : host) {
    if (bracketed ? !is_ipv6_character(c) : !is_host_character(c)) return bad_address(text);
  }

  Address address{std::string(host), 0};
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (port.empty() || error != std::errc{} || end != port.data() + port.size()) return bad_address(text);
  return address;
}

std::string to_string(const Address& address) {
  const bool ipv6 = address.host.find(':') != std::string::npos;
  return (ipv6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

}  // namespace zef::net
