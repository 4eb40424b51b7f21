#include "worker/worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ledger/ownership.h"
#include "ledger/seal.h"
#include "protocol/testing/agreement.h"
#include "worker/testing/test_validator.h"

namespace zef::worker {
namespace {

using namespace protocol;
using protocol::testing::Agreement;
using protocol::testing::Chain;
using protocol::testing::pay;
using protocol::testing::TestNetwork;
using protocol::testing::TestNetworkOptions;
using testing::TestValidator;

struct WorkerTest : ::testing::Test {
  TestNetwork net{TestNetworkOptions{.validators = 4, .accounts = 16, .fees = protocol::testing::test_fees}};
  TestValidator validator{net, {"w0", "w1"}};

  // An account on another shard owner than account [0], so that payments cross workers.
  Uid on_other_worker() {
    const bool first = shard_of(net.uid(0)).value() < 512;
    for (std::uint64_t i = 1; i < 16; ++i)
      if ((shard_of(net.uid(i)).value() < 512) != first) return net.uid(i);
    ADD_FAILURE();
    return net.uid(1);
  }
  Refusal refusal_of(const Answer& answer) {
    const auto* refused = std::get_if<Refused>(&answer);
    EXPECT_TRUE(refused);
    return refused ? refused->why : Refusal{};
  }
  // The value of the vote, which must be validly signed by validator 0.
  Value voted(const Query& query) {
    const Answer answer = validator.ask(query);
    const auto* voted = std::get_if<Voted>(&answer);
    if (voted == nullptr) {
      ADD_FAILURE() << describe(refusal_of(answer));
      return Value{};
    }
    RootCaches caches = protocol::testing::test_caches();
    EXPECT_TRUE(verify_vote(net.network(), caches, voted->vote));
    return voted->vote.value;
  }
  InstanceState told(const Query& query) {
    const Answer answer = validator.ask(query);
    const auto* state = std::get_if<InstanceState>(&answer);
    if (state != nullptr) return *state;
    ADD_FAILURE() << describe(refusal_of(answer));
    return {};
  }
  void expect_supply() {
    const Totals t = validator.totals();
    EXPECT_EQ(t.balances + (t.caused - t.received) + (t.fees - t.fees_credited) + t.burned, supply_of(net.genesis()));
  }
};

TEST_F(WorkerTest, votes_and_executes) {
  validator.start_all();
  Chain alice(net, 0);
  const Request request = alice.next(pay(net.uid(1), 10));
  const Answer voted = validator.ask(SubmitOrder{net.order(request, alice.key())});
  ASSERT_TRUE(std::holds_alternative<Voted>(voted));
  RootCaches caches = protocol::testing::test_caches();
  EXPECT_TRUE(verify_vote(net.network(), caches, std::get<Voted>(voted).vote));
  EXPECT_EQ(std::get<Voted>(voted).vote.value, protocol::testing::value_of(request));

  const Answer executed = validator.ask(SubmitProof{net.proof(request)});
  ASSERT_TRUE(std::holds_alternative<SignedAccountState>(executed));
  const auto& state = std::get<SignedAccountState>(executed);
  EXPECT_TRUE(
      verify_signed(net.network(), caches.validators, net.validator_key(0).public_key(), state.state, state.signature));
  EXPECT_EQ(state.state.next, SequenceNumber(1));
  EXPECT_EQ(state.state.head, hash_of(net.id(), request));
  expect_supply();
}

TEST_F(WorkerTest, same_request_again_gets_the_identical_vote) {
  validator.start_all();
  Chain alice(net, 0);
  const RequestOrder order = net.order(alice.next(pay(net.uid(1), 10)), alice.key());
  const Answer first = validator.ask(SubmitOrder{order});
  const Answer again = validator.ask(SubmitOrder{order});
  ASSERT_TRUE(std::holds_alternative<Voted>(first));
  EXPECT_EQ(std::get<Voted>(first).vote, std::get<Voted>(again).vote);
}

TEST_F(WorkerTest, credits_reach_the_other_worker_with_their_history) {
  validator.start_all();
  Chain alice(net, 0);
  const Uid other = on_other_worker();
  const Request request = alice.next(pay(other, 10));
  ASSERT_TRUE(std::holds_alternative<SignedAccountState>(validator.ask(SubmitProof{net.proof(request)})));
  ASSERT_TRUE(validator.settle());
  EXPECT_EQ(validator.account(other)->received, 1U);
  const Answer page = validator.ask(QueryReceived{other, 0, 10});
  ASSERT_TRUE(std::holds_alternative<ReceivedPage>(page));
  EXPECT_THAT(std::get<ReceivedPage>(page).credits,
              ::testing::ElementsAre(ReceivedCredit{net.uid(0), SequenceNumber(0), Amount(10)}));
  const Answer history = validator.ask(QueryExecuted{net.uid(0), SequenceNumber(0), 10});
  ASSERT_TRUE(std::holds_alternative<ExecutedPage>(history));
  ASSERT_EQ(std::get<ExecutedPage>(history).proofs.size(), 1U);
  EXPECT_EQ(std::get<ExecutedPage>(history).proofs[0], net.proof(request));
  expect_supply();
}

TEST_F(WorkerTest, a_restart_keeps_votes_executions_and_history) {
  validator.start_all();
  Chain alice(net, 0);
  Chain bob(net, 1);
  const Request executed = alice.next(pay(net.uid(1), 10));
  ASSERT_TRUE(std::holds_alternative<SignedAccountState>(validator.ask(SubmitProof{net.proof(executed)})));
  const Request pending = bob.next(pay(net.uid(0), 5));
  ASSERT_TRUE(std::holds_alternative<Voted>(validator.ask(SubmitOrder{net.order(pending, bob.key())})));

  for (int round = 0; round < 3; ++round) {
    validator.crash("w0");
    validator.crash("w1");
    validator.start_all();
    EXPECT_EQ(validator.account(net.uid(0))->next, SequenceNumber(1));
    // The vote binds for ever: another request for the same number is refused, the same one gets its vote.
    Chain bob_again(net, 1);
    const Answer other = validator.ask(SubmitOrder{net.order(bob_again.peek(pay(net.uid(0), 6)), bob.key())});
    EXPECT_EQ(refusal_of(other), Refusal(PreviousRequestPending{pending}));
    const Answer same = validator.ask(SubmitOrder{net.order(pending, bob.key())});
    ASSERT_TRUE(std::holds_alternative<Voted>(same));
    EXPECT_EQ(std::get<Voted>(same).vote.value, protocol::testing::value_of(pending));
    const Answer history = validator.ask(QueryExecuted{net.uid(0), SequenceNumber(0), 10});
    ASSERT_TRUE(std::holds_alternative<ExecutedPage>(history));
    EXPECT_EQ(std::get<ExecutedPage>(history).proofs.size(), 1U);
  }
  ASSERT_TRUE(validator.settle());
  expect_supply();
}

TEST_F(WorkerTest, effects_wait_for_a_worker_that_is_away_and_arrive_once) {
  validator.start_all();
  const Uid other = on_other_worker();
  const std::string away = shard_of(other).value() < 512 ? "w0" : "w1";
  validator.crash(away);
  Chain alice(net, 0);
  for (int i = 0; i < 20; ++i)
    ASSERT_TRUE(std::holds_alternative<SignedAccountState>(validator.ask(SubmitProof{alice.proof(pay(other, 10))})));
  validator.executor().advance(std::chrono::seconds(5));
  EXPECT_GT(validator.totals().effects_waiting, 0U);
  validator.start(away);
  ASSERT_TRUE(validator.settle());
  EXPECT_EQ(validator.account(other)->received, 20U);
  expect_supply();
}

TEST_F(WorkerTest, a_worker_that_was_replaced_answers_nothing_more) {
  validator.start_all();
  Chain alice(net, 0);
  const std::string name = shard_of(net.uid(0)).value() < 512 ? "w0" : "w1";
  const auto transport = validator.transport().transport();
  net::RpcClient client(validator.executor(), *transport, validator.find(name)->client_address());
  // The old process goes on beside its successor, as after a long pause of its machine.
  const auto zombie = validator.detach(name);
  validator.start(name);
  std::optional<Result<Bytes>> late;
  client.call(codec::encode(Query(SubmitOrder{net.order(alice.next(pay(net.uid(1), 10)), alice.key())})),
              std::chrono::seconds(30), [&](Result<Bytes> answer) { late = std::move(answer); });
  validator.executor().advance(std::chrono::seconds(40));
  ASSERT_TRUE(late.has_value());
  EXPECT_FALSE(late->has_value());
}

TEST_F(WorkerTest, a_worker_that_was_sealed_stops_though_it_has_nothing_to_write) {
  validator.start_all();
  bool stopped = false;
  validator.find("w0")->on_fatal([&](const Error& why) { stopped = why.kind == ErrorKind::fenced; });
  // A rescuer that seals it and dies before it changes the map.
  auto store = store::make_memory_store(validator.executor(), validator.bucket());
  const auto map = validator.executor().run_until(ledger::read_map(validator.executor(), *store));
  ASSERT_TRUE(map);
  zef::testing::SeededRng rng(11);
  ledger::WorkerId rescuer;
  rng.fill(rescuer.bytes);
  for (const ledger::WorkerHead& head : map->workers)
    if (head.name == "w0")
      ASSERT_TRUE(validator.executor().run_until(
          ledger::seal_worker({&validator.executor(), *store, rng, rescuer}, head.worker)));
  validator.executor().advance(std::chrono::seconds(5));
  EXPECT_TRUE(stopped);
}

TEST_F(WorkerTest, refuses_a_key_that_is_not_of_the_committee_and_a_store_of_another_network) {
  TestNetwork other{TestNetworkOptions{.validators = 4, .accounts = 16, .seed = 99}};
  TestValidator foreign(other, {"w0"});
  auto store = store::make_memory_store(validator.executor(), foreign.bucket());
  auto transport = validator.transport().transport();
  zef::testing::SeededRng rng(3);
  WorkerOptions options;
  options.name = "w0";
  options.client_address = options.internal_address = {"127.0.0.1", 0};
  Worker wrong_store({validator.executor(), rng, *store, *transport, *transport}, net.genesis(), net.validator_key(0),
                     options);
  const auto refused = validator.executor().run_until(wrong_store.start());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::refused);
  Worker wrong_key({validator.executor(), rng, *store, *transport, *transport}, net.genesis(), other.validator_key(0),
                   options);
  const auto key_refused = validator.executor().run_until(wrong_key.start());
  ASSERT_FALSE(key_refused);
  EXPECT_EQ(key_refused.error().kind, ErrorKind::refused);
}

TEST_F(WorkerTest, garbage_gets_a_typed_refusal) {
  validator.start_all();
  const auto transport = validator.transport().transport();
  net::RpcClient client(validator.executor(), *transport, validator.find("w0")->client_address());
  const auto answer = validator.executor().run_until(client.call(Bytes{0xff, 0xff, 1}, std::chrono::seconds(5)));
  ASSERT_TRUE(answer);
  const auto decoded = codec::decode<Answer>(*answer);
  ASSERT_TRUE(decoded);
  EXPECT_TRUE(std::holds_alternative<Malformed>(refusal_of(*decoded)));
}

TEST_F(WorkerTest, an_instance_that_was_never_heard_of_is_not_found) {
  validator.start_all();
  EXPECT_EQ(refusal_of(validator.ask(QueryInstance{Uid({0, 7})})), Refusal(NotFound{}));
}

TEST_F(WorkerTest, an_instance_is_run_from_its_start_to_what_it_executes) {
  validator.start_all();
  Chain alice(net, 5);
  Chain bob(net, 6);
  Chain carol(net, 7);
  Agreement swap(net, carol, {&alice, &bob});
  ASSERT_TRUE(std::holds_alternative<SignedAccountState>(validator.ask(SubmitProof{swap.start_proof()})));
  ASSERT_TRUE(validator.settle());
  EXPECT_EQ(told(QueryInstance{swap.uid()}).start, swap.start());

  for (std::size_t place = 0; place < 2; ++place) {
    EXPECT_EQ(voted(SubmitOrder{swap.lock_order(place)}), Value{Lock{swap.lock_request(place)}});
    EXPECT_EQ(voted(SubmitOrder{swap.lock_order(place)}), Value{Lock{swap.lock_request(place)}}) << "and again";
  }
  EXPECT_EQ(voted(swap.propose(Round(0), Confirmed{}, 1)), swap.precommit(Round(0), Confirmed{}));
  EXPECT_EQ(voted(swap.show(swap.precommit(Round(0), Confirmed{}))), swap.commit(Round(0), Confirmed{}));
  const InstanceState decided = told(swap.show(swap.commit(Round(0), Confirmed{})));
  EXPECT_EQ(decided.decided, net.certificate(swap.commit(Round(0), Confirmed{})));
  EXPECT_EQ(told(QueryInstance{swap.uid()}), decided);

  for (std::size_t place = 0; place < 2; ++place) {
    const Answer answer = validator.ask(SubmitProof{swap.proof(place, Confirmed{})});
    ASSERT_TRUE(std::holds_alternative<SignedAccountState>(answer));
    EXPECT_EQ(std::get<SignedAccountState>(answer).state.owner, swap.delegate(1 - place).public_key());
    const Answer page = validator.ask(QueryExecuted{swap.lock_request(place).account, SequenceNumber(0), 10});
    ASSERT_TRUE(std::holds_alternative<ExecutedPage>(page));
    EXPECT_THAT(std::get<ExecutedPage>(page).proofs, ::testing::ElementsAre(swap.proof(place, Confirmed{})));
  }
  ASSERT_TRUE(validator.settle());
  expect_supply();
}

TEST_F(WorkerTest, a_restart_keeps_what_an_instance_voted_and_decided) {
  validator.start_all();
  Chain alice(net, 5);
  Chain bob(net, 6);
  Chain carol(net, 7);
  Agreement swap(net, carol, {&alice, &bob});
  const auto restart = [&] {
    validator.crash("w0");
    validator.crash("w1");
    validator.start_all();
  };
  const auto ask = [&](InstanceMessage message) {
    return std::visit([&](auto& it) { return validator.ask(Query(it)); }, message);
  };
  // Created by a message, before the effect of its start.
  const Answer first = ask(swap.with_start(swap.propose(Round(0), Confirmed{}, 0)));
  ASSERT_TRUE(std::holds_alternative<Voted>(first));
  ASSERT_TRUE(std::holds_alternative<Voted>(validator.ask(SubmitOrder{swap.lock_order(0)})));
  restart();
  EXPECT_EQ(voted(swap.propose(Round(0), Confirmed{}, 0)), std::get<Voted>(first).vote.value);
  const Refusal other = refusal_of(validator.ask(swap.propose(Round(0), Aborted{}, 1)));
  ASSERT_TRUE(std::holds_alternative<InstanceRefused>(other));
  EXPECT_EQ(std::get<InstanceRefused>(other).state.voted, Decision(Confirmed{}));
  EXPECT_EQ(refusal_of(validator.ask(SubmitOrder{net.order(alice.peek(pay(net.uid(1), 5)), alice.key())})),
            Refusal(PreviousRequestPending{swap.lock_request(0)}))
      << "still locked";

  const InstanceState decided = told(swap.show(swap.commit(Round(3), Aborted{})));
  restart();
  EXPECT_EQ(told(QueryInstance{swap.uid()}), decided);
  ASSERT_TRUE(std::holds_alternative<SignedAccountState>(validator.ask(SubmitProof{swap.proof(0, Aborted{})})));
  restart();
  swap.execute(Aborted{});
  EXPECT_EQ(validator.account(alice.account())->head, alice.head());
  ASSERT_TRUE(std::holds_alternative<SignedAccountState>(validator.ask(SubmitProof{swap.start_proof()})));
  ASSERT_TRUE(validator.settle());
  EXPECT_EQ(told(QueryInstance{swap.uid()}), decided) << "the effect of the start comes late and does nothing";
  expect_supply();
}

TEST_F(WorkerTest, a_round_of_an_instance_ends_when_its_time_has_passed) {
  validator.start_all();
  Chain alice(net, 5);
  Chain bob(net, 6);
  Chain carol(net, 7);
  const Agreement swap(net, carol, {&alice, &bob});
  AskTimeout ask = swap.ask_timeout(Round(0), 0);
  ask.start = swap.start_proof();
  const Refusal early = refusal_of(validator.ask(ask));
  ASSERT_TRUE(std::holds_alternative<InstanceRefused>(early));
  EXPECT_EQ(std::get<InstanceRefused>(early).retry_after_ms, 1000U);
  validator.executor().advance(std::chrono::seconds(1));
  EXPECT_EQ(voted(ask), swap.timeout(Round(0)));
  EXPECT_EQ(told(swap.show(swap.timeout(Round(0)))).round, Round(1));
}

TEST_F(WorkerTest, messages_to_instances_are_verified_before_anything_is_stored) {
  validator.start_all();
  Chain alice(net, 5);
  Chain bob(net, 6);
  Chain carol(net, 7);
  const Agreement swap(net, carol, {&alice, &bob});
  SubmitProposal proposal = swap.propose(Round(0), Confirmed{}, 0);
  proposal.start = swap.start_proof();
  proposal.signature.signature.bytes[0] ^= 1;
  EXPECT_EQ(refusal_of(validator.ask(proposal)), Refusal(InvalidSignature{}));
  proposal = swap.propose(Round(0), Confirmed{}, 0);
  proposal.start = swap.start_proof();
  proposal.locks[1] = net.certificate(proposal.locks[1].value, {0, 1});
  EXPECT_EQ(refusal_of(validator.ask(proposal)), Refusal(InvalidCertificate{"the signers are no quorum"}));
  EXPECT_EQ(refusal_of(validator.ask(QueryInstance{swap.uid()})), Refusal(NotFound{}));
}

TEST_F(WorkerTest, fees_reach_the_reward_accounts) {
  validator.start_all();
  Chain alice(net, 0);
  for (int i = 0; i < 5; ++i)
    ASSERT_TRUE(
        std::holds_alternative<SignedAccountState>(validator.ask(SubmitProof{alice.proof(pay(net.uid(9), 10))})));
  ASSERT_TRUE(validator.settle());
  const Totals totals = validator.totals();
  EXPECT_GT(totals.fees, 0);
  EXPECT_EQ(totals.fees, totals.fees_credited);
  expect_supply();
}

TEST_F(WorkerTest, a_drained_worker_is_followed_without_loss) {
  validator.start_all();
  Chain alice(net, 0);
  ASSERT_TRUE(std::holds_alternative<SignedAccountState>(validator.ask(SubmitProof{alice.proof(pay(net.uid(1), 10))})));
  for (const char* name : {"w0", "w1"}) ASSERT_TRUE(validator.executor().run_until(validator.find(name)->drain()));
  validator.start_all();
  EXPECT_EQ(validator.account(net.uid(0))->next, SequenceNumber(1));
  ASSERT_TRUE(validator.settle());
  expect_supply();
}

// ---- shards that come and go ----

struct WorkerMoves : WorkerTest {
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
