#include "store/retrying_store.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>

#include "base/testing/manual_executor.h"
#include "base/testing/seeded_rng.h"
#include "store/errors.h"
#include "store/faulty_store.h"
#include "store/memory_store.h"

namespace zef::store {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ManualExecutor;
using testing::SeededRng;

// Answers what a test wrote down, one step a request; then as the memory store does.
class ScriptedStore final : public ObjectStore {
 public:
  enum class Step { pass, lost_before, lost_after, throttled, unavailable, denied };

  explicit ScriptedStore(Executor& executor) : inner_(make_memory_store(executor)) {}
  void script(std::initializer_list<Step> steps) { steps_.assign(steps); }
  // Runs before the request of the given number (from 0).
  void before(std::size_t request, std::function<Task<void>(ObjectStore&)> act) { acts_[request] = std::move(act); }
  [[nodiscard]] std::size_t requests() const { return requests_; }
  ObjectStore& inner() { return *inner_; }

  Task<StoreResult<PutIfAbsent>> put_if_absent(std::string key, Content bytes) override {
    return play<PutIfAbsent>([this, key, bytes] { return inner_->put_if_absent(key, bytes); });
  }
  Task<StoreResult<PutIfMatch>> put_if_match(std::string key, Content bytes, Tag tag) override {
    return play<PutIfMatch>([this, key, bytes, tag] { return inner_->put_if_match(key, bytes, tag); });
  }
  Task<StoreResult<std::optional<Object>>> get(std::string key, std::optional<Range> range) override {
    return play<std::optional<Object>>([this, key, range] { return inner_->get(key, range); });
  }
  Task<StoreResult<std::monostate>> del(std::string key) override {
    return play<std::monostate>([this, key] { return inner_->del(key); });
  }
  Task<StoreResult<std::vector<std::string>>> list(std::string prefix, std::string start_after,
                                                   std::size_t limit) override {
    return play<std::vector<std::string>>(
        [this, prefix, start_after, limit] { return inner_->list(prefix, start_after, limit); });
  }

 private:
  template <class T, class Start>
  Task<StoreResult<T>> play(Start start) {
    if (const auto act = acts_.find(requests_++); act != acts_.end()) co_await act->second(*inner_);
    Step step = Step::pass;
    if (!steps_.empty()) {
      step = steps_.front();
      steps_.pop_front();
    }
    switch (step) {
      case Step::pass: co_return co_await start();
      case Step::lost_after: (void)co_await start(); break;
      case Step::lost_before: break;
      case Step::throttled: co_return store_fail(StoreErrorKind::throttled, "slow down");
      case Step::unavailable: co_return store_fail(StoreErrorKind::unavailable, "nobody there");
      case Step::denied: co_return store_fail(StoreErrorKind::denied, "no");
    }
    co_return store_fail(StoreErrorKind::ambiguous, "no answer");
  }

  std::unique_ptr<ObjectStore> inner_;
  std::deque<Step> steps_;
  std::map<std::size_t, std::function<Task<void>(ObjectStore&)>> acts_;
  std::size_t requests_ = 0;
};

using Step = ScriptedStore::Step;

Task<void> somebody_creates(ObjectStore& store) {
  (void)co_await store.put_if_absent("key", content(to_bytes("theirs")));
}
Task<void> somebody_deletes(ObjectStore& store) { (void)co_await store.del("key"); }
Task<void> somebody_replaces(ObjectStore& store) {
  const auto now = co_await store.get("key");
  (void)co_await store.put_if_match("key", content(to_bytes("theirs")), (*now)->tag);
}

class Resolver : public ::testing::Test {
 protected:
  StoreResult<PutIfAbsent> create(std::string_view text = "ours") {
    return executor_.run_until(store_.put_if_absent("key", content(to_bytes(text))));
  }
  StoreResult<PutIfMatch> replace(Tag tag, std::string_view text = "ours") {
    return executor_.run_until(store_.put_if_match("key", content(to_bytes(text)), std::move(tag)));
  }
  std::optional<Object> now() { return executor_.run_until(scripted_.inner().get("key")).value(); }
  Tag first() {
    return std::get<Created>(*executor_.run_until(scripted_.inner().put_if_absent("key", content(to_bytes("old")))))
        .tag;
  }

