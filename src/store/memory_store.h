// The memory provider: a bucket that lives as long as its state; for tests, simulations and throw-away networks.
//
// Several stores, also of several executors and threads, may share one MemoryState: they are several workers on one
// bucket. A request takes effect when its task starts, atomically; its reply is posted to the store's executor.
//
// Thread rule: a store belongs to its executor, the state to everyone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/executor.h"
#include "store/object_store.h"

namespace zef::store {

class MemoryState {
 public:
  StoreResult<PutIfAbsent> put_if_absent(const std::string& key, Content bytes);
  StoreResult<PutIfMatch> put_if_match(const std::string& key, Content bytes, const Tag& tag);
  StoreResult<std::optional<Object>> get(const std::string& key, std::optional<Range> range) const;
  StoreResult<std::monostate> del(const std::string& key);
  StoreResult<std::vector<std::string>> list(const std::string& prefix, const std::string& start_after,
                                             std::size_t limit) const;

  [[nodiscard]] std::size_t object_count() const;
  // Sum of the sizes of all objects.
  [[nodiscard]] std::uint64_t byte_count() const;
  // For tests of damage: replaces the contents behind everyone's back; the tag stays.
  void damage(const std::string& key, Bytes bytes);

 private:
  struct Entry {
    Content bytes;
    std::uint64_t version;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Entry> objects_;
  std::uint64_t last_version_ = 0;  // of all objects together: a tag never comes back
};

struct MemoryOptions {
  bool immediate = false;  // replies come without a turn of the executor
};

[[nodiscard]] std::unique_ptr<ObjectStore> make_memory_store(
    Executor& executor, std::shared_ptr<MemoryState> state = std::make_shared<MemoryState>(),
    MemoryOptions options = {});

}  // namespace zef::store
