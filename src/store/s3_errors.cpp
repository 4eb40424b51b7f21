#include "store/s3_errors.h"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>

namespace zef::store {
namespace {

bool is_one_of(std::string_view code, std::initializer_list<std::string_view> codes) {
  return std::ranges::find(codes, code) != codes.end();
}

// What the operator has to do; "" for codes that need no more words than the store's own.
std::string advice(const Refusal& refusal, const S3Place& place) {
  const std::string_view code = refusal.code;
  if (code == "RequestTimeTooSkewed")
    return "the clock of this machine is wrong, or the store's: set it (NTP), requests are signed with the time";
  if (code == "SignatureDoesNotMatch") return "the secret key is wrong";
  if (is_one_of(code, {"InvalidAccessKeyId", "InvalidSecurity"})) return "the store does not know this access key";
  if (credentials_expired(refusal)) return "the credentials have expired: get new ones";
  if (code == "NoSuchBucket")
    return fmt::format("there is no bucket \"{}\" at {}: create it, or correct the URL", place.bucket, place.endpoint);
  if (is_one_of(code, {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}))
    return fmt::format("the bucket \"{}\" is not in region {}: set region=... in the URL", place.bucket, place.region);
  if (code == "AccessDenied" || refusal.status == 403)
    return fmt::format(
        "these credentials may not do this in bucket \"{}\": it takes s3:GetObject, s3:PutObject, "
        "s3:DeleteObject and s3:ListBucket",
        place.bucket);
  if (code == "NotImplemented" || refusal.status == 501)
    return "this store does not know conditional writes, or a setting of the URL (try checksum=off)";
  return "";
}

}  // namespace

bool credentials_expired(const Refusal& refusal) {
  return is_one_of(refusal.code, {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"});
}

StoreError s3_error(const Refusal& refusal, bool writes, const S3Place& place) {
  const std::string text = shown(refusal);
  const std::string_view code = refusal.code;
  if (is_one_of(code, {"SlowDown", "ServiceUnavailable", "Busy", "RequestLimitExceeded", "ThrottlingException"}) ||
      refusal.status == 429)
    return {StoreErrorKind::throttled, text};
  // It did not wait longer, and does not say what it has done; without a code it is whoever stands before the store.
  if (refusal.status == 408) return {writes ? StoreErrorKind::ambiguous : StoreErrorKind::unavailable, text};
  // Another conditional write of the key was under way; or the body did not arrive whole. Nothing happened.
  if (is_one_of(code, {"ConditionalRequestConflict", "OperationAborted", "RequestTimeout", "IncompleteBody",
                       "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "TemporaryRedirect"}))
    return {StoreErrorKind::unavailable, text};
  if (refusal.status >= 500 && refusal.status != 501)
    return {writes ? StoreErrorKind::ambiguous : StoreErrorKind::unavailable, text};
  const std::string what_to_do = advice(refusal, place);
  return {StoreErrorKind::denied, what_to_do.empty() ? text : fmt::format("{} ({})", what_to_do, text)};
}

}  // namespace zef::store