  ManualExecutor executor_;
  SeededRng rng_{3};
  ScriptedStore scripted_{executor_};
  RetryingStore store_{scripted_, executor_, rng_};
};

TEST_F(Resolver, tries_again_when_nothing_happened) {
  scripted_.script({Step::throttled, Step::unavailable, Step::throttled, Step::pass});
  EXPECT_TRUE(std::holds_alternative<Created>(create().value()));
  EXPECT_EQ(scripted_.requests(), 4U);
  EXPECT_EQ(store_.retries(), 3U);
}

TEST_F(Resolver, a_creation_whose_answer_was_lost_is_ours) {
  scripted_.script({Step::lost_after});
  const auto outcome = create().value();
  ASSERT_TRUE(std::holds_alternative<Created>(outcome));
  EXPECT_EQ(std::get<Created>(outcome).tag, now()->tag);
}

TEST_F(Resolver, a_creation_that_was_lost_is_sent_again) {
  scripted_.script({Step::lost_before, Step::lost_before});
  EXPECT_TRUE(std::holds_alternative<Created>(create().value()));
  EXPECT_EQ(now()->bytes, to_bytes("ours"));
}

TEST_F(Resolver, a_creation_that_lost_to_another_says_exists) {
  scripted_.script({Step::lost_before});
  scripted_.before(1, somebody_creates);
  EXPECT_TRUE(std::holds_alternative<Exists>(create().value()));
  EXPECT_EQ(now()->bytes, to_bytes("theirs"));
}

TEST_F(Resolver, equal_bytes_are_not_ours_if_no_try_was_ambiguous) {
  ASSERT_TRUE(std::holds_alternative<Created>(create().value()));
  scripted_.script({Step::throttled});
  EXPECT_TRUE(std::holds_alternative<Exists>(create().value()));
}

TEST_F(Resolver, nothing_there_after_exists_is_not_final) {
  scripted_.script({Step::lost_after});
  scripted_.before(2, somebody_deletes);  // between Exists (1) and the read (2)
  EXPECT_TRUE(std::holds_alternative<Created>(create().value()));
  EXPECT_EQ(now()->bytes, to_bytes("ours"));
}

TEST_F(Resolver, a_denied_try_after_an_ambiguous_one_stays_ambiguous) {
  scripted_.script({Step::lost_before, Step::denied});
  EXPECT_EQ(create().error().kind, StoreErrorKind::ambiguous);
  scripted_.script({Step::denied});
  EXPECT_EQ(create().error().kind, StoreErrorKind::denied);
}

TEST_F(Resolver, a_replacement_whose_answer_was_lost_is_ours) {
  const Tag tag = first();
  scripted_.script({Step::lost_after, Step::lost_before, Step::throttled});
  const auto outcome = replace(tag).value();
  ASSERT_TRUE(std::holds_alternative<Updated>(outcome));
  EXPECT_EQ(std::get<Updated>(outcome).tag, now()->tag);
}

TEST_F(Resolver, a_replacement_that_was_lost_is_sent_again) {
  const Tag tag = first();
  scripted_.script({Step::lost_before});
  EXPECT_TRUE(std::holds_alternative<Updated>(replace(tag).value()));
  EXPECT_EQ(now()->bytes, to_bytes("ours"));
  EXPECT_EQ(scripted_.requests(), 3U);  // the lost one, a read, the second
}

TEST_F(Resolver, a_replacement_that_lost_to_another_says_mismatch) {
  const Tag tag = first();
  scripted_.script({Step::lost_before});
  scripted_.before(1, somebody_replaces);
  EXPECT_TRUE(std::holds_alternative<Mismatch>(replace(tag).value()));
  EXPECT_EQ(now()->bytes, to_bytes("theirs"));
}

TEST_F(Resolver, a_replacement_of_what_went_away_says_mismatch) {
  const Tag tag = first();
  scripted_.script({Step::lost_before});
  scripted_.before(1, somebody_deletes);
  EXPECT_TRUE(std::holds_alternative<Mismatch>(replace(tag).value()));
}

TEST(RetryingStore, gives_up_at_the_deadline_and_says_what_is_known) {
  for (const bool ambiguous : {false, true}) {
    ManualExecutor executor;
    SeededRng rng(4);
    FaultyStore faulty(make_memory_store(executor), executor, rng,
                       ambiguous ? FaultPlan{.lost_before = 1000} : FaultPlan{.throttled = 1000});
    RetryOptions options;
    options.put.deadline = seconds(30);
    options.get.deadline = seconds(30);
    RetryingStore store(faulty, executor, rng, options);
    const auto write = executor.run_until(store.put_if_absent("key", content(to_bytes("x"))));
    EXPECT_EQ(write.error().kind, ambiguous ? StoreErrorKind::ambiguous : StoreErrorKind::throttled);
    EXPECT_LE(executor.now().time_since_epoch(), seconds(30));
    EXPECT_GE(executor.now().time_since_epoch(), seconds(20));
    EXPECT_FALSE(executor.run_until(store.get("key")).has_value());
  }
}

TEST(RetryingStore, ends_at_once_when_denied) {
  ManualExecutor executor;
  SeededRng rng(4);
  FaultyStore faulty(make_memory_store(executor), executor, rng);
  RetryingStore store(faulty, executor, rng);
  faulty.fail_all(StoreError{StoreErrorKind::denied, "the disk is full"});
  EXPECT_EQ(executor.run_until(store.put_if_absent("key", content({}))).error().message, "the disk is full");
  EXPECT_EQ(executor.run_until(store.get("key")).error().kind, StoreErrorKind::denied);
  EXPECT_EQ(executor.now().time_since_epoch(), Duration::zero());
  faulty.fail_all(std::nullopt);
  EXPECT_TRUE(executor.run_until(store.put_if_absent("key", content({}))).has_value());
}

TEST(RetryingStore, without_budget_it_waits_the_full_delay) {
  ManualExecutor executor;
  SeededRng rng(5);
  FaultyStore faulty(make_memory_store(executor), executor, rng, FaultPlan{.throttled = 1000});
  RetryOptions options;
  options.budget_max = 3;
  options.get = {.delay_first = milliseconds(1), .delay_max = seconds(10), .deadline = seconds(1)};
  RetryingStore store(faulty, executor, rng, options);
  EXPECT_FALSE(executor.run_until(store.get("key")).has_value());
  EXPECT_EQ(store.retries(), 3U);  // after that the pause of at least 5 s would pass the deadline
}

TEST(RetryingStore, pauses_grow_and_differ) {
  ManualExecutor executor;
  SeededRng rng(6);
  FaultyStore faulty(make_memory_store(executor), executor, rng, FaultPlan{.unavailable = 1000});
  RetryOptions options;
  options.get = {.delay_first = milliseconds(10), .delay_max = seconds(1), .deadline = seconds(60)};
  RetryingStore store(faulty, executor, rng, options);
  (void)executor.run_until(store.get("key"));
  EXPECT_GT(store.retries(), 60U);   // at most 1 s each
  EXPECT_LT(store.retries(), 140U);  // at least 0.5 s each but for the first few
}

// ---- Many seeds: clients with retries over faults over one bucket.

struct Client {
  std::unique_ptr<FaultyStore> faulty;
  std::unique_ptr<RetryingStore> store;

