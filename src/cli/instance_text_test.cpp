#include "cli/instance_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace zef::cli {
namespace {

using namespace protocol;
using client::InstanceParty;
using client::InstanceReport;
using client::InstanceShare;
using client::InstanceStep;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

InstanceParty party(std::uint64_t account, std::uint64_t balance, bool mine) {
  InstanceParty party;
  party.account = Uid::genesis(account);
  party.number = party.next = SequenceNumber(4);
  party.mine = mine;
  party.ready = true;
  party.owner = PublicKey{};
  party.balance = static_cast<Balance>(balance);
  return party;
}

// Account 1 is this wallet's and can lock; account 2 is another's.
InstanceReport swap_report() {
  InstanceReport report;
  report.instance = Uid({1, 3});
  report.creator = Uid::genesis(1);
  report.parties = {party(1, 5'000, true), party(2, 7'000, false)};
  report.shares.push_back({.account = Uid::genesis(1), .receives = Uid::genesis(2)});
  report.waits_for = {Uid::genesis(1), Uid::genesis(2)};
  report.steps = {InstanceStep::accept};
  return report;
}

InstanceReport settlement_report() {
  InstanceReport report = swap_report();
  report.swap = false;
  report.legs = {{Uid::genesis(1), Uid::genesis(2), Amount(1'500)}, {Uid::genesis(2), Uid::genesis(1), Amount(20)}};
  report.shares = {{.account = Uid::genesis(1), .receives = std::nullopt, .pays = 1'500, .gets = 20}};
  return report;
}

TEST(InstanceText, reads_an_instance_by_its_number) {
  EXPECT_EQ(parse_instance("3/7")->text(), "3/7");
  for (const char* bad : {"", "3", "3/", "swap", "3/7/"}) {
    const auto parsed = parse_instance(bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_EQ(parsed.error().kind, ErrorKind::invalid_input);
  }
}

TEST(InstanceText, reads_payments_with_both_ends) {
  const auto legs = parse_legs({"1:2:1,500", "3/0:1:7"});
  ASSERT_TRUE(legs);
  ASSERT_EQ(legs->size(), 2U);
  EXPECT_EQ((*legs)[0], (Leg{Uid::genesis(1), Uid::genesis(2), Amount(1'500)}));
  EXPECT_EQ((*legs)[1], (Leg{Uid({3, 0}), Uid::genesis(1), Amount(7)}));
  for (const char* bad : {"", "1", "1:2", "1:2:", "1:2:0", "1:2:-3", "1:2:3:4", ":2:3", "a:2:3", "1:burn:3"}) {
    const auto parsed = parse_legs({bad});
    ASSERT_FALSE(parsed) << bad;
    EXPECT_EQ(parsed.error().kind, ErrorKind::invalid_input);
  }
  EXPECT_FALSE(parse_legs({}));
  EXPECT_TRUE(parse_legs(std::vector<std::string>(256, "1:2:3")));
  EXPECT_FALSE(parse_legs(std::vector<std::string>(257, "1:2:3")));
}

TEST(InstanceText, payers_take_part_once_each_and_are_at_least_two) {
  const auto payers = payers_of(*parse_legs({"2:1:5", "1:3:5", "2:3:5"}));
  ASSERT_TRUE(payers);
  EXPECT_THAT(*payers, ElementsAre(Uid::genesis(2), Uid::genesis(1)));
  const auto alone = payers_of(*parse_legs({"1:2:5", "1:3:5"}));
  ASSERT_FALSE(alone);
  EXPECT_THAT(alone.error().message, HasSubstr("zef wallet transfer"));
  std::vector<std::string> many;
  for (int i = 0; i < 17; ++i) many.push_back(std::to_string(i) + ":99:1");
  EXPECT_FALSE(payers_of(*parse_legs(many)));
}

TEST(InstanceText, nothing_is_objected_to_when_all_stand_at_their_numbers) {
  EXPECT_THAT(objection(swap_report(), Amount(7'000)), IsEmpty());
  EXPECT_THAT(objection(settlement_report(), Amount(0)), IsEmpty());
}

TEST(InstanceText, objects_to_an_account_that_has_gone_on_or_could_still_change) {
  InstanceReport report = swap_report();
  report.parties[1].gone = true;
  report.parties[1].ready = false;
  report.parties[1].next = SequenceNumber(5);
  EXPECT_THAT(objection(report, Amount(0)), HasSubstr("account 2 was to take part at its operation 4"));
  report.parties[1].gone = false;
  report.parties[1].next = SequenceNumber(3);
  EXPECT_THAT(objection(report, Amount(0)), HasSubstr("could still empty it"));
  report.parties[1].locked = true;
  EXPECT_THAT(objection(report, Amount(0)), IsEmpty());
}

TEST(InstanceText, objects_to_closed_and_poor_accounts) {
  InstanceReport report = swap_report();
  EXPECT_THAT(objection(report, Amount(7'001)), HasSubstr("holds 7,000, less than 7,001"));
  report.parties[1].owner.reset();
  EXPECT_THAT(objection(report, Amount(0)), HasSubstr("account 2 is closed"));
  InstanceReport settlement = settlement_report();
  settlement.parties[1].balance = 19;
  EXPECT_THAT(objection(settlement, Amount(0)), HasSubstr("holds 19 and would have to pay 20"));
}

TEST(InstanceText, shows_who_waits_for_whom_and_what_it_means) {
  InstanceReport report = swap_report();
  report.parties[0].locked = true;
  report.shares[0].locked = true;
  report.waits_for = {Uid::genesis(2)};
  const std::string text = report_text(report);
  EXPECT_THAT(text, HasSubstr("swap 1/3, proposed by account 1: open"));
  EXPECT_THAT(text, HasSubstr("locked, waits for 2"));
  EXPECT_THAT(text, HasSubstr("account 1 goes away, account 2 comes instead, which holds at least 7,000"));
  EXPECT_THAT(text, HasSubstr("it waits for account 2 to lock"));
  EXPECT_THAT(report_text(settlement_report()), HasSubstr("account 1 pays 1,500 and its fee, and gets 20"));
}

TEST(InstanceText, names_the_exact_next_commands) {
  InstanceReport report = swap_report();
  EXPECT_THAT(next_commands(report, "--dir town"), ElementsAre("zef wallet swap accept 1/3 --account 1 --dir town"));
  report.shares[0].locked = true;
  report.steps = {InstanceStep::abort};
  EXPECT_THAT(next_commands(report, ""), ElementsAre("zef wallet swap abort 1/3"));
  report.steps = {InstanceStep::confirm, InstanceStep::abort};
  report.swap = false;
  EXPECT_THAT(next_commands(report, ""),
              ElementsAre("zef wallet settle accept 1/3 --account 1", "zef wallet settle abort 1/3"));
}

TEST(InstanceText, shows_a_report_as_json) {
  InstanceReport report = settlement_report();
  report.decided = Decision(Aborted{});
  report.waits_for = {};
  const auto json = report_json(report);
  EXPECT_EQ(json["instance"], "1/3");
  EXPECT_EQ(json["kind"], "settlement");
  EXPECT_EQ(json["state"], "aborted");
  EXPECT_EQ(json["legs"][0]["to"], "2");
  EXPECT_EQ(json["shares"][0]["pays"], "1500");
  EXPECT_EQ(json["parties"][1]["balance"], "7000");
  EXPECT_THAT(report_text(report), Not(HasSubstr("waits for")));
}

TEST(InstanceText, lists_accounts_as_people_do) {
  EXPECT_EQ(list_of({}), "");
  EXPECT_EQ(list_of({Uid::genesis(1)}), "1");
  EXPECT_EQ(list_of({Uid::genesis(1), Uid::genesis(2), Uid({3, 0})}), "1, 2 and 3/0");
}

}  // namespace
}  // namespace zef::cli
