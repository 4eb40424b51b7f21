// A part of a store as a store of its own: every key gets a prefix, and list() gives keys without it.
//
// Thread rule: that of the store inside. Tasks must end, or be dropped, before the wrapper.
#pragma once

#include <string>

#include "store/object_store.h"
#include "store/store_ref.h"

namespace zef::store {

class PrefixedStore final : public ObjectStore {
 public:
  // `prefix` is joined as it is: "net/v0/" makes a folder.
  PrefixedStore(StoreRef inner, std::string prefix) : inner_(std::move(inner)), prefix_(std::move(prefix)) {}

  Task<StoreResult<PutIfAbsent>> put_if_absent(std::string key, Content bytes) override;
  Task<StoreResult<PutIfMatch>> put_if_match(std::string key, Content bytes, Tag tag) override;
  Task<StoreResult<std::optional<Object>>> get(std::string key, std::optional<Range> range = std::nullopt) override;
  Task<StoreResult<std::monostate>> del(std::string key) override;
  Task<StoreResult<std::vector<std::string>>> list(std::string prefix, std::string start_after,
                                                   std::size_t limit) override;
  Task<StoreResult<std::monostate>> check_settings() override;

 private:
  StoreRef inner_;
  std::string prefix_;
};

}  // namespace zef::store
