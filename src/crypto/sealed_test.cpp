#include "crypto/sealed.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/testing/temp_folder.h"
#include "crypto/private_file.h"

namespace zef::crypto {
namespace {

using Json = nlohmann::ordered_json;

SecretBytes secret(std::string_view text) {
  SecretBytes bytes(text.size());
  std::ranges::copy(as_bytes(text), bytes.data());
  return bytes;
}

Bytes sealed(const SigningKey& key, std::string_view passphrase = "correct horse") {
  return seal(key, secret(passphrase), seal_parameters_min).value();
}

ErrorKind kind_of(const Result<SigningKey>& result) { return result.error().kind; }

TEST(Sealed, opens_with_its_passphrase) {
  const SigningKey key = SigningKey::generate();
  const Bytes file = sealed(key);
  EXPECT_LT(file.size(), sealed_size_max);
  EXPECT_EQ(sealed_public_key(file), key.public_key());
  const auto opened = open_sealed(file, secret("correct horse"));
  ASSERT_TRUE(opened.has_value());
  EXPECT_EQ(opened->public_key(), key.public_key());
  EXPECT_TRUE(std::ranges::equal(opened->seed(), key.seed()));
}

TEST(Sealed, opens_with_the_default_cost) {
  const SigningKey key = SigningKey::generate();
  const auto file = seal(key, secret("p"));
  ASSERT_TRUE(file.has_value());
  EXPECT_EQ(open_sealed(*file, secret("p"))->public_key(), key.public_key());
}

TEST(Sealed, refuses_a_wrong_passphrase) {
  const Bytes file = sealed(SigningKey::generate());
  for (const char* wrong : {"correct hors", "correct horse ", "Correct horse", ""}) {
    const auto opened = open_sealed(file, secret(wrong));
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(kind_of(opened), ErrorKind::refused);
    EXPECT_NE(opened.error().message.find("wrong passphrase"), std::string::npos);
  }
}

TEST(Sealed, does_not_contain_the_seed) {
  const SigningKey key = SigningKey::generate();
  const Bytes file = sealed(key);
  EXPECT_EQ(as_text(file).find(to_hex(key.seed())), std::string::npos);
}

TEST(Sealed, two_seals_of_one_key_share_nothing) {
  const SigningKey key = SigningKey::generate();
  const Json first = Json::parse(as_text(sealed(key)));
  const Json second = Json::parse(as_text(sealed(key)));
  for (const char* field : {"salt", "nonce", "ciphertext"}) EXPECT_NE(first[field], second[field]) << field;
}

TEST(Sealed, refuses_every_truncation) {
  const Bytes file = sealed(SigningKey::generate());
  const std::size_t content = as_text(file).rfind('}') + 1;
  for (std::size_t size = 0; size < content; ++size)
    ASSERT_EQ(kind_of(open_sealed(ByteView(file).first(size), secret("correct horse"))), ErrorKind::invalid_input);
}

TEST(Sealed, refuses_every_tampered_field) {
  const SigningKey key = SigningKey::generate();
  const Json good = Json::parse(as_text(sealed(key)));
  const auto opened = [](const Json& json) { return open_sealed(as_bytes(json.dump()), secret("correct horse")); };
  ASSERT_TRUE(opened(good).has_value());
  for (const char* field : {"salt", "nonce", "public_key", "ciphertext"}) {
    const std::string hex = good[field];
    for (std::size_t at = 0; at < hex.size(); ++at) {
      Json bad = good;
      std::string changed = hex;
      changed[at] = changed[at] == '0' ? '1' : '0';
      bad[field] = changed;
      ASSERT_EQ(kind_of(opened(bad)), ErrorKind::refused) << field << " " << at;
    }
  }
  Json bad = good;
  bad["ops_limit"] = 2;
  EXPECT_EQ(kind_of(opened(bad)), ErrorKind::refused);
  bad = good;
  bad["memory_bytes"] = 16384;
  EXPECT_EQ(kind_of(opened(bad)), ErrorKind::refused);
  bad = good;
  bad["format"] = "zefchain-sealed-key-2";
  EXPECT_EQ(kind_of(opened(bad)), ErrorKind::invalid_input);
}

TEST(Sealed, refuses_costs_that_would_take_the_machine) {
  const Json good = Json::parse(as_text(sealed(SigningKey::generate())));
  const auto kind = [&](const char* field, std::uint64_t value) {
    Json bad = good;
    bad[field] = value;
    return kind_of(open_sealed(as_bytes(bad.dump()), secret("correct horse")));
  };
  EXPECT_EQ(kind("memory_bytes", seal_parameters_max.memory_bytes + 1), ErrorKind::invalid_input);
  EXPECT_EQ(kind("memory_bytes", UINT64_MAX), ErrorKind::invalid_input);
  EXPECT_EQ(kind("memory_bytes", 0), ErrorKind::invalid_input);
  EXPECT_EQ(kind("ops_limit", seal_parameters_max.ops_limit + 1), ErrorKind::invalid_input);
  EXPECT_EQ(kind("ops_limit", 0), ErrorKind::invalid_input);
  EXPECT_EQ(seal(SigningKey::generate(), secret("p"), {.ops_limit = 0, .memory_bytes = 8192}).error().kind,
            ErrorKind::invalid_input);
}

TEST(Sealed, refuses_what_is_no_sealed_key) {
  for (const char* text : {"", "{}", "[]", "null", "not JSON", "{\"format\": 1}"}) {
    EXPECT_EQ(kind_of(open_sealed(as_bytes(text), secret("p"))), ErrorKind::invalid_input) << text;
    EXPECT_EQ(sealed_public_key(as_bytes(text)).error().kind, ErrorKind::invalid_input) << text;
  }
  Bytes long_file = sealed(SigningKey::generate());
  long_file.resize(sealed_size_max + 1, ' ');
  EXPECT_EQ(kind_of(open_sealed(long_file, secret("correct horse"))), ErrorKind::invalid_input);
}

// A file made once; every later version must open it.
TEST(Sealed, opens_a_file_of_the_first_version) {
  constexpr std::string_view file = R"({
  "format": "zefchain-sealed-key-1",
  "ops_limit": 1,
  "memory_bytes": 8192,
  "salt": "26996170ad87007b41d30729593fba0a",
  "nonce": "3fe20b24b95e3c513911d8f9b31257596b5624e20eb48ec2",
  "public_key": "2152f8d19b791d24453242e15f2eab6cb7cffa7b6a5ed30097960e069881db12",
  "ciphertext": "bcc52badfdf05a30f0d17f2b9d6182f6743319321103e359cdd20fdd3bc0b5551ceb53af42ce3f0f9bf845b3e0e867a0"
}
)";
  const auto opened = open_sealed(as_bytes(file), secret("correct horse"));
  ASSERT_TRUE(opened.has_value()) << opened.error().message;
  EXPECT_TRUE(std::ranges::equal(opened->seed(), Bytes(32, 0x42)));
}

