#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codec/json.h"
#include "crypto/sha256.h"
#include "protocol/testing/fixture.h"

namespace zef::protocol {
namespace {

using ::testing::HasSubstr;
using testing::TestNetwork;

Genesis good() { return TestNetwork({.fees = testing::test_fees}).genesis(); }

void expect_refused(const Genesis& genesis, const std::string& why) {
  const auto result = check_genesis(genesis);
  ASSERT_FALSE(result.has_value()) << "expected: " << why;
  EXPECT_THAT(result.error(), HasSubstr(why));
}

TEST(Genesis, good_one_is_accepted) { EXPECT_TRUE(check_genesis(good()).has_value()); }

TEST(Genesis, network_id_is_the_hash_of_its_bytes_and_depends_on_every_part) {
  const Genesis genesis = good();
  EXPECT_EQ(network_id_of(genesis).bytes, crypto::sha256(codec::encode(genesis)).bytes);
  Genesis other = genesis;
  other.nonce.bytes[31] ^= 1;
  EXPECT_NE(network_id_of(other), network_id_of(genesis));
  other = genesis;
  other.fees.base += 1;
  EXPECT_NE(network_id_of(other), network_id_of(genesis));
  other = genesis;
  other.accounts[0].balance = Amount(other.accounts[0].balance.value() + 1);
  EXPECT_NE(network_id_of(other), network_id_of(genesis));
}

TEST(Genesis, has_a_json_form_that_leads_back) {
  const Genesis genesis = good();
  EXPECT_EQ(codec::from_json<Genesis>(codec::to_json(genesis).dump()), genesis);
}

TEST(Genesis, refuses_names_that_people_could_not_use) {
  for (const std::string& name : {std::string(), std::string(65, 'x'), std::string("a\nb"), std::string("\xc3\x28")}) {
    Genesis genesis = good();
    genesis.network_name = name;
    expect_refused(genesis, "name of the network");
    genesis = good();
    genesis.validators[1].name = name;
    expect_refused(genesis, "must be 1 to 64 printable");
  }
  Genesis genesis = good();
  genesis.validators[1].name = genesis.validators[0].name;
  expect_refused(genesis, "two validators have the name 'validator-0'");
}

TEST(Genesis, refuses_a_committee_that_cannot_decide) {
  Genesis genesis = good();
  genesis.validators.clear();
  expect_refused(genesis, "a committee has 1 to 256 validators");
  genesis = good();
  for (ValidatorInfo& validator : genesis.validators) validator.weight = 0;
  expect_refused(genesis, "no validator has a weight");
}

TEST(Genesis, refuses_repeated_and_unusable_keys) {
  Genesis genesis = good();
  genesis.validators[2].public_key = genesis.validators[0].public_key;
  expect_refused(genesis, "'validator-2' has the same key");
  genesis = good();
  genesis.validators[2].public_key = PublicKey{};  // y = 0: of small order
  expect_refused(genesis, "the key of validator 'validator-2' is not a usable");
  genesis = good();
  genesis.accounts[3].owner = PublicKey{};
  expect_refused(genesis, "the owner of account 3");
}

TEST(Genesis, refuses_reward_accounts_outside_of_the_genesis) {
  Genesis genesis = good();
  genesis.validators[0].reward_account = Uid::genesis(8);
  expect_refused(genesis, "is not a genesis account (0 to 7)");
  genesis = good();
  genesis.validators[0].reward_account = Uid({0, 1});
  expect_refused(genesis, "is not a genesis account");
}

TEST(Genesis, refuses_no_accounts_and_a_supply_beyond_64_bits) {
  Genesis genesis = good();
  genesis.accounts.clear();
  expect_refused(genesis, "at least one account");
  genesis = good();
  for (GenesisAccount& account : genesis.accounts) account.balance = Amount(0);
  genesis.accounts[0].balance = Amount(~0ULL);
  EXPECT_TRUE(check_genesis(genesis).has_value());
  EXPECT_EQ(supply_of(genesis), Balance(~0ULL));
  genesis.accounts[1].balance = Amount(1);
  expect_refused(genesis, "below 2^64");
}

TEST(Genesis, refuses_fees_that_could_overflow) {
  using Field = std::uint64_t FeeSchedule::*;
  for (const auto& [field, times] :
       std::vector<std::pair<Field, std::uint64_t>>{{&FeeSchedule::base, 1},
                                                    {&FeeSchedule::per_byte, 8192},
                                                    {&FeeSchedule::per_remote_effect, 256},
                                                    {&FeeSchedule::per_creation, 1},
                                                    {&FeeSchedule::per_instance_account, 16}}) {
    Genesis genesis = good();
    genesis.fees = FeeSchedule{};
    genesis.fees.*field = ~0ULL / 4 / times;  // four validators
    EXPECT_TRUE(check_genesis(genesis).has_value());
    genesis.fees.*field += 1;
    expect_refused(genesis, "the fees are too high");
    genesis.fees.*field = ~0ULL;
    expect_refused(genesis, "the fees are too high");
  }
}

TEST(Genesis, refuses_a_least_amount_of_zero) {
  Genesis genesis = good();
  genesis.fees.min_credit = Amount(0);
  expect_refused(genesis, "min_credit");
}

TEST(Committee, quorum_is_more_than_two_thirds_of_the_weight) {
  const auto committee = [](std::vector<std::uint64_t> weights) {
    const std::size_t count = weights.size();
    return TestNetwork({.validators = count, .weights = std::move(weights)}).network().committee;
  };
  const auto expect = [&](std::vector<std::uint64_t> weights, std::uint64_t quorum, std::uint64_t faulty) {
    const Committee made = committee(std::move(weights));
    EXPECT_TRUE(made.quorum() == quorum);
    EXPECT_TRUE(made.faulty_max() == faulty);
  };
  expect({1}, 1, 0);
  expect({1, 1}, 2, 0);
  expect({1, 1, 1}, 3, 0);
  expect({1, 1, 1, 1}, 3, 1);
  expect({1, 1, 1, 1, 1, 1, 1}, 5, 2);
  expect({0, 3, 4, 4}, 8, 3);
  expect({10, 1, 1, 1}, 9, 4);
}

TEST(Committee, weights_of_64_bits_do_not_overflow) {
  const TestNetwork net({.validators = 3, .weights = {~0ULL, ~0ULL, ~0ULL}});
  const Committee& committee = net.network().committee;
  EXPECT_TRUE(committee.total_weight() == static_cast<unsigned __int128>(~0ULL) * 3);
  EXPECT_TRUE(committee.quorum() == static_cast<unsigned __int128>(~0ULL) * 2 + 1);
}

TEST(Committee, finds_validators_by_index_and_key) {
  const TestNetwork net;
  const Committee& committee = net.network().committee;
  ASSERT_NE(committee.find(ValidatorIndex(3)), nullptr);
  EXPECT_EQ(committee.find(ValidatorIndex(3))->name, "validator-3");
  EXPECT_EQ(committee.find(ValidatorIndex(4)), nullptr);
  EXPECT_EQ(committee.find(ValidatorIndex(65535)), nullptr);
  EXPECT_EQ(committee.index_of(net.validator_key(2).public_key()), ValidatorIndex(2));
  EXPECT_EQ(committee.index_of(net.account_key(0).public_key()), std::nullopt);
}

}  // namespace
}  // namespace zef::protocol
