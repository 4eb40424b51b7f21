#include "store/credentials.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <map>

#include "base/testing/manual_executor.h"
#include "base/testing/temp_folder.h"
#include "http/testing/fake_server.h"

namespace zef::store {
namespace {

using namespace std::chrono_literals;
using http::testing::FakeReply;
using http::testing::FakeRequest;
using http::testing::FakeServer;

class Credentials : public ::testing::Test {
 protected:
  void make(std::string profile = "") {
    variables_["HOME"] = folder_.path().string();
    CredentialOptions options;
    options.profile = std::move(profile);
    options.environment = [this](const std::string& name) { return variables_[name]; };
    source_ = std::move(*CredentialSource::make(executor_, std::move(options)));
  }
  void write_file(const std::string& text) {
    variables_["AWS_SHARED_CREDENTIALS_FILE"] = folder_ / "keys";
    std::ofstream(folder_ / "keys") << text;
  }
  StoreResult<SigningCredentials> get() { return executor_.run_until(source_->get()); }
  std::string got() {
    const auto keys = get();
    return keys ? fmt::format("{}/{}/{}", keys->access_key, keys->secret_key, keys->session_token)
                : "error: " + keys.error().message;
  }
  // The metadata service of a machine: version 2, which answers only with a token of its own.
  FakeReply metadata(const FakeRequest& request) {
    if (request.method == "PUT" && request.path() == "/latest/api/token") return {.body = "token"};
    if (request.header("x-aws-ec2-metadata-token") != "token") return {.status = 401};
    if (request.path() == "/latest/meta-data/iam/security-credentials/") return {.body = "the-role\n"};
    if (request.path() != "/latest/meta-data/iam/security-credentials/the-role") return {.status = 404};
    const WallTime expires = executor_.wall_now() + lifetime_;
    const std::string stamp = compact_time(expires);
    return {.body = fmt::format(
                R"({{"AccessKeyId":"K{}","SecretAccessKey":"S","Token":"T","Expiration":"{}-{}-{}T{}:{}:{}Z"}})",
                given_.fetch_add(1) + 1, stamp.substr(0, 4), stamp.substr(4, 2), stamp.substr(6, 2), stamp.substr(9, 2),
                stamp.substr(11, 2), stamp.substr(13, 2))};
  }

  zef::testing::ManualExecutor executor_;
  zef::testing::TempFolder folder_;
  std::map<std::string, std::string> variables_;
  std::unique_ptr<CredentialSource> source_;
  Duration lifetime_ = 1h;
  std::atomic<int> given_ = 0;  // by the server's thread
};

TEST_F(Credentials, environment_comes_first) {
  write_file("[default]\naws_access_key_id=F\naws_secret_access_key=G\n");
  variables_["AWS_ACCESS_KEY_ID"] = "A";
  variables_["AWS_SECRET_ACCESS_KEY"] = "B";
  variables_["AWS_SESSION_TOKEN"] = "C";
  make();
  EXPECT_EQ(got(), "A/B/C");
  EXPECT_FALSE(source_->expired(get().value()));
}

TEST_F(Credentials, file_has_profiles) {
  write_file(
      "# mine\n[default]\naws_access_key_id = F\naws_secret_access_key= G=\n\n[other]\n"
      "aws_access_key_id=O\naws_secret_access_key=P\naws_session_token=Q\n[broken]\naws_access_key_id=x\n");
  make();
  EXPECT_EQ(got(), "F/G=/");
  make("other");
  EXPECT_EQ(got(), "O/P/Q");
  make("broken");
  EXPECT_TRUE(got().contains("[broken] lacks")) << got();
  make("absent");
  EXPECT_TRUE(got().contains("no profile [absent]")) << got();
}

TEST_F(Credentials, a_named_profile_goes_before_the_environment) {
  write_file("[p]\naws_access_key_id=F\naws_secret_access_key=G\n");
  variables_["AWS_ACCESS_KEY_ID"] = "A";
  variables_["AWS_SECRET_ACCESS_KEY"] = "B";
  make("p");
  EXPECT_EQ(got(), "F/G/");
}

TEST_F(Credentials, metadata_service_gives_keys_that_are_renewed_before_they_expire) {
  FakeServer server([this](const FakeRequest& request) { return metadata(request); });
  variables_["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = server.url();
  make();
  EXPECT_EQ(got(), "K1/S/T");
  EXPECT_EQ(got(), "K1/S/T");
  executor_.advance(56min);
  EXPECT_EQ(got(), "K1/S/T");  // still good; new ones are fetched meanwhile
  executor_.run_while_not([this] { return given_ == 2; });
  executor_.advance(5min);
  EXPECT_EQ(got(), "K2/S/T");
}

TEST_F(Credentials, metadata_service_is_asked_again_when_the_store_says_expired) {
  FakeServer server([this](const FakeRequest& request) { return metadata(request); });
  variables_["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = server.url();
  make();
  const SigningCredentials first = get().value();
  EXPECT_EQ(first.access_key, "K1");
  EXPECT_TRUE(source_->expired(first));
  EXPECT_EQ(got(), "K2/S/T");
  EXPECT_TRUE(source_->expired(first)) << "the answer to a request that was under way with the old ones";
  EXPECT_EQ(got(), "K2/S/T");
  EXPECT_EQ(given_, 2);
}

TEST_F(Credentials, a_file_with_expired_keys_is_told_until_somebody_writes_new_ones) {
  const auto write_keys = [this](const char* name) {
    write_file(fmt::format("[default]\naws_access_key_id={}\naws_secret_access_key=S\naws_session_token=T\n", name));
  };
  write_keys("A");
  make();
  const SigningCredentials old = get().value();
  EXPECT_TRUE(source_->expired(old)) << "there may be new ones by now";
  EXPECT_EQ(got(), "A/S/T");
  EXPECT_FALSE(source_->expired(old)) << "there are none";
  write_keys("B");
  EXPECT_EQ(got(), "B/S/T");
  EXPECT_TRUE(source_->expired(old));
  EXPECT_EQ(got(), "B/S/T");
}

TEST_F(Credentials, without_any_says_where_they_may_be) {
  FakeServer server([](const FakeRequest&) { return FakeReply{.status = 404}; });
  variables_["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = server.url();
  make();
  EXPECT_EQ(get().error().kind, StoreErrorKind::denied);
  variables_["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = fmt::format("http://127.0.0.1:{}", http::testing::closed_port());
  EXPECT_EQ(get().error().kind, StoreErrorKind::unavailable);
  EXPECT_TRUE(got().contains("AWS_ACCESS_KEY_ID")) << got();
}

}  // namespace
}  // namespace zef::store
