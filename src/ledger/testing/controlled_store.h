// A store whose writes wait for the test: every put_if_absent is kept until the test says what becomes of it. The other
// calls go straight to the memory behind it.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/check.h"
#include "store/memory_store.h"

namespace zef::ledger::testing {

class ControlledStore final : public store::ObjectStore {
 public:
  using PutOutcome = store::StoreResult<store::PutIfAbsent>;
  struct Put {
    std::string key;
    store::Content bytes;
    std::move_only_function<void(PutOutcome)> reply;
  };

  explicit ControlledStore(Executor& executor) : inner_(store::make_memory_store(executor, state)) {}

  Task<PutOutcome> put_if_absent(std::string key, store::Content bytes) override {
    co_return co_await from_callback<PutOutcome>([this, &key, &bytes](auto reply) {
      puts.push_back({key, bytes, std::move(reply)});
      sent.emplace_back(key, bytes);
    });
  }
  Task<store::StoreResult<store::PutIfMatch>> put_if_match(std::string key, store::Content bytes,
                                                           store::Tag tag) override {
    return inner_->put_if_match(std::move(key), std::move(bytes), std::move(tag));
  }
  Task<store::StoreResult<std::optional<store::Object>>> get(std::string key,
                                                             std::optional<store::Range> range) override {
    ++gets;
    return inner_->get(std::move(key), range);
  }
  Task<store::StoreResult<std::monostate>> del(std::string key) override { return inner_->del(std::move(key)); }
  Task<store::StoreResult<std::vector<std::string>>> list(std::string prefix, std::string start_after,
                                                          std::size_t limit) override {
    return inner_->list(std::move(prefix), std::move(start_after), limit);
  }

  // The waiting put does what it says, and its writer learns of it.
  void finish(std::size_t index) {
    Put put = take(index);
    put.reply(state->put_if_absent(put.key, put.bytes));
  }
  // The writer learns this; `applied`: although it happened.
  void answer(std::size_t index, store::StoreError error, bool applied = false) {
    Put put = take(index);
    if (applied) (void)state->put_if_absent(put.key, put.bytes);
    put.reply(std::unexpected(std::move(error)));
  }

  std::shared_ptr<store::MemoryState> state = std::make_shared<store::MemoryState>();
  std::deque<Put> puts;                                      // waiting, oldest first
  std::vector<std::pair<std::string, store::Content>> sent;  // all, ever
  std::size_t gets = 0;

 private:
  Put take(std::size_t index) {
    ZEF_CHECK(index < puts.size());
    Put put = std::move(puts[index]);
    puts.erase(puts.begin() + static_cast<std::ptrdiff_t>(index));
    return put;
  }

  std::unique_ptr<store::ObjectStore> inner_;
};

}  // namespace zef::ledger::testing
