// Swaps and settlements by wallets, on a network in memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/testing/wallets.h"
#include "client/wallet_file.h"
#include "protocol/instance_rules.h"

namespace zef::client {
namespace {

using namespace testing;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Swaps : public ::testing::Test {
 protected:
  Person& person(std::uint64_t first, std::uint64_t count = 1) {
    people_.push_back(std::make_unique<Person>(net, folder / ("wallet" + std::to_string(first)), first, count));
    return *people_.back();
  }
  void let_run(const std::function<bool()>& done) { net.executor.run_while_not(done); }
  Uid must_propose_swap(Person& proposer, std::vector<Uid> accounts) {
    const auto uid = net.run(proposer->propose_swap(accounts.front(), accounts));
    EXPECT_TRUE(uid) << (uid ? "" : uid.error().message);
    return uid ? *uid : Uid();
  }
  void must_accept(Person& who, const Uid& instance, const Uid& account) {
    const auto accepted = net.run(who->accept(instance, account));
    ASSERT_TRUE(accepted) << accepted.error().message;
  }
  Outcome<DriveReport> drive(Person& who, const Uid& instance, Wish wish, Duration time = seconds(120)) {
    return net.run(who->drive(instance, wish, time));
  }
  void expect_decided(const Outcome<DriveReport>& report, const Decision& decision) {
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->decided, decision) << report->why;
    EXPECT_TRUE(report->finished) << report->why;
  }
  bool owned(Person& who, const Uid& account) {
    const auto view = who->account(account);
    return view && view->owned;
  }
  void expect_pays(Person& who, const Uid& from) {
    const auto paid = net.run(who->transfer(from, to(Uid::genesis(7), 1)));
    EXPECT_TRUE(paid) << from.text() << ": " << paid.error().message;
  }
  // No validator signed two requests for one number, nor two decisions in one round; in the end all are equal.
  void expect_all_equal() {
    for (auto& one : people_) EXPECT_TRUE(net.run(one->quorum().finish_background(seconds(120))));
    for (std::size_t i = 1; i < net.validators.size(); ++i) EXPECT_EQ(net[i].digests(), net[0].digests()) << i;
    expect_honest_votes();
  }
  void expect_honest_votes() {
    for (auto& validator : net.validators) {
      for (const auto& [place, hashes] : validator->voted()) EXPECT_EQ(hashes.size(), 1U) << place.first.text();
      for (const auto& [place, decisions] : validator->precommitted()) EXPECT_EQ(decisions.size(), 1U);
    }
  }

  zef::testing::TempFolder folder;
  LocalNetwork net;
  const Uid a = Uid::genesis(0);
  const Uid b = Uid::genesis(1);
  const Uid c = Uid::genesis(2);
  const Decision confirmed = Confirmed{};
  const Decision aborted = Aborted{};

 private:
  std::vector<std::unique_ptr<Person>> people_;
};

TEST_F(Swaps, two_people_swap_their_accounts) {
  Person& alice = person(0);
  Person& bob = person(1);
  ASSERT_TRUE(net.run(bob->transfer(b, to(c, 400'000))));
  const Uid swap = must_propose_swap(alice, {a, b});
  must_accept(alice, swap, a);
  must_accept(bob, swap, b);  // knows the number only
  TaskScope scope;
  const Running one(scope, alice->drive(swap, Wish::confirm, seconds(60)));
  const Running other(scope, bob->drive(swap, Wish::confirm, seconds(60)));
  let_run([&] { return one.done() && other.done(); });
  expect_decided(one.result(), confirmed);
  expect_decided(other.result(), confirmed);
  EXPECT_THAT(one.result()->received, ElementsAre(b));
  EXPECT_THAT(one.result()->given, ElementsAre(a));
  EXPECT_TRUE(owned(alice, b));
  EXPECT_FALSE(owned(alice, a));
  EXPECT_TRUE(owned(bob, a));
  EXPECT_FALSE(owned(bob, b));
  EXPECT_EQ(alice->account(b)->chain.balance, 600'000);
  expect_pays(alice, b);
  expect_pays(bob, a);
  expect_all_equal();
}

}  // namespace
}  // namespace zef::client
