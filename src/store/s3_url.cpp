// From URLs to the options of the S3 provider.

#include <fmt/core.h>

#include <array>

#include "store/s3_store.h"
#include "store/store_url.h"

namespace zef::store {
namespace {

constexpr std::array<std::string_view, 8> s3_settings{"endpoint", "region",  "addressing",     "etag_quotes",
                                                      "ca",       "profile", "requester_pays", "checksum"};
constexpr std::array<std::string_view, 3> gcs_settings{"endpoint", "ca", "profile"};

bool region_is_good(std::string_view region) {
  return region.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

std::string region_of(const StoreUrl& url, const Environment& environment) {
  for (std::string region :
       {url.value("region"), environment("AWS_REGION"), environment("AWS_DEFAULT_REGION"), std::string("us-east-1")})
    if (!region.empty()) return region;
  return "";
}

Result<void> set_switches(const StoreUrl& url, S3Options& out) {
  // Amazon's certificates do not cover buckets with dots in the host's name.
  auto virtual_host =
      choice(url, "addressing", "virtual", "path", url.value("endpoint").empty() && !url.bucket.contains('.'));
  auto quotes = choice(url, "etag_quotes", "on", "off", true);
  auto checksum = choice(url, "checksum", "on", "off", true);
  auto pays = choice(url, "requester_pays", "1", "0", false);
  for (const auto* read : {&virtual_host, &quotes, &checksum, &pays})
    if (!*read) return std::unexpected(read->error());
  out.virtual_host = *virtual_host;
  out.quote_etags = *quotes;
  out.checksum = *checksum;
  out.requester_pays = *pays;
  return {};
}

Result<void> set_endpoint(const StoreUrl& url, std::string of_owner, S3Options& out) {
  out.endpoint = url.value("endpoint");
  if (out.endpoint.empty()) {
    out.endpoint = std::move(of_owner);
    return {};
  }
  return check_endpoint(out.endpoint, false);
}

}  // namespace

Result<S3Options> parse_s3_url(std::string_view url, const Environment& environment) {
  auto parsed = parse_store_url(url, s3_settings);
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  S3Options out;
  out.bucket = parsed->bucket;
  out.prefix = parsed->prefix;
  out.region = region_of(*parsed, environment);
  if (!region_is_good(out.region))
    return fail(ErrorKind::invalid_input, "store URL: a region has small letters, digits and '-' only");
  if (auto good = set_endpoint(*parsed, fmt::format("https://s3.{}.amazonaws.com", out.region), out); !good)
    return std::unexpected(std::move(good.error()));
  out.of_amazon = out.endpoint.contains(".amazonaws.com");
  if (auto good = set_switches(*parsed, out); !good) return std::unexpected(std::move(good.error()));
  out.ca_file = parsed->value("ca");
  out.credentials.profile = parsed->value("profile");
  out.credentials.environment = environment;
  return out;
}

Result<S3Options> parse_gcs_url(std::string_view url, const Environment& environment) {
  auto parsed = parse_store_url(url, gcs_settings);
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  S3Options out;
  out.dialect = S3Dialect::google;
  out.bucket = parsed->bucket;
  out.prefix = parsed->prefix;
  out.region = "auto";
  if (auto good = set_endpoint(*parsed, "https://storage.googleapis.com", out); !good)
    return std::unexpected(std::move(good.error()));
  out.ca_file = parsed->value("ca");
  out.credentials.variable_prefix = "GCS_";
  out.credentials.metadata_service = false;
  out.credentials.profile = parsed->value("profile");
  out.credentials.environment = environment;
  return out;
}

}  // namespace zef::store
