// Shards that come to a running worker and leave it: planned moves, rescues, draining.
#include "worker/moves.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ledger/ownership.h"
#include "worker/testing/two_workers.h"

namespace zef::worker {
namespace {

using namespace protocol;
using protocol::testing::Chain;
using protocol::testing::pay;
using protocol::testing::TestNetwork;
using protocol::testing::TestNetworkOptions;
using testing::TestValidator;
using testing::TwoWorkers;

struct WorkerMoves : TwoWorkers {
  std::vector<ShardId> shards_of(const std::string& name) {
    std::vector<ShardId> out;
    for (const ShardReport& shard : validator.find(name)->report().shards) out.push_back(shard.shard);
    return out;
  }
  // What account 0 does: each payment is voted and executed, whoever serves it.
  void pay_once(Chain& alice, const Uid& to) {
    const Request request = alice.next(pay(to, 10));
    ASSERT_TRUE(std::holds_alternative<Voted>(validator.ask(SubmitOrder{net.order(request, alice.key())})));
    ASSERT_TRUE(std::holds_alternative<SignedAccountState>(validator.ask(SubmitProof{net.proof(request)})));
  }
  Result<void> give(const std::string& from, const std::string& to, std::vector<ShardId> shards) {
    return validator.executor().run_until(validator.find(from)->give(std::move(shards), validator.find(to)->id()));
  }
  std::string home = shard_of(net.uid(0)).value() < 512 ? "w0" : "w1";
  std::string other = home == "w0" ? "w1" : "w0";
};

TEST_F(WorkerMoves, a_move_carries_votes_executions_effects_and_history) {
  validator.start_all();
  Chain alice(net, 0);
  const Uid bob = on_other_worker();
  pay_once(alice, bob);
  const Request pending = alice.peek(pay(bob, 5));
  ASSERT_TRUE(std::holds_alternative<Voted>(validator.ask(SubmitOrder{net.order(pending, alice.key())})));
  const auto all = shards_of(home);
  const auto given = give(home, other, all);
  ASSERT_TRUE(given) << given.error().message;
  EXPECT_EQ(validator.find(home)->shard_count(), 0U);
  EXPECT_EQ(validator.find(other)->shard_count(), 1024U);
  EXPECT_FALSE(validator.find(home)->moving());
  EXPECT_TRUE(std::holds_alternative<Moved>(refusal_of(validator.ask_worker(home, QueryAccount{net.uid(0), {}}))));
  const Answer conflict = validator.ask(SubmitOrder{net.order(alice.peek(pay(bob, 6)), alice.key())});
  EXPECT_EQ(refusal_of(conflict), Refusal(PreviousRequestPending{pending}));
  const Answer history = validator.ask(QueryExecuted{net.uid(0), SequenceNumber(0), 10});
  ASSERT_TRUE(std::holds_alternative<ExecutedPage>(history));
  EXPECT_EQ(std::get<ExecutedPage>(history).proofs.size(), 1U);
  ASSERT_TRUE(std::holds_alternative<SignedAccountState>(validator.ask(SubmitProof{alice.proof(pay(bob, 5))})));
  ASSERT_TRUE(validator.settle());
  EXPECT_EQ(validator.account(bob)->received, 2U);
  expect_supply();
}

TEST_F(WorkerMoves, a_shard_moves_there_and_back_many_times_and_survives_crashes) {
  validator.start_all();
  Chain alice(net, 0);
  const Uid bob = on_other_worker();
  const std::vector<ShardId> shard{shard_of(net.uid(0)), shard_of(bob)};
  for (int round = 0; round < 6; ++round) {
    pay_once(alice, bob);
    const std::string from = round % 2 == 0 ? home : other;
    const auto given = give(from, from == home ? other : home, {shard[0]});
    ASSERT_TRUE(given) << round << ": " << given.error().message;
    if (round == 3)
      for (const std::string& name : {home, other}) {
        validator.crash(name);
        validator.start(name);
      }
  }
  EXPECT_EQ(validator.account(net.uid(0))->next, SequenceNumber(6));
  ASSERT_TRUE(validator.settle());
  EXPECT_EQ(validator.account(bob)->received, 6U);
  const Answer history = validator.ask(QueryReceived{bob, 0, 20});
  ASSERT_TRUE(std::holds_alternative<ReceivedPage>(history));
  EXPECT_EQ(std::get<ReceivedPage>(history).credits.size(), 6U);
  expect_supply();
}

// A checkpoint before the move, in the middle of everything, and after it: whoever restarts finds all.
TEST_F(WorkerMoves, a_shard_with_checkpoints_moves_and_both_sides_crash) {
  using std::chrono::seconds;
  for (const Duration between : {seconds(0), seconds(3)}) {  // so that a checkpoint lies between, or none
    SCOPED_TRACE(between.count());
    TestValidator own(net, {"w0", "w1"});
    own.options().checkpoints.every = seconds(2);
    own.start_all();
    Chain alice(net, 0);
    const auto execute = [&](const Request& request) {
      ASSERT_TRUE(std::holds_alternative<SignedAccountState>(own.ask(SubmitProof{net.proof(request)})));
    };
    std::string from = home, to = other;
    for (int round = 0; round < 4; ++round) {
      execute(alice.next(pay(on_other_worker(), 10)));
      own.executor().advance(between);
      execute(alice.next(pay(on_other_worker(), 10)));
      ASSERT_TRUE(own.executor().run_until(own.find(from)->give({shard_of(net.uid(0))}, own.find(to)->id())));
      execute(alice.next(pay(on_other_worker(), 10)));
      own.executor().advance(between);
      std::swap(from, to);
    }
    const auto before = own.account(net.uid(0));
    for (const char* name : {"w0", "w1"}) own.crash(name);
    own.start_all();
    EXPECT_EQ(own.account(net.uid(0)), before);
    EXPECT_EQ(before->next, SequenceNumber(12));
    const Answer history = own.ask(QueryExecuted{net.uid(0), SequenceNumber(0), 20});
    ASSERT_TRUE(std::holds_alternative<ExecutedPage>(history));
    std::size_t requests = 0;
    for (const Proof& proof : std::get<ExecutedPage>(history).proofs) requests += proof.earlier.size() + 1;
    EXPECT_EQ(requests, 12U);
    ASSERT_TRUE(own.settle());
    EXPECT_EQ(own.account(on_other_worker())->received, 12U);
  }
}

// A long log is saved before the move, so that the receiver need not read it; a short one is read.
TEST_F(WorkerMoves, what_was_logged_long_ago_is_saved_before_the_move) {
  using std::chrono::seconds;
  TestValidator own(net, {"w0", "w1"});
  own.options().checkpoints.every = seconds(100'000);
  own.start_all();
  const ShardId shard = shard_of(net.uid(0));
  const auto entry = [&] { return own.map().entries[shard.value()]; };
  Chain alice(net, 0);
  const auto pay_many = [&](int count) {
    for (int i = 0; i < count; ++i)
      ASSERT_TRUE(std::holds_alternative<SignedAccountState>(
          own.ask(SubmitProof{net.proof(alice.next(pay(on_other_worker(), 1)))})));
  };
  pay_many(3);
  ASSERT_TRUE(own.executor().run_until(own.find(home)->give({shard}, own.find(other)->id())));
  EXPECT_FALSE(entry().checkpoint);
  EXPECT_EQ(entry().lineage.size(), 2U);
  pay_many(150);
  ASSERT_TRUE(own.executor().run_until(own.find(other)->give({shard}, own.find(home)->id())));
  ASSERT_TRUE(entry().checkpoint);
  EXPECT_EQ(entry().lineage.front().worker, own.find(other)->id()) << "what came before the checkpoint is gone";
  EXPECT_LT(*entry().lineage.front().to - entry().lineage.front().from, 8U);
  EXPECT_EQ(own.account(net.uid(0))->next, SequenceNumber(153));
  for (const char* name : {"w0", "w1"}) own.crash(name);
  own.start_all();
  EXPECT_EQ(own.account(net.uid(0))->next, SequenceNumber(153));
  ASSERT_TRUE(own.settle());
  EXPECT_EQ(own.account(on_other_worker())->received, 153U);
}

TEST_F(WorkerMoves, a_move_whose_receiver_dies_is_cancelled) {
  validator.start_all();
  Chain alice(net, 0);
  const Uid bob = on_other_worker();
  pay_once(alice, bob);
  std::optional<Result<void>> ended;
  TaskScope scope;
  const auto keep = [](Task<Result<void>> task, std::optional<Result<void>>& out) -> Task<> {
    out.emplace(co_await std::move(task));
  };
  scope.spawn(keep(validator.find(home)->give({shard_of(net.uid(0))}, validator.find(other)->id()), ended));
  // Dies when the hand-over is on its way.
  validator.executor().run_while_not([&] { return validator.find(home)->moving() || ended.has_value(); });
  if (validator.find(home)->moving()) validator.crash(other);
  validator.executor().advance(std::chrono::seconds(8));
  ASSERT_TRUE(ended && ended->has_value());
  EXPECT_FALSE(validator.find(home)->moving());
  validator.start(other);
  pay_once(alice, bob);
  EXPECT_EQ(validator.account(net.uid(0))->next, SequenceNumber(2));
  ASSERT_TRUE(validator.settle());
  EXPECT_EQ(validator.account(bob)->received, 2U);
  expect_supply();
}

// Whoever asks for a move asks again when it takes long: the receiver reads everything once all the same.
TEST_F(WorkerMoves, what_is_on_its_way_is_not_given_a_second_time) {
  validator.start_all();
  const ShardId shard = shard_of(net.uid(0));
  const ledger::WorkerId to = validator.find(other)->id();
  std::optional<Result<void>> first;
  TaskScope scope;
  const auto keep = [](Task<Result<void>> task, std::optional<Result<void>>& out) -> Task<> {
    out.emplace(co_await std::move(task));
  };
  scope.spawn(keep(validator.find(home)->give({shard}, to), first));
  const auto second = give(home, other, {shard});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, "these shards are on their way already");
  validator.executor().run_while_not([&] { return first.has_value(); });
  ASSERT_TRUE(*first) << first->error().message;
  const auto later = give(home, other, {shard});
  EXPECT_NE(later.error().message, "these shards are on their way already");
}

TEST_F(WorkerMoves, another_worker_adopts_what_a_rescuer_gives_it) {
  validator.start_all();
  Chain alice(net, 0);
  const Uid bob = on_other_worker();
  pay_once(alice, bob);
  const ledger::WorkerId victim = validator.find(home)->id();
  const ledger::WorkerId heir = validator.find(other)->id();
  const auto zombie = validator.detach(home);
  auto store = store::make_memory_store(validator.executor(), validator.bucket());
  zef::testing::SeededRng rng(12);
  const auto rescued = validator.executor().run_until(
      ledger::rescue(validator.executor(), *store, rng, heir, victim, [heir](ShardId) { return heir; }));
  ASSERT_TRUE(rescued);
  validator.executor().advance(std::chrono::seconds(5));
  EXPECT_EQ(validator.find(other)->shard_count(), 1024U);
  pay_once(alice, bob);
  ASSERT_TRUE(validator.settle());
  EXPECT_EQ(validator.account(bob)->received, 2U);
  expect_supply();
  // Its namesake starts with nothing: all of it has a living owner.
  validator.start(home);
  EXPECT_EQ(validator.find(home)->shard_count(), 0U);
}

// So that whoever takes over from the heir does not read it all again.
TEST_F(WorkerMoves, what_was_adopted_after_much_reading_is_saved) {
  TestValidator own(net, {"w0", "w1"});
  own.options().checkpoints.every = std::chrono::seconds(100'000);
  own.start_all();
  Chain alice(net, 0);
  for (int i = 0; i < 150; ++i)
    ASSERT_TRUE(std::holds_alternative<SignedAccountState>(
        own.ask(SubmitProof{net.proof(alice.next(pay(on_other_worker(), 1)))})));
  const ledger::WorkerId victim = own.find(home)->id();
  const ledger::WorkerId heir = own.find(other)->id();
  own.crash(home);
  auto store = store::make_memory_store(own.executor(), own.bucket());
  zef::testing::SeededRng rng(12);
  ASSERT_TRUE(own.executor().run_until(
      ledger::rescue(own.executor(), *store, rng, heir, victim, [heir](ShardId) { return heir; })));
  own.executor().advance(std::chrono::seconds(5));
  EXPECT_EQ(own.find(other)->shard_count(), 1024U);
  const auto map = own.map();
  for (const ledger::ShardEntry& entry : map.entries) {
    ASSERT_EQ(entry.lineage.size(), 1U);
    EXPECT_EQ(entry.lineage.front().worker, heir);
  }
  EXPECT_TRUE(map.entries[shard_of(net.uid(0)).value()].checkpoint);
  EXPECT_EQ(own.account(net.uid(0))->next, SequenceNumber(150));
  own.crash(other);
  own.start_all();
  EXPECT_EQ(own.account(net.uid(0))->next, SequenceNumber(150));
  ASSERT_TRUE(own.settle());
  EXPECT_EQ(own.account(on_other_worker())->received, 150U);
}

TEST_F(WorkerMoves, shards_of_a_sealed_worker_are_taken_by_those_who_live) {
  validator.start_all();
  Chain alice(net, 0);
  pay_once(alice, on_other_worker());
  auto store = store::make_memory_store(validator.executor(), validator.bucket());
  zef::testing::SeededRng rng(13);
  ASSERT_TRUE(
      validator.executor().run_until(ledger::seal_self(*store, rng, {validator.find(home)->id(), home, "", ""})));
  validator.crash(home);
  validator.executor().advance(std::chrono::seconds(10));
  EXPECT_EQ(validator.find(other)->shard_count(), 1024U);
  pay_once(alice, on_other_worker());
}

TEST_F(WorkerMoves, draining_gives_everything_to_those_who_stay) {
  validator.start_all();
  Chain alice(net, 0);
  pay_once(alice, on_other_worker());
  validator.executor().advance(std::chrono::seconds(2));
  ASSERT_TRUE(validator.executor().run_until(validator.find(home)->drain()));
  validator.crash(home);
  EXPECT_EQ(validator.find(other)->shard_count(), 1024U);
  pay_once(alice, on_other_worker());
  ASSERT_TRUE(validator.settle());
  expect_supply();
}

TEST_F(WorkerMoves, what_cannot_be_given_is_refused) {
  validator.start_all();
  EXPECT_EQ(give(home, home, {shard_of(net.uid(0))}).error().kind, ErrorKind::refused);
  EXPECT_EQ(give(other, home, {shard_of(net.uid(0))}).error().kind, ErrorKind::refused) << "not its own";
  EXPECT_FALSE(validator.find(home)->moving());
}

}  // namespace
}  // namespace zef::worker
