#include "store/http_errors.h"

#include <fmt/core.h>

#include <algorithm>
#include <pugixml.hpp>
#include <string_view>

namespace zef::store {
namespace {

// What a server says is shown to people: one short printable line.
std::string one_line(std::string_view text) {
  std::string line(text.substr(0, std::min<std::size_t>(text.find('\n'), 300)));
  std::ranges::replace_if(line, [](char c) { return c < ' ' || c > '~'; }, '?');
  return line;
}

}  // namespace

StoreError to_store_error(const http::Failure& failure) {
  switch (failure.kind) {
    case http::FailureKind::never_sent: return {StoreErrorKind::unavailable, failure.message};
    case http::FailureKind::untrusted:
      return {StoreErrorKind::denied,
              failure.message + "; name the certificates to trust with the setting ca=/path/to/ca.pem"};
    case http::FailureKind::unknown: return {StoreErrorKind::ambiguous, failure.message};
    case http::FailureKind::too_large: return {StoreErrorKind::corrupt, failure.message};
  }
  return {StoreErrorKind::ambiguous, failure.message};
}

Refusal refusal_of(const http::Response& response) {
  Refusal refusal{.status = response.status, .code = {}, .message = {}};
  pugi::xml_document document;
  if (document.load_buffer(response.body.data(), response.body.size())) {
    const pugi::xml_node error = document.child("Error");
    refusal.code = one_line(error.child_value("Code"));
    refusal.message = one_line(error.child_value("Message"));
    // Azure says there, and only there, what exactly was wrong with a signature or its time.
    if (const std::string_view detail = error.child_value("AuthenticationErrorDetail"); !detail.empty())
      refusal.message += " " + one_line(detail);
  }
  if (const auto code = response.header("x-ms-error-code"); !code.empty()) refusal.code = one_line(code);
  return refusal;
}

std::string shown(const Refusal& refusal) {
  return fmt::format("{}{}{}{}{}", refusal.status, refusal.code.empty() ? "" : " ", refusal.code,
                     refusal.message.empty() ? "" : ": ", refusal.message);
}

}  // namespace zef::store
