// The file provider: an object store in a local folder, the embedded default. See file_folder.h for the layout, for why
// several processes may share a folder, and for what survives what.
//
// Thread rule: the store and its tasks belong to one executor; disk calls run on `threads` threads of its own and their
// outcomes are posted. The store may be destroyed with work under way: it waits for the disk calls that have started,
// and tasks that still wait are never resumed (their owner drops them). The executor must outlive the store.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "base/executor.h"
#include "base/result.h"
#include "store/file_folder.h"
#include "store/object_store.h"

namespace zef::store {

struct FileOptions : FolderOptions {
  std::size_t threads = 4;
  std::size_t queue_max = 4096;  // waiting calls; more are `throttled`
};

[[nodiscard]] Result<std::unique_ptr<ObjectStore>> make_file_store(Executor& executor, const std::string& path,
                                                                   FileOptions options = {});

}  // namespace zef::store
