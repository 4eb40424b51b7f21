#include "cli/wallet_text.h"

#include <gtest/gtest.h>

namespace zef::cli {
namespace {

using namespace protocol;

TEST(WalletText, reads_one_payment_as_two_words) {
  const auto payments = parse_payments({"3/0", "1,500"}, "rent");
  ASSERT_TRUE(payments);
  ASSERT_EQ(payments->size(), 1U);
  EXPECT_EQ(std::get<Account>(payments->front().recipient).uid.text(), "3/0");
  EXPECT_EQ(payments->front().amount.value(), 1500U);
  EXPECT_EQ(as_text(payments->front().memo), "rent");
}

TEST(WalletText, reads_a_batch_and_burning) {
  const auto payments = parse_payments({"1:10", "burn:5", "2/7:1_000"}, "");
  ASSERT_TRUE(payments);
  ASSERT_EQ(payments->size(), 3U);
  EXPECT_TRUE(std::holds_alternative<Burn>((*payments)[1].recipient));
  EXPECT_EQ((*payments)[2].amount.value(), 1000U);
}

TEST(WalletText, refuses_what_is_no_payment) {
  const std::vector<std::vector<std::string>> bad = {
      {},          {"1"},        {"1", "2", "3"}, {"1", "0"},   {"1:0"},
      {"1", "-5"}, {"1", "1.5"}, {"one", "5"},    {"1:2", "3"}, {"1", "18446744073709551616"},
      {":5"},      {"1:"}};
  for (const auto& words : bad) {
    const auto payments = parse_payments(words, "");
    ASSERT_FALSE(payments) << (words.empty() ? "nothing" : words.front());
    EXPECT_EQ(payments.error().kind, ErrorKind::invalid_input);
  }
}

TEST(WalletText, refuses_a_long_memo_and_too_many_payments) {
  EXPECT_TRUE(parse_payments({"1", "1"}, std::string(64, 'x')));
  EXPECT_FALSE(parse_payments({"1", "1"}, std::string(65, 'x')));
  EXPECT_TRUE(parse_payments(std::vector<std::string>(256, "1:1"), ""));
  EXPECT_FALSE(parse_payments(std::vector<std::string>(257, "1:1"), ""));
}

TEST(WalletText, takes_the_largest_amount) {
  EXPECT_EQ(parse_amount("18446744073709551615")->value(), Amount::max);
  EXPECT_FALSE(parse_amount(""));
  EXPECT_FALSE(parse_amount(","));
  EXPECT_FALSE(parse_amount("99999999999999999999999999999999999999999999999999"));
}

TEST(WalletText, names_operations_in_words) {
  Transfer transfer;
  for (std::uint64_t i = 1; i <= 5; ++i)
    transfer.payments.push_back(Payment{Account{Uid::genesis(i)}, Amount(1000 * i), {}});
  EXPECT_EQ(in_words(Operation(transfer)),
            "pays 1,000 to account 1, 2,000 to account 2, 3,000 to account 3 and 2 more");
  EXPECT_EQ(in_words(Operation(OpenAccount{Uid({2, 0}), {}, Amount(7)})), "opens account 2/0 with 7 in it");
  EXPECT_EQ(name_of(Operation(CloseAccount{})), "close");
}

TEST(WalletText, tells_exit_codes_of_failures_apart) {
  using client::FailureKind;
  EXPECT_EQ(exit_code_of(FailureKind::unavailable), ExitCode::unavailable);
  EXPECT_EQ(exit_code_of(FailureKind::insufficient_funds), ExitCode::failed);
  EXPECT_EQ(exit_code_of(FailureKind::not_owner), ExitCode::failed);
  EXPECT_EQ(exit_code_of(FailureKind::invalid), ExitCode::usage);
  EXPECT_EQ(exit_code_of(FailureKind::storage), ExitCode::io);
}

TEST(WalletText, says_what_to_do_when_nobody_answers) {
  const std::string text = in_words(client::Failure{client::FailureKind::unavailable, "no quorum", std::nullopt});
  EXPECT_NE(text.find("no quorum"), std::string::npos);
  EXPECT_NE(text.find("finishes it first"), std::string::npos);
}

TEST(WalletText, shows_requests_as_json) {
  Transfer transfer;
  transfer.payments.push_back(Payment{Burn{}, Amount(9), {}});
  const Request request{current_epoch, Uid::genesis(4), SequenceNumber(2), {}, transfer};
  const auto json = request_json(request);
  EXPECT_EQ(json["account"], "4");
  EXPECT_EQ(json["sequence_number"], 2);
  EXPECT_EQ(json["operation"], "transfer");
  EXPECT_EQ(json["payments"][0]["to"], "burn");
  EXPECT_EQ(json["payments"][0]["amount"], 9);
}

TEST(WalletText, shows_times_in_utc) { EXPECT_EQ(time_text(86'400'000ULL * 365), "1971-01-01 00:00:00"); }

TEST(WalletText, marks_a_locked_account) {
  client::AccountView account;
  account.locked_into = Uid({3, 7});
  account.pending = Request{current_epoch, Uid::genesis(3), SequenceNumber(8), {}, LockInto{Uid({3, 7}), {}}};
  EXPECT_EQ(status_text(account), "open, locked into 3/7");
  EXPECT_EQ(account_json(account)["locked_into"], "3/7");
  EXPECT_EQ(request_json(*account.pending)["instance"], "3/7");
}

TEST(WalletText, a_closed_account_is_not_called_given_away) {
  client::AccountView account;
  account.announced = true;
  account.owned = false;
  EXPECT_EQ(status_text(account), "given away");
  account.chain.closed = true;  // nobody owns it any more
  EXPECT_EQ(status_text(account), "closed");
}

}  // namespace
}  // namespace zef::cli
