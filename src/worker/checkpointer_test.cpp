// Checkpoints of whole workers: what a restart finds and replays, whenever they are taken and wherever a worker dies.
#include "worker/checkpointer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ledger/testing/crashing_store.h"
#include "worker/testing/test_validator.h"

namespace zef::worker {
namespace {

using namespace protocol;
using ledger::testing::CrashingStore;
using protocol::testing::Chain;
using protocol::testing::pay;
using protocol::testing::TestNetwork;
using protocol::testing::TestNetworkOptions;
using std::chrono::seconds;
using testing::TestValidator;

// A crashing store that owns what it stands on.
class OwningCrashingStore final : public store::ObjectStore {
 public:
  explicit OwningCrashingStore(std::unique_ptr<store::ObjectStore> inner, bool applied)
      : inner_(std::move(inner)), crashing_(*inner_, UINT64_MAX, applied) {}
  CrashingStore& crashing() { return crashing_; }

  Task<store::StoreResult<store::PutIfAbsent>> put_if_absent(std::string key, store::Content bytes) override {
    return crashing_.put_if_absent(std::move(key), std::move(bytes));
  }
  Task<store::StoreResult<store::PutIfMatch>> put_if_match(std::string key, store::Content bytes,
                                                           store::Tag tag) override {
    return crashing_.put_if_match(std::move(key), std::move(bytes), std::move(tag));
  }
  Task<store::StoreResult<std::optional<store::Object>>> get(std::string key,
                                                             std::optional<store::Range> range) override {
    return crashing_.get(std::move(key), range);
  }
  Task<store::StoreResult<std::monostate>> del(std::string key) override { return crashing_.del(std::move(key)); }
  Task<store::StoreResult<std::vector<std::string>>> list(std::string prefix, std::string start_after,
                                                          std::size_t limit) override {
    return crashing_.list(std::move(prefix), std::move(start_after), limit);
  }

 private:
  std::unique_ptr<store::ObjectStore> inner_;
  CrashingStore crashing_;
};

class CheckpointerTest : public ::testing::Test {
 protected:
  static constexpr std::size_t accounts = 16;
  explicit CheckpointerTest(std::vector<std::string> names = {"w0", "w1"}) : validator(net, std::move(names)) {
    for (std::size_t i = 0; i < accounts; ++i) chains.emplace_back(net, i);
  }
  // Account i pays the next one; its history has this request from now on.
  void pay_next(std::size_t i) {
    const Request request = chains[i].next(pay(net.uid((i + 1) % accounts), 10));
    ASSERT_TRUE(std::holds_alternative<SignedAccountState>(validator.ask(SubmitProof{net.proof(request)})));
  }
  std::vector<std::optional<AccountState>> states() {
    std::vector<std::optional<AccountState>> result;
    for (std::size_t i = 0; i < accounts; ++i) result.push_back(validator.account(net.uid(i)));
    return result;
  }
  // All requests of account i, and how many credits it received, as the validator serves them.
  std::pair<std::vector<Proof>, std::vector<ReceivedCredit>> past(std::size_t i) {
    const Answer executed = validator.ask(QueryExecuted{net.uid(i), SequenceNumber(0), 256});
    const Answer received = validator.ask(QueryReceived{net.uid(i), 0, 256});
    ZEF_CHECK(std::holds_alternative<ExecutedPage>(executed) && std::holds_alternative<ReceivedPage>(received));
    return {std::get<ExecutedPage>(executed).proofs, std::get<ReceivedPage>(received).credits};
  }
  void expect_supply() {
    const Totals t = validator.totals();
    EXPECT_EQ(t.balances + (t.caused - t.received) + (t.fees - t.fees_credited) + t.burned, supply_of(net.genesis()));
  }

