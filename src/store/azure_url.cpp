// From URLs, the environment and files to the options of the Azure provider.

#include <fmt/core.h>

#include <array>

#include "crypto/private_file.h"
#include "store/azure_store.h"
#include "store/signing.h"
#include "store/store_url.h"

namespace zef::store {
namespace {

constexpr std::array<std::string_view, 4> settings{"account", "endpoint", "ca", "key_file"};
constexpr std::size_t key_file_max = 4096;

struct Parsed {
  AzureOptions options;
  std::string key_file;
};

Result<Parsed> parse(std::string_view url) {
  const auto parsed = parse_store_url(url, settings);
  if (!parsed) return std::unexpected(parsed.error());
  Parsed out;
  out.options.container = parsed->bucket;
  out.options.prefix = parsed->prefix;
  out.options.account = parsed->value("account");
  if (out.options.account.empty() ||
      out.options.account.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789") != std::string::npos)
    return fail(ErrorKind::invalid_input,
                "store URL: account=... names the storage account, of small letters and digits");
  out.options.endpoint = parsed->value("endpoint");
  if (out.options.endpoint.empty()) {
    out.options.endpoint = fmt::format("https://{}.blob.core.windows.net", out.options.account);
  } else if (auto good = check_endpoint(out.options.endpoint, true); !good) {
    return std::unexpected(std::move(good.error()));
  }
  out.options.ca_file = parsed->value("ca");
  out.key_file = parsed->value("key_file");
  return out;
}

}  // namespace

Result<void> check_azure_url(std::string_view url) {
  if (auto parsed = parse(url); !parsed) return std::unexpected(std::move(parsed.error()));
  return {};
}

Result<AzureOptions> parse_azure_url(std::string_view url, const Environment& environment) {
  auto parsed = parse(url);
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  AzureOptions& out = parsed->options;
  std::string key = environment("AZURE_STORAGE_KEY");
  if (!parsed->key_file.empty()) {
    const auto file = crypto::read_private_file(parsed->key_file, key_file_max);
    if (!file) return std::unexpected(file.error());
    key = as_text(file->view());
    while (key.ends_with('\n') || key.ends_with('\r')) key.pop_back();
  }
  out.sas_token = environment("AZURE_STORAGE_SAS_TOKEN");
  if (out.sas_token.starts_with('?')) out.sas_token.erase(0, 1);
  if (key.empty() && out.sas_token.empty())
    return fail(
        ErrorKind::invalid_input,
        fmt::format("no credentials for storage account {}: set AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, or "
                    "name a file with the key by key_file=... in the URL",
                    out.account));
  if (key.empty()) return std::move(out);
  auto raw = from_base64(key);
  if (!raw) return fail(ErrorKind::invalid_input, "the Azure storage key is not base64; copy it again from the portal");
  out.key = std::move(*raw);
  return std::move(out);
}

}  // namespace zef::store
