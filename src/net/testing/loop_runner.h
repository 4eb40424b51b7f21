// Drives a real loop in a test: turns until something holds. Never sleeps: the loop waits for sockets and timers.
#pragma once

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "base/task.h"
#include "net/loop.h"

namespace zef::net::testing {

// False if it did not hold in time.
template <class Predicate>
[[nodiscard]] bool turn_until(Loop& loop, Predicate holds, Duration time_max = std::chrono::seconds(60)) {
  const MonotonicTime end = loop.now() + time_max;
  while (!holds()) {
    const Duration left = end - loop.now();
    if (left <= Duration::zero()) return false;
    loop.turn(left);
  }
  return true;
}

// Turns until nothing is ready for this long: to show that something does not happen.
inline void turn_while_busy(Loop& loop, Duration quiet = std::chrono::milliseconds(50)) {
  while (loop.turn(quiet)) {
  }
}

// A folder of its own, removed with everything in it.
class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "zef-net-XXXXXX").string();
    ZEF_CHECK(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace zef::net::testing
