#include "cli/demo_steps.h"

#include <gtest/gtest.h>

#include "cli/demo_check.h"
#include "protocol/effects.h"

namespace zef::cli {
namespace {

using namespace protocol;

Genesis small_genesis() {
  Genesis genesis;
  genesis.network_name = "demo";
  genesis.fees = default_fees();
  for (std::uint64_t i = 0; i < 3; ++i)
    genesis.accounts.push_back({crypto::SigningKey::generate().public_key(), Amount(i < 2 ? 10'000 : 0)});
  genesis.validators.push_back({"v", crypto::SigningKey::generate().public_key(), 1, Uid::genesis(2)});
  return genesis;
}

TEST(DemoBook, moves_money_and_keeps_the_supply) {
  const Genesis genesis = small_genesis();
  const Network network(genesis);
  DemoBook book(genesis, network);
  Transfer transfer;
  transfer.payments.push_back(Payment{Account{Uid::genesis(1)}, Amount(500), {}});
  const Request request{current_epoch, Uid::genesis(0), SequenceNumber(0), {}, transfer};
  book.enter(request);
  const auto fee = static_cast<Balance>(fee_of(network, request).value());
  EXPECT_TRUE(book.balance(Uid::genesis(0)) == 10'000 - 500 - fee);
  EXPECT_TRUE(book.balance(Uid::genesis(1)) == 10'500);
  EXPECT_TRUE(book.balance(Uid::genesis(2)) == fee);
}

TEST(DemoBook, enters_new_accounts_with_their_funding) {
  const Genesis genesis = small_genesis();
  const Network network(genesis);
  DemoBook book(genesis, network);
  const Uid child({0, 0});
  book.enter({current_epoch, Uid::genesis(0), SequenceNumber(0), {}, OpenAccount{child, {}, Amount(70)}});
  EXPECT_TRUE(book.balance(child) == 70);
  EXPECT_EQ(book.accounts().size(), 4U);
}

TEST(DemoBook, an_instance_costs_a_fee_and_is_no_account) {
  const Genesis genesis = small_genesis();
  const Network network(genesis);
  DemoBook book(genesis, network);
  StartInstance start{Uid({0, 0}), AtomicSwap{}, {}};
  for (const std::uint64_t i : {0, 1}) start.accounts.push_back({Uid::genesis(i), SequenceNumber(1 - i)});
  const Request request{current_epoch, Uid::genesis(0), SequenceNumber(0), {}, start};
  book.enter(request);
  EXPECT_EQ(book.accounts().size(), 3U);
  EXPECT_TRUE(book.balance(Uid::genesis(0)) == 10'000 - static_cast<Balance>(fee_of(network, request).value()));
}

TEST(DemoFigures, hold_only_if_every_check_was_reached) {
  DemoFigures figures;
  EXPECT_FALSE(figures.all_held());
  figures.payment_ok = figures.batch_ok = figures.child_ok = figures.rotation_ok = figures.double_spend_refused =
      figures.swap_ok = figures.settlement_ok = figures.way_out_ok = figures.validator_down_ok =
          figures.killed_worker_ok = figures.quiet = figures.supply_ok = figures.heads_equal = figures.balances_equal =
              figures.nothing_lost = true;
  EXPECT_TRUE(figures.all_held());
  figures.problems.emplace_back("something");
  EXPECT_FALSE(figures.all_held());
}

TEST(DemoCheck, counts_what_is_under_way_as_supply) {
  const Totals totals{
      .balances = 100, .burned = 5, .caused = 30, .received = 20, .fees = 8, .fees_credited = 6, .effects_waiting = 1};
  EXPECT_TRUE(supply_in(totals) == 117);
  EXPECT_FALSE(is_quiet(totals));
  EXPECT_TRUE(is_quiet(Totals{.balances = 100, .caused = 30, .received = 30}));
}

}  // namespace
}  // namespace zef::cli
