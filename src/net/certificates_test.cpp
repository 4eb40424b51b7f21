#include "net/certificates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "net/testing/loop_runner.h"

namespace zef::net {
namespace {

namespace fs = std::filesystem;
using testing::TempFolder;

std::string content(const fs::path& path) {
  std::ostringstream out;
  out << std::ifstream(path).rdbuf();
  return out.str();
}

TEST(Certificates, keys_are_private_and_nothing_else_is_left) {
  const TempFolder folder;
  const fs::path dir = folder.path() / "deep" / "tls";
  ASSERT_TRUE(make_internal_ca(dir));
  const auto files = make_node_certificate(dir, "worker-0.1");
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_EQ(files->certificate, dir / "worker-0.1.pem");
  EXPECT_EQ(fs::status(dir / "ca.key").permissions(), fs::perms(0600));
  EXPECT_EQ(fs::status(files->key).permissions(), fs::perms(0600));
  EXPECT_EQ(fs::status(dir).permissions(), fs::perms(0700));
  EXPECT_EQ(std::distance(fs::directory_iterator(dir), {}), 4);
}

TEST(Certificates, what_exists_is_kept) {
  const TempFolder folder;
  ASSERT_TRUE(make_internal_ca(folder.path()));
  const auto first = make_node_certificate(folder.path(), "a");
  ASSERT_TRUE(first);
  const std::string ca = content(folder.path() / "ca.pem");
  const std::string key = content(first->key);
  ASSERT_TRUE(make_internal_ca(folder.path()));
  ASSERT_TRUE(make_node_certificate(folder.path(), "a"));
  EXPECT_EQ(content(folder.path() / "ca.pem"), ca);
  EXPECT_EQ(content(first->key), key);
}

TEST(Certificates, a_certificate_without_its_key_is_made_again_a_key_without_its_certificate_is_an_error) {
  const TempFolder folder;
  ASSERT_TRUE(make_internal_ca(folder.path()));
  const auto files = make_node_certificate(folder.path(), "a");
  ASSERT_TRUE(files);
  fs::remove(files->key);
  ASSERT_TRUE(make_node_certificate(folder.path(), "a"));
  EXPECT_TRUE(fs::exists(files->key));
  fs::remove(files->certificate);
  const auto half = make_node_certificate(folder.path(), "a");
  ASSERT_FALSE(half);
  EXPECT_EQ(half.error().kind, ErrorKind::corrupt);
}

TEST(Certificates, names_that_could_leave_the_folder_are_refused) {
  const TempFolder folder;
  ASSERT_TRUE(make_internal_ca(folder.path()));
  for (const std::string& name :
       std::vector<std::string>{"", "../a", "a/b", ".hidden", "a b", "ca", std::string(64, 'a'), "a,DNS:b"}) {
    const auto made = make_node_certificate(folder.path(), name);
    ASSERT_FALSE(made) << name;
    EXPECT_EQ(made.error().kind, ErrorKind::invalid_input);
  }
}

TEST(Certificates, without_an_authority_there_is_no_certificate) {
  const TempFolder folder;
  const auto made = make_node_certificate(folder.path(), "a");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind, ErrorKind::not_found);
  std::ofstream(folder.path() / "ca.pem") << "not a certificate";
  std::ofstream(folder.path() / "ca.key") << "not a key";
  EXPECT_EQ(make_node_certificate(folder.path(), "a").error().kind, ErrorKind::corrupt);
}

TEST(Certificates, a_folder_that_cannot_be_made_is_an_io_error) {
  const TempFolder folder;
  std::ofstream(folder.path() / "file") << "x";
  const auto made = make_internal_ca(folder.path() / "file" / "tls");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind, ErrorKind::io);
}

}  // namespace
}  // namespace zef::net
