#include "store/open_store.h"

#include <fmt/core.h>

#include <algorithm>

#include "store/azure_store.h"
#include "store/s3_store.h"

namespace zef::store {
namespace {

constexpr std::string_view file_scheme = "file://";
constexpr std::string_view s3_scheme = "s3://";
constexpr std::string_view azure_scheme = "azure://";
constexpr std::string_view gcs_scheme = "gcs://";

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
  if (url.starts_with(azure_scheme)) return check_azure_url(url);
  if (is_remote_store(url)) {
    const auto parsed = url.starts_with(s3_scheme) ? parse_s3_url(url) : parse_gcs_url(url);
    if (!parsed) return std::unexpected(parsed.error());
    return {};
  }
  return fail(ErrorKind::invalid_input,
              fmt::format("store \"{}\": not a store URL; use file:///absolute/path, s3://bucket/prefix, "
                          "azure://container/prefix, gcs://bucket/prefix or memory:",
                          url.substr(0, url.find('?'))));
}

std::string part_of_store(std::string_view url, std::string_view part) {
  const std::string_view place = url.starts_with(file_scheme) ? url : url.substr(0, url.find('?'));
  return fmt::format("{}{}{}{}", place, place.ends_with('/') ? "" : "/", part, url.substr(place.size()));
}

bool is_remote_store(std::string_view url) {
  return url.starts_with(s3_scheme) || url.starts_with(azure_scheme) || url.starts_with(gcs_scheme);
}

Result<std::unique_ptr<ObjectStore>> open_store(Executor& executor, std::string_view url, const OpenOptions& options) {
  if (auto good = check_store_url(url); !good) return std::unexpected(std::move(good.error()));
  if (url == "memory:")
    return make_memory_store(executor, options.memory ? options.memory : std::make_shared<MemoryState>());
  if (url.starts_with(file_scheme))
    return make_file_store(executor, std::string(url.substr(file_scheme.size())), options.file);
  if (url.starts_with(azure_scheme)) {
    auto parsed = parse_azure_url(url);
    if (!parsed) return std::unexpected(std::move(parsed.error()));
    return make_azure_store(executor, std::move(*parsed));
  }
  auto parsed = url.starts_with(s3_scheme) ? parse_s3_url(url) : parse_gcs_url(url);
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  return make_s3_store(executor, std::move(*parsed));
}

}  // namespace zef::store
