// The S3 provider: Amazon S3 and those who speak its protocol (Ceph's gateway is what it is tested on), and Google
// Cloud Storage by its XML interface, which differs in the names of the conditions and in what identifies a version.
//
// put_if_absent is a PUT with If-None-Match: *, put_if_match one with If-Match and the ETag; for Google both are
// x-goog-if-generation-match. ETags are hashes of the contents, so a tag identifies a version only among contents that
// never come back: what is changed by compare-and-set carries a nonce.
//
// Thread rule: the store and its tasks belong to one executor, which must outlive it; see http/client.h.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/executor.h"
#include "base/result.h"
#include "store/credentials.h"
#include "store/object_store.h"

namespace zef::store {

enum class S3Dialect { amazon, google };

struct S3Options {
  S3Dialect dialect = S3Dialect::amazon;
  std::string bucket;
  std::string prefix;      // "" or ends with '/'
  std::string endpoint;    // "https://host:port"
  bool of_amazon = false;  // the endpoint is Amazon's own, whose conditions hold on buckets with versions too
  std::string region = "us-east-1";
  bool virtual_host = false;  // the bucket stands in the name of the host, else at the beginning of the path
  bool quote_etags = true;
  bool checksum = true;  // x-amz-checksum-sha256: the store checks it and keeps it with the object
  bool requester_pays = false;
  std::string ca_file;
  Duration total_timeout = std::chrono::seconds(20);
  CredentialOptions credentials;
};

// From s3://... and gcs://..., checked in full; see docs/object-stores.md for the settings.
[[nodiscard]] Result<S3Options> parse_s3_url(std::string_view url,
                                             const Environment& environment = process_environment());
[[nodiscard]] Result<S3Options> parse_gcs_url(std::string_view url,
                                              const Environment& environment = process_environment());

[[nodiscard]] Result<std::unique_ptr<ObjectStore>> make_s3_store(Executor& executor, S3Options options);

}  // namespace zef::store
