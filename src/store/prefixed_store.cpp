#include "store/prefixed_store.h"

#include "store/keys.h"

namespace zef::store {
namespace {

template <class T>
Task<StoreResult<T>> refused(StoreError error) {
  co_return std::unexpected(std::move(error));
}

}  // namespace

// The caller's key is checked by itself: "" or "../x" must not become good because of the prefix.
Task<StoreResult<PutIfAbsent>> PrefixedStore::put_if_absent(std::string key, Content bytes) {
  if (auto bad = check_key(key)) return refused<PutIfAbsent>(std::move(*bad));
  return inner_->put_if_absent(prefix_ + key, std::move(bytes));
}

Task<StoreResult<PutIfMatch>> PrefixedStore::put_if_match(std::string key, Content bytes, Tag tag) {
  if (auto bad = check_key(key)) return refused<PutIfMatch>(std::move(*bad));
  return inner_->put_if_match(prefix_ + key, std::move(bytes), std::move(tag));
}

Task<StoreResult<std::optional<Object>>> PrefixedStore::get(std::string key, std::optional<Range> range) {
  if (auto bad = check_key(key)) return refused<std::optional<Object>>(std::move(*bad));
  return inner_->get(prefix_ + key, range);
}

Task<StoreResult<std::monostate>> PrefixedStore::del(std::string key) {
  if (auto bad = check_key(key)) return refused<std::monostate>(std::move(*bad));
  return inner_->del(prefix_ + key);
}

Task<StoreResult<std::vector<std::string>>> PrefixedStore::list(std::string prefix, std::string start_after,
                                                                std::size_t limit) {
  std::string after = start_after.empty() ? std::string() : prefix_ + start_after;
  auto keys = co_await inner_->list(prefix_ + prefix, std::move(after), limit);
  if (keys)
    for (std::string& key : *keys) key.erase(0, prefix_.size());
  co_return keys;
}

Task<StoreResult<std::monostate>> PrefixedStore::check_settings() { return inner_->check_settings(); }

}  // namespace zef::store
