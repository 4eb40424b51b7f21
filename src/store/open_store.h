// From a URL of the configuration to a store.
//
//   file:///absolute/path   a local folder (file_store.h)
//   memory:                 a bucket that ends with the process (memory_store.h)
//   s3://..., azure://...   refused: not built in yet
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

// Without opening anything: nothing if open_store would take the URL, else the error it would give.
[[nodiscard]] Result<void> check_store_url(std::string_view url);

}  // namespace zef::store
