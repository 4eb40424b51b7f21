#include "store/s3_store.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "base/testing/manual_executor.h"
#include "base/testing/seeded_rng.h"
#include "http/testing/fake_server.h"
#include "store/conformance_probe.h"
#include "store/s3_errors.h"

namespace zef::store {
namespace {

using http::testing::FakeReply;
using http::testing::FakeRequest;
using http::testing::FakeServer;

FakeReply refusal(int status, const std::string& code) {
  return {.status = status, .body = fmt::format("<Error><Code>{}</Code><Message>No</Message></Error>", code)};
}

// A bucket that counts generations, with conditions as Google's XML interface has them, or as S3 has them, or with
// none.
struct FakeBucket {
  enum class Conditions { google, amazon, ignored } conditions = Conditions::google;
  std::map<std::string, std::pair<std::string, int>> objects;
  int generation = 100;

  FakeReply answer(const FakeRequest& request) {
    const std::string path = request.path();
    if (path.ends_with("/bucket/")) {
      if (request.target.contains("versioning")) return {.body = "<VersioningConfiguration/>"};
      return list(request);
    }
    const auto found = objects.find(path);
    if (request.method == "PUT") return put(request, path, found == objects.end() ? 0 : found->second.second);
    if (found == objects.end())
      return request.method == "DELETE" ? refusal(404, "NoSuchKey") : refusal(404, "NoSuchKey");
    if (request.method == "DELETE") {
      objects.erase(found);
      return {.status = 204};
    }
    return {.headers = tags(found->second.second), .body = found->second.first};
  }

 private:
  static std::vector<std::pair<std::string, std::string>> tags(int version) {
    return {{"x-goog-generation", std::to_string(version)}, {"ETag", fmt::format("\"e{}\"", version)}};
  }
  FakeReply put(const FakeRequest& request, const std::string& path, int now) {
    bool good = true;
    if (conditions == Conditions::google) good = request.header("x-goog-if-generation-match") == std::to_string(now);
    if (conditions == Conditions::amazon)
      good = request.headers.contains("if-none-match") ? now == 0
                                                       : request.header("if-match") == fmt::format("\"e{}\"", now);
    if (!good) return refusal(412, "PreconditionFailed");
    objects[path] = {request.body, ++generation};
    return {.headers = tags(generation)};
  }
  FakeReply list(const FakeRequest& request) {
    const std::string base = "/bucket/";
    std::string body = "<ListBucketResult>";
    std::size_t left = std::stoul(request.parameter("max-keys"));
    std::string after = request.parameter("start-after");
    if (const std::string token = request.parameter("continuation-token"); !token.empty()) after = token;
    std::string last;
    for (const auto& [path, object] : objects) {
      const std::string key = path.substr(base.size());
      if (!key.starts_with(request.parameter("prefix")) || key <= after) continue;
      if (left-- == 0) {
        body += fmt::format("<IsTruncated>true</IsTruncated><NextContinuationToken>{}</NextContinuationToken>", last);
        break;
      }
      last = key;
      body += fmt::format("<Contents><Key>{}</Key></Contents>", key);
    }
    return {.body = body + "</ListBucketResult>"};
  }
};

class S3 : public ::testing::Test {
 protected:
  static Environment environment() {
    return [](const std::string& name) {
      if (name.ends_with("ACCESS_KEY_ID")) return std::string("KEY");
      if (name.ends_with("SECRET_ACCESS_KEY")) return std::string("SECRET");
      return std::string();
    };
  }
  void serve(FakeServer::Handler handler, const std::string& settings = "", bool google = false) {
    server_ = std::make_unique<FakeServer>(std::move(handler));
    const std::string url =
        fmt::format("{}://bucket/pre/fix?endpoint={}{}", google ? "gcs" : "s3", server_->url(), settings);
    auto options = google ? parse_gcs_url(url, environment()) : parse_s3_url(url, environment());
    ASSERT_TRUE(options.has_value()) << options.error().message;
    store_ = std::move(*make_s3_store(executor_, std::move(*options)));
  }
  void serve(FakeBucket& bucket, bool google) {
    serve([&bucket](const FakeRequest& request) { return bucket.answer(request); }, "", google);
  }
  auto create(const std::string& text = "text") {
    return executor_.run_until(store_->put_if_absent("key", content(to_bytes(text))));
  }
  auto replace(const std::string& tag, const std::string& text = "text") {
    return executor_.run_until(store_->put_if_match("key", content(to_bytes(text)), Tag{tag}));
  }

