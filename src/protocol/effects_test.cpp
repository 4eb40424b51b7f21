#include "protocol/effects.h"

#include <gtest/gtest.h>

#include "protocol/testing/fixture.h"
#include "protocol/testing/generate.h"

namespace zef::protocol {
namespace {

using namespace testing;

TestNetwork net_with_fees(std::size_t validators = 4) {
  return TestNetwork({.validators = validators, .fees = test_fees});
}

TEST(Fees, of_a_payment_are_base_and_bytes_and_one_effect_for_each_validator) {
  const TestNetwork net = net_with_fees();
  const Request request = Chain(net, 0).next(pay(net.uid(1), 10));
  // epoch 8, account 1 + 8, number 8, previous 32, operation 1, one payment 1 + (1 + 1 + 8) + 8 + memo 1.
  ASSERT_EQ(codec::encode(request).size(), 78U);
  EXPECT_EQ(fee_of(net.network(), request), Amount(4 * (5 + 78 + 10)));
}

TEST(Fees, count_recipients_and_not_payments) {
  const TestNetwork net = net_with_fees();
  const Request request =
      Chain(net, 0).next(pay_all({{net.uid(1), 10}, {net.uid(2), 10}, {net.uid(1), 10}, {net.uid(0), 10}}));
  ASSERT_EQ(codec::encode(request).size(), 78U + 3 * 19);
  EXPECT_EQ(fee_of(net.network(), request), Amount(4 * (5 + 135 + 3 * 10)));
}

TEST(Fees, of_a_burn_have_no_effect_in_them) {
  const TestNetwork net = net_with_fees();
  EXPECT_EQ(fee_of(net.network(), Chain(net, 0).next(burn(10))), Amount(4 * (5 + 69)));
}

TEST(Fees, of_opening_have_an_effect_and_a_creation) {
  const TestNetwork net = net_with_fees();
  const Request request = Chain(net, 0).open_child(net.account_key(1), Amount(3));
  ASSERT_EQ(codec::encode(request).size(), 58U + 17 + 32 + 8);
  EXPECT_EQ(fee_of(net.network(), request), Amount(4 * (5 + 115 + 10 + 100)));
}

TEST(Fees, of_local_operations_are_base_and_bytes) {
  const TestNetwork net = net_with_fees(1);
  EXPECT_EQ(fee_of(net.network(), Chain(net, 0).next(skip())), Amount(5 + 58));
  EXPECT_EQ(fee_of(net.network(), Chain(net, 0).next(close_account())), Amount(5 + 58));
  EXPECT_EQ(fee_of(net.network(), Chain(net, 0).next(change_owner(net.account_key(1).public_key()))),
            Amount(5 + 58 + 32));
}

TEST(Fees, of_an_instance_count_its_accounts_and_a_lock_is_free) {
  const TestNetwork net = net_with_fees(1);
  StartInstance start{.new_id = Uid({0, 0}), .functionality = AtomicSwap{}, .accounts = {}};
  start.accounts.push_back({net.uid(0), SequenceNumber(1)});
  start.accounts.push_back({net.uid(1), SequenceNumber(0)});
  const Request request = Chain(net, 0).next(start);
  EXPECT_EQ(fee_of(net.network(), request), Amount(5 + codec::encode(request).size() + 10 + 100 + 2 * 1000));
  EXPECT_EQ(fee_of(net.network(), Chain(net, 0).next(LockInto{Uid({0, 0}), net.account_key(0).public_key()})),
            Amount(0));
}

TEST(Fees, of_the_dearest_request_that_a_genesis_allows_do_not_overflow) {
  TestNetworkOptions options{.fees = {.per_remote_effect = ~0ULL / 4 / 256}};
  const TestNetwork net(options);
  std::vector<std::pair<Uid, std::uint64_t>> payments;
  for (std::uint64_t i = 0; i < 256; ++i) payments.emplace_back(Uid::genesis(i), 1);
  EXPECT_EQ(fee_of(net.network(), Chain(net, 0).next(pay_all(payments))), Amount(4 * 256 * (~0ULL / 4 / 256)));
}

TEST(Fees, divide_exactly_among_the_validators) {
  const TestNetwork net = net_with_fees(7);
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Source source(seed);
    EXPECT_EQ(fee_of(net.network(), generate<Request>(source)).value() % 7, 0U) << "seed " << seed;
  }
}

TEST(EncodedSize, is_the_number_of_bytes_of_the_encoding) {
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    Source source(seed);
    const auto request = generate<Request>(source);
    ASSERT_EQ(encoded_size(request), codec::encode(request).size()) << "seed " << seed;
  }
  Transfer many;  // lengths of two bytes
  many.payments.resize(256);
  Request request{.epoch = {}, .account = {}, .sequence_number = {}, .previous = {}, .operation = many};
  EXPECT_EQ(encoded_size(request), codec::encode(request).size());
}

