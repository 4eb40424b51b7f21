// The store as a process sees it that is killed at its n-th request: that request happens or does not, and no answer
// comes to it nor to any later one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "store/object_store.h"

namespace zef::ledger::testing {

class CrashingStore final : public store::ObjectStore {
 public:
  CrashingStore(store::ObjectStore& inner, std::uint64_t crash_at, bool applied)
      : inner_(inner), crash_at_(crash_at), applied_(applied) {}

  // From now on, so many requests are still served.
  void crash_after(std::uint64_t requests) { crash_at_ = requests_ + requests; }
  [[nodiscard]] bool crashed() const { return crashed_; }
  [[nodiscard]] std::uint64_t requests() const { return requests_; }

  Task<store::StoreResult<store::PutIfAbsent>> put_if_absent(std::string key, store::Content bytes) override {
    return perhaps(inner_.put_if_absent(std::move(key), std::move(bytes)));
  }
  Task<store::StoreResult<store::PutIfMatch>> put_if_match(std::string key, store::Content bytes,
                                                           store::Tag tag) override {
    return perhaps(inner_.put_if_match(std::move(key), std::move(bytes), std::move(tag)));
  }
  Task<store::StoreResult<std::optional<store::Object>>> get(std::string key,
                                                             std::optional<store::Range> range) override {
    return perhaps(inner_.get(std::move(key), range));
  }
  Task<store::StoreResult<std::monostate>> del(std::string key) override { return perhaps(inner_.del(std::move(key))); }
  Task<store::StoreResult<std::vector<std::string>>> list(std::string prefix, std::string start_after,
                                                          std::size_t limit) override {
    return perhaps(inner_.list(std::move(prefix), std::move(start_after), limit));
  }

 private:
  template <class T>
  Task<T> perhaps(Task<T> request) {
    const std::uint64_t number = requests_++;
    const bool dead_before = crashed_;
    if (number == crash_at_) crashed_ = true;
    if (dead_before) co_return co_await nothing<T>();
    if (number == crash_at_ && !applied_) co_return co_await nothing<T>();
    T outcome = co_await std::move(request);
    if (crashed_) co_return co_await nothing<T>();
    co_return outcome;
  }
  template <class T>
  static auto nothing() {
    return from_callback<T>([](auto /*nobody will call it*/) {});
  }

  store::ObjectStore& inner_;
  std::uint64_t crash_at_;
  const bool applied_;
  bool crashed_ = false;
  std::uint64_t requests_ = 0;
};

}  // namespace zef::ledger::testing
