// How requests to paid object stores are signed: AWS signature version 4, which Google's HMAC keys use as well under
// other names, and Azure's SharedKey; with the encodings that they share. Written here, because libcurl's own signature
// does not bring queries and paths into the canonical form.
//
// Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/executor.h"
#include "http/client.h"

namespace zef::store {

[[nodiscard]] std::string base64(ByteView bytes);
[[nodiscard]] std::optional<Bytes> from_base64(std::string_view text);
[[nodiscard]] Bytes hmac_sha256(ByteView key, std::string_view text);

// Everything but letters, digits and "-_.~" becomes %XX; '/' stays in paths.
[[nodiscard]] std::string percent_encoded(std::string_view text, bool keep_slash = false);

// "20150830T123600Z" and "Sun, 30 Aug 2015 12:36:00 GMT".
[[nodiscard]] std::string compact_time(WallTime time);
[[nodiscard]] std::string http_time(WallTime time);
// Of "2015-08-30T12:36:00Z"; fractions of a second are ignored.
[[nodiscard]] std::optional<WallTime> parse_time(std::string_view text);

// Names and values not yet encoded.
using Query = std::vector<std::pair<std::string, std::string>>;
// Sorted and encoded: "a=1&b=2".
[[nodiscard]] std::string canonical_query(Query query);

// The names that differ between those who use version 4.
struct SignatureScheme {
  std::string_view algorithm = "AWS4-HMAC-SHA256";
  std::string_view key_prefix = "AWS4";
  std::string_view terminator = "aws4_request";
  std::string_view header_prefix = "x-amz-";
  std::string_view service = "s3";
};
inline constexpr SignatureScheme aws_signature{};
inline constexpr SignatureScheme google_signature{.algorithm = "GOOG4-HMAC-SHA256",
                                                  .key_prefix = "GOOG4",
                                                  .terminator = "goog4_request",
                                                  .header_prefix = "x-goog-",
                                                  .service = "storage"};

struct SigningCredentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;  // "" for those that do not expire
  friend bool operator==(const SigningCredentials&, const SigningCredentials&) = default;
};

struct ToSign {
  std::string_view method;
  std::string_view host;  // as in the Host header
  std::string_view path;  // encoded, begins with '/'
  Query query;
  std::string body_sha256_hex;
};

// Adds the headers of time, hash, token and authorization to `headers`, all of which are signed, and Host.
void sign_v4(const SignatureScheme& scheme, std::string_view region, const SigningCredentials& credentials,
             WallTime time, const ToSign& request, std::vector<http::Header>& headers);

// Azure: what SharedKey signs, and the Authorization header of it.
struct AzureToSign {
  std::string_view method;
  std::size_t body_size = 0;
  std::string_view path;  // encoded, as in the URL
  Query query;
};
[[nodiscard]] std::string azure_text_to_sign(std::string_view account, const AzureToSign& request,
                                             const std::vector<http::Header>& headers);
[[nodiscard]] http::Header azure_authorization(std::string_view account, ByteView key, std::string_view text_to_sign);

}  // namespace zef::store
