// What starts and ends the processes of workers: local processes, or a cluster. Workers have ordinals, 0 to n - 1; the
// last part of a worker's name ("w3") is its ordinal, and the highest one goes first.
//
// Thread rule: one executor. Every task ends in bounded time.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/task.h"

namespace zef::controller {

class Driver {
 public:
  virtual ~Driver() = default;

  // How many workers it was last told to run, by anybody.
  virtual Task<Result<int>> current() = 0;
  // Runs so many. Starts what is missing; ends nothing: a smaller number than current() is refused, retire() is for
  // that.
  virtual Task<Result<void>> set(int count) = 0;
  // Ends this worker, which has nothing left to do, and runs one less from now on. Refused unless it is the one of the
  // highest ordinal: another call, or another controller, was faster.
  virtual Task<Result<void>> retire(std::string worker) = 0;
};

// A number of workers that somebody else sees to, and that nobody changes.
class FixedDriver final : public Driver {
 public:
  explicit FixedDriver(int count) : count_(count) {}
  Task<Result<int>> current() override { co_return count_; }
  Task<Result<void>> set(int count) override {
    if (count == count_) co_return Result<void>{};
    co_return fail(ErrorKind::refused, "the number of workers is fixed here");
  }
  Task<Result<void>> retire(std::string) override {
    co_return fail(ErrorKind::refused, "the number of workers is fixed here");
  }

 private:
  int count_;
};

// "w12" is 12; nothing if the name does not end with a number.
[[nodiscard]] inline std::optional<int> ordinal_of(std::string_view name) {
  std::size_t digits = name.size();
  while (digits > 0 && name[digits - 1] >= '0' && name[digits - 1] <= '9') --digits;
  int ordinal = 0;
  const auto [end, error] = std::from_chars(name.data() + digits, name.data() + name.size(), ordinal);
  if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
  return ordinal;
}

}  // namespace zef::controller
