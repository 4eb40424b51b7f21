// What every store promises, run against each provider and each wrapper; and against real servers over the network
// where ZEF_TEST_STORES names some (tests/stores starts them).

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "base/testing/manual_executor.h"
#include "base/testing/seeded_rng.h"
#include "base/testing/temp_folder.h"
#include "net/loop.h"
#include "net/testing/loop_runner.h"
#include "store/conformance_probe.h"
#include "store/faulty_store.h"
#include "store/file_store.h"
#include "store/memory_store.h"
#include "store/metered_store.h"
#include "store/prefixed_store.h"
#include "store/retrying_store.h"
#include "store/testing/real_stores.h"

namespace zef::store {
namespace {

using zef::testing::ManualExecutor;
using zef::testing::SeededRng;

template <class T>
Task<void> keep(Task<T> task, std::optional<T>& out) {
  out = co_await std::move(task);
}

// What a store under test may stand on: virtual time, or a real loop for a store that answers from outside.
struct Ground {
  zef::testing::TempFolder folder;
  ManualExecutor manual;
  std::optional<net::Loop> loop;
  SeededRng rng{1};

  Executor& executor() { return loop ? static_cast<Executor&>(*loop) : manual; }
  template <class T>
  T run(Task<T> task) {
    if (!loop) return manual.run_until(std::move(task));
    std::optional<T> out;
    TaskScope scope;
    scope.spawn(keep(std::move(task), out));
    run_while_not([&out] { return out.has_value(); });
    return std::move(*out);
  }
  template <class Done>
  void run_while_not(Done done) {
    if (!loop) return manual.run_while_not(done);
    ZEF_CHECK(net::testing::turn_until(*loop, done));
  }

  std::unique_ptr<ObjectStore> file(bool fsync = true) {
    FileOptions options;
    options.fsync = fsync;
    auto store = make_file_store(executor(), folder / "bucket", options);
    EXPECT_TRUE(store.has_value());
    return std::move(*store);
  }
};

struct Kind {
  std::string name;
  std::function<std::unique_ptr<ObjectStore>(Ground&)> make;
};

std::vector<Kind> kinds() {
  return {
      {"memory", [](Ground& g) { return make_memory_store(g.executor()); }},
      {"memory_immediate",
       [](Ground& g) {
         return make_memory_store(g.executor(), std::make_shared<MemoryState>(), MemoryOptions{.immediate = true});
       }},
      {"file", [](Ground& g) { return g.file(); }},
      {"file_without_fsync", [](Ground& g) { return g.file(false); }},
      {"metered_file", [](Ground& g) { return std::make_unique<MeteredStore>(g.file(), g.executor()); }},
      {"prefixed_file", [](Ground& g) { return std::make_unique<PrefixedStore>(g.file(), "part/of.it-"); }},
      {"retrying_file", [](Ground& g) { return std::make_unique<RetryingStore>(g.file(), g.executor(), g.rng); }},
      {"faulty_memory_without_faults",
       [](Ground& g) { return std::make_unique<FaultyStore>(make_memory_store(g.executor()), g.executor(), g.rng); }},
      {"retrying_faulty_memory",
       [](Ground& g) {
         const FaultPlan plan{.lost_before = 50,
                              .lost_after = 50,
                              .late = 50,
                              .throttled = 50,
                              .unavailable = 50,
                              .delay_max = std::chrono::milliseconds(50)};
         return std::make_unique<RetryingStore>(
             std::make_unique<FaultyStore>(make_memory_store(g.executor()), g.executor(), g.rng, plan), g.executor(),
             g.rng);
       }},
  };
}

class Conformance : public ::testing::TestWithParam<Kind> {
 protected:
  StoreResult<PutIfAbsent> create(const std::string& key, std::string_view text) {
    return ground_.run(store_->put_if_absent(key, content(to_bytes(text))));
  }
  StoreResult<PutIfMatch> replace(const std::string& key, std::string_view text, Tag tag) {
    return ground_.run(store_->put_if_match(key, content(to_bytes(text)), std::move(tag)));
  }
  StoreResult<std::optional<Object>> get(const std::string& key, std::optional<Range> range = std::nullopt) {
    return ground_.run(store_->get(key, range));
  }
  std::string text(const std::string& key, std::optional<Range> range = std::nullopt) {
    const auto got = get(key, range);
    if (!got) return "error: " + got.error().message;
    return *got ? std::string(as_text((*got)->bytes)) : "nothing";
  }
  std::vector<std::string> list(const std::string& prefix, const std::string& after = "", std::size_t limit = 1000) {
    return ground_.run(store_->list(prefix, after, limit)).value();
  }
  bool del(const std::string& key) { return ground_.run(store_->del(key)).has_value(); }
  Tag created(const std::string& key, std::string_view bytes) {
    return std::get<Created>(create(key, bytes).value()).tag;
  }

