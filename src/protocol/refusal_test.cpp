#include "protocol/refusal.h"

#include <gtest/gtest.h>

#include <set>

#include "protocol/testing/generate.h"

namespace zef::protocol {
namespace {

TEST(Refusal, each_is_described_by_a_sentence_of_its_own) {
  std::set<std::string> beginnings;
  for (std::size_t i = 0; i < std::variant_size_v<Refusal>; ++i) {
    testing::Source source(i);
    const auto refusal = testing::detail::alternative<Refusal>(source, i);
    const std::string text = describe(refusal);
    EXPECT_GT(text.size(), 20U) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    beginnings.insert(text.substr(0, 24));
  }
  EXPECT_EQ(beginnings.size(), std::variant_size_v<Refusal>);
}

TEST(Refusal, gives_the_numbers_that_a_client_needs) {
  EXPECT_EQ(describe(InsufficientFunds{.balance = -3, .needed = 20}),
            "the account holds -3 and the operation needs 20, its fee included: fund the account first");
  EXPECT_EQ(describe(MissingOperations{.next = SequenceNumber(7)}),
            "the validator lacks earlier operations of this account: send their proofs from number 7 on");
}

}  // namespace
}  // namespace zef::protocol
