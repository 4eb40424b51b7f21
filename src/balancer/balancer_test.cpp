#include "balancer/balancer.h"

#include <gtest/gtest.h>

#include "ledger/ownership.h"
#include "worker/testing/test_validator.h"

namespace zef::balancer {
namespace {

using namespace protocol;
using protocol::testing::Chain;
using protocol::testing::pay;
using protocol::testing::TestNetwork;
using protocol::testing::TestNetworkOptions;
using worker::testing::TestValidator;

struct BalancerTest : ::testing::Test {
  TestNetwork net{TestNetworkOptions{.validators = 4, .accounts = 16}};
  TestValidator validator{net, {"w0", "w1"}};
  zef::testing::SeededRng rng{5};
  std::unique_ptr<store::ObjectStore> store = store::make_memory_store(validator.executor(), validator.bucket());
  std::unique_ptr<net::Transport> transport = validator.transport().transport();
  std::unique_ptr<net::Transport> outside = validator.transport().transport();
  Options options;
  std::unique_ptr<Balancer> balancer;
  std::unique_ptr<net::RpcClient> client;

  void start() {
    options.address = {"127.0.0.1", 0};
    options.directory.period = std::chrono::seconds(1);
    balancer = std::make_unique<Balancer>(validator.executor(), rng, *store, *transport, options);
    const auto address = balancer->start();
    ASSERT_TRUE(address) << address.error().message;
    client = std::make_unique<net::RpcClient>(validator.executor(), *outside, *address);
  }
  Answer ask(const Query& query) { return ask_bytes(codec::encode(query)); }
  Answer ask_bytes(Bytes bytes) {
    const auto answer = validator.executor().run_until(client->call(std::move(bytes), std::chrono::seconds(60)));
    if (!answer) {
      ADD_FAILURE() << answer.error().message;
      return Refused{};
    }
    auto decoded = codec::decode<Answer>(*answer);
    if (!decoded) {
      ADD_FAILURE() << "an answer that does not decode";
      return Refused{};
    }
    return std::move(*decoded);
  }
  template <class R>
  bool refused_as(const Answer& answer) {
    const auto* refused = std::get_if<Refused>(&answer);
    return refused && std::holds_alternative<R>(refused->why);
  }
  std::string worker_of(const Uid& uid) { return shard_of(uid).value() < 512 ? "w0" : "w1"; }
};

TEST_F(BalancerTest, routes_every_account_to_the_worker_that_serves_it) {
  validator.start_all();
  start();
  for (std::uint64_t i = 0; i < 16; ++i) {
    const Answer answer = ask(QueryAccount{net.uid(i), {}});
    ASSERT_TRUE(std::holds_alternative<SignedAccountState>(answer));
    EXPECT_EQ(std::get<SignedAccountState>(answer).state.account, net.uid(i));
  }
  EXPECT_EQ(balancer->metrics().given_up, 0U);
}

TEST_F(BalancerTest, a_worker_that_is_killed_and_comes_back_costs_time_not_errors) {
  validator.start_all();
  start();
  Chain alice(net, 0);
  ASSERT_TRUE(std::holds_alternative<SignedAccountState>(ask(SubmitProof{alice.proof(pay(net.uid(1), 10))})));
  const std::string name = worker_of(net.uid(0));
  validator.crash(name);
  std::optional<Result<Bytes>> late;
  client->call(codec::encode(Query(SubmitProof{alice.proof(pay(net.uid(1), 10))})), std::chrono::seconds(60),
               [&](Result<Bytes> answer) { late = std::move(answer); });
  validator.executor().advance(std::chrono::seconds(2));
  EXPECT_FALSE(late.has_value());
  validator.start(name);
  validator.executor().run_while_not([&] { return late.has_value(); });
  ASSERT_TRUE(late->has_value());
  const auto answer = codec::decode<Answer>(**late);
  ASSERT_TRUE(answer && std::holds_alternative<SignedAccountState>(*answer));
  EXPECT_EQ(std::get<SignedAccountState>(*answer).state.next, SequenceNumber(2));
  EXPECT_GT(balancer->metrics().retried, 0U);
}

TEST_F(BalancerTest, what_waits_for_a_worker_that_stands_still_goes_to_its_heirs_at_once) {
  validator.start_all();
  options.directory.period = std::chrono::hours(1);  // nothing but the silence makes it look
  options.answer_time_max = std::chrono::hours(1);
  start();
  const std::string victim = worker_of(net.uid(0));
  ASSERT_TRUE(std::holds_alternative<SignedAccountState>(ask(QueryAccount{net.uid(0), {}})));
  const ledger::WorkerId heir = validator.find(victim == "w0" ? "w1" : "w0")->id();
  // Its machine has lost its power: the connection stays, and nothing answers.
  validator.transport().freeze(validator.find(victim)->client_address());
  std::optional<Result<Bytes>> late;
  client->call(codec::encode(Query(QueryAccount{net.uid(0), {}})), std::chrono::hours(1),
               [&](Result<Bytes> answer) { late = std::move(answer); });
  validator.executor().advance(std::chrono::seconds(1));
  EXPECT_FALSE(late.has_value());
  const auto store = store::make_memory_store(validator.executor(), validator.bucket());
  zef::testing::SeededRng rng(3);
  ASSERT_TRUE(validator.executor()
                  .run_until(ledger::rescue(validator.executor(), *store, rng, heir, validator.find(victim)->id(),
                                            [heir](ShardId) { return heir; }))
                  .has_value());
  validator.executor().advance(std::chrono::seconds(3));
  ASSERT_TRUE(late.has_value() && late->has_value());
  const auto answer = codec::decode<Answer>(**late);
  EXPECT_TRUE(answer && std::holds_alternative<SignedAccountState>(*answer));
}

TEST_F(BalancerTest, says_unavailable_when_no_worker_comes_back_in_time) {
  validator.start_all();
  options.hold_time_max = std::chrono::seconds(3);
  start();
  ASSERT_TRUE(std::holds_alternative<SignedAccountState>(ask(QueryAccount{net.uid(0), {}})));
  validator.crash(worker_of(net.uid(0)));
  EXPECT_TRUE(refused_as<Unavailable>(ask(QueryAccount{net.uid(0), {}})));
  EXPECT_EQ(balancer->metrics().given_up, 1U);
  // One that is away holds up nobody else.
  for (std::uint64_t i = 0; i < 16; ++i) {
    if (worker_of(net.uid(i)) == worker_of(net.uid(0))) continue;
    EXPECT_TRUE(std::holds_alternative<SignedAccountState>(ask(QueryAccount{net.uid(i), {}})));
  }
}

TEST_F(BalancerTest, sums_the_totals_of_all_workers) {
  validator.start_all();
  start();
  const Answer answer = ask(QueryTotals{});
  ASSERT_TRUE(std::holds_alternative<Totals>(answer));
  EXPECT_EQ(std::get<Totals>(answer), validator.totals());
  EXPECT_EQ(std::get<Totals>(answer).balances, supply_of(net.genesis()));
}

TEST_F(BalancerTest, answers_about_the_network_from_any_worker) {
  validator.start_all();
  start();
  const Answer answer = ask(QueryNetwork{});
  ASSERT_TRUE(std::holds_alternative<NetworkInfo>(answer));
  EXPECT_EQ(std::get<NetworkInfo>(answer).network, net.id());
}

TEST_F(BalancerTest, unparsable_queries_get_a_typed_refusal_and_the_connection_goes_on) {
  validator.start_all();
  start();
  EXPECT_TRUE(refused_as<Malformed>(ask_bytes({})));
  EXPECT_TRUE(refused_as<Malformed>(ask_bytes({0xff, 0xff, 0xff})));
  EXPECT_TRUE(refused_as<Malformed>(ask_bytes({0x02, 0x00})));  // a UID of no parts
  Bytes half = codec::encode(Query(QueryAccount{net.uid(0), {}}));
  half.pop_back();
  EXPECT_TRUE(refused_as<Malformed>(ask_bytes(half)));  // routed, then refused by the worker's decoder
  EXPECT_TRUE(std::holds_alternative<SignedAccountState>(ask(QueryAccount{net.uid(0), {}})));
}

TEST_F(BalancerTest, too_much_under_way_is_told_overloaded) {
  validator.start_all();
  options.held_bytes_max = 16;
  start();
  EXPECT_TRUE(refused_as<Overloaded>(ask(QueryAccount{net.uid(0), {}})));
  EXPECT_EQ(balancer->metrics().refused, 1U);
}

TEST_F(BalancerTest, frames_that_are_too_long_and_too_many_connections_are_refused) {
  validator.start_all();
  options.server.limits.frame_bytes_max = 256;
  options.server.connections_max = 1;
  start();
  ASSERT_TRUE(std::holds_alternative<SignedAccountState>(ask(QueryAccount{net.uid(0), {}})));
  const auto another = validator.transport().transport();
  net::RpcClient second(validator.executor(), *another, client->address());
  const auto refused = validator.executor().run_until(
      second.call(codec::encode(Query(QueryAccount{net.uid(0), {}})), std::chrono::seconds(1)));
  EXPECT_FALSE(refused);
  const auto too_long = validator.executor().run_until(client->call(Bytes(1000, 2), std::chrono::seconds(1)));
  EXPECT_FALSE(too_long);
}

TEST(Route, finds_the_account_of_every_query) {
  const TestNetwork net;
  Chain alice(net, 3);
  const Request request = alice.next(pay(net.uid(1), 5));
  const ShardId shard = shard_of(net.uid(3));
  const Query queries[] = {SubmitOrder{net.order(request, alice.key())},
                           SubmitProof{net.proof(request)},
                           QueryAccount{net.uid(3), {}},
                           QueryExecuted{net.uid(3), SequenceNumber(0), 1},
                           QueryReceived{net.uid(3), 0, 1},
                           SubmitProposal{.proposal = {.instance = net.uid(3)}},
                           SubmitInstanceCertificate{.instance = net.uid(3)},
                           AskTimeout{.instance = net.uid(3)},
                           QueryInstance{net.uid(3)}};
  for (const Query& query : queries) {
    const auto route = route_of(codec::encode(query));
    ASSERT_TRUE(route) << query.index();
    ASSERT_TRUE(std::holds_alternative<ToShard>(*route)) << query.index();
    EXPECT_EQ(std::get<ToShard>(*route).shard, shard) << query.index();
  }
  EXPECT_TRUE(std::holds_alternative<ToAnyWorker>(*route_of(codec::encode(Query(QueryNetwork{})))));
  EXPECT_TRUE(std::holds_alternative<ToAllWorkers>(*route_of(codec::encode(Query(QueryTotals{})))));
  EXPECT_EQ(route_of(Bytes{50}).error(), codec::DecodeError::unknown_variant);
}

TEST(Route, only_answers_that_another_try_may_change_are_tried_again) {
  const auto again = [](Refusal why) { return asks_for_another_try(codec::encode(Answer(Refused{std::move(why)}))); };
  EXPECT_TRUE(again(Moved{}));
  EXPECT_TRUE(again(Unavailable{}));
  EXPECT_FALSE(again(Overloaded{}));
  EXPECT_FALSE(again(InvalidOwner{}));
  EXPECT_FALSE(asks_for_another_try(codec::encode(Answer(Totals{}))));
}

}  // namespace
}  // namespace zef::balancer
