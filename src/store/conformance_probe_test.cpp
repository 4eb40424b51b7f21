#include "store/conformance_probe.h"

#include <gtest/gtest.h>

#include <memory>

#include "base/testing/manual_executor.h"
#include "base/testing/seeded_rng.h"
#include "store/errors.h"
#include "store/faulty_store.h"
#include "store/memory_store.h"

namespace zef::store {
namespace {

using testing::ManualExecutor;
using testing::SeededRng;

// What it does not do right.
struct Lies {
  bool creates_over = false;      // put_if_absent ignores its condition
  bool replaces_stale = false;    // put_if_match ignores its condition when something is there
  bool replaces_nothing = false;  // put_if_match creates
  bool reads_old = false;         // a read gives the first version for ever
};

// A look-alike that takes conditions and ignores them.
class LyingStore final : public ObjectStore {
 public:
  LyingStore(Executor& executor, Lies lies) : inner_(make_memory_store(executor, state_)), lies_(lies) {}

  Task<StoreResult<PutIfAbsent>> put_if_absent(std::string key, Content bytes) override {
    auto outcome = co_await inner_->put_if_absent(key, bytes);
    if (!lies_.creates_over || !outcome || std::holds_alternative<Created>(*outcome)) co_return outcome;
    for (;;) {
      const auto now = co_await inner_->get(key);
      const auto over = co_await inner_->put_if_match(key, bytes, (*now)->tag);
      if (const auto* updated = std::get_if<Updated>(&*over)) co_return Created{updated->tag};
    }
  }
  Task<StoreResult<PutIfMatch>> put_if_match(std::string key, Content bytes, Tag tag) override {
    const auto now = co_await inner_->get(key);
    if (!*now && lies_.replaces_nothing)
      co_return Updated{std::get<Created>(*co_await inner_->put_if_absent(key, bytes)).tag};
    if (*now && lies_.reads_old && !old_) old_ = **now;
    co_return co_await inner_->put_if_match(key, bytes, *now && lies_.replaces_stale ? (*now)->tag : tag);
  }
  Task<StoreResult<std::optional<Object>>> get(std::string key, std::optional<Range> range) override {
    if (old_) co_return old_;
    co_return co_await inner_->get(key, range);
  }
  Task<StoreResult<std::monostate>> del(std::string key) override { return inner_->del(key); }
  Task<StoreResult<std::vector<std::string>>> list(std::string prefix, std::string start_after,
                                                   std::size_t limit) override {
    return inner_->list(prefix, start_after, limit);
  }
  [[nodiscard]] std::size_t object_count() const { return state_->object_count(); }

 private:
  std::shared_ptr<MemoryState> state_ = std::make_shared<MemoryState>();
  std::unique_ptr<ObjectStore> inner_;
  Lies lies_;
  std::optional<Object> old_;
};

TEST(ConformanceProbe, accepts_a_store_that_keeps_its_promises) {
  ManualExecutor executor;
  SeededRng rng(1);
  LyingStore store(executor, {});
  EXPECT_TRUE(executor.run_until(probe(store, executor, rng, "p/")).has_value());
  EXPECT_EQ(store.object_count(), 0U);
}

TEST(ConformanceProbe, refuses_a_store_that_ignores_conditions) {
  for (const Lies lies : {Lies{.creates_over = true}, Lies{.replaces_stale = true}, Lies{.replaces_nothing = true},
                          Lies{.reads_old = true}, Lies{.creates_over = true, .replaces_stale = true}}) {
    ManualExecutor executor;
    SeededRng rng(1);
    LyingStore store(executor, lies);
    const auto outcome = executor.run_until(probe(store, executor, rng, "p/"));
    ASSERT_FALSE(outcome.has_value());
    EXPECT_EQ(outcome.error().kind, ErrorKind::refused);
    EXPECT_TRUE(
        outcome.error().message.starts_with("the store ignores conditional writes; votes would not be safe on it"))
        << outcome.error().message;
    EXPECT_EQ(store.object_count(), 0U);
  }
}

TEST(ConformanceProbe, does_not_judge_a_store_that_does_not_answer) {
  ManualExecutor executor;
  SeededRng rng(1);
  FaultyStore store(make_memory_store(executor), executor, rng);
  store.fail_all(StoreError{StoreErrorKind::unavailable, "connection refused"});
  const auto down = executor.run_until(probe(store, executor, rng, "p/"));
  EXPECT_EQ(down.error().kind, ErrorKind::unavailable);
  EXPECT_EQ(down.error().message, "could not check the store: connection refused");
  store.fail_all(StoreError{StoreErrorKind::denied, "the disk is full"});
  EXPECT_EQ(executor.run_until(probe(store, executor, rng, "p/")).error().kind, ErrorKind::io);
}

}  // namespace
}  // namespace zef::store
