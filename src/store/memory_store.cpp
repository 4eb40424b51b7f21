#include "store/memory_store.h"

#include <algorithm>
#include <utility>

#include "store/keys.h"

namespace zef::store {
namespace {

Tag tag_of(std::uint64_t version) { return {std::to_string(version)}; }

class MemoryStore final : public ObjectStore {
 public:
  MemoryStore(Executor& executor, std::shared_ptr<MemoryState> state, MemoryOptions options)
      : executor_(executor), state_(std::move(state)), options_(options) {}
  ~MemoryStore() override { *alive_ = false; }

  Task<StoreResult<PutIfAbsent>> put_if_absent(std::string key, Content bytes) override {
    co_return co_await reply(state_->put_if_absent(key, std::move(bytes)));
  }
  Task<StoreResult<PutIfMatch>> put_if_match(std::string key, Content bytes, Tag tag) override {
    co_return co_await reply(state_->put_if_match(key, std::move(bytes), tag));
  }
  Task<StoreResult<std::optional<Object>>> get(std::string key, std::optional<Range> range) override {
    co_return co_await reply(state_->get(key, range));
  }
  Task<StoreResult<std::monostate>> del(std::string key) override { co_return co_await reply(state_->del(key)); }
  Task<StoreResult<std::vector<std::string>>> list(std::string prefix, std::string start_after,
                                                   std::size_t limit) override {
    co_return co_await reply(state_->list(prefix, start_after, limit));
  }

 private:
  // Called when the task runs: one that is never awaited has no effect.
  template <class Outcome>
  Task<Outcome> reply(Outcome outcome) {
    if (options_.immediate) co_return std::move(outcome);
    co_return co_await from_callback<Outcome>([this, &outcome](auto done) {
      executor_.post([done = std::move(done), outcome = std::move(outcome), alive = alive_]() mutable {
        if (*alive) done(std::move(outcome));
      });
    });
  }

  Executor& executor_;
  std::shared_ptr<MemoryState> state_;
  MemoryOptions options_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

StoreResult<PutIfAbsent> MemoryState::put_if_absent(const std::string& key, Content bytes) {
  if (auto bad = check_key(key)) return std::unexpected(std::move(*bad));
  const std::lock_guard lock(mutex_);
  const auto [entry, added] = objects_.try_emplace(key, Entry{std::move(bytes), last_version_ + 1});
  if (!added) return Exists{};
  return Created{tag_of(++last_version_)};
}

StoreResult<PutIfMatch> MemoryState::put_if_match(const std::string& key, Content bytes, const Tag& tag) {
  if (auto bad = check_key(key)) return std::unexpected(std::move(*bad));
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(key);
  if (found == objects_.end() || tag_of(found->second.version) != tag) return Mismatch{};
  found->second = {std::move(bytes), ++last_version_};
  return Updated{tag_of(last_version_)};
}

StoreResult<std::optional<Object>> MemoryState::get(const std::string& key, std::optional<Range> range) const {
  if (auto bad = check_key(key)) return std::unexpected(std::move(*bad));
  Entry entry;
  {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(key);
    if (found == objects_.end()) return std::nullopt;
    entry = found->second;
  }
  const ByteView whole(*entry.bytes);
  const std::uint64_t from = range ? std::min<std::uint64_t>(range->from, whole.size()) : 0;
  const std::uint64_t length = std::min<std::uint64_t>(range ? range->length : whole.size(), whole.size() - from);
  return Object{to_bytes(whole.subspan(from, length)), tag_of(entry.version)};
}

StoreResult<std::monostate> MemoryState::del(const std::string& key) {
  if (auto bad = check_key(key)) return std::unexpected(std::move(*bad));
  const std::lock_guard lock(mutex_);
  objects_.erase(key);
  return std::monostate{};
}

StoreResult<std::vector<std::string>> MemoryState::list(const std::string& prefix, const std::string& start_after,
                                                        std::size_t limit) const {
  if (auto bad = check_key_prefix(prefix)) return std::unexpected(std::move(*bad));
  std::vector<std::string> keys;
  const std::lock_guard lock(mutex_);
  auto at = start_after < prefix ? objects_.lower_bound(prefix) : objects_.upper_bound(start_after);
  for (; at != objects_.end() && keys.size() < limit && at->first.starts_with(prefix); ++at) keys.push_back(at->first);
  return keys;
}

std::size_t MemoryState::object_count() const {
  const std::lock_guard lock(mutex_);
  return objects_.size();
}

std::uint64_t MemoryState::byte_count() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t sum = 0;
  for (const auto& [key, entry] : objects_) sum += entry.bytes->size();
  return sum;
}

void MemoryState::damage(const std::string& key, Bytes bytes) {
  const std::lock_guard lock(mutex_);
  if (const auto found = objects_.find(key); found != objects_.end()) found->second.bytes = content(std::move(bytes));
}

std::unique_ptr<ObjectStore> make_memory_store(Executor& executor, std::shared_ptr<MemoryState> state,
                                               MemoryOptions options) {
  return std::make_unique<MemoryStore>(executor, std::move(state), options);
}

}  // namespace zef::store
