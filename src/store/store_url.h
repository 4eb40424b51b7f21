// URLs of object stores, taken apart: scheme://bucket/prefix?name=value&... Pure; any thread.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace zef::store {

struct StoreUrl {
  std::string bucket;
  std::string prefix;  // "" or ends with '/': joined with keys as it is
  std::map<std::string, std::string, std::less<>> parameters;

  // "" if the parameter is not there.
  [[nodiscard]] std::string value(std::string_view name) const;
};

// Refuses names that are not `known`, with the list of those that are, and anything that looks like credentials: they
// never stand in a URL, which is logged and seen in process lists.
[[nodiscard]] Result<StoreUrl> parse_store_url(std::string_view url, std::span<const std::string_view> known);

// The value of a parameter that is one of two words; `otherwise` if it is not there.
[[nodiscard]] Result<bool> choice(const StoreUrl& url, std::string_view name, std::string_view yes, std::string_view no,
                                  bool otherwise);

// Nothing if it can be the beginning of a server's URL: http:// or https://, a host, perhaps a port, a path only if
// `path_allowed`.
[[nodiscard]] Result<void> check_endpoint(std::string_view endpoint, bool path_allowed);

}  // namespace zef::store
