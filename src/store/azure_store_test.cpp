#include "store/azure_store.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "base/testing/manual_executor.h"
#include "base/testing/temp_folder.h"
#include "crypto/private_file.h"
#include "http/testing/fake_server.h"

namespace zef::store {
namespace {

using http::testing::FakeReply;
using http::testing::FakeRequest;
using http::testing::FakeServer;

Environment variables(std::string key, std::string token) {
  return [key = std::move(key), token = std::move(token)](const std::string& name) {
    if (name == "AZURE_STORAGE_KEY") return key;
    return name == "AZURE_STORAGE_SAS_TOKEN" ? token : std::string();
  };
}

class Azure : public ::testing::Test {
 protected:
  void use(const FakeServer& server, const Environment& environment) {
    const std::string url = fmt::format("azure://box/pre?account=acc&endpoint={}/acc", server.url());
    store_ = std::move(*make_azure_store(executor_, *parse_azure_url(url, environment)));
  }
  auto create() { return executor_.run_until(store_->put_if_absent("key", content(to_bytes("text")))); }
  auto replace() { return executor_.run_until(store_->put_if_match("key", content(to_bytes("text")), Tag{"\"0x1\""})); }

  zef::testing::ManualExecutor executor_;
  std::unique_ptr<ObjectStore> store_;
};

TEST_F(Azure, codes_of_a_put_are_told_apart) {
  int status = 409;
  std::string code = "BlobAlreadyExists";
  FakeServer server(
      [&](const FakeRequest&) { return FakeReply{.status = status, .headers = {{"x-ms-error-code", code}}}; });
  use(server, variables("a2V5", ""));
  EXPECT_TRUE(std::holds_alternative<Exists>(create().value()));
  status = 412;
  code = "ConditionNotMet";
  EXPECT_TRUE(std::holds_alternative<Exists>(create().value()));
  EXPECT_TRUE(std::holds_alternative<Mismatch>(replace().value()));
  status = 404;
  code = "BlobNotFound";
  EXPECT_TRUE(std::holds_alternative<Mismatch>(replace().value()));
  code = "ContainerNotFound";
  EXPECT_EQ(replace().error().kind, StoreErrorKind::denied);
  status = 412;
  code = "LeaseIdMissing";
  EXPECT_EQ(create().error().kind, StoreErrorKind::denied);
  status = 503;
  code = "ServerBusy";
  EXPECT_EQ(create().error().kind, StoreErrorKind::throttled);
  status = 500;
  code = "OperationTimedOut";
  EXPECT_EQ(create().error().kind, StoreErrorKind::ambiguous);
}

TEST_F(Azure, a_token_stands_in_the_query_and_nothing_is_signed) {
  FakeServer server([](const FakeRequest&) { return FakeReply{.status = 201, .headers = {{"ETag", "\"0x1\""}}}; });
  use(server, variables("", "?sv=1&sig=abc"));
  EXPECT_EQ(std::get<Created>(create().value()).tag.text, "\"0x1\"");
  const FakeRequest seen = server.seen().front();
  EXPECT_EQ(seen.target, "/acc/box/pre/key?sv=1&sig=abc");
  EXPECT_FALSE(seen.headers.contains("authorization"));
}

TEST(AzureUrl, needs_an_account_and_a_key) {
  EXPECT_TRUE(parse_azure_url("azure://box", variables("a2V5", "")).error().message.contains("account="));
  EXPECT_TRUE(
      parse_azure_url("azure://box?account=acc", variables("", "")).error().message.contains("AZURE_STORAGE_KEY"));
  EXPECT_TRUE(
      parse_azure_url("azure://box?account=acc", variables("no base64", "")).error().message.contains("base64"));
  EXPECT_EQ(parse_azure_url("azure://box?account=acc", variables("a2V5", ""))->endpoint,
            "https://acc.blob.core.windows.net");
}

TEST(AzureUrl, reads_the_key_from_a_private_file) {
  const zef::testing::TempFolder folder;
  const std::string path = folder / "key";
  ASSERT_TRUE(crypto::write_private_file(path, as_bytes("a2V5\n")).has_value());
  const auto options = parse_azure_url("azure://box?account=acc&key_file=" + path, variables("", ""));
  ASSERT_TRUE(options.has_value()) << options.error().message;
  EXPECT_EQ(options->key, to_bytes("key"));
}

TEST(AzureErrors, say_what_to_do) {
  AzureOptions options;
  options.container = "box";
  options.key = to_bytes("key");
  const auto message = [&](const char* code, const char* text) {
    return azure_error({.status = 403, .code = code, .message = text}, true, options).message;
  };
  EXPECT_TRUE(message("AuthenticationFailed", "Request date header too old: 'x'").contains("clock"));
  EXPECT_TRUE(message("AuthenticationFailed", "no").contains("storage key is wrong"));
  EXPECT_TRUE(message("AuthorizationPermissionMismatch", "no").contains("permissions read"));
}

}  // namespace
}  // namespace zef::store
