// A store that passes everything on: what a test wants otherwise, it overrides.
#pragma once

#include <utility>

#include "store/object_store.h"

namespace zef::store::testing {

class ForwardingStore : public ObjectStore {
 public:
  explicit ForwardingStore(ObjectStore& inner) : inner_(inner) {}  // which outlives this

  Task<StoreResult<PutIfAbsent>> put_if_absent(std::string key, Content bytes) override {
    return inner_.put_if_absent(std::move(key), std::move(bytes));
  }
  Task<StoreResult<PutIfMatch>> put_if_match(std::string key, Content bytes, Tag tag) override {
    return inner_.put_if_match(std::move(key), std::move(bytes), std::move(tag));
  }
  Task<StoreResult<std::optional<Object>>> get(std::string key, std::optional<Range> range = std::nullopt) override {
    return inner_.get(std::move(key), range);
  }
  Task<StoreResult<std::monostate>> del(std::string key) override { return inner_.del(std::move(key)); }
  Task<StoreResult<std::vector<std::string>>> list(std::string prefix, std::string start_after,
                                                   std::size_t limit) override {
    return inner_.list(std::move(prefix), std::move(start_after), limit);
  }

 private:
  ObjectStore& inner_;
};

}  // namespace zef::store::testing
