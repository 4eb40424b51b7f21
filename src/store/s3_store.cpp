#include "store/s3_store.h"

#include <fmt/core.h>

#include <algorithm>
#include <pugixml.hpp>
#include <utility>

#include "crypto/sha256.h"
#include "http/client.h"
#include "store/errors.h"
#include "store/http_errors.h"
#include "store/http_range.h"
#include "store/keys.h"
#include "store/s3_errors.h"
#include "store/signing.h"

namespace zef::store {
namespace {

// A page of a list holds at most this many, whatever is asked for.
constexpr std::size_t page_max = 1000;

struct Call {
  http::Method method = http::Method::get;
  std::string key;  // "" for the bucket itself
  Query query;
  std::vector<http::Header> headers;
  Content body;
};

std::string_view without_quotes(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return etag;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

class S3Store final : public ObjectStore {
 public:
  S3Store(S3Options options, Executor& executor, std::unique_ptr<http::Client> client,
          std::unique_ptr<CredentialSource> credentials)
      : options_(std::move(options)),
        place_{options_.bucket, options_.endpoint, options_.region},
        executor_(executor),
        client_(std::move(client)),
        credentials_(std::move(credentials)) {
    const auto scheme_end = options_.endpoint.find("://") + 3;
    host_ = options_.endpoint.substr(scheme_end);
    if (options_.virtual_host) host_ = options_.bucket + "." + host_;
    base_ = options_.endpoint.substr(0, scheme_end) + host_;
  }

  Task<StoreResult<PutIfAbsent>> put_if_absent(std::string key, Content bytes) override;
  Task<StoreResult<PutIfMatch>> put_if_match(std::string key, Content bytes, Tag tag) override;
  Task<StoreResult<std::optional<Object>>> get(std::string key, std::optional<Range> range) override;
  Task<StoreResult<std::monostate>> del(std::string key) override;
  Task<StoreResult<std::vector<std::string>>> list(std::string prefix, std::string start_after,
                                                   std::size_t limit) override;
  Task<StoreResult<std::monostate>> check_settings() override;

 private:
  Task<StoreResult<http::Response>> send(Call call);
  Task<StoreResult<std::optional<Object>>> head(std::string key);
  [[nodiscard]] StoreError error_of(const http::Response& response, bool writes) const;
  [[nodiscard]] bool google() const { return options_.dialect == S3Dialect::google; }
  [[nodiscard]] Tag tag_of(const http::Response& response) const {
    return {std::string(google() ? response.header("x-goog-generation") : without_quotes(response.header("etag")))};
  }
  [[nodiscard]] std::string path_of(const std::string& key) const {
    const std::string in_bucket = key.empty() ? "" : percent_encoded(options_.prefix + key, true);
    return options_.virtual_host ? "/" + in_bucket : fmt::format("/{}/{}", options_.bucket, in_bucket);
  }

  const S3Options options_;
  const S3Place place_;
  std::string host_;
  std::string base_;
  Executor& executor_;
  std::unique_ptr<http::Client> client_;
  std::unique_ptr<CredentialSource> credentials_;
};

Task<StoreResult<http::Response>> S3Store::send(Call call) {
  const auto keys = co_await credentials_->get();
  if (!keys) co_return std::unexpected(keys.error());
  const crypto::Hash hash = crypto::sha256(call.body ? ByteView(*call.body) : ByteView());
  const bool puts = call.method == http::Method::put;
  if (puts && options_.checksum && !google()) call.headers.push_back({"x-amz-checksum-sha256", base64(hash.view())});
  if (options_.requester_pays) call.headers.push_back({"x-amz-request-payer", "requester"});
  if (puts) call.headers.push_back({"Content-Type", "application/octet-stream"});
  const std::string path = path_of(call.key);
  const std::string query = canonical_query(call.query);
  sign_v4(google() ? google_signature : aws_signature, options_.region, *keys, executor_.wall_now(),
          {.method = http::name_of(call.method),
           .host = host_,
           .path = path,
           .query = std::move(call.query),
           .body_sha256_hex = hash.hex()},
          call.headers);
  auto answer = co_await client_->send({.method = call.method,
                                        .url = fmt::format("{}{}{}{}", base_, path, query.empty() ? "" : "?", query),
                                        .headers = std::move(call.headers),
                                        .body = std::move(call.body),
                                        .total_timeout = std::nullopt});
  if (!answer) co_return std::unexpected(to_store_error(answer.error()));
  if (answer->status >= 400 && answer->status < 500)
    if (const Refusal refusal = refusal_of(*answer); credentials_expired(refusal) && credentials_->expired(*keys))
      co_return store_fail(StoreErrorKind::unavailable,
                           "the credentials have expired and are renewed: " + shown(refusal));
  co_return std::move(*answer);
}

StoreError S3Store::error_of(const http::Response& response, bool writes) const {
  Refusal refusal = refusal_of(response);
  if (refusal.code.empty() && response.status == 301) refusal.code = "PermanentRedirect";
  if (refusal.code.empty() && response.status == 307) refusal.code = "TemporaryRedirect";
  return s3_error(refusal, writes, place_);
}

Task<StoreResult<PutIfAbsent>> S3Store::put_if_absent(std::string key, Content bytes) {
  if (auto bad = check_key(key)) co_return std::unexpected(std::move(*bad));
  if (auto large = check_size(bytes->size())) co_return std::unexpected(std::move(*large));
  Call call{.method = http::Method::put, .key = std::move(key), .query = {}, .headers = {}, .body = std::move(bytes)};
  call.headers.push_back(google() ? http::Header{"x-goog-if-generation-match", "0"}
                                  : http::Header{"If-None-Match", "*"});
  const auto answer = co_await send(std::move(call));
  if (!answer) co_return std::unexpected(answer.error());
  if (answer->status == 412) co_return Exists{};
  if (answer->status != 200) co_return std::unexpected(error_of(*answer, true));
  Tag tag = tag_of(*answer);
  if (tag.text.empty())
    co_return store_fail(StoreErrorKind::ambiguous, "the store took the object and does not say which version it is");
  co_return Created{std::move(tag)};
}

Task<StoreResult<PutIfMatch>> S3Store::put_if_match(std::string key, Content bytes, Tag tag) {
  if (auto bad = check_key(key)) co_return std::unexpected(std::move(*bad));
  if (auto large = check_size(bytes->size())) co_return std::unexpected(std::move(*large));
  Call call{.method = http::Method::put, .key = std::move(key), .query = {}, .headers = {}, .body = std::move(bytes)};
  if (google()) {
    // No object ever has generation 1: they count microseconds.
    call.headers.push_back({"x-goog-if-generation-match", is_number(tag.text) && tag.text != "0" ? tag.text : "1"});
  } else {
    call.headers.push_back({"If-Match", options_.quote_etags ? fmt::format("\"{}\"", tag.text) : tag.text});
  }
  const auto answer = co_await send(std::move(call));
  if (!answer) co_return std::unexpected(answer.error());
  if (answer->status == 412) co_return Mismatch{};
  if (answer->status == 404 && refusal_of(*answer).code != "NoSuchBucket") co_return Mismatch{};
  if (answer->status != 200) co_return std::unexpected(error_of(*answer, true));
  Tag now = tag_of(*answer);
  if (now.text.empty())
    co_return store_fail(StoreErrorKind::ambiguous, "the store took the object and does not say which version it is");
  co_return Updated{std::move(now)};
}

Task<StoreResult<std::optional<Object>>> S3Store::get(std::string key, std::optional<Range> range) {
  if (auto bad = check_key(key)) co_return std::unexpected(std::move(*bad));
  if (range && is_beyond_servers(*range)) co_return co_await head(std::move(key));
  Call call{.method = http::Method::get, .key = key, .query = {}, .headers = {}, .body = nullptr};
  if (range) call.headers.push_back({"Range", range_header(*range)});
  auto answer = co_await send(std::move(call));
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  if (answer->status == 404 && refusal_of(*answer).code != "NoSuchBucket") co_return std::nullopt;
  if (answer->status == 416) co_return co_await head(std::move(key));
  if (answer->status != 200 && answer->status != 206) co_return std::unexpected(error_of(*answer, false));
  Tag tag = tag_of(*answer);
  if (range && answer->status == 200) cut_to_range(*range, answer->body);
  co_return Object{std::move(answer->body), std::move(tag)};
}

// For ranges that hold nothing: the version is wanted all the same.
Task<StoreResult<std::optional<Object>>> S3Store::head(std::string key) {
  const auto answer =
      co_await send({.method = http::Method::head, .key = std::move(key), .query = {}, .headers = {}, .body = nullptr});
  if (!answer) co_return std::unexpected(answer.error());
  if (answer->status == 404) co_return std::nullopt;
  if (answer->status != 200) co_return std::unexpected(error_of(*answer, false));
  co_return Object{{}, tag_of(*answer)};
}

Task<StoreResult<std::monostate>> S3Store::del(std::string key) {
  if (auto bad = check_key(key)) co_return std::unexpected(std::move(*bad));
  const auto answer =
      co_await send({.method = http::Method::del, .key = std::move(key), .query = {}, .headers = {}, .body = nullptr});
  if (!answer) co_return std::unexpected(answer.error());
  if (answer->status == 404 && refusal_of(*answer).code != "NoSuchBucket") co_return std::monostate{};
  if (answer->status != 204 && answer->status != 200) co_return std::unexpected(error_of(*answer, true));
  co_return std::monostate{};
}

Task<StoreResult<std::vector<std::string>>> S3Store::list(std::string prefix, std::string start_after,
                                                          std::size_t limit) {
  if (auto bad = check_key_prefix(prefix)) co_return std::unexpected(std::move(*bad));
  std::vector<std::string> keys;
  std::string next;
  while (keys.size() < limit) {
    Call call{.query = {{"list-type", "2"},
                        {"prefix", options_.prefix + prefix},
                        {"max-keys", std::to_string(std::min(page_max, limit - keys.size()))}},
              .headers = {}};
    if (!next.empty()) {
      call.query.emplace_back("continuation-token", next);
    } else if (!start_after.empty()) {
      call.query.emplace_back("start-after", options_.prefix + start_after);
    }
    const auto answer = co_await send(std::move(call));
    if (!answer) co_return std::unexpected(answer.error());
    if (answer->status != 200) co_return std::unexpected(error_of(*answer, false));
    pugi::xml_document document;
    const bool whole = document.load_buffer(answer->body.data(), answer->body.size());
    const pugi::xml_node page = document.child("ListBucketResult");
    if (!whole || !page) co_return store_fail(StoreErrorKind::corrupt, "the store's list of keys cannot be read");
    for (const pugi::xml_node item : page.children("Contents")) {
      const std::string_view key = item.child_value("Key");
      // What others put there under names that are no keys of ours is not ours to show.
      if (key.starts_with(options_.prefix) && !check_key(key.substr(options_.prefix.size())))
        keys.emplace_back(key.substr(options_.prefix.size()));
    }
    next = page.child_value("NextContinuationToken");
    if (std::string_view(page.child_value("IsTruncated")) != "true") break;
    if (next.empty())
      co_return store_fail(StoreErrorKind::corrupt, "the store's list of keys goes on and does not say where");
  }
  co_return keys;
}

Task<StoreResult<std::monostate>> S3Store::check_settings() {
  if (google()) co_return std::monostate{};
  const auto answer = co_await send({.query = {{"versioning", ""}}, .headers = {}});
  if (!answer) co_return std::unexpected(answer.error());
  if (answer->status != 200) {
    // Not everybody may read this setting; the probe of the conditions follows in any case.
    const Refusal refusal = refusal_of(*answer);
    if (refusal.code == "AccessDenied" || refusal.status == 501) co_return std::monostate{};
    co_return std::unexpected(error_of(*answer, false));
  }
  pugi::xml_document document;
  document.load_buffer(answer->body.data(), answer->body.size());
  const std::string_view status = document.child("VersioningConfiguration").child_value("Status");
  if (!status.empty() && !options_.of_amazon)
    co_return store_fail(
        StoreErrorKind::invalid,
        fmt::format(
            "bucket \"{}\" at {} has versioning ({}): conditional writes do not hold there, so votes would not be "
            "safe; use a bucket that never had versioning",
            options_.bucket, options_.endpoint, status));
  co_return std::monostate{};
}

}  // namespace

Result<std::unique_ptr<ObjectStore>> make_s3_store(Executor& executor, S3Options options) {
  auto client = http::Client::make(
      executor, {.ca_file = options.ca_file, .total_timeout = options.total_timeout, .body_max = object_size_max});
  if (!client) return std::unexpected(std::move(client.error()));
  auto credentials = CredentialSource::make(executor, options.credentials);
  if (!credentials) return std::unexpected(std::move(credentials.error()));
  return std::make_unique<S3Store>(std::move(options), executor, std::move(*client), std::move(*credentials));
}

}  // namespace zef::store