TEST(SealedFile, comes_back_and_is_never_overwritten) {
  const testing::TempFolder folder;
  const auto path = folder.path() / "key.json";
  const SigningKey key = SigningKey::generate();
  ASSERT_TRUE(write_sealed_file(path, key, secret("p"), seal_parameters_min).has_value());
  EXPECT_EQ(read_sealed_file(path, secret("p"))->public_key(), key.public_key());
  EXPECT_EQ(write_sealed_file(path, SigningKey::generate(), secret("p"), seal_parameters_min).error().kind,
            ErrorKind::refused);
  EXPECT_EQ(read_sealed_file(path, secret("p"))->public_key(), key.public_key());
}

TEST(SealedFile, refuses_mode_0644_and_names_the_file_in_errors) {
  const testing::TempFolder folder;
  const auto path = folder.path() / "key.json";
  ASSERT_TRUE(write_sealed_file(path, SigningKey::generate(), secret("p"), seal_parameters_min).has_value());
  const auto wrong = read_sealed_file(path, secret("q"));
  EXPECT_EQ(kind_of(wrong), ErrorKind::refused);
  EXPECT_TRUE(wrong.error().message.starts_with(path.string()));
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  const auto wide = read_sealed_file(path, secret("p"));
  EXPECT_EQ(kind_of(wide), ErrorKind::refused);
  EXPECT_NE(wide.error().message.find("chmod 600"), std::string::npos);
  EXPECT_EQ(kind_of(read_sealed_file(folder.path() / "none", secret("p"))), ErrorKind::not_found);
}

}  // namespace
}  // namespace zef::crypto
