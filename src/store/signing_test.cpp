#include "store/signing.h"

#include <gtest/gtest.h>

namespace zef::store {
namespace {

constexpr const char* empty_hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

// The examples that Amazon publishes for S3 ("Authenticating Requests: Using the Authorization Header").
std::string amazon_example(ToSign request, std::vector<http::Header> headers) {
  const SigningCredentials keys{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
  request.host = "examplebucket.s3.amazonaws.com";
  sign_v4(aws_signature, "us-east-1", keys, *parse_time("2013-05-24T00:00:00Z"), request, headers);
  const std::string& value = headers.back().value;
  return value.substr(value.find("Signature=") + 10);
}

TEST(SignatureV4, gives_what_amazon_publishes) {
  EXPECT_EQ(amazon_example({.method = "GET", .path = "/test.txt", .query = {}, .body_sha256_hex = empty_hash},
                           {{"Range", "bytes=0-9"}}),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  EXPECT_EQ(amazon_example({.method = "PUT",
                            .path = "/test%24file.text",
                            .query = {},
                            .body_sha256_hex = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"},
                           {{"Date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}}),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
  EXPECT_EQ(
      amazon_example({.method = "GET", .path = "/", .query = {{"lifecycle", ""}}, .body_sha256_hex = empty_hash}, {}),
      "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  EXPECT_EQ(
      amazon_example(
          {.method = "GET", .path = "/", .query = {{"prefix", "J"}, {"max-keys", "2"}}, .body_sha256_hex = empty_hash},
          {}),
      "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(SignatureV4, signs_the_session_token) {
  std::vector<http::Header> headers;
  sign_v4(aws_signature, "us-east-1", {"A", "B", "TOKEN"}, WallTime{},
          {.method = "GET", .host = "h", .path = "/", .query = {}, .body_sha256_hex = empty_hash}, headers);
  EXPECT_TRUE(headers.back().value.contains("host;x-amz-content-sha256;x-amz-date;x-amz-security-token"));
}

TEST(AzureSignature, puts_everything_in_its_line) {
  const std::string text = azure_text_to_sign(
      "acc", {.method = "PUT", .body_size = 5, .path = "/box/a", .query = {{"Comp", "list"}, {"b", "c"}}},
      {{"If-Match", "\"t\""}, {"Content-Type", "text"}, {"x-ms-version", "v"}, {"x-ms-date", "d"}});
  EXPECT_EQ(text, "PUT\n\n\n5\n\ntext\n\n\n\"t\"\n\n\n\nx-ms-date:d\nx-ms-version:v\n/acc/box/a\nb:c\ncomp:list");
  EXPECT_EQ(azure_authorization("acc", to_bytes("key"), "text").value.substr(0, 14), "SharedKey acc:");
}

TEST(Encodings, encode_and_decode) {
  EXPECT_EQ(base64(as_bytes("light wo")), "bGlnaHQgd28=");
  EXPECT_EQ(base64({}), "");
  EXPECT_EQ(from_base64("bGlnaHQgd28="), to_bytes("light wo"));
  EXPECT_FALSE(from_base64("abc").has_value());
  EXPECT_FALSE(from_base64("ab*=").has_value());
  EXPECT_EQ(percent_encoded("a b/c~é"), "a%20b%2Fc~%C3%A9");
  EXPECT_EQ(percent_encoded("a/b", true), "a/b");
  EXPECT_EQ(canonical_query({{"b", "2"}, {"a", "x y"}, {"c", ""}}), "a=x%20y&b=2&c=");
  EXPECT_EQ(to_hex(hmac_sha256(as_bytes("key"), "The quick brown fox jumps over the lazy dog")),
            "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8");
}

TEST(Encodings, times) {
  const auto time = parse_time("2015-08-30T12:36:09.123Z");
  ASSERT_TRUE(time.has_value());
  EXPECT_EQ(compact_time(*time), "20150830T123609Z");
  EXPECT_EQ(http_time(*time), "Sun, 30 Aug 2015 12:36:09 GMT");
  EXPECT_FALSE(parse_time("2015-13-30T12:36:09Z").has_value());
  EXPECT_FALSE(parse_time("yesterday").has_value());
}

}  // namespace
}  // namespace zef::store
