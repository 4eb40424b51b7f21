#include "crypto/private_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <iterator>

#include "base/testing/temp_folder.h"

namespace zef::crypto {
namespace {

namespace fs = std::filesystem;

class PrivateFile : public ::testing::Test {
 protected:
  testing::TempFolder folder_;
  fs::path path_ = folder_.path() / "secret";

  void set_mode(mode_t mode) const { ASSERT_EQ(::chmod(path_.c_str(), mode), 0); }
  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_.path()), {}));
  }
};

TEST_F(PrivateFile, comes_back_as_written_with_mode_0600) {
  const mode_t old_mask = ::umask(0);
  ASSERT_TRUE(write_private_file(path_, as_bytes("content")).has_value());
  ::umask(old_mask);
  struct stat status{};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);
  EXPECT_EQ(status.st_nlink, 1U);
  EXPECT_EQ(files(), 1U) << "no temporary file is left";
  const auto content = read_private_file(path_, 100);
  ASSERT_TRUE(content.has_value());
  EXPECT_EQ(as_text(content->view()), "content");
}

TEST_F(PrivateFile, never_overwrites) {
  ASSERT_TRUE(write_private_file(path_, as_bytes("first")).has_value());
  const auto second = write_private_file(path_, as_bytes("second"));
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().kind, ErrorKind::refused);
  EXPECT_EQ(as_text(read_private_file(path_, 100)->view()), "first");
  EXPECT_EQ(files(), 1U);
}

TEST_F(PrivateFile, does_not_write_through_a_symbolic_link) {
  fs::create_symlink(folder_.path() / "elsewhere", path_);
  EXPECT_EQ(write_private_file(path_, as_bytes("x")).error().kind, ErrorKind::refused);
  EXPECT_FALSE(fs::exists(folder_.path() / "elsewhere"));
}

TEST_F(PrivateFile, refuses_modes_wider_than_0600_and_says_what_to_do) {
  ASSERT_TRUE(write_private_file(path_, as_bytes("content")).has_value());
  for (const mode_t mode : {0644U, 0640U, 0604U, 0601U, 0620U, 0700U, 0666U, 04600U}) {
    set_mode(mode);
    const auto content = read_private_file(path_, 100);
    ASSERT_FALSE(content.has_value()) << std::oct << mode;
    EXPECT_EQ(content.error().kind, ErrorKind::refused);
    EXPECT_NE(content.error().message.find("chmod 600 " + path_.string()), std::string::npos);
  }
  set_mode(0400);
  EXPECT_TRUE(read_private_file(path_, 100).has_value());
}

TEST_F(PrivateFile, refuses_links_folders_and_pipes) {
  ASSERT_TRUE(write_private_file(path_, as_bytes("content")).has_value());
  const fs::path link = folder_.path() / "link";
  fs::create_symlink(path_, link);
  EXPECT_EQ(read_private_file(link, 100).error().kind, ErrorKind::refused);
  EXPECT_EQ(read_private_file(folder_.path(), 100).error().kind, ErrorKind::refused);
  const fs::path pipe = folder_.path() / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(read_private_file(pipe, 100).error().kind, ErrorKind::refused) << "and does not hang";
}

TEST_F(PrivateFile, bounds_what_it_reads) {
  ASSERT_TRUE(write_private_file(path_, as_bytes("12345")).has_value());
  EXPECT_TRUE(read_private_file(path_, 5).has_value());
  EXPECT_EQ(read_private_file(path_, 4).error().kind, ErrorKind::invalid_input);
}

TEST_F(PrivateFile, says_what_is_missing) {
  EXPECT_EQ(read_private_file(path_, 5).error().kind, ErrorKind::not_found);
  EXPECT_EQ(write_private_file(folder_.path() / "nowhere" / "file", {}).error().kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace zef::crypto
