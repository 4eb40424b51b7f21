#include "store/azure_store.h"

#include <fmt/core.h>

#include <algorithm>
#include <pugixml.hpp>
#include <utility>

#include "http/client.h"
#include "store/errors.h"
#include "store/http_range.h"
#include "store/keys.h"
#include "store/signing.h"

namespace zef::store {
namespace {

constexpr std::string_view api_version = "2021-12-02";
constexpr std::size_t page_max = 5000;

bool is_one_of(std::string_view code, std::initializer_list<std::string_view> codes) {
  return std::ranges::find(codes, code) != codes.end();
}

struct Call {
  http::Method method = http::Method::get;
  std::string key;  // "" for the container itself
  Query query;
  std::vector<http::Header> headers;
  Content body;
};

class AzureStore final : public ObjectStore {
 public:
  AzureStore(AzureOptions options, Executor& executor, std::unique_ptr<http::Client> client)
      : options_(std::move(options)), executor_(executor), client_(std::move(client)) {
    const auto host = options_.endpoint.find("://") + 3;
    const auto slash = options_.endpoint.find('/', host);
    server_ = options_.endpoint.substr(0, slash);
    if (slash != std::string::npos) base_path_ = options_.endpoint.substr(slash);
    while (base_path_.ends_with('/')) base_path_.pop_back();
  }

  Task<StoreResult<PutIfAbsent>> put_if_absent(std::string key, Content bytes) override;
  Task<StoreResult<PutIfMatch>> put_if_match(std::string key, Content bytes, Tag tag) override;
  Task<StoreResult<std::optional<Object>>> get(std::string key, std::optional<Range> range) override;
  Task<StoreResult<std::monostate>> del(std::string key) override;
  Task<StoreResult<std::vector<std::string>>> list(std::string prefix, std::string start_after,
                                                   std::size_t limit) override;

 private:
  Task<StoreResult<http::Response>> send(Call call);
  Task<StoreResult<http::Response>> put(std::string key, Content bytes, http::Header condition);
  Task<StoreResult<std::optional<Object>>> head(std::string key);
  [[nodiscard]] StoreError error_of(const http::Response& response, bool writes) const {
    return azure_error(refusal_of(response), writes, options_);
  }