TEST(Effects, merge_payments_to_one_recipient_in_the_order_of_first_payment) {
  const TestNetwork net;
  Operation operation = pay_all({{net.uid(3), 1}, {net.uid(1), 2}, {net.uid(3), 4}, {net.uid(2), 8}});
  std::get<Transfer>(operation).payments.insert(std::get<Transfer>(operation).payments.begin() + 1,
                                                {.recipient = Burn{}, .amount = Amount(100), .memo = {}});
  const Request request = Chain(net, 0).next(operation);

  const auto effects = effects_of(request, Hash{});

  const auto credit = [&](std::uint64_t to, std::uint64_t amount) {
    return Effect(Credit{net.uid(0), SequenceNumber(0), net.uid(to), Amount(amount)});
  };
  EXPECT_EQ(effects, (std::vector<Effect>{credit(3, 5), credit(1, 2), credit(2, 8)}));
  EXPECT_EQ(target_of(effects[0]), net.uid(3));
  EXPECT_EQ(amount_of(effects[0]), Amount(5));
  EXPECT_EQ(amount_spent(request), Amount(115));
  EXPECT_EQ(amount_burned(request), Balance(100));
}

// Few payments are found by comparing, many by a table: both give the same.
TEST(Effects, of_many_payments_are_those_of_a_naive_model) {
  const TestNetwork net;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Source source(seed);
    std::vector<std::pair<Uid, std::uint64_t>> payments(1 + source.below(60));
    for (auto& [to, amount] : payments) {
      to = Uid::genesis(source.below(25));
      amount = 1 + source.below(1000);
    }
    std::vector<Effect> expected;
    for (const auto& [to, amount] : payments) {
      const auto same = std::ranges::find_if(expected, [&](const Effect& e) { return target_of(e) == to; });
      if (same == expected.end()) {
        expected.emplace_back(Credit{net.uid(0), SequenceNumber(0), to, Amount(amount)});
      } else {
        auto& sum = std::get<Credit>(*same).amount;
        sum = Amount(sum.value() + amount);
      }
    }
    const Request request = Chain(net, 0).next(pay_all(payments));
    EXPECT_EQ(effects_of(request, Hash{}), expected) << "seed " << seed;
  }
}

TEST(Effects, of_a_self_transfer_are_an_ordinary_credit) {
  const TestNetwork net;
  const auto effects = effects_of(Chain(net, 0).next(pay(net.uid(0), 7)), Hash{});
  EXPECT_EQ(effects, (std::vector<Effect>{Credit{net.uid(0), SequenceNumber(0), net.uid(0), Amount(7)}}));
}

TEST(Effects, of_a_burn_and_of_local_operations_are_none) {
  const TestNetwork net;
  for (const Operation& operation : {burn(5), skip(), close_account(), change_owner(net.account_key(1).public_key())}) {
    const Request request = Chain(net, 0).next(operation);
    EXPECT_TRUE(effects_of(request, Hash{}).empty());
  }
  EXPECT_EQ(amount_spent(Chain(net, 0).next(skip())), Amount(0));
}

TEST(Effects, of_opening_carry_the_hash_of_the_request_as_head) {
  const TestNetwork net;
  const Request request = Chain(net, 0).open_child(net.account_key(1), Amount(30));
  const Hash hash = hash_of(net.id(), request);
  const auto effects = effects_of(request, hash);
  EXPECT_EQ(effects, (std::vector<Effect>{Open{Uid({0, 0}), net.account_key(1).public_key(), Amount(30), hash}}));
  EXPECT_EQ(target_of(effects[0]), Uid({0, 0}));
  EXPECT_EQ(amount_of(effects[0]), Amount(30));
  EXPECT_EQ(amount_spent(request), Amount(30));
}

TEST(Effects, of_starting_an_instance_reach_the_instance) {
  const TestNetwork net;
  StartInstance start{.new_id = Uid({0, 0}), .functionality = AtomicSwap{}, .accounts = {}};
  const Request request = Chain(net, 0).next(start);
  const auto effects = effects_of(request, Hash{});
  ASSERT_EQ(effects.size(), 1U);
  EXPECT_EQ(target_of(effects[0]), Uid({0, 0}));
  EXPECT_EQ(amount_of(effects[0]), Amount(0));
}

TEST(Effects, of_a_sum_beyond_64_bits_saturate) {
  const TestNetwork net;
  const Request request = Chain(net, 0).next(pay_all({{net.uid(1), ~0ULL}, {net.uid(1), 5}}));
  EXPECT_EQ(amount_spent(request), std::nullopt);
  EXPECT_EQ(amount_of(effects_of(request, Hash{}).at(0)), Amount(~0ULL));
}

TEST(Effects, of_fee_totals_reach_the_reward_account) {
  const Effect total = FeeTotal{.reward_account = Uid::genesis(3), .total = 12};
  EXPECT_EQ(target_of(total), Uid::genesis(3));
  EXPECT_EQ(amount_of(total), Amount(0));
}

}  // namespace
}  // namespace zef::protocol
