// Workers as processes of one machine. How many there shall be stands in a small file; whoever supervises the processes
// (`zef net up`, or a service manager's path unit) starts and ends them to match it. So nothing is lost when a
// controller dies, and any controller of the machine may write it.
//
// Thread rule: one executor; the file is local and small, so it is read and written at once.
#pragma once

#include <filesystem>

#include "controller/driver.h"

namespace zef::controller {

// The file: one decimal number and a newline. Errors: io, corrupt (says what to do).
[[nodiscard]] Result<int> read_worker_count(const std::filesystem::path& file);
[[nodiscard]] Result<void> write_worker_count(const std::filesystem::path& file, int count);

class ProcessDriver final : public Driver {
 public:
  explicit ProcessDriver(std::filesystem::path file) : file_(std::move(file)) {}

  Task<Result<int>> current() override;
  Task<Result<void>> set(int count) override;
  Task<Result<void>> retire(std::string worker) override;

 private:
  std::filesystem::path file_;
};

}  // namespace zef::controller