  zef::testing::ManualExecutor executor_;
  zef::testing::SeededRng rng_{1};
  std::unique_ptr<FakeServer> server_;
  std::unique_ptr<ObjectStore> store_;
};

TEST_F(S3, google_conditions_are_generations) {
  FakeBucket bucket;
  serve(bucket, true);
  const auto made = create("one");
  ASSERT_TRUE(made.has_value()) << made.error().message;
  const Tag tag = std::get<Created>(*made).tag;
  EXPECT_EQ(tag.text, "101");
  EXPECT_TRUE(std::holds_alternative<Exists>(create("two").value()));
  EXPECT_TRUE(std::holds_alternative<Mismatch>(replace("99").value()));
  EXPECT_TRUE(std::holds_alternative<Mismatch>(replace("no generation").value()));
  EXPECT_EQ(std::get<Updated>(replace("101").value()).tag.text, "102");
  const FakeRequest first = server_->seen().front();
  EXPECT_EQ(first.path(), "/bucket/pre/fix/key");
  EXPECT_TRUE(first.header("authorization").starts_with("GOOG4-HMAC-SHA256 Credential=KEY/20"));
  EXPECT_FALSE(first.headers.contains("x-amz-checksum-sha256"));
}

TEST_F(S3, google_passes_the_probe_and_lists_in_pages) {
  FakeBucket bucket;
  serve(bucket, true);
  const auto probed = executor_.run_until(probe(*store_, executor_, rng_, "probe/"));
  EXPECT_TRUE(probed.has_value()) << probed.error().message;
  for (const char* key : {"a", "b/c", "d"})
    EXPECT_TRUE(executor_.run_until(store_->put_if_absent(key, content({}))).has_value());
  EXPECT_EQ(executor_.run_until(store_->list("", "", 10)).value(), (std::vector<std::string>{"a", "b/c", "d"}));
  EXPECT_EQ(executor_.run_until(store_->list("", "a", 1)).value(), (std::vector<std::string>{"b/c"}));
}

TEST_F(S3, amazon_conditions_are_etags) {
  FakeBucket bucket{.conditions = FakeBucket::Conditions::amazon};
  serve(bucket, false);
  EXPECT_EQ(std::get<Created>(create().value()).tag.text, "e101");
  EXPECT_TRUE(std::holds_alternative<Exists>(create().value()));
  EXPECT_EQ(std::get<Updated>(replace("e101").value()).tag.text, "e102");
  EXPECT_TRUE(std::holds_alternative<Mismatch>(replace("e101").value()));
  const auto probed = executor_.run_until(probe(*store_, executor_, rng_, "probe/"));
  EXPECT_TRUE(probed.has_value()) << probed.error().message;
}

TEST_F(S3, a_server_that_ignores_conditions_is_refused_by_the_probe) {
  FakeBucket bucket{.conditions = FakeBucket::Conditions::ignored};
  serve(bucket, false);
  const auto probed = executor_.run_until(probe(*store_, executor_, rng_, "probe/"));
  ASSERT_FALSE(probed.has_value());
  EXPECT_EQ(probed.error().kind, ErrorKind::refused);
  EXPECT_TRUE(probed.error().message.contains("ignores conditional writes")) << probed.error().message;
}

TEST_F(S3, a_bucket_with_versions_is_refused_by_the_probe) {
  serve([](const FakeRequest&) {
    return FakeReply{.body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"};
  });
  const auto probed = executor_.run_until(probe(*store_, executor_, rng_, "probe/"));
  ASSERT_FALSE(probed.has_value());
  EXPECT_TRUE(probed.error().message.contains("never had versioning")) << probed.error().message;
  EXPECT_EQ(server_->seen().size(), 1U);
}

TEST_F(S3, settings_of_the_url_reach_the_request) {
  serve([](const FakeRequest&) { return FakeReply{.headers = {{"ETag", "\"x\""}}}; },
        "&etag_quotes=off&requester_pays=1&region=eu-west-7");
  EXPECT_TRUE(create("hello").has_value());
  EXPECT_TRUE(replace("abc").has_value());
  const auto seen = server_->seen();
  EXPECT_EQ(seen[0].header("if-none-match"), "*");
  EXPECT_EQ(seen[0].header("x-amz-request-payer"), "requester");
  EXPECT_EQ(seen[0].header("x-amz-checksum-sha256"), "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
  EXPECT_TRUE(seen[0].header("authorization").contains("/eu-west-7/s3/aws4_request"));
  EXPECT_EQ(seen[1].header("if-match"), "abc");
}

TEST_F(S3, answers_of_a_put_are_told_apart) {
  FakeReply next;
  std::mutex guards_next;  // the server has a thread of its own
  serve([&](const FakeRequest&) {
    const std::lock_guard lock(guards_next);
    return next;
  });
  const auto reply_with = [&](FakeReply reply) {
    const std::lock_guard lock(guards_next);
    next = std::move(reply);
  };
  const auto kind_of = [&](FakeReply reply) {
    reply_with(std::move(reply));
    return create().error().kind;
  };
  EXPECT_EQ(kind_of(refusal(409, "ConditionalRequestConflict")), StoreErrorKind::unavailable);
  EXPECT_EQ(kind_of(refusal(503, "SlowDown")), StoreErrorKind::throttled);
  EXPECT_EQ(kind_of(refusal(500, "UnknownError")), StoreErrorKind::ambiguous);
  EXPECT_EQ(kind_of({.status = 502}), StoreErrorKind::ambiguous);
  EXPECT_EQ(kind_of({.status = 408}), StoreErrorKind::ambiguous);
  EXPECT_EQ(kind_of(refusal(408, "RequestTimeout")), StoreErrorKind::ambiguous);
  EXPECT_EQ(kind_of(refusal(400, "RequestTimeout")), StoreErrorKind::unavailable);  // the body did not arrive
  EXPECT_EQ(kind_of({.status = 200}), StoreErrorKind::ambiguous);                   // no tag
  EXPECT_EQ(kind_of({.then = FakeReply::Then::cut_before_answer}), StoreErrorKind::ambiguous);
  for (const char* code : {"RequestTimeTooSkewed", "SignatureDoesNotMatch", "InvalidAccessKeyId", "AccessDenied"})
    EXPECT_EQ(kind_of(refusal(403, code)), StoreErrorKind::denied) << code;
  EXPECT_EQ(kind_of(refusal(404, "NoSuchBucket")), StoreErrorKind::denied);
  EXPECT_EQ(kind_of(refusal(400, "ExpiredToken")), StoreErrorKind::denied);
  reply_with(refusal(404, "NoSuchKey"));
  EXPECT_TRUE(std::holds_alternative<Mismatch>(replace("tag").value()));
  server_.reset();
  EXPECT_EQ(create().error().kind, StoreErrorKind::unavailable);
}

TEST_F(S3, reads_are_tried_again_after_a_failing_server) {
  serve([](const FakeRequest&) { return FakeReply{.status = 500}; });
  EXPECT_EQ(executor_.run_until(store_->get("key")).error().kind, StoreErrorKind::unavailable);
}

TEST_F(S3, reads_what_is_larger_than_most) {
  const std::size_t size = (std::size_t{64} << 20U) + 1;
  serve([&](const FakeRequest&) { return FakeReply{.headers = {{"ETag", "\"x\""}}, .body = std::string(size, 'x')}; });
  const auto got = executor_.run_until(store_->get("key"));
  ASSERT_TRUE(got.has_value()) << got.error().message;
  EXPECT_EQ((*got)->bytes.size(), size);
}

TEST_F(S3, a_list_that_is_not_whole_is_no_list) {
  std::string page;
  std::mutex guards_page;  // the server has a thread of its own
  serve([&](const FakeRequest&) {
    const std::lock_guard lock(guards_page);
    return FakeReply{.body = page};
  });
  const auto list = [&](std::string xml) {
    {
      const std::lock_guard lock(guards_page);
      page = std::move(xml);
    }
    return executor_.run_until(store_->list("", "", 10));
  };
  const std::string keys = "<ListBucketResult><Contents><Key>pre/fix/a</Key></Contents>";
  EXPECT_EQ(list(keys + "</ListBucketResult>").value(), (std::vector<std::string>{"a"}));
  EXPECT_EQ(list(keys).error().kind, StoreErrorKind::corrupt);
  EXPECT_EQ(list(keys + "<IsTruncated>true</IsTruncated></ListBucketResult>").error().kind, StoreErrorKind::corrupt);
}

TEST(S3Url, knows_its_settings_and_refuses_others) {
  const Environment nothing = [](const std::string&) { return std::string(); };
  const auto amazon = parse_s3_url("s3://bucket/a/b/?region=eu-central-1", nothing).value();
  EXPECT_EQ(amazon.endpoint, "https://s3.eu-central-1.amazonaws.com");
  EXPECT_EQ(amazon.prefix, "a/b/");
  EXPECT_TRUE(amazon.virtual_host);
  EXPECT_FALSE(parse_s3_url("s3://with.dots", nothing)->virtual_host);
  EXPECT_FALSE(parse_s3_url("s3://bucket?endpoint=https://host:1", nothing)->virtual_host);
  for (const char* url :
       {"s3://", "s3:///x", "s3://bucket/../x", "s3://bucket?endpoint=host", "s3://bucket?endpoint=https://h/p",
        "s3://key:secret@bucket", "s3://bucket?addressing=other", "s3://bucket?region=EU",
        "s3://bucket?profile=", "s3://bucket?region=a&region=b", "s3://bucket?ca=%zz", "s3://bucket?secret=x"})
    EXPECT_EQ(parse_s3_url(url, nothing).error().kind, ErrorKind::invalid_input) << url;
  EXPECT_TRUE(parse_s3_url("s3://bucket?regoin=x", nothing).error().message.contains("endpoint, region, addressing"));
}

TEST(S3Errors, say_what_to_do) {
  const S3Place place{"bucket", "https://host", "us-east-1"};
  const auto message = [&](int status, const char* code) {
    return s3_error({.status = status, .code = code, .message = "x"}, true, place).message;
  };
  EXPECT_TRUE(message(403, "RequestTimeTooSkewed").contains("clock"));
  EXPECT_TRUE(message(403, "SignatureDoesNotMatch").contains("secret key is wrong"));
  EXPECT_TRUE(message(404, "NoSuchBucket").contains("no bucket \"bucket\" at https://host"));
  EXPECT_TRUE(message(301, "PermanentRedirect").contains("region="));
  EXPECT_TRUE(message(403, "AccessDenied").contains("s3:PutObject"));
}

}  // namespace
}  // namespace zef::store