  Client(ManualExecutor& executor, Rng& rng, const std::shared_ptr<MemoryState>& state, const FaultPlan& plan,
         const RetryOptions& options)
      : faulty(std::make_unique<FaultyStore>(make_memory_store(executor, state), executor, rng, plan)),
        store(std::make_unique<RetryingStore>(*faulty, executor, rng, options)) {}
};

FaultPlan rough(SeededRng& rng) {
  const auto some = [&rng] { return static_cast<std::uint32_t>(rng.below(150)); };
  return {.lost_before = some(),
          .lost_after = some(),
          .late = some(),
          .throttled = some(),
          .unavailable = some(),
          .delay_max = milliseconds(rng.below(500)),
          .late_max = seconds(1 + rng.below(20))};
}

Task<void> create_into(ObjectStore& store, std::string text, std::vector<StoreResult<PutIfAbsent>>& out) {
  out.push_back(co_await store.put_if_absent("slot", content(to_bytes(text))));
}

TEST(ResolverOverSeeds, one_creation_wins_and_knows_it) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    ManualExecutor executor;
    SeededRng rng(seed);
    const auto state = std::make_shared<MemoryState>();
    const FaultPlan plan = rough(rng);
    std::vector<Client> clients;
    for (int i = 0; i < 5; ++i) clients.emplace_back(executor, rng, state, plan, RetryOptions{});
    std::vector<std::vector<StoreResult<PutIfAbsent>>> outcomes(clients.size());
    TaskScope scope;
    for (std::size_t i = 0; i < clients.size(); ++i)
      scope.spawn(create_into(*clients[i].store, fmt::format("client {}", i), outcomes[i]));
    executor.run_while_not([&] { return scope.running() == 0; });
    executor.advance(seconds(60));  // late writes land
    const Bytes there = state->get("slot", std::nullopt).value()->bytes;
    for (std::size_t i = 0; i < clients.size(); ++i) {
      ASSERT_TRUE(outcomes[i][0].has_value()) << "seed " << seed;
      const bool won = std::holds_alternative<Created>(*outcomes[i][0]);
      ASSERT_EQ(won, there == to_bytes(fmt::format("client {}", i))) << "seed " << seed;
    }
  }
}