  TestNetwork net{TestNetworkOptions{.validators = 4, .accounts = accounts, .fees = protocol::testing::test_fees}};
  TestValidator validator;
  std::vector<Chain> chains;
};

TEST_F(CheckpointerTest, a_restart_loads_the_checkpoint_and_replays_what_came_later) {
  validator.start_all();
  for (std::size_t i = 0; i < accounts; ++i) pay_next(i);
  ASSERT_TRUE(validator.settle());
  validator.executor().advance(seconds(61));
  for (const char* name : {"w0", "w1"}) {
    const auto metrics = validator.find(name)->checkpoint_metrics();
    EXPECT_GT(metrics.objects, 0U);
    EXPECT_EQ(metrics.failures, 0U);
  }
  pay_next(3);
  ASSERT_TRUE(validator.settle());
  const auto before = states();
  const auto past_before = past(3);
  ASSERT_EQ(past_before.second.size(), 1U);
  validator.start_all();
  EXPECT_EQ(states(), before);
  EXPECT_EQ(past(3), past_before);
  // What one payment makes, and what serving begins with; not the whole past.
  const auto replayed = validator.find("w0")->replayed_records() + validator.find("w1")->replayed_records();
  EXPECT_GT(replayed, 0U);
  EXPECT_LT(replayed, 40U);
  pay_next(3);
  ASSERT_TRUE(validator.settle());
  EXPECT_EQ(validator.account(net.uid(3))->next, SequenceNumber(3));
  expect_supply();
}

TEST_F(CheckpointerTest, a_pending_vote_is_in_the_checkpoint) {
  validator.start_all();
  Chain fork = chains[0];
  const RequestOrder order = net.order(chains[0].next(pay(net.uid(1), 10)), chains[0].key());
  ASSERT_TRUE(std::holds_alternative<Voted>(validator.ask(SubmitOrder{order})));
  validator.executor().advance(seconds(61));
  validator.start_all();
  // None but what the worker without the account began with.
  EXPECT_LE(validator.find("w0")->replayed_records() + validator.find("w1")->replayed_records(), shard_count / 2);
  const Answer other = validator.ask(SubmitOrder{net.order(fork.next(pay(net.uid(1), 11)), fork.key())});
  const auto* refused = std::get_if<Refused>(&other);
  ASSERT_TRUE(refused);
  EXPECT_TRUE(std::holds_alternative<PreviousRequestPending>(refused->why));
  EXPECT_TRUE(std::holds_alternative<Voted>(validator.ask(SubmitOrder{order})));
}

TEST_F(CheckpointerTest, many_generations_keep_everything_with_a_bounded_lineage) {
  for (std::size_t generation = 0; generation < 24; ++generation) {
    validator.start_all();
    for (std::size_t i = 0; i < 4; ++i) pay_next((generation * 3 + i) % accounts);
    if (generation % 2 == 0) ASSERT_TRUE(validator.settle());
    validator.executor().advance(seconds(generation % 5 == 0 ? 40 : 1));
    for (const ledger::ShardEntry& entry : validator.map().entries) EXPECT_LE(entry.lineage.size(), 5U);
  }
  ASSERT_TRUE(validator.settle());
  const auto before = states();
  std::size_t executed = 0;
  for (std::size_t i = 0; i < accounts; ++i) {
    const auto [proofs, credits] = past(i);
    std::size_t requests = 0;
    for (const Proof& proof : proofs) requests += proof.earlier.size() + 1;
    EXPECT_EQ(requests, before[i]->next.value());
    EXPECT_EQ(credits.size(), before[i]->received);
    executed += requests;
  }
  EXPECT_EQ(executed, 24U * 4);
  validator.start_all();
  EXPECT_EQ(states(), before);
  expect_supply();
}

// Each worker owns half of the groups here.
TEST_F(CheckpointerTest, a_group_is_saved_once_in_its_period_however_many_others_there_are) {
  validator.options().checkpoints.every = seconds(32);
  validator.start_all();
  for (int i = 0; i < 320; ++i) {
    pay_next(static_cast<std::size_t>(i) % accounts);
    validator.executor().advance(std::chrono::milliseconds(200));
  }
  const auto map = validator.map();
  for (const char* name : {"w0", "w1"}) {
    std::set<std::size_t> groups;  // with accounts: others have nothing to save
    for (std::size_t i = 0; i < accounts; ++i)
      if (const ShardId shard = shard_of(net.uid(i)); map.entries[shard.value()].owner == validator.find(name)->id())
        groups.insert(ledger::group_of(shard));
    EXPECT_NEAR(static_cast<double>(validator.find(name)->checkpoint_metrics().objects),
                2.0 * static_cast<double>(groups.size()), 1.5)
        << name;
  }
}

TEST_F(CheckpointerTest, the_time_comes_before_the_slots_do) {
  validator.options().checkpoints = {.every = seconds(4), .log_slots = 320};
  validator.start_all();
  for (std::size_t i = 0; i < accounts; ++i) {
    pay_next(i);
    validator.executor().advance(seconds(1));
  }
  ASSERT_TRUE(validator.settle());
  validator.executor().advance(seconds(9));
  const auto before = states();
  validator.start_all();
  EXPECT_LE(validator.find("w0")->replayed_records() + validator.find("w1")->replayed_records(), 4U);
  EXPECT_EQ(states(), before);
}

// Whatever the time: what a rescuer reads one by one is slots.
TEST_F(CheckpointerTest, many_small_slots_are_saved_before_their_time) {
  constexpr std::size_t rounds = 600;
  const auto replayed_with = [&](std::uint64_t log_slots) {
    validator.options().checkpoints = {.every = seconds(100'000), .log_slots = log_slots};
    validator.start_all();
    for (std::size_t round = 0; round < rounds; ++round) {
      pay_next(round % accounts);
      validator.executor().advance(std::chrono::milliseconds(50));
    }
    EXPECT_TRUE(validator.settle());
    const auto before = states();
    validator.start_all();
    EXPECT_EQ(states(), before);
    expect_supply();
    return validator.find("w0")->replayed_records() + validator.find("w1")->replayed_records();
  };
  const auto all = replayed_with(0);
  EXPECT_GT(all, 2 * rounds);
  EXPECT_LT(replayed_with(160), all / 4);
}

TEST_F(CheckpointerTest, a_drained_worker_leaves_nothing_to_replay) {
  validator.start_all();
  for (std::size_t i = 0; i < accounts; ++i) pay_next(i);
  ASSERT_TRUE(validator.settle());
  const auto before = states();
  for (const char* name : {"w0", "w1"})
    ASSERT_TRUE(validator.executor().run_until(validator.find(name)->drain()).has_value());
  validator.start_all();
  EXPECT_EQ(validator.find("w0")->replayed_records(), 0U);
  EXPECT_EQ(states(), before);
}

TEST_F(CheckpointerTest, an_idle_worker_writes_nothing) {
  validator.start_all();
  pay_next(0);
  ASSERT_TRUE(validator.settle());
  validator.executor().advance(seconds(90));
  const auto keys = validator.bucket()->list("checkpoints/", "", 10'000).value();
  const auto map = validator.map().entries;
  validator.executor().advance(seconds(300));
  EXPECT_EQ(validator.bucket()->list("checkpoints/", "", 10'000).value(), keys);
  EXPECT_EQ(validator.map().entries, map);
}

TEST_F(CheckpointerTest, old_slots_are_deleted_and_their_history_is_still_served) {
  validator.options().garbage_grace = seconds(20);
  validator.options().checkpoints.every = seconds(4);
  for (int generation = 0; generation < 3; ++generation) {
    validator.start_all();
    for (std::size_t i = 0; i < 100; ++i) {
      pay_next(i % accounts);
      validator.executor().advance(std::chrono::milliseconds(100));
    }
  }
  ASSERT_TRUE(validator.settle());
  const auto before = states();
  std::vector<std::pair<std::vector<Proof>, std::vector<ReceivedCredit>>> pasts;
  for (std::size_t i = 0; i < accounts; ++i) pasts.push_back(past(i));
  const auto objects = validator.bucket()->list("workers/", "", 100'000).value().size();
  validator.executor().advance(seconds(60));
  EXPECT_GT(validator.find("w0")->garbage_metrics().archives, 0U);
  EXPECT_LT(validator.bucket()->list("workers/", "", 100'000).value().size(), objects / 2);
  validator.start_all();  // with nothing in its cache
  EXPECT_EQ(states(), before);
  for (std::size_t i = 0; i < accounts; ++i) EXPECT_EQ(past(i), pasts[i]);
  expect_supply();
}

struct OneWorkerTest : CheckpointerTest {
  OneWorkerTest() : CheckpointerTest({"w0"}) {}
};

TEST_F(OneWorkerTest, killed_at_any_request_of_its_last_checkpoint_loses_nothing) {
  CrashingStore* crashing = nullptr;
  std::uint64_t at = 0;
  for (bool finished = false; !finished; at += 3) {
    ASSERT_LT(at, 300U);
    validator.wrap_stores([&](std::unique_ptr<store::ObjectStore> inner) {
      auto owning = std::make_unique<OwningCrashingStore>(std::move(inner), at % 2 == 0);
      crashing = &owning->crashing();
      return owning;
    });
    Worker& worker = validator.start("w0");
    pay_next(at % accounts);
    pay_next((at + 7) % accounts);
    ASSERT_TRUE(validator.settle());
    const auto before = states();
    crashing->crash_after(at);
    TaskScope scope;
    std::optional<Result<void>> drained;
    const auto drain = [](Worker& its, std::optional<Result<void>>& outcome) -> Task<> {
      outcome.emplace(co_await its.drain());
    };
    scope.spawn(drain(worker, drained));
    validator.executor().advance(seconds(1));
    finished = drained.has_value();
    scope.clear();
    validator.wrap_stores({});
    validator.start("w0");
    EXPECT_EQ(states(), before) << "at " << at;
    const auto [proofs, credits] = past(at % accounts);
    EXPECT_EQ(credits.size(), before[at % accounts]->received);
    expect_supply();
  }
  EXPECT_GT(at, 40U);
}

}  // namespace
}  // namespace zef::worker
