// A temporary folder of one run, and a place of its own in a store that was asked for: both are removed at the end, as
// far as they are files.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/result.h"

namespace zef::cli {

class ScratchFolder {
 public:
  // Its name begins with "zef-<what>-". Error: io.
  [[nodiscard]] static Result<std::unique_ptr<ScratchFolder>> make(std::string_view what);
  ScratchFolder() = default;
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder();

  // In the store that was asked for: stores belong to one network. Empty if none was.
  [[nodiscard]] std::string store_url(const std::string& asked);
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::filesystem::path store_;  // of ours, in a folder that was asked for
};

}  // namespace zef::cli
