// Each checker, with a violation that was planted: a checker that cannot fail is worth nothing.
#include <gtest/gtest.h>

#include "net/rpc.h"
#include "protocol/testing/fixture.h"
#include "sim/chronicle.h"
#include "sim/witness.h"

namespace zef::sim {
namespace {

using namespace protocol;
using protocol::testing::Chain;
using protocol::testing::pay;
using protocol::testing::TestNetwork;
using shard::EffectsReceived;
using shard::Executed;
using shard::Record;
using shard::VoteMade;

class Checkers : public ::testing::Test {
 protected:
  // A segment with these records appears in the bucket, as the next of that worker's log, at the epoch of its number if
  // none is named.
  void appears(ShardId shard, const std::vector<Record>& records, std::uint8_t worker = 1, std::uint64_t skip = 0,
               std::optional<std::uint64_t> epoch = std::nullopt) {
    ledger::Segment segment;
    segment.header.worker.bytes[0] = worker;
    segment.header.slot = (slots_[worker] += 1 + skip) - 1;
    segment.header.record_count = static_cast<std::uint32_t>(records.size());
    for (const Record& record : records)
      segment.records.push_back({.shard = shard, .shard_epoch = epoch.value_or(worker), .body = codec::encode(record)});
    chronicle_.created(ledger::slot_key(segment.header.worker, segment.header.slot), ledger::encode_segment(segment));
  }
  // A worker says this.
  void leaves(const Answer& answer) {
    Bytes frame(net::request_id_bytes, 0);
    append(frame, codec::encode(answer));
    witness_.sent({.listening = address_, .connection = 1, .to_listener = false, .frame = frame});
  }
  [[nodiscard]] std::string violated() const {
    return journal_.violations().empty() ? "" : journal_.violations().front().invariant;
  }
  [[nodiscard]] ShardId shard_of_alice() const { return shard_of(net_.uid(0)); }

  TestNetwork net_;
  Schedule schedule_;
  Journal journal_{schedule_.make_process(), true};
  Chronicle chronicle_{0, net_.genesis(), net_.network(), journal_};
  Witness witness_{net_.network(), journal_};
  net::Address address_{"v0-w0", 1};
  std::map<std::uint8_t, std::uint64_t> slots_;
  Chain alice_{net_, 0};

