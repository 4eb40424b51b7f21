#include "store/open_store.h"

#include <fmt/core.h>

#include <algorithm>

namespace zef::store {
namespace {

constexpr std::string_view file_scheme = "file://";

Result<void> check_file_path(std::string_view url, std::string_view path) {
  if (!path.starts_with('/'))
    return fail(ErrorKind::invalid_input,
                fmt::format("store \"{}\": use an absolute path with three slashes, as in file:///var/lib/zef", url));
  if (path.find_first_of("?#%") != std::string_view::npos)
    return fail(ErrorKind::invalid_input,
                fmt::format("store \"{}\": '?', '#' and '%' are not taken in paths; use another folder", url));
  if (std::ranges::any_of(path, [](char c) { return static_cast<unsigned char>(c) < ' '; }))
    return fail(ErrorKind::invalid_input, "store: control characters are not taken in paths");
  return {};
}

}  // namespace

Result<void> check_store_url(std::string_view url) {
  if (url == "memory:") return {};
  if (url.starts_with(file_scheme)) return check_file_path(url, url.substr(file_scheme.size()));
  if (url.starts_with("s3:") || url.starts_with("azure:"))
    return fail(ErrorKind::invalid_input,
                fmt::format("store \"{}\": this kind of store is not built in yet; use file:///absolute/path", url));
  return fail(ErrorKind::invalid_input,
              fmt::format("store \"{}\": not a store URL; use file:///absolute/path or memory:", url));
}

Result<std::unique_ptr<ObjectStore>> open_store(Executor& executor, std::string_view url, const OpenOptions& options) {
  if (auto good = check_store_url(url); !good) return std::unexpected(std::move(good.error()));
  if (url == "memory:")
    return make_memory_store(executor, options.memory ? options.memory : std::make_shared<MemoryState>());
  return make_file_store(executor, std::string(url.substr(file_scheme.size())), options.file);
}

}  // namespace zef::store
