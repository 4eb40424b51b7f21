#include "controller/process_driver.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "store/fd.h"

namespace zef::controller {
namespace {

constexpr int count_max = 1024;

std::unexpected<Error> io_error(const std::filesystem::path& file, const char* what) {
  return fail(ErrorKind::io, fmt::format("{}: cannot {}: {}", file.string(), what, std::strerror(errno)));
}

// Held while a number is read and another one written, against other controllers.
Result<store::Fd> lock(const std::filesystem::path& file) {
  const std::string path = file.string() + ".lock";
  store::Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (fd.get() < 0) return io_error(path, "be opened");
  if (::flock(fd.get(), LOCK_EX) != 0) return io_error(path, "be locked");
  return fd;
}

}  // namespace

Result<int> read_worker_count(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in) return io_error(file, "be read");
  std::string text;
  std::getline(in, text);
  int count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || end != text.data() + text.size() || count < 1 || count > count_max)
    return fail(ErrorKind::corrupt, fmt::format("{}: holds \"{}\" instead of a number of workers, 1 to {}; write one",
                                                file.string(), text, count_max));
  return count;
}

Result<void> write_worker_count(const std::filesystem::path& file, int count) {
  const std::filesystem::path temporary = file.string() + ".new";
  {
    std::ofstream out(temporary, std::ios::trunc);
    out << count << '\n';
    out.close();
    if (!out) return io_error(temporary, "be written");
  }
  if (::rename(temporary.c_str(), file.c_str()) != 0) return io_error(file, "be replaced");
  return {};
}

Task<Result<int>> ProcessDriver::current() { co_return read_worker_count(file_); }

Task<Result<void>> ProcessDriver::set(int count) {
  const auto held = lock(file_);
  if (!held) co_return std::unexpected(held.error());
  const auto now = read_worker_count(file_);
  if (!now) co_return std::unexpected(now.error());
  if (count < *now)
    co_return fail(ErrorKind::refused, fmt::format("there are {} workers; fewer by retiring one only", *now));
  if (count == *now) co_return Result<void>{};
  co_return write_worker_count(file_, count);
}

Task<Result<void>> ProcessDriver::retire(std::string worker) {
  const auto held = lock(file_);
  if (!held) co_return std::unexpected(held.error());
  const auto now = read_worker_count(file_);
  if (!now) co_return std::unexpected(now.error());
  if (*now < 2 || ordinal_of(worker) != *now - 1)
    co_return fail(ErrorKind::refused, fmt::format("{} is not the last one of {} workers", worker, *now));
  co_return write_worker_count(file_, *now - 1);
}

}  // namespace zef::controller
