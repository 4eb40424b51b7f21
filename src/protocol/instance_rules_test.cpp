// Rules L1 and L2, and what else of an instance follows from requests alone.
#include "protocol/instance_rules.h"

#include <gtest/gtest.h>

#include "protocol/effects.h"
#include "protocol/request_rules.h"
#include "protocol/testing/agreement.h"

namespace zef::protocol {
namespace {

using namespace testing;

constexpr SequenceNumber at(std::uint64_t number) { return SequenceNumber(number); }

struct InstanceRules : ::testing::Test {
  TestNetwork net{{.fees = test_fees}};
  Chain alice{net, 0};
  Chain bob{net, 1};
  Chain carol{net, 2};
  AccountFacts rich{
      .owner = alice.key().public_key(), .balance = 1'000'000, .next = at(0), .head = Hash{net.id().bytes}};

  // What alice's request to start this gets.
  [[nodiscard]] Ruled<> starts(const Operation& operation) const {
    return check_operation(net.network(), rich, alice.peek(operation));
  }
  [[nodiscard]] Operation swap_of(std::vector<Participant> accounts) const {
    return start_instance(Uid({0, 0}), std::move(accounts));
  }
  [[nodiscard]] Operation payments_of(const std::vector<Leg>& legs) const {
    return start_instance(Uid({0, 0}), {{net.uid(0), at(1)}, {net.uid(1), at(0)}}, payments(legs));
  }
  // What alice's lock at number 1 gets, of an account with that balance.
  [[nodiscard]] Ruled<> locks(const Request& lock, Balance balance, const Request* start) const {
    AccountFacts account = rich;
    account.balance = balance;
    return check_lock(net.network(), account, lock, start);
  }
};

void expect_invalid(const Ruled<>& result, const std::string& why) {
  ASSERT_FALSE(result.has_value()) << "expected: " << why;
  ASSERT_TRUE(std::holds_alternative<InvalidOperation>(result.error())) << describe(result.error());
  EXPECT_NE(std::get<InvalidOperation>(result.error()).why.find(why), std::string::npos) << describe(result.error());
}

// ---- L1

TEST_F(InstanceRules, accept_swaps_and_payments) {
  EXPECT_TRUE(starts(swap_of({{net.uid(1), at(0)}, {net.uid(2), at(7)}})).has_value());
  EXPECT_TRUE(starts(payments_of({{net.uid(0), net.uid(1), Amount(5)}, {net.uid(1), net.uid(7), Amount(2)}})));
  EXPECT_TRUE(starts(payments_of({{net.uid(0), Uid({5, 4, 3}), Amount(5)}}))) << "may be opened later";
}

TEST_F(InstanceRules, reject_another_uid_than_the_own_child) {
  const std::vector<Participant> two{{net.uid(0), at(1)}, {net.uid(1), at(0)}};
  for (const Uid& uid : {Uid({0, 1}), Uid({1, 0}), Uid({0}), Uid({0, 0, 0})})
    expect_invalid(starts(start_instance(uid, two)), "what this request creates must be 0/0, not " + uid.text());
}

TEST_F(InstanceRules, reject_an_account_that_takes_part_twice) {
  expect_invalid(starts(swap_of({{net.uid(1), at(0)}, {net.uid(2), at(0)}, {net.uid(1), at(1)}})),
                 "account 1 takes part twice");
}

TEST_F(InstanceRules, reject_a_number_that_no_request_can_have) {
  expect_invalid(starts(swap_of({{net.uid(1), at(0)}, {net.uid(2), at(SequenceNumber::max)}})),
                 "the last sequence number is 9223372036854775806");
  EXPECT_TRUE(starts(swap_of({{net.uid(1), at(0)}, {net.uid(2), sequence_number_last}})).has_value());
}

TEST_F(InstanceRules, reject_legs_that_no_transfer_could_have) {
  expect_invalid(starts(payments_of({{net.uid(2), net.uid(1), Amount(5)}})),
                 "a leg from 2, which is not among the accounts");
  expect_invalid(starts(payments_of({{net.uid(0), net.uid(1), Amount(0)}})), "a payment of nothing");
  expect_invalid(starts(payments_of({{net.uid(0), net.uid(1), Amount(1)}})), "below the least amount 2");
  expect_invalid(starts(payments_of({{net.uid(0), net.uid(8), Amount(5)}})), "recipient 8 can never exist");
}

TEST_F(InstanceRules, reject_legs_whose_sum_overflows_for_one_account) {
  const Amount half(1ULL << 63);
  expect_invalid(starts(payments_of({{net.uid(0), net.uid(1), half}, {net.uid(0), net.uid(2), half}})),
                 "the legs from 0 overflow");
  EXPECT_TRUE(starts(payments_of({{net.uid(0), net.uid(1), half}, {net.uid(1), net.uid(2), half}})).has_value());
}

TEST_F(InstanceRules, starting_costs_a_fee_for_each_account) {
  const Request start = alice.peek(swap_of({{net.uid(1), at(0)}, {net.uid(2), at(0)}, {net.uid(3), at(0)}}));
  const Balance fee = 4 * (5 + Balance{encoded_size(start)} + 10 + 100 + 3 * 1000);
  EXPECT_EQ(fee_of(net.network(), start).value(), fee);
  rich.balance = fee - 1;
  EXPECT_EQ(check_operation(net.network(), rich, start).error(), Refusal(InsufficientFunds{fee - 1, fee}));
  rich.balance = fee;
  EXPECT_TRUE(check_operation(net.network(), rich, start).has_value());
}

// ---- L2

TEST_F(InstanceRules, a_lock_fits_exactly_its_account_and_number) {
  const Agreement swap(net, alice, {&alice, &bob});
  EXPECT_EQ(place_of_lock(swap.terms(), swap.lock_request(0)), 0U);
  EXPECT_EQ(place_of_lock(swap.terms(), swap.lock_request(1)), 1U);

  Request wrong = swap.lock_request(1);
  wrong.sequence_number = at(1);
  EXPECT_EQ(place_of_lock(swap.terms(), wrong), std::nullopt);
  expect_invalid(locks(wrong, 1'000'000, &swap.start()), "does not name account 1 at sequence number 1");
  wrong = swap.lock_request(1);
  wrong.account = carol.account();
  EXPECT_EQ(place_of_lock(swap.terms(), wrong), std::nullopt);
  wrong = swap.lock_request(1);
  std::get<LockInto>(wrong.operation).instance = Uid({0, 1});
  EXPECT_EQ(place_of_lock(swap.terms(), wrong), std::nullopt);
  wrong.operation = skip();
  EXPECT_EQ(place_of_lock(swap.terms(), wrong), std::nullopt);
}

TEST_F(InstanceRules, reject_a_lock_without_the_proof_of_its_instance) {
  const Agreement swap(net, alice, {&alice, &bob});
  expect_invalid(locks(swap.lock_request(0), 1'000'000, nullptr), "needs the proof of the request that started");
  EXPECT_TRUE(locks(swap.lock_request(0), 1'000'000, &swap.start()).has_value());
}

TEST_F(InstanceRules, reject_a_delegate_that_can_sign_nothing) {
  expect_invalid(check_operation(net.network(), rich, alice.peek(lock_into(Uid({0, 0}), PublicKey{}))),
                 "not a usable Ed25519 key");
}

TEST_F(InstanceRules, a_lock_must_cover_the_dearer_outcome_and_is_free_itself) {
  const Agreement swap(net, alice, {&alice, &bob});
  EXPECT_EQ(fee_of(net.network(), swap.lock_request(0)), Amount(0));
  const Balance change = 4 * (5 + 90);  // ChangeOwner is dearer than Skip
  EXPECT_EQ(locks(swap.lock_request(0), change - 1, &swap.start()).error(),
            Refusal(InsufficientFunds{change - 1, change}));
  EXPECT_TRUE(locks(swap.lock_request(0), change, &swap.start()).has_value());

  const Agreement sale(net, alice, {&alice, &bob, &carol},
                       payments({{net.uid(0), net.uid(5), Amount(100)}, {net.uid(0), net.uid(1), Amount(20)}}));
  const Balance paying = 120 + 4 * (5 + 97 + 20);
  EXPECT_EQ(locks(sale.lock_request(0), paying - 1, &sale.start()).error(),
            Refusal(InsufficientFunds{paying - 1, paying}));
  EXPECT_TRUE(locks(sale.lock_request(0), paying, &sale.start()).has_value());
  const Balance nothing_to_pay = 4 * (5 + 58);  // Skip, either way
  EXPECT_EQ(locks(sale.lock_request(2), nothing_to_pay - 1, &sale.start()).error(),
            Refusal(InsufficientFunds{nothing_to_pay - 1, nothing_to_pay}));
  EXPECT_TRUE(locks(sale.lock_request(2), nothing_to_pay, &sale.start()).has_value());
  // Exactly what the outcomes cost.
  for (std::size_t place = 0; place < 3; ++place) {
    const Request confirmed = sale.derived(place, Confirmed{});
    const Balance cost = Balance{amount_spent(confirmed)->value()} + fee_of(net.network(), confirmed).value();
    EXPECT_EQ(cost_of_lock(net.network(), sale.terms(), sale.lock_request(place), place), cost);
  }
}

TEST_F(InstanceRules, a_confirmed_swap_gives_each_account_to_the_delegate_of_the_next) {
  const Agreement swap(net, alice, {&carol, &alice, &bob});
  for (std::size_t place = 0; place < 3; ++place) {
    const Request derived = swap.derived(place, Confirmed{});
    const Request& lock = swap.lock_request(place);
    EXPECT_EQ(derived.operation, Operation(ChangeOwner{swap.delegate((place + 1) % 3).public_key()}));
    EXPECT_EQ(derived.epoch, lock.epoch);
    EXPECT_EQ(derived.account, lock.account);
    EXPECT_EQ(derived.sequence_number, lock.sequence_number);
    EXPECT_EQ(derived.previous, lock.previous);
  }
}

TEST_F(InstanceRules, confirmed_payments_are_the_legs_of_each_account_in_order) {
  const Agreement sale(net, alice, {&alice, &bob, &carol},
                       payments({{net.uid(1), net.uid(0), Amount(7)},
                                 {net.uid(0), net.uid(2), Amount(5)},
                                 {net.uid(1), net.uid(3), Amount(9)},
                                 {net.uid(1), net.uid(0), Amount(2)}}));
  EXPECT_EQ(sale.derived(0, Confirmed{}).operation, pay(net.uid(2), 5));
  EXPECT_EQ(sale.derived(1, Confirmed{}).operation, pay_all({{net.uid(0), 7}, {net.uid(3), 9}, {net.uid(0), 2}}));
  EXPECT_EQ(sale.derived(2, Confirmed{}).operation, skip()) << "no legs";
}

TEST_F(InstanceRules, an_aborted_lock_is_a_skip_at_its_place) {
  const Agreement swap(net, alice, {&alice, &bob});
  Request expected = swap.lock_request(1);
  expected.operation = skip();
  EXPECT_EQ(swap.derived(1, Aborted{}), expected);
}

TEST_F(InstanceRules, what_is_derived_from_the_longest_start_is_no_longer_than_a_request_may_be) {
  const Uid deep(std::vector<std::uint64_t>(Uid::depth_max, 1));
  for (const Uid& from : {net.uid(1), deep}) {
    std::vector<Leg> legs;
    const auto request = [&] {
      return alice.peek(start_instance(Uid({0, 0}), {{net.uid(0), at(1)}, {from, at(0)}}, payments(legs)));
    };
    do legs.push_back({from, deep, Amount(2)});
    while (legs.size() <= 256 && encoded_size(request()) <= request_bytes_max);
    legs.pop_back();
    const Request start = request();
    ASSERT_TRUE(check_shape(start).has_value());
    ASSERT_TRUE(check_start(net.network(), start).has_value());

    const Chain owner(net, from, Hash{}, net.account_key(1));
    const Request mine = alice.peek(lock_into(Uid({0, 0}), alice.key().public_key()));
    const Request theirs = owner.peek(lock_into(Uid({0, 0}), owner.key().public_key()));
    const auto derived = confirmed_requests(started_by(start), {&mine, &theirs});
    EXPECT_EQ(std::get<Transfer>(derived[1].operation).payments.size(), legs.size());
    EXPECT_LT(encoded_size(derived[1]), encoded_size(start));
  }
}

// ---- L3

TEST_F(InstanceRules, the_leader_of_a_round_goes_around_the_accounts) {
  const Agreement swap(net, alice, {&alice, &bob, &carol});
  for (std::uint32_t round = 0; round < 9; ++round) EXPECT_EQ(leader_of(swap.terms(), Round(round)), round % 3);
  EXPECT_EQ(leader_of(swap.terms(), Round(UINT32_MAX)), UINT32_MAX % 3);
}

TEST_F(InstanceRules, the_start_is_found_wherever_a_proof_vouches_for_it) {
  const Request before = alice.next(skip());
  const Agreement swap(net, alice, {&alice, &bob});
  const Request after = alice.next(skip());
  const Proof newest = net.chain_proof(std::vector<Request>{before, swap.start()});
  const Proof later = net.chain_proof(std::vector<Request>{before, swap.start(), after});
  const Request* found = find_start(newest, swap.uid());
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(*found, swap.start());
  found = find_start(later, swap.uid());
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(*found, swap.start());
  EXPECT_EQ(find_start(later, Uid({0, 0})), nullptr) << "another instance";
  EXPECT_EQ(find_start(net.proof(after), swap.uid()), nullptr) << "vouched for, but not shown";
}

TEST_F(InstanceRules, an_instance_whose_uid_is_not_of_its_request_is_none) {  // I2, whatever a quorum certifies
  const Request stranger = bob.peek(start_instance(Uid({0, 0}), {{net.uid(0), at(1)}, {net.uid(1), at(0)}}));
  EXPECT_EQ(find_start(net.proof(stranger), Uid({0, 0})), nullptr);
}

}  // namespace
}  // namespace zef::protocol
