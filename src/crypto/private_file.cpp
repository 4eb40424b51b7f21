#include "crypto/private_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

namespace zef::crypto {
namespace {

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

std::unexpected<Error> io_error(const std::filesystem::path& path, const char* action, int error) {
  return fail(error == ENOENT ? ErrorKind::not_found : ErrorKind::io,
              path.string() + ": cannot " + action + ": " + std::strerror(error));
}

bool write_all(int fd, ByteView content) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    content = content.subspan(static_cast<std::size_t>(written));
  }
  return true;
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

}  // namespace

Result<SecretBytes> read_private_file(const std::filesystem::path& path, std::size_t size_max) {
  // Not blocking, so that a pipe in the file's place cannot hang us before it is refused.
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.get() < 0 && errno == ELOOP)
    return fail(ErrorKind::refused, path.string() + ": is a symbolic link; name the file itself");
  if (file.get() < 0) return io_error(path, "open", errno);
  // Of the open file, not of the name, so nobody can swap the file between check and use.
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return io_error(path, "examine", errno);
  if (!S_ISREG(status.st_mode)) return fail(ErrorKind::refused, path.string() + ": is not a regular file");
  if ((status.st_mode & 07777 & ~0600U) != 0)
    return fail(ErrorKind::refused, path.string() + ": others may use this file; run: chmod 600 " + path.string());

  SecretBytes buffer(size_max + 1);
  std::size_t size = 0;
  while (size < buffer.size()) {
    const ssize_t got = ::read(file.get(), buffer.data() + size, buffer.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io_error(path, "read", errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > size_max)
    return fail(ErrorKind::invalid_input, path.string() + ": is longer than " + std::to_string(size_max) + " bytes");
  SecretBytes content(size);
  std::copy_n(buffer.data(), size, content.data());
  return content;
}

// Written beside its place, synced, then linked there: link() never replaces, and a crash leaves either nothing or the
// whole file (and perhaps a hidden temporary file).
Result<void> write_private_file(const std::filesystem::path& path, ByteView content) {
  const std::filesystem::path folder = folder_of(path);
  std::string temporary = (folder / ("." + path.filename().string() + ".XXXXXX")).string();
  const FileDescriptor file(::mkostemp(temporary.data(), O_CLOEXEC));  // mode 0600
  if (file.get() < 0) return io_error(path, "create", errno);
  const auto abandon = [&](const char* action) {
    const int error = errno;
    ::unlink(temporary.c_str());
    if (error == EEXIST) return fail(ErrorKind::refused, path.string() + ": exists already and is not overwritten");
    return io_error(path, action, error);
  };
  if (!write_all(file.get(), content) || ::fsync(file.get()) != 0) return abandon("write");
  if (::link(temporary.c_str(), path.c_str()) != 0) return abandon("create");
  if (::unlink(temporary.c_str()) != 0) return io_error(path, "remove the temporary file of", errno);
  const FileDescriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0 || ::fsync(directory.get()) != 0) return io_error(folder, "sync", errno);
  return {};
}

}  // namespace zef::crypto
