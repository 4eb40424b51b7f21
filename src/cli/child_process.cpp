#include "cli/child_process.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <utility>

#include "base/check.h"
#include "cli/files.h"

namespace zef::cli {
namespace {

constexpr std::size_t line_bytes_max = 64U << 10;

std::unexpected<Error> io_error(std::string_view doing) {
  return fail(ErrorKind::io, fmt::format("cannot {}: {}", doing, std::strerror(errno)));
}

std::uint64_t microseconds(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(time.tv_usec);
}

// In the child, after fork: only calls that are safe there.
[[noreturn]] void become(pid_t parent, char* const* arguments, int input, int output, int log) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it ended before the line above
  ::setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (::dup2(input, STDIN_FILENO) < 0 || ::dup2(output, STDOUT_FILENO) < 0 || ::dup2(log, STDERR_FILENO) < 0)
    ::_exit(1);
  ::close_range(3, ~0U, 0);
  ::execv("/proc/self/exe", arguments);
  constexpr char failed[] = "zef: cannot start this program again from /proc/self/exe\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, failed, sizeof failed - 1);
  ::_exit(1);
}

}  // namespace

Result<ChildProcess> ChildProcess::spawn(const std::vector<std::string>& arguments, const std::filesystem::path& log) {
  const int log_file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (log_file < 0) return io_error("open " + log.string());
  struct stat status{};
  ::fstat(log_file, &status);
  const int input = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  int pipe[2] = {-1, -1};
  if (input < 0 || ::pipe2(pipe, O_CLOEXEC) != 0) {
    auto failure = io_error("make a pipe for a child process");
    ::close(log_file);
    if (input >= 0) ::close(input);
    return failure;
  }

  std::vector<std::string> words = {"zef"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);

  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) become(parent, pointers.data(), input, pipe[1], log_file);
  auto failure = io_error("start a child process");
  ::close(log_file);
  ::close(input);
  ::close(pipe[1]);
  if (pid < 0) {
    ::close(pipe[0]);
    return failure;
  }
  ::fcntl(pipe[0], F_SETFL, O_NONBLOCK);
  return ChildProcess(pid, pipe[0], log, static_cast<std::uint64_t>(status.st_size));
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      output_(std::exchange(other.output_, -1)),
      buffer_(std::move(other.buffer_)),
      log_(std::move(other.log_)),
      log_from_(other.log_from_) {}

ChildProcess::~ChildProcess() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  if (output_ >= 0) ::close(output_);
}

void ChildProcess::signal(int number) const {
  ZEF_CHECK(pid_ > 0);
  ::kill(pid_, number);
}

std::optional<ChildProcess::Ended> ChildProcess::reap() {
  ZEF_CHECK(pid_ > 0);
  int status = 0;
  rusage usage{};
  if (::wait4(pid_, &status, WNOHANG, &usage) != pid_) return std::nullopt;
  pid_ = -1;
  return Ended{.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
               .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
               .processor_us = microseconds(usage.ru_utime) + microseconds(usage.ru_stime)};
}

std::optional<std::string> ChildProcess::take_line() {
  char chunk[4096];
  while (output_ >= 0 && buffer_.size() < line_bytes_max) {
    const ssize_t got = ::read(output_, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    buffer_.append(chunk, static_cast<std::size_t>(got));
  }
  const auto end = buffer_.find('\n');
  if (end == std::string::npos) return std::nullopt;
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  return line;
}

std::string ChildProcess::last_words() const { return last_line(log_, log_from_); }

std::uint64_t ChildProcess::processor_us() const {
  clockid_t clock{};
  timespec time{};
  if (pid_ <= 0 || ::clock_getcpuclockid(pid_, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return 0;
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(time.tv_nsec) / 1000;
}

}  // namespace zef::cli