  const AzureOptions options_;
  std::string server_;
  std::string base_path_;
  Executor& executor_;
  std::unique_ptr<http::Client> client_;
};

// The ETag stands as it came, quotes included.
Tag tag_of(const http::Response& response) { return {std::string(response.header("etag"))}; }

// A 404 of the key, not of the container.
bool has_no_blob(const http::Response& response) {
  return response.status == 404 && is_one_of(refusal_of(response).code, {"BlobNotFound", "ResourceNotFound"});
}

Task<StoreResult<http::Response>> AzureStore::send(Call call) {
  std::string path = fmt::format("{}/{}", base_path_, options_.container);
  if (!call.key.empty()) path += "/" + percent_encoded(options_.prefix + call.key, true);
  call.headers.push_back({"x-ms-version", std::string(api_version)});
  call.headers.push_back({"x-ms-date", http_time(executor_.wall_now())});
  std::string query = canonical_query(call.query);
  if (options_.key.empty()) {
    query += (query.empty() ? "" : "&") + options_.sas_token;
  } else {
    const std::string text = azure_text_to_sign(options_.account,
                                                {.method = http::name_of(call.method),
                                                 .body_size = call.body ? call.body->size() : 0,
                                                 .path = path,
                                                 .query = std::move(call.query)},
                                                call.headers);
    call.headers.push_back(azure_authorization(options_.account, options_.key, text));
  }
  auto answer = co_await client_->send({.method = call.method,
                                        .url = fmt::format("{}{}{}{}", server_, path, query.empty() ? "" : "?", query),
                                        .headers = std::move(call.headers),
                                        .body = std::move(call.body),
                                        .total_timeout = std::nullopt});
  if (!answer) co_return std::unexpected(to_store_error(answer.error()));
  co_return std::move(*answer);
}

Task<StoreResult<http::Response>> AzureStore::put(std::string key, Content bytes, http::Header condition) {
  if (auto large = check_size(bytes->size())) co_return std::unexpected(std::move(*large));
  Call call{.method = http::Method::put, .key = std::move(key), .query = {}, .headers = {}, .body = std::move(bytes)};
  call.headers = {std::move(condition), {"x-ms-blob-type", "BlockBlob"}, {"Content-Type", "application/octet-stream"}};
  co_return co_await send(std::move(call));
}

Task<StoreResult<PutIfAbsent>> AzureStore::put_if_absent(std::string key, Content bytes) {
  if (auto bad = check_key(key)) co_return std::unexpected(std::move(*bad));
  const auto answer = co_await put(std::move(key), std::move(bytes), {"If-None-Match", "*"});
  if (!answer) co_return std::unexpected(answer.error());
  if (answer->status == 201 && !tag_of(*answer).text.empty()) co_return Created{tag_of(*answer)};
  if (answer->status < 300)
    co_return store_fail(StoreErrorKind::ambiguous, "the store took the blob and does not say which version it is");
  const Refusal refusal = refusal_of(*answer);
  if (is_one_of(refusal.code, {"BlobAlreadyExists", "ConditionNotMet"})) co_return Exists{};
  co_return std::unexpected(azure_error(refusal, true, options_));
}

Task<StoreResult<PutIfMatch>> AzureStore::put_if_match(std::string key, Content bytes, Tag tag) {
  if (auto bad = check_key(key)) co_return std::unexpected(std::move(*bad));
  std::string etag = tag.text.starts_with('"') ? std::move(tag.text) : fmt::format("\"{}\"", tag.text);
  const auto answer = co_await put(std::move(key), std::move(bytes), {"If-Match", std::move(etag)});
  if (!answer) co_return std::unexpected(answer.error());
  if (answer->status == 201 && !tag_of(*answer).text.empty()) co_return Updated{tag_of(*answer)};
  if (answer->status < 300)
    co_return store_fail(StoreErrorKind::ambiguous, "the store took the blob and does not say which version it is");
  const Refusal refusal = refusal_of(*answer);
  if (refusal.code == "ConditionNotMet" || has_no_blob(*answer)) co_return Mismatch{};
  co_return std::unexpected(azure_error(refusal, true, options_));
}

Task<StoreResult<std::optional<Object>>> AzureStore::get(std::string key, std::optional<Range> range) {
  if (auto bad = check_key(key)) co_return std::unexpected(std::move(*bad));
  if (range && is_beyond_servers(*range)) co_return co_await head(std::move(key));
  Call call{.key = key, .query = {}, .headers = {}, .body = nullptr};
  if (range) call.headers.push_back({"Range", range_header(*range)});
  auto answer = co_await send(std::move(call));
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  if (has_no_blob(*answer)) co_return std::nullopt;
  if (answer->status == 416) co_return co_await head(std::move(key));
  if (answer->status != 200 && answer->status != 206) co_return std::unexpected(error_of(*answer, false));
  Tag tag = tag_of(*answer);
  if (range && answer->status == 200) cut_to_range(*range, answer->body);
  co_return Object{std::move(answer->body), std::move(tag)};
}

// For ranges that hold nothing: the version is wanted all the same.
Task<StoreResult<std::optional<Object>>> AzureStore::head(std::string key) {
  const auto answer =
      co_await send({.method = http::Method::head, .key = std::move(key), .query = {}, .headers = {}, .body = nullptr});
  if (!answer) co_return std::unexpected(answer.error());
  if (has_no_blob(*answer)) co_return std::nullopt;
  if (answer->status != 200) co_return std::unexpected(error_of(*answer, false));
  co_return Object{{}, tag_of(*answer)};
}

Task<StoreResult<std::monostate>> AzureStore::del(std::string key) {
  if (auto bad = check_key(key)) co_return std::unexpected(std::move(*bad));
  const auto answer =
      co_await send({.method = http::Method::del, .key = std::move(key), .query = {}, .headers = {}, .body = nullptr});
  if (!answer) co_return std::unexpected(answer.error());
  if (answer->status == 202 || has_no_blob(*answer)) co_return std::monostate{};
  co_return std::unexpected(error_of(*answer, true));
}

// Azure cannot begin in the middle: what stands before `start_after` is read and left out.
Task<StoreResult<std::vector<std::string>>> AzureStore::list(std::string prefix, std::string start_after,
                                                             std::size_t limit) {
  if (auto bad = check_key_prefix(prefix)) co_return std::unexpected(std::move(*bad));
  std::vector<std::string> keys;
  std::string marker;
  while (keys.size() < limit) {
    const std::size_t wanted = start_after.empty() ? std::min(page_max, limit - keys.size()) : page_max;
    Call call{.query = {{"restype", "container"}, {"comp", "list"}, {"maxresults", std::to_string(wanted)}},
              .headers = {}};
    if (!(options_.prefix + prefix).empty()) call.query.emplace_back("prefix", options_.prefix + prefix);
    if (!marker.empty()) call.query.emplace_back("marker", marker);
    const auto answer = co_await send(std::move(call));
    if (!answer) co_return std::unexpected(answer.error());
    if (answer->status != 200) co_return std::unexpected(error_of(*answer, false));
    pugi::xml_document document;
    const bool whole = document.load_buffer(answer->body.data(), answer->body.size());
    const pugi::xml_node page = document.child("EnumerationResults");
    if (!whole || !page) co_return store_fail(StoreErrorKind::corrupt, "the store's list of blobs cannot be read");
    for (const pugi::xml_node blob : page.child("Blobs").children("Blob")) {
      std::string_view name = blob.child_value("Name");
      if (!name.starts_with(options_.prefix)) continue;
      name.remove_prefix(options_.prefix.size());
      // What others put there under names that are no keys of ours is not ours to show.
      if (name > start_after && keys.size() < limit && !check_key(name)) keys.emplace_back(name);
    }
    marker = page.child_value("NextMarker");
    if (marker.empty()) break;
  }
  co_return keys;
}

}  // namespace

StoreError azure_error(const Refusal& refusal, bool writes, const AzureOptions& options) {
  const std::string text = shown(refusal);
  const std::string_view code = refusal.code;
  const auto denied = [&text](std::string_view what_to_do) {
    return StoreError{StoreErrorKind::denied, fmt::format("{} ({})", what_to_do, text)};
  };
  if (is_one_of(code, {"ServerBusy", "AccountBeingCreated"}) || refusal.status == 429)
    return {StoreErrorKind::throttled, text};
  if (is_one_of(code, {"Md5Mismatch", "ContainerBeingDeleted", "PendingCopyOperation"}))
    return {StoreErrorKind::unavailable, text};
  if (refusal.status == 408 || (refusal.status >= 500 && refusal.status != 501))
    return {writes ? StoreErrorKind::ambiguous : StoreErrorKind::unavailable, text};
  if (is_one_of(code, {"ContainerNotFound", "ResourceNotFound"}) || refusal.status == 404)
    return denied(fmt::format("there is no container \"{}\" in account {}: create it, or correct the URL",
                              options.container, options.account));
  const bool of_time = refusal.message.contains("Request date header too old") ||
                       refusal.message.contains("x-ms-date") || code == "RequestDateTooOld";
  if (refusal.status == 403 && of_time)
    return denied(
        "the clock of this machine is wrong, or the store's: set it (NTP), requests are signed with the time");
  // Azurite gives another code and the same words.
  if (is_one_of(code, {"AuthenticationFailed", "InvalidAuthenticationInfo"}) ||
      refusal.message.contains("failed to authenticate"))
    return denied(options.key.empty()
                      ? "the SAS token is wrong, has expired, or is for another account or container"
                      : "the storage key is wrong, or for another account; or the clock of this machine is");
  if (refusal.status == 403 || refusal.status == 401)
    return denied(
        fmt::format("these credentials may not do this in container \"{}\": it takes the permissions read, "
                    "add, create, write, delete and list",
                    options.container));
  return {StoreErrorKind::denied, text};
}

Result<std::unique_ptr<ObjectStore>> make_azure_store(Executor& executor, AzureOptions options) {
  auto client = http::Client::make(
      executor, {.ca_file = options.ca_file, .total_timeout = options.total_timeout, .body_max = object_size_max});
  if (!client) return std::unexpected(std::move(client.error()));
  return std::make_unique<AzureStore>(std::move(options), executor, std::move(*client));
}

}  // namespace zef::store