  void SetUp() override { witness_.watch("v0-w0", 0, chronicle_); }
};

TEST_F(Checkers, see_two_workers_that_own_a_shard_at_one_epoch) {
  appears(shard_of_alice(), {shard::Adopted{1}});
  appears(shard_of_alice(), {shard::Adopted{2}}, 2, 0, 2);
  EXPECT_EQ(violated(), "");
  appears(shard_of_alice(), {shard::Adopted{1}}, 2, 0, 1);
  EXPECT_EQ(violated(), "one owner");
}

TEST_F(Checkers, see_what_is_logged_after_a_hand_over) {
  appears(shard_of_alice(), {shard::Adopted{1}, shard::HandedOff{}});
  EXPECT_EQ(violated(), "");
  appears(shard_of_alice(), {shard::Adopted{1}});
  EXPECT_EQ(violated(), "one owner");
}

TEST_F(Checkers, accept_a_vote_that_is_durable) {
  const Request request = alice_.peek(pay(net_.uid(1), 10));
  appears(shard_of_alice(), {VoteMade{request}});
  leaves(Voted{net_.vote(Value{Confirm{request}}, 0)});
  EXPECT_EQ(violated(), "");
}

TEST_F(Checkers, see_a_vote_that_is_not_durable) {
  leaves(Voted{net_.vote(Value{Confirm{alice_.peek(pay(net_.uid(1), 10))}}, 0)});
  EXPECT_EQ(violated(), "I5");
}

TEST_F(Checkers, see_a_vote_whose_slot_follows_a_hole) {
  const Request request = alice_.peek(pay(net_.uid(1), 10));
  appears(shard_of_alice(), {VoteMade{request}}, 1, 1);
  leaves(Voted{net_.vote(Value{Confirm{request}}, 0)});
  EXPECT_EQ(violated(), "I5");
}

TEST_F(Checkers, see_votes_for_two_requests_of_one_number) {
  appears(shard_of_alice(), {VoteMade{alice_.peek(pay(net_.uid(1), 10))}});
  appears(shard_of_alice(), {VoteMade{alice_.peek(pay(net_.uid(2), 10))}}, 2);
  EXPECT_EQ(violated(), "votes");
}

TEST_F(Checkers, see_a_state_that_is_not_durable) {
  AccountState state;
  state.account = net_.uid(0);
  state.next = SequenceNumber(1);
  state.head = hash_of(net_.id(), alice_.peek(pay(net_.uid(1), 10)));
  leaves(SignedAccountState{state, ValidatorIndex(0), net_.sign(state, net_.validator_key(0))});
  EXPECT_EQ(violated(), "I5");
}

TEST_F(Checkers, see_a_second_request_executed_at_one_number) {
  appears(shard_of_alice(), {Executed{net_.proof(alice_.peek(pay(net_.uid(1), 10)))}});
  EXPECT_EQ(violated(), "");
  appears(shard_of_alice(), {Executed{net_.proof(alice_.peek(pay(net_.uid(2), 10)))}});
  EXPECT_EQ(violated(), "I1");
}

TEST_F(Checkers, see_an_effect_that_is_applied_twice) {
  const Request request = alice_.peek(pay(net_.uid(1), 10));
  const Credit credit{net_.uid(0), SequenceNumber(0), net_.uid(1), Amount(10)};
  appears(shard_of_alice(), {Executed{net_.proof(request)}});
  appears(shard_of(net_.uid(1)), {EffectsReceived{shard_of_alice(), 0, {credit}}});
  EXPECT_EQ(violated(), "");
  appears(shard_of(net_.uid(1)), {EffectsReceived{shard_of_alice(), 0, {credit}}});
  EXPECT_EQ(violated(), "I4");
}

TEST_F(Checkers, see_an_effect_without_a_durable_cause) {
  const Credit credit{net_.uid(0), SequenceNumber(0), net_.uid(1), Amount(10)};
  appears(shard_of(net_.uid(1)), {EffectsReceived{shard_of_alice(), 0, {credit}}});
  EXPECT_EQ(violated(), "I5");
}

TEST_F(Checkers, see_a_vote_that_is_forgotten) {
  const Request request = alice_.peek(pay(net_.uid(1), 10));
  const Witness::Voted voted{.validator = 0,
                             .query = {},
                             .account = net_.uid(0),
                             .at = SequenceNumber(0),
                             .request = hash_of(net_.id(), request)};
  witness_.judge_again(voted, codec::encode(Answer(Voted{net_.vote(Value{Confirm{request}}, 0)})));
  witness_.judge_again(voted, codec::encode(Answer(Refused{Overloaded{1}})));
  EXPECT_EQ(violated(), "");
  witness_.judge_again(voted,
                       codec::encode(Answer(Voted{net_.vote(Value{Confirm{alice_.peek(pay(net_.uid(1), 11))}}, 0)})));
  EXPECT_EQ(violated(), "I5");
}

TEST_F(Checkers, build_the_shards_again_from_the_log) {
  const Request request = alice_.peek(pay(net_.uid(1), 10));
  appears(shard_of_alice(), {VoteMade{request}, Executed{net_.proof(request)}});
  const auto rebuilt = chronicle_.rebuild();
  EXPECT_EQ(rebuilt.states.at(net_.uid(0)).next, SequenceNumber(1));
  EXPECT_EQ(rebuilt.totals.caused, 10);
  EXPECT_EQ(violated(), "");
}

}  // namespace
}  // namespace zef::sim
