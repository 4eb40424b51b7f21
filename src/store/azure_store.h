// The Azure provider: block blobs of one container, with SharedKey or a shared access signature (SAS).
//
// put_if_absent is Put Blob with If-None-Match: *, put_if_match with If-Match and the ETag, which is new with every
// write.
//
// Thread rule: the store and its tasks belong to one executor, which must outlive it; see http/client.h.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/executor.h"
#include "base/result.h"
#include "store/credentials.h"
#include "store/http_errors.h"
#include "store/object_store.h"

namespace zef::store {

struct AzureOptions {
  std::string container;
  std::string prefix;  // "" or ends with '/'
  std::string account;
  std::string endpoint;  // "https://host", perhaps with a path
  std::string ca_file;
  Bytes key;              // of the account; empty: the SAS token is used
  std::string sas_token;  // a query, without '?'
  Duration total_timeout = std::chrono::seconds(20);
};

// From azure://..., with the key or token from the environment or a file; see docs/object-stores.md.
[[nodiscard]] Result<AzureOptions> parse_azure_url(std::string_view url,
                                                   const Environment& environment = process_environment());
// The same without asking for a key: for checks of URLs.
[[nodiscard]] Result<void> check_azure_url(std::string_view url);

[[nodiscard]] Result<std::unique_ptr<ObjectStore>> make_azure_store(Executor& executor, AzureOptions options);

// For answers that are no outcome of their own: which error it is, and what to do.
[[nodiscard]] StoreError azure_error(const Refusal& refusal, bool writes, const AzureOptions& options);

}  // namespace zef::store