  Ground ground_;
  std::unique_ptr<ObjectStore> store_ = GetParam().make(ground_);
};

TEST_P(Conformance, creates_only_what_is_absent) {
  EXPECT_TRUE(std::holds_alternative<Created>(create("a/key", "one").value()));
  EXPECT_TRUE(std::holds_alternative<Exists>(create("a/key", "two").value()));
  EXPECT_EQ(text("a/key"), "one");
}

TEST_P(Conformance, reads_nothing_where_nothing_is) {
  created("a/b/c", "x");
  EXPECT_EQ(text("absent"), "nothing");
  EXPECT_EQ(text("absent/too"), "nothing");
  EXPECT_EQ(text("a/b"), "nothing");
  EXPECT_EQ(text("a/b/c/d"), "nothing");
}

TEST_P(Conformance, replaces_only_the_version_that_was_named) {
  const Tag first = created("head", "one");
  EXPECT_EQ(get("head").value()->tag, first);
  const auto second = replace("head", "two", first).value();
  ASSERT_TRUE(std::holds_alternative<Updated>(second));
  EXPECT_EQ(get("head").value()->tag, std::get<Updated>(second).tag);
  EXPECT_TRUE(std::holds_alternative<Mismatch>(replace("head", "three", first).value()));
  EXPECT_EQ(text("head"), "two");
}

TEST_P(Conformance, replaces_nothing_where_nothing_is) {
  const Tag tag = created("head", "one");
  ASSERT_TRUE(del("head"));
  EXPECT_TRUE(std::holds_alternative<Mismatch>(replace("head", "two", tag).value()));
  EXPECT_TRUE(std::holds_alternative<Mismatch>(replace("never", "two", tag).value()));
  EXPECT_EQ(text("head"), "nothing");
  EXPECT_EQ(text("never"), "nothing");
}

TEST_P(Conformance, deletes_and_forgets) {
  created("gone", "one");
  EXPECT_TRUE(del("gone"));
  EXPECT_TRUE(del("gone"));
  EXPECT_TRUE(del("never/was"));
  EXPECT_EQ(text("gone"), "nothing");
  EXPECT_TRUE(std::holds_alternative<Created>(create("gone", "two").value()));
  EXPECT_EQ(text("gone"), "two");
}

TEST_P(Conformance, cuts_ranges_at_the_end) {
  const Tag tag = created("object", "0123456789");
  EXPECT_EQ(text("object", Range{2, 3}), "234");
  EXPECT_EQ(text("object", Range{8, 5}), "89");
  EXPECT_EQ(text("object", Range{10, 1}), "");
  EXPECT_EQ(text("object", Range{~std::uint64_t{0}, ~std::uint64_t{0}}), "");
  EXPECT_EQ(text("object", Range{0, ~std::uint64_t{0}}), "0123456789");
  EXPECT_EQ(get("object", Range{2, 3}).value()->tag, tag);
}

TEST_P(Conformance, keeps_empty_and_large_objects) {
  created("empty", "");
  EXPECT_EQ(text("empty"), "");
  std::string large(5'000'000, 'x');
  large[4'999'999] = 'y';
  created("large", large);
  EXPECT_TRUE(text("large") == large);
}

TEST_P(Conformance, lists_in_byte_order) {
  // '-' and '.' sort before '/', letters after it: a walk by folders must not change the order of whole keys.
  for (const char* key : {"log/2", "log-1", "log/10", "log.x/1", "logs", "log/a/b", "other"}) created(key, "x");
  const std::vector<std::string> all{"log-1", "log.x/1", "log/10", "log/2", "log/a/b", "logs", "other"};
  EXPECT_EQ(list(""), all);
  EXPECT_EQ(list("log/"), (std::vector<std::string>{"log/10", "log/2", "log/a/b"}));
  EXPECT_EQ(list("lo"), (std::vector<std::string>(all.begin(), all.end() - 1)));
  EXPECT_EQ(list("log/a"), std::vector<std::string>{"log/a/b"});
  EXPECT_EQ(list("log/none/"), std::vector<std::string>{});
  EXPECT_EQ(list("", "log/10"), (std::vector<std::string>{"log/2", "log/a/b", "logs", "other"}));
  EXPECT_EQ(list("log", "log/2", 1), std::vector<std::string>{"log/a/b"});
  EXPECT_EQ(list("", "", 2), (std::vector<std::string>{"log-1", "log.x/1"}));
  EXPECT_EQ(list("", "", 0), std::vector<std::string>{});
  std::vector<std::string> paged;
  for (auto page = list("", "", 3); !page.empty(); page = list("", paged.back(), 3))
    paged.insert(paged.end(), page.begin(), page.end());
  EXPECT_EQ(paged, all);
}

TEST_P(Conformance, rejects_bad_keys) {
  for (const std::string& key :
       {std::string(), std::string("/a"), std::string("a/"), std::string("a//b"), std::string("."),
        std::string("a/../b"), std::string(".."), std::string("a b"), std::string("a~"), std::string("caf\xc3\xa9"),
        std::string("nul\0x", 5), std::string(600, 'a'), std::string(256, 'a')}) {
    EXPECT_EQ(create(key, "x").error().kind, StoreErrorKind::invalid) << key;
    EXPECT_EQ(replace(key, "x", Tag{"t"}).error().kind, StoreErrorKind::invalid) << key;
    EXPECT_EQ(get(key).error().kind, StoreErrorKind::invalid) << key;
    EXPECT_EQ(ground_.run(store_->del(key)).error().kind, StoreErrorKind::invalid) << key;
  }
  EXPECT_TRUE(list("").empty());
}

Task<void> note(Task<StoreResult<PutIfAbsent>> call, int& created, int& existing) {
  const auto outcome = co_await std::move(call);
  if (outcome && std::holds_alternative<Created>(*outcome)) ++created;
  if (outcome && std::holds_alternative<Exists>(*outcome)) ++existing;
}

TEST_P(Conformance, one_of_32_racing_creations_wins) {
  for (int round = 0; round < 5; ++round) {
    int winners = 0;
    int losers = 0;
    TaskScope scope;
    for (int i = 0; i < 32; ++i)
      scope.spawn(note(store_->put_if_absent(fmt::format("race/{}", round), content(to_bytes(fmt::format("{}", i)))),
                       winners, losers));
    ground_.run_while_not([&] { return winners + losers == 32; });
    EXPECT_EQ(winners, 1);
  }
}

Task<void> note(Task<StoreResult<PutIfMatch>> call, int& updated, int& refused) {
  const auto outcome = co_await std::move(call);
  if (outcome && std::holds_alternative<Updated>(*outcome)) ++updated;
  if (outcome && std::holds_alternative<Mismatch>(*outcome)) ++refused;
}

TEST_P(Conformance, one_of_32_racing_replacements_wins) {
  Tag tag = created("race", "first");
  for (int round = 0; round < 5; ++round) {
    int winners = 0;
    int losers = 0;
    TaskScope scope;
    for (int i = 0; i < 32; ++i)
      scope.spawn(
          note(store_->put_if_match("race", content(to_bytes(fmt::format("{} {}", round, i))), tag), winners, losers));
    ground_.run_while_not([&] { return winners + losers == 32; });
    EXPECT_EQ(winners, 1);
    tag = get("race").value()->tag;
  }
}

TEST_P(Conformance, passes_the_probe_and_is_empty_after_it) {
  const auto outcome = ground_.run(probe(*store_, ground_.executor(), ground_.rng, "probe/"));
  EXPECT_TRUE(outcome.has_value()) << outcome.error().message;
  EXPECT_TRUE(list("").empty());
}

INSTANTIATE_TEST_SUITE_P(Stores, Conformance, ::testing::ValuesIn(kinds()),
                         [](const auto& info) { return info.param.name; });

std::vector<Kind> real_kinds() {
  std::vector<Kind> kinds;
  for (const testing::RealStore& real : testing::real_stores())
    kinds.push_back({real.name, [real](Ground& g) {
                       g.loop.emplace();
                       return std::make_unique<RetryingStore>(testing::open_real_store(*g.loop, real), *g.loop, g.rng);
                     }});
  return kinds;
}

INSTANTIATE_TEST_SUITE_P(RealStores, Conformance, ::testing::ValuesIn(real_kinds()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace zef::store
