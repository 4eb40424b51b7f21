// What a wrapper wraps: a store that it owns, or one that outlives it.
#pragma once

#include <concepts>
#include <memory>
#include <utility>

#include "base/check.h"
#include "store/object_store.h"

namespace zef::store {

class StoreRef {
 public:
  StoreRef(ObjectStore& store) : store_(&store) {}  // NOLINT(google-explicit-constructor): reads well at the call
  template <std::derived_from<ObjectStore> Store>
  StoreRef(std::unique_ptr<Store> store)  // NOLINT(google-explicit-constructor)
      : owned_(std::move(store)), store_(owned_.get()) {
    ZEF_CHECK(store_ != nullptr);
  }
  ObjectStore* operator->() const { return store_; }
  ObjectStore& operator*() const { return *store_; }

 private:
  std::unique_ptr<ObjectStore> owned_;
  ObjectStore* store_;
};

}  // namespace zef::store
