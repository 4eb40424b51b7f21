// Where the keys come from with which requests are signed: the environment, a file in the format of ~/.aws/credentials,
// or the metadata service of the machine (IMDSv2), whose keys expire and are renewed before they do.
//
// Thread rule: belongs to its executor, like the store that uses it. Tasks must end, or be dropped, before the source.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/executor.h"
#include "base/result.h"
#include "base/task.h"
#include "http/client.h"
#include "store/object_store.h"
#include "store/signing.h"

namespace zef::store {

// A variable of the environment; "" if it is not set.
using Environment = std::function<std::string(const std::string& name)>;
[[nodiscard]] Environment process_environment();

struct CredentialOptions {
  std::string variable_prefix = "AWS_";  // AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
  std::string profile;                   // of the file; if it is named, only the file is asked
  bool metadata_service = true;          // may be asked
  Environment environment = process_environment();
};

class CredentialSource {
 public:
  [[nodiscard]] static Result<std::unique_ptr<CredentialSource>> make(Executor& executor, CredentialOptions options);

  // `denied`, with what to do, if there are none; `unavailable` if the metadata service does not answer.
  [[nodiscard]] Task<StoreResult<SigningCredentials>> get();
  // The store says that these have expired: the next get() asks for new ones. False if there will be no others, or were
  // none the last time: whoever is to write them must be told.
  bool expired(const SigningCredentials& refused);

 private:
  CredentialSource(Executor& executor, CredentialOptions options, std::unique_ptr<http::Client> client);

  struct Found {
    SigningCredentials keys;
    std::optional<WallTime> expires;
  };

  [[nodiscard]] bool usable_for(Duration at_least) const;
  void begin_fetch();
  Task<void> fetch();
  [[nodiscard]] StoreResult<std::optional<Found>> from_environment() const;
  [[nodiscard]] StoreResult<std::optional<Found>> from_file() const;
  [[nodiscard]] std::string file_path() const;
  Task<StoreResult<Found>> from_metadata_service();
  Task<StoreResult<std::string>> ask(http::Method method, std::string path, http::Header header);

  Executor& executor_;
  const CredentialOptions options_;
  std::unique_ptr<http::Client> client_;
  std::optional<Found> found_;
  std::optional<SigningCredentials> refused_;
  std::optional<StoreError> trouble_;
  bool renewable_ = false;
  bool fetching_ = false;
  Event fetched_;
  TaskScope scope_;  // last: what runs in it uses all of the above
};

}  // namespace zef::store
