// One child process of this program: `zef <arguments>`, its standard output read here, its standard error in a log
// file.
//
// The child gets SIGKILL when this process ends (PR_SET_PDEATHSIG: whoever starts children must be the thread that
// lives as long as the process, the main thread), inherits no descriptor but the three, and is in a process group of
// its own, so that Ctrl-C reaches this process alone, which then stops its children in order. Only pids that spawn()
// returned and that were not reaped are signalled or waited for.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace zef::cli {

class ChildProcess {
 public:
  struct Ended {
    int exit_status = -1;  // -1: by a signal
    int signal = 0;
    std::uint64_t processor_us = 0;
  };

  [[nodiscard]] static Result<ChildProcess> spawn(const std::vector<std::string>& arguments,
                                                  const std::filesystem::path& log);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess();  // kills (-9) and reaps what still runs

  [[nodiscard]] pid_t pid() const { return pid_; }
  void signal(int number) const;
  // Whether it has ended, without waiting. After that no other call but take_line() and last_words().
  [[nodiscard]] std::optional<Ended> reap();
  // The next whole line of its standard output, if it has written one.
  [[nodiscard]] std::optional<std::string> take_line();
  // The last line that it wrote to its log.
  [[nodiscard]] std::string last_words() const;
  [[nodiscard]] std::uint64_t processor_us() const;  // until now

 private:
  ChildProcess(pid_t pid, int output, std::filesystem::path log, std::uint64_t log_from)
      : pid_(pid), output_(output), log_(std::move(log)), log_from_(log_from) {}

  pid_t pid_;
  int output_;
  std::string buffer_;
  std::filesystem::path log_;
  std::uint64_t log_from_;
};

}  // namespace zef::cli
