#include "store/signing.h"

#include <fmt/core.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <map>

#include "base/check.h"
#include "crypto/sha256.h"

namespace zef::store {
namespace {

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.' || c == '~';
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

struct CivilTime {
  std::chrono::year_month_day day;
  std::chrono::hh_mm_ss<std::chrono::seconds> clock;
  std::chrono::weekday weekday;
};

CivilTime civil(WallTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto day = std::chrono::floor<std::chrono::days>(seconds);
  return {std::chrono::year_month_day(day), std::chrono::hh_mm_ss(seconds - day), std::chrono::weekday(day)};
}

std::string hash_hex(std::string_view text) { return crypto::sha256(as_bytes(text)).hex(); }

// Lower-case names and values, sorted, as both ways of signing want them.
std::map<std::string, std::string> sorted_headers(const std::vector<http::Header>& headers) {
  std::map<std::string, std::string> sorted;
  for (const http::Header& header : headers) sorted[lower(header.name)] = header.value;
  return sorted;
}

}  // namespace

std::string base64(ByteView bytes) {
  std::string out(((bytes.size() + 2) / 3) * 4 + 1, '\0');
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes.data(), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

std::optional<Bytes> from_base64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0 || text.size() > 1'000'000) return std::nullopt;
  Bytes out(text.size() / 4 * 3);
  const int size =
      EVP_DecodeBlock(out.data(), reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  out.resize(static_cast<std::size_t>(size) - padding);
  return out;
}

Bytes hmac_sha256(ByteView key, std::string_view text) {
  Bytes out(32);
  unsigned int size = 0;
  const ByteView data = as_bytes(text);
  ZEF_CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), data.data(), data.size(), out.data(), &size) !=
            nullptr);
  ZEF_CHECK(size == out.size());
  return out;
}

std::string percent_encoded(std::string_view text, bool keep_slash) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (is_unreserved(c) || (keep_slash && c == '/')) {
      out.push_back(c);
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string compact_time(WallTime time) {
  const CivilTime t = civil(time);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", static_cast<int>(t.day.year()),
                     static_cast<unsigned>(t.day.month()), static_cast<unsigned>(t.day.day()), t.clock.hours().count(),
                     t.clock.minutes().count(), t.clock.seconds().count());
}

std::string http_time(WallTime time) {
  constexpr std::array<std::string_view, 7> days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const CivilTime t = civil(time);
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", days[t.weekday.c_encoding()],
                     static_cast<unsigned>(t.day.day()), months[static_cast<unsigned>(t.day.month()) - 1],
                     static_cast<int>(t.day.year()), t.clock.hours().count(), t.clock.minutes().count(),
                     t.clock.seconds().count());
}

std::optional<WallTime> parse_time(std::string_view text) {
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':' ||
      text.back() != 'Z')
    return std::nullopt;
  const auto number = [text](std::size_t from, std::size_t length) {
    int value = -1;
    const char* const begin = text.data() + from;
    const auto [end, error] = std::from_chars(begin, begin + length, value);
    return error == std::errc() && end == begin + length ? value : -1;
  };
  const int hour = number(11, 2);
  const int minute = number(14, 2);
  const int second = number(17, 2);
  const std::chrono::year_month_day day(std::chrono::year(number(0, 4)),
                                        std::chrono::month(static_cast<unsigned>(number(5, 2))),
                                        std::chrono::day(static_cast<unsigned>(number(8, 2))));
  if (!day.ok() || hour < 0 || minute < 0 || second < 0) return std::nullopt;
  return std::chrono::sys_days(day) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second);
}

std::string canonical_query(Query query) {
  for (auto& [name, value] : query) {
    name = percent_encoded(name);
    value = percent_encoded(value);
  }
  std::ranges::sort(query);
  std::string out;
  for (const auto& [name, value] : query) out += fmt::format("{}{}={}", out.empty() ? "" : "&", name, value);
  return out;
}

void sign_v4(const SignatureScheme& scheme, std::string_view region, const SigningCredentials& credentials,
             WallTime time, const ToSign& request, std::vector<http::Header>& headers) {
  const std::string stamp = compact_time(time);
  const std::string day = stamp.substr(0, 8);
  headers.push_back({"Host", std::string(request.host)});
  headers.push_back({fmt::format("{}date", scheme.header_prefix), stamp});
  headers.push_back({fmt::format("{}content-sha256", scheme.header_prefix), request.body_sha256_hex});
  if (!credentials.session_token.empty())
    headers.push_back({fmt::format("{}security-token", scheme.header_prefix), credentials.session_token});

  std::string lines;
  std::string names;
  for (const auto& [name, value] : sorted_headers(headers)) {
    lines += fmt::format("{}:{}\n", name, value);
    names += fmt::format("{}{}", names.empty() ? "" : ";", name);
  }
  const std::string canonical = fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method, request.path,
                                            canonical_query(request.query), lines, names, request.body_sha256_hex);
  const std::string scope = fmt::format("{}/{}/{}/{}", day, region, scheme.service, scheme.terminator);
  const std::string to_sign = fmt::format("{}\n{}\n{}\n{}", scheme.algorithm, stamp, scope, hash_hex(canonical));

  const std::string first_key = fmt::format("{}{}", scheme.key_prefix, credentials.secret_key);
  Bytes key = hmac_sha256(as_bytes(first_key), day);
  for (const std::string_view part : {region, scheme.service, scheme.terminator}) key = hmac_sha256(key, part);
  headers.push_back(
      {"Authorization", fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", scheme.algorithm,
                                    credentials.access_key, scope, names, to_hex(hmac_sha256(key, to_sign)))});
}

std::string azure_text_to_sign(std::string_view account, const AzureToSign& request,
                               const std::vector<http::Header>& headers) {
  const auto sorted = sorted_headers(headers);
  const auto value = [&sorted](const char* name) {
    const auto found = sorted.find(name);
    return found == sorted.end() ? std::string() : found->second;
  };
  // Date is empty: x-ms-date stands in its place.
  std::string text = fmt::format("{}\n\n\n{}\n{}\n{}\n\n{}\n{}\n{}\n{}\n{}\n", request.method,
                                 request.body_size == 0 ? "" : std::to_string(request.body_size), value("content-md5"),
                                 value("content-type"), value("if-modified-since"), value("if-match"),
                                 value("if-none-match"), value("if-unmodified-since"), value("range"));
  for (const auto& [name, content] : sorted)
    if (name.starts_with("x-ms-")) text += fmt::format("{}:{}\n", name, content);
  text += fmt::format("/{}{}", account, request.path);
  std::map<std::string, std::string> query;
  for (const auto& [name, content] : request.query) query[lower(name)] = content;
  for (const auto& [name, content] : query) text += fmt::format("\n{}:{}", name, content);
  return text;
}

http::Header azure_authorization(std::string_view account, ByteView key, std::string_view text_to_sign) {
  return {"Authorization", fmt::format("SharedKey {}:{}", account, base64(hmac_sha256(key, text_to_sign)))};
}

}  // namespace zef::store
