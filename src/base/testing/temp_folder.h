// A folder for one test, removed with all that is in it when the test ends. A process forked in between does not remove
// it.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "base/check.h"

namespace zef::testing {

class TempFolder {
 public:
  TempFolder() : owner_(::getpid()) {
    std::string name = (std::filesystem::temp_directory_path() / "zef-test-XXXXXX").string();
    ZEF_CHECK(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() {
    std::error_code ignored;
    if (::getpid() == owner_) std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  pid_t owner_;
  std::filesystem::path path_;
};

}  // namespace zef::testing
