// From a URL of the configuration to a store.
//
//   file:///absolute/path                a local folder (file_store.h)
//   memory:                              a bucket that ends with the process (memory_store.h)
//   s3://bucket/prefix?settings          Amazon S3 and those who speak its protocol (s3_store.h)
//   azure://container/prefix?settings    Azure blobs (azure_store.h)
//   gcs://bucket/prefix?settings         Google Cloud Storage (s3_store.h)
//
// Thread rule: the store belongs to `executor`, which must outlive it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/executor.h"
#include "base/result.h"
#include "store/file_store.h"
#include "store/memory_store.h"
#include "store/object_store.h"

namespace zef::store {

struct OpenOptions {
  FileOptions file;
  // What "memory:" opens; nothing: a new, empty bucket.
  std::shared_ptr<MemoryState> memory;
};

[[nodiscard]] Result<std::unique_ptr<ObjectStore>> open_store(Executor& executor, std::string_view url,
                                                              const OpenOptions& options = {});

// Without opening anything: nothing if the URL is well-formed, else the error that open_store would give.
[[nodiscard]] Result<void> check_store_url(std::string_view url);

// The URL of a part of the store: "s3://bucket/all?region=x" and "one" make "s3://bucket/all/one?region=x".
[[nodiscard]] std::string part_of_store(std::string_view url, std::string_view part);

// Over a network: worth hedging.
[[nodiscard]] bool is_remote_store(std::string_view url);

}  // namespace zef::store
