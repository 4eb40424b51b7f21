#include "cli/scratch_folder.h"

#include <fmt/core.h>

#include <cstdlib>

#include "store/open_store.h"

namespace zef::cli {

namespace fs = std::filesystem;

Result<std::unique_ptr<ScratchFolder>> ScratchFolder::make(std::string_view what) {
  std::error_code error;
  const fs::path base = fs::temp_directory_path(error);
  std::string name = ((error ? fs::path("/tmp") : base) / fmt::format("zef-{}-XXXXXX", what)).string();
  if (::mkdtemp(name.data()) == nullptr)
    return fail(ErrorKind::io, fmt::format("cannot make a temporary folder {}: set TMPDIR", name));
  auto folder = std::make_unique<ScratchFolder>();
  folder->path_ = name;
  return folder;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
  if (!store_.empty()) fs::remove_all(store_, ignored);
}

std::string ScratchFolder::store_url(const std::string& asked) {
  constexpr std::string_view file = "file://";
  if (asked.empty()) return asked;
  const std::string url = store::part_of_store(asked, path_.filename().string());
  if (url.starts_with(file)) store_ = url.substr(file.size());
  return url;
}

}  // namespace zef::cli
