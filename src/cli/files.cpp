#include "cli/files.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace zef::cli {
namespace {

std::unexpected<Error> io_error(std::string_view doing, const std::filesystem::path& path) {
  const int error = errno;
  return fail(error == ENOENT ? ErrorKind::not_found : ErrorKind::io,
              fmt::format("cannot {} {}: {}", doing, path.string(), std::strerror(error)));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

bool read_all(int fd, Bytes& out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t got = ::read(fd, out.data() + done, out.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  out.resize(done);
  return true;
}

bool write_all(int fd, ByteView content) {
  while (!content.empty()) {
    const ssize_t wrote = ::write(fd, content.data(), content.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return false;
    content = content.subspan(static_cast<std::size_t>(wrote));
  }
  return true;
}

}  // namespace

Result<Bytes> read_file(const std::filesystem::path& path, std::uint64_t size_max) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return io_error("open", path);
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return io_error("examine", path);
  if (!S_ISREG(status.st_mode)) return fail(ErrorKind::invalid_input, path.string() + " is not a file");
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size > size_max)
    return fail(ErrorKind::invalid_input, fmt::format("{} has {} bytes, more than the {} that such a file may have",
                                                      path.string(), size, size_max));
  Bytes content(size);
  if (!read_all(file.get(), content)) return io_error("read", path);
  return content;
}

Result<void> write_file(const std::filesystem::path& path, ByteView content) {
  const std::filesystem::path fresh = path.string() + ".new";
  {
    const Descriptor file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (file.get() < 0) return io_error("create", fresh);
    if (!write_all(file.get(), content)) return io_error("write", fresh);
    if (::fsync(file.get()) != 0) return io_error("sync", fresh);
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) return io_error("replace", path);
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  const Descriptor parent(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (parent.get() < 0 || ::fsync(parent.get()) != 0) return io_error("sync", folder);
  return {};
}

Result<void> make_folder(const std::filesystem::path& path) {
  std::error_code error;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
  if (error)
    return fail(ErrorKind::io, fmt::format("cannot make {}: {}", path.parent_path().string(), error.message()));
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return io_error("make", path);
  if (!std::filesystem::is_directory(path, error))
    return fail(ErrorKind::invalid_input, path.string() + " is not a folder: name another one");
  return {};
}

std::string last_line(const std::filesystem::path& path, std::uint64_t from) {
  constexpr std::uint64_t tail_bytes = 16U << 10;
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status{};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) return {};
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size <= from) return {};
  const std::uint64_t begin = std::max(from, size > tail_bytes ? size - tail_bytes : 0);
  if (::lseek(file.get(), static_cast<off_t>(begin), SEEK_SET) < 0) return {};
  Bytes tail(size - begin);
  if (!read_all(file.get(), tail)) return {};
  std::string_view text = as_text(tail);
  while (text.ends_with('\n')) text.remove_suffix(1);
  const auto at = text.rfind('\n');
  return std::string(at == std::string_view::npos ? text : text.substr(at + 1));
}

Result<FolderLock> FolderLock::take(const std::filesystem::path& file) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return io_error("open", file);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const bool taken = errno == EWOULDBLOCK;
    ::close(fd);
    if (!taken) return io_error("lock", file);
    return fail(ErrorKind::refused, fmt::format("another process uses {}: stop it first, or use another folder",
                                                file.parent_path().string()));
  }
  return FolderLock(fd);
}

FolderLock::~FolderLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace zef::cli
