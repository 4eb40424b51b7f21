// Reads objects in order with several GETs under way, so that a long log costs its bandwidth and not its round trips.
//
// Thread rule: one executor. Memory: at most `depth` objects. Destroy it from outside its own tasks, as any local of
// the coroutine that calls next() is.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/task.h"
#include "store/object_store.h"

namespace zef::ledger {

class ReadAhead {
 public:
  using Outcome = store::StoreResult<std::optional<store::Object>>;
  // Will read key_of(from), key_of(from + 1), ... up to key_of(end - 1); each whole, or its range only.
  ReadAhead(Executor& executor, store::ObjectStore& store, std::function<std::string(std::uint64_t)> key_of,
            std::uint64_t from, std::uint64_t end, std::size_t depth, std::optional<store::Range> range = std::nullopt);

  // The next one. Not to be called at the end.
  Task<Outcome> next();

 private:
  struct Get {
    std::optional<Outcome> outcome;
  };
  void fill();
  static Task<void> fetch(store::ObjectStore& store, std::string key, std::optional<store::Range> range,
                          std::shared_ptr<Get> get, Event& arrived);

  store::ObjectStore& store_;
  std::function<std::string(std::uint64_t)> key_of_;
  std::uint64_t next_;
  std::uint64_t end_;
  std::size_t depth_;
  std::optional<store::Range> range_;
  std::deque<std::shared_ptr<Get>> gets_;
  Event arrived_;
  TaskScope scope_;  // last: its tasks use the store and the event
};

}  // namespace zef::ledger