TEST(ResolverOverSeeds, an_error_that_says_nothing_happened_is_true) {
  std::size_t given_up = 0;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    ManualExecutor executor;
    SeededRng rng(seed);
    const auto state = std::make_shared<MemoryState>();
    RetryOptions options;
    options.put.deadline = milliseconds(1 + rng.below(300));
    FaultPlan plan = rough(rng);
    plan.unavailable = 400;
    Client client(executor, rng, state, plan, options);
    const auto outcome = executor.run_until(client.store->put_if_absent("slot", content(to_bytes("x"))));
    executor.advance(seconds(60));
    const bool there = state->object_count() == 1;
    if (outcome) {
      ASSERT_TRUE(std::holds_alternative<Created>(*outcome) && there) << "seed " << seed;
    } else {
      ++given_up;
      if (outcome.error().kind != StoreErrorKind::ambiguous) ASSERT_FALSE(there) << "seed " << seed;
    }
  }
  EXPECT_GT(given_up, 20U);
}

// Appends each of its words to the one object, as everybody must: Mismatch is judged by what is read.
Task<void> append_words(ObjectStore& store, std::string name, int words, std::uint64_t seed) {
  for (int word = 0; word < words;) {
    const std::string mine = fmt::format("{}-{};", name, word);
    const auto now = co_await store.get("words");
    if (!now || !*now) {
      ADD_FAILURE() << "seed " << seed;
      co_return;
    }
    const std::string text((as_text((*now)->bytes)));
    if (text.find(mine) != std::string::npos) {
      ++word;
      continue;
    }
    const auto outcome = co_await store.put_if_match("words", content(to_bytes(text + mine)), (*now)->tag);
    if (!outcome) {
      ADD_FAILURE() << "seed " << seed << ": " << outcome.error().message;
      co_return;
    }
    if (std::holds_alternative<Updated>(*outcome)) ++word;
  }
}

TEST(ResolverOverSeeds, no_replacement_is_lost_or_done_twice) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    ManualExecutor executor;
    SeededRng rng(seed);
    const auto state = std::make_shared<MemoryState>();
    ASSERT_TRUE(state->put_if_absent("words", content(to_bytes(";"))).has_value());
    const FaultPlan plan = rough(rng);
    std::vector<Client> clients;
    for (int i = 0; i < 3; ++i) clients.emplace_back(executor, rng, state, plan, RetryOptions{});
    TaskScope scope;
    for (std::size_t i = 0; i < clients.size(); ++i)
      scope.spawn(append_words(*clients[i].store, fmt::format("w{}", i), 5, seed));
    executor.run_while_not([&] { return scope.running() == 0; });
    executor.advance(seconds(60));
    const std::string text(as_text(state->get("words", std::nullopt).value()->bytes));
    EXPECT_EQ(std::ranges::count(text, ';'), 16) << "seed " << seed << ": " << text;
    for (int client = 0; client < 3; ++client)
      for (int word = 0; word < 5; ++word)
        EXPECT_NE(text.find(fmt::format(";w{}-{};", client, word)), std::string::npos) << "seed " << seed;
  }
}

TEST(ResolverOverSeeds, the_same_seed_gives_the_same_run) {
  std::vector<Duration> ends;
  for (int run = 0; run < 2; ++run) {
    ManualExecutor executor;
    SeededRng rng(77);
    const auto state = std::make_shared<MemoryState>();
    ASSERT_TRUE(state->put_if_absent("words", content(to_bytes(";"))).has_value());
    Client client(executor, rng, state, FaultPlan{.lost_after = 200, .late = 200, .delay_max = seconds(1)}, {});
    executor.run_until(append_words(*client.store, "w", 10, 77));
    ends.push_back(executor.now().time_since_epoch());
  }
  EXPECT_EQ(ends[0], ends[1]);
}

}  // namespace
}  // namespace zef::store
