// Swaps and settlements on whole networks of real processes, with a participant that proposes both decisions at once:
// there is one decision, everybody's accounts come out of it, and no money is made or lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/flow.h"
#include "client/wallet.h"
#include "crypto/passphrase.h"
#include "equivocator.h"

namespace zef::networks {
namespace {

using namespace std::chrono_literals;
using namespace protocol;
using ::testing::IsEmpty;

constexpr Duration time_max = 120s;

// An honest wallet with account 0, a dishonest participant with account 1, and their network.
class Instances : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = Rig::open(folder_.path() / "net", small_network(3));
    ASSERT_TRUE(opened) << opened.error().message;
    rig_ = std::move(*opened);
    const auto started = cli::run_flow(rig_->loop, rig_->network->start());
    ASSERT_TRUE(started) << started.error().message;
    const auto passphrase = crypto::passphrase_from_file(rig_->network->passphrase_path());
    ASSERT_TRUE(passphrase);
    const Network& network = rig_->network->network();
    std::vector<client::NewAccount> accounts;
    accounts.push_back({honest_, rig_->network->account_key(0),
                        client::genesis_chain(rig_->network->genesis(), network, 0), "honest"});
    const auto file = folder_.path() / "honest.sqlite";
    ASSERT_TRUE(client::Wallet::create(file, network.id, *passphrase, std::move(accounts), rig_->loop.wall_now(),
                                       crypto::seal_parameters_min));
    auto wallet = client::Wallet::open(file, rig_->loop, network);
    ASSERT_TRUE(wallet) << wallet.error().message;
    wallet_ = std::move(*wallet);
    ASSERT_TRUE(wallet_->unlock(*passphrase));
    wallet_->connect(*rig_->quorum);
  }
  void TearDown() override {
    wallet_.reset();
    if (rig_) EXPECT_TRUE(run(stopped()));
  }
  Task<bool> stopped() {
    co_await rig_->network->stop();
    co_return true;
  }

  template <class T>
  T run(Task<T> task) {
    return cli::run_flow(rig_->loop, std::move(task));
  }

  // Drives to the end while the other equivocates in every round that is its own; the decision.
  std::optional<Decision> decide(Equivocator& cheat, const Uid& instance, client::Wish wish) {
    EXPECT_LE(run(cheat.propose_both(Round(0))), rig_->quorum->size());
    TaskScope scope;
    scope.spawn(cheat.go_on());
    const auto driven = run(wallet_->drive(instance, wish, time_max));
    EXPECT_TRUE(driven) << driven.error().message;
    if (!driven) return std::nullopt;
    EXPECT_TRUE(driven->finished) << driven->why;
    EXPECT_THAT(cheat.problems(), IsEmpty());
    EXPECT_GE(cheat.votes(), 2U);  // it was listened to
    return driven->decided;
  }

  // The decision is executed for everybody, all validators agree on it, and the supply is that of the genesis.
  void expect_one_decision(const Uid& instance, const Decision& decision) {
    client::InstanceDriver driver(*rig_->quorum);
    auto view = run(driver.query(instance));
    ASSERT_TRUE(view) << view.error().message;
    EXPECT_EQ(view->decision(), decision);
    EXPECT_EQ(run(driver.execute_all(*view, time_max)), 2U);
    for (const Uid& account : {honest_, dishonest_}) {
      const auto agreeing = run(rig_->quorum->bring_up_to_date(account));
      ASSERT_TRUE(agreeing) << agreeing.error().message;
      EXPECT_EQ(*agreeing, rig_->quorum->size());
    }
    EXPECT_TRUE(run(cli::wait_until_quiet(*rig_->quorum, time_max)));
    const auto check =
        run(cli::check_network(*rig_->quorum, supply_of(rig_->network->genesis()), rig_->genesis_accounts()));
    EXPECT_THAT(check.unequal, IsEmpty());
  }

  TempFolder folder_;
  std::unique_ptr<Rig> rig_;
  std::unique_ptr<client::Wallet> wallet_;
  const Uid honest_ = Uid::genesis(0);
  const Uid dishonest_ = Uid::genesis(1);
};

TEST_F(Instances, participant_that_proposes_both_decisions_gets_one_and_the_settlement_ends) {
  Equivocator cheat(*rig_, 1);
  const auto instance = run(wallet_->propose_settlement(
      honest_, {honest_, dishonest_}, {{honest_, dishonest_, Amount(1'000)}, {dishonest_, honest_, Amount(2'000)}}));
  ASSERT_TRUE(instance) << instance.error().message;
  const auto accepted = run(wallet_->accept(*instance, honest_));
  ASSERT_TRUE(accepted) << accepted.error().message;
  ASSERT_TRUE(run(cheat.join(*instance)));
  const auto decision = decide(cheat, *instance, client::Wish::confirm);
  ASSERT_TRUE(decision);
  expect_one_decision(*instance, *decision);
  EXPECT_TRUE(run(wallet_->transfer(honest_, {Payment{Account{Uid::genesis(2)}, Amount(5), {}}})));
}

TEST_F(Instances, whoever_wants_out_gets_out_of_a_swap_with_a_participant_that_proposes_both_decisions) {
  Equivocator cheat(*rig_, 1);
  const auto instance = run(wallet_->propose_swap(honest_, {honest_, dishonest_}));
  ASSERT_TRUE(instance) << instance.error().message;
  const auto accepted = run(wallet_->accept(*instance, honest_));
  ASSERT_TRUE(accepted) << accepted.error().message;
  ASSERT_TRUE(run(cheat.join(*instance)));
  const auto decision = decide(cheat, *instance, client::Wish::abort);
  ASSERT_TRUE(decision);
  expect_one_decision(*instance, *decision);
  // Either way the wallet owns one of the two, and can use it.
  const Uid& mine = std::holds_alternative<Confirmed>(*decision) ? dishonest_ : honest_;
  const auto paid = run(wallet_->transfer(mine, {Payment{Account{Uid::genesis(2)}, Amount(5), {}}}));
  EXPECT_TRUE(paid) << paid.error().message;
}

}  // namespace
}  // namespace zef::networks
