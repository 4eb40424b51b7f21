// Files and folders of the program: whole files in and out, and the lock of a folder.
//
// Writing is atomic and durable: a fresh file beside it, synced, renamed. Thread rule: blocking; any thread.
#pragma once

#include <filesystem>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace zef::cli {

// The whole file. not_found, io; invalid_input if it is longer than size_max.
[[nodiscard]] Result<Bytes> read_file(const std::filesystem::path& path, std::uint64_t size_max);
// Replaces the file (mode 0644).
[[nodiscard]] Result<void> write_file(const std::filesystem::path& path, ByteView content);
// Makes the folder (0700) and its parents.
[[nodiscard]] Result<void> make_folder(const std::filesystem::path& path);
// The last line of a text file that is not empty, from an offset on; "" if there is none.
[[nodiscard]] std::string last_line(const std::filesystem::path& path, std::uint64_t from);

// Holds a lock file for as long as it lives. The file stays; what locks is the open file, so a dead process holds
// nothing.
class FolderLock {
 public:
  // refused: another process holds it.
  [[nodiscard]] static Result<FolderLock> take(const std::filesystem::path& file);
  FolderLock(FolderLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FolderLock& operator=(FolderLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FolderLock();

 private:
  explicit FolderLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace zef::cli
