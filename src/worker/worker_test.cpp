#include "worker/worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ledger/seal.h"
#include "protocol/testing/agreement.h"
#include "worker/testing/two_workers.h"

namespace zef::worker {
namespace {

using namespace protocol;
using protocol::testing::Agreement;
using protocol::testing::Chain;
using protocol::testing::pay;
using protocol::testing::TestNetwork;
using protocol::testing::TestNetworkOptions;
using testing::TestValidator;
using testing::TwoWorkers;

struct WorkerTest : TwoWorkers {
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

}  // namespace
}  // namespace zef::worker
