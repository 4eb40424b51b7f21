#include "protocol/request_rules.h"

#include <gtest/gtest.h>

#include "protocol/testing/fixture.h"

namespace zef::protocol {
namespace {

using namespace testing;

// The account [0] of a network, as the rules see it, and requests that it makes.
struct Rules : ::testing::Test {
  TestNetwork net{{.fees = test_fees}};
  Chain chain{net, 0};
  AccountFacts account{.owner = net.account_key(0).public_key(),
                       .balance = 1'000'000,
                       .next = SequenceNumber(0),
                       .head = Hash{net.id().bytes}};

  [[nodiscard]] Ruled<> operation(const Operation& operation) const {
    return check_operation(net.network(), account, chain.peek(operation));
  }
  void expect_invalid(const Operation& made, const std::string& why) const {
    const auto result = operation(made);
    ASSERT_FALSE(result.has_value());
    ASSERT_TRUE(std::holds_alternative<InvalidOperation>(result.error())) << describe(result.error());
    EXPECT_NE(std::get<InvalidOperation>(result.error()).why.find(why), std::string::npos) << describe(result.error());
  }
};

template <class R>
void expect_refusal(const Ruled<>& result, const R& refusal) {
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error(), Refusal(refusal)) << describe(result.error());
}

// ---- R1

TEST_F(Rules, accepts_an_ordinary_payment) {
  const Request request = chain.next(pay(net.uid(1), 10));
  EXPECT_TRUE(check_shape(request).has_value());
  EXPECT_TRUE(check_owner(account, net.order(request, net.account_key(0))).has_value());
  EXPECT_TRUE(check_position(account, request).has_value());
  EXPECT_TRUE(check_operation(net.network(), account, request).has_value());
}

TEST_F(Rules, refuses_a_request_of_another_epoch) {
  Request request = chain.next(skip());
  request.epoch = Epoch(1);
  expect_refusal(check_shape(request), WrongEpoch{.current = Epoch(0)});
}

TEST_F(Rules, refuses_a_request_of_more_than_8_KiB_and_accepts_exactly_that) {
  Transfer transfer;
  transfer.payments.resize(100, {.recipient = Account{net.uid(1)}, .amount = Amount(2), .memo = {}});
  Request request = chain.next(transfer);
  auto& payments = std::get<Transfer>(request.operation).payments;
  std::size_t room = request_bytes_max - encoded_size(request);
  for (Payment& payment : payments) {
    payment.memo.resize(std::min<std::size_t>(room, 64));
    room -= payment.memo.size();
  }
  ASSERT_EQ(codec::encode(request).size(), request_bytes_max);
  EXPECT_TRUE(check_shape(request).has_value());
  payments.back().memo.push_back(0);
  ASSERT_EQ(codec::encode(request).size(), request_bytes_max + 1);
  expect_refusal(check_shape(request), Malformed{"a request has at most 8192 bytes"});
}

TEST_F(Rules, refuses_the_largest_sequence_number_and_accepts_the_one_before) {
  Request request = chain.next(skip());
  request.sequence_number = SequenceNumber((1ULL << 63) - 2);
  EXPECT_TRUE(check_shape(request).has_value());
  request.sequence_number = SequenceNumber((1ULL << 63) - 1);
  expect_refusal(check_shape(request), Malformed{"the last sequence number is 9223372036854775806"});
}

TEST_F(Rules, refuses_numbers_of_elements_that_decoders_would_refuse) {
  const auto shape = [&](const Operation& operation) { return check_shape(chain.peek(operation)); };
  expect_refusal(shape(Transfer{}), Malformed{"a transfer has 1 to 256 payments"});
  Transfer many;
  many.payments.resize(257);
  expect_refusal(shape(many), Malformed{"a transfer has 1 to 256 payments"});
  Operation memo = pay(net.uid(1), 5);
  std::get<Transfer>(memo).payments[0].memo.resize(65);
  expect_refusal(shape(memo), Malformed{"a memo has at most 64 bytes"});
  StartInstance start;
  start.accounts.resize(1);
  expect_refusal(shape(start), Malformed{"an instance has 2 to 16 accounts"});
  start.accounts.resize(2);
  start.functionality = AtomicPayments{};
  expect_refusal(shape(start), Malformed{"an instance has 1 to 256 legs"});
}

// ---- R3, R4

TEST_F(Rules, refuses_a_signer_that_is_not_the_owner) {
  expect_refusal(check_owner(account, net.order(chain.next(skip()), net.account_key(1))), InvalidOwner{});
}

TEST_F(Rules, refuses_an_account_without_owner) {
  account.owner.reset();
  expect_refusal(check_owner(account, net.order(chain.next(skip()), net.account_key(0))), InactiveAccount{net.uid(0)});
}

TEST_F(Rules, refuses_a_wrong_sequence_number) {
  account.next = SequenceNumber(3);
  for (const std::uint64_t number : {0ULL, 2ULL, 4ULL}) {
    Request request = chain.peek(skip());
    request.sequence_number = SequenceNumber(number);
    expect_refusal(check_position(account, request), UnexpectedSequenceNumber{.expected = SequenceNumber(3)});
  }
}

TEST_F(Rules, refuses_a_request_that_does_not_continue_the_chain) {
  Request request = chain.peek(skip());
  request.previous.bytes[0] ^= 1;
  expect_refusal(check_position(account, request), UnexpectedPrevious{.head = account.head});
}

TEST_F(Rules, an_account_at_the_end_of_its_numbers_can_do_nothing_more) {
  account.next = SequenceNumber(SequenceNumber::max);  // after the operation of the last number
  Request request = chain.peek(skip());
  request.sequence_number = account.next;
  EXPECT_FALSE(check_shape(request).has_value());
  request.sequence_number = sequence_number_last;
  expect_refusal(check_position(account, request), UnexpectedSequenceNumber{.expected = account.next});
}

// ---- R6

TEST_F(Rules, refuses_an_amount_over_the_balance_and_counts_the_fee) {
  const Operation payment = pay(net.uid(1), 100);
  const Balance needed = 100 + 4 * (5 + 78 + 10);
  account.balance = needed;
  EXPECT_TRUE(operation(payment).has_value());
  account.balance = needed - 1;
  expect_refusal(operation(payment), InsufficientFunds{.balance = needed - 1, .needed = needed});
}

TEST_F(Rules, an_account_with_nothing_can_do_nothing) {
  for (const Balance balance : {Balance(0), Balance(-5)}) {
    account.balance = balance;
    expect_refusal(operation(skip()), InsufficientFunds{.balance = balance, .needed = 4 * (5 + 58)});
    expect_refusal(operation(close_account()), InsufficientFunds{.balance = balance, .needed = 4 * (5 + 58)});
  }
}

TEST_F(Rules, adds_amounts_in_128_bits) {
  const Operation payments = pay_all({{net.uid(1), ~0ULL}, {net.uid(2), ~0ULL}});
  const auto result = operation(payments);
  ASSERT_FALSE(result.has_value());
  const auto& refusal = std::get<InsufficientFunds>(result.error());
  EXPECT_TRUE(refusal.needed == Balance(~0ULL) * 2 + 4 * (5 + 97 + 20));
}

TEST_F(Rules, counts_the_funding_of_a_new_account) {
  const Operation open = open_account(Uid({0, 0}), net.account_key(1).public_key(), 500);
  account.balance = 500 + 4 * (5 + 115 + 110) - 1;
  expect_refusal(operation(open), InsufficientFunds{.balance = account.balance, .needed = account.balance + 1});
  account.balance += 1;
  EXPECT_TRUE(operation(open).has_value());
}

TEST_F(Rules, rejects_zero_amount) {
  expect_invalid(pay(net.uid(1), 0), "a payment of nothing");
  expect_invalid(burn(0), "a payment of nothing");
  expect_invalid(pay_all({{net.uid(1), 5}, {net.uid(2), 0}}), "a payment of nothing");
}

TEST_F(Rules, rejects_amounts_below_the_least_apart_from_burning) {
  expect_invalid(pay(net.uid(1), 1), "below the least amount 2");
  EXPECT_TRUE(operation(pay(net.uid(1), 2)).has_value());
  EXPECT_TRUE(operation(burn(1)).has_value());
}

TEST_F(Rules, rejects_funding_below_the_least_apart_from_none) {
  const PublicKey& key = net.account_key(1).public_key();
  expect_invalid(open_account(Uid({0, 0}), key, 1), "below the least amount 2");
  EXPECT_TRUE(operation(open_account(Uid({0, 0}), key, 0)).has_value());
  EXPECT_TRUE(operation(open_account(Uid({0, 0}), key, 2)).has_value());
}

TEST_F(Rules, rejects_recipients_that_can_never_exist) {
  EXPECT_TRUE(operation(pay(Uid::genesis(7), 5)).has_value());
  expect_invalid(pay(Uid::genesis(8), 5), "recipient 8 can never exist");
  expect_invalid(pay_all({{net.uid(1), 5}, {Uid::genesis(~0ULL), 5}}), "can never exist");
  EXPECT_TRUE(operation(pay(Uid({1, 99}), 5)).has_value());  // may be opened later
}

TEST_F(Rules, rejects_a_new_account_with_another_uid_than_its_own) {
  const PublicKey& key = net.account_key(1).public_key();
  for (const Uid& uid : {Uid({0, 1}), Uid({1, 0}), Uid({0}), Uid({0, 0, 0}), Uid({5})})
    expect_invalid(open_account(uid, key), "what this request creates must be 0/0, not " + uid.text());
}

TEST_F(Rules, rejects_children_deeper_than_32) {
  const auto opens = [&](std::size_t depth) {
    const Uid parent(std::vector<std::uint64_t>(depth, 0));
    std::vector<std::uint64_t> parts(std::min(depth + 1, Uid::depth_max), 0);
    const Chain deep(net, parent, account.head, net.account_key(0));
    return check_operation(net.network(), account,
                           deep.peek(open_account(Uid(std::move(parts)), net.account_key(1).public_key())));
  };
  EXPECT_TRUE(opens(31).has_value());
  expect_refusal(opens(32), InvalidOperation{"an account of depth 32 cannot have children"});
}

TEST_F(Rules, rejects_new_keys_that_no_signature_fits) {
  const PublicKey small_order{};  // y = 0
  PublicKey not_on_curve{};
  not_on_curve.bytes[0] = 2;
  for (const PublicKey& key : {small_order, not_on_curve}) {
    expect_invalid(change_owner(key), "not a usable Ed25519 key");
    expect_invalid(open_account(Uid({0, 0}), key), "not a usable Ed25519 key");
  }
  EXPECT_TRUE(operation(change_owner(net.account_key(1).public_key())).has_value());
}

}  // namespace
}  // namespace zef::protocol
