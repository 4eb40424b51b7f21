#include "ledger/worker_log.h"

#include <gtest/gtest.h>

#include "base/testing/manual_executor.h"
#include "base/testing/seeded_rng.h"
#include "ledger/segment.h"
#include "ledger/testing/controlled_store.h"
#include "store/faulty_store.h"

namespace zef::ledger {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using store::StoreError;
using store::StoreErrorKind;
using testing::ControlledStore;
using zef::testing::ManualExecutor;
using zef::testing::SeededRng;

Task<void> keep(Task<Result<void>> task, std::optional<Result<void>>& out) { out.emplace(co_await std::move(task)); }

class WorkerLogTest : public ::testing::Test {
 protected:
  WorkerLogTest() { worker_.bytes.fill(0xab); }

  void open(WorkerLog::Options options = {}) {
    log_.emplace(executor_, store_, worker_, options);
    log_->on_confirmed([this](RecordNumber up_to) { confirmed_.push_back(up_to); });
    log_->on_fenced([this](const Error& why) { fenced_.push_back(why); });
    log_->on_trouble([this](const Error& why) { trouble_.push_back(why); });
  }
  RecordNumber append(std::string_view text = "record") {
    return log_->append({protocol::ShardId(1), 1, to_bytes(text)});
  }
  // One record in a slot of its own.
  void append_and_flush() {
    append(std::string(options_small_.flush_bytes, 'x'));
    executor_.run_until_idle();
  }
  void finish(std::size_t index) {
    store_.finish(index);
    executor_.run_until_idle();
  }
  Segment segment_sent(std::size_t index) const {
    return std::get<Segment>(decode_slot(*store_.sent.at(index).second).value());
  }

  const WorkerLog::Options options_small_{.flush_bytes = 100};
  ManualExecutor executor_;
  ControlledStore store_{executor_};
  WorkerId worker_;
  std::optional<WorkerLog> log_;
  std::vector<RecordNumber> confirmed_;
  std::vector<Error> fenced_;
  std::vector<Error> trouble_;
};

TEST_F(WorkerLogTest, records_of_a_turn_share_a_slot) {
  open();
  EXPECT_EQ(append("a"), 0U);
  EXPECT_EQ(append("b"), 1U);
  EXPECT_EQ(append("c"), 2U);
  EXPECT_TRUE(store_.puts.empty());
  executor_.run_until_idle();
  ASSERT_EQ(store_.puts.size(), 1U);
  EXPECT_EQ(store_.puts[0].key, slot_key(worker_, 0));
  const Segment segment = segment_sent(0);
  ASSERT_EQ(segment.records.size(), 3U);
  EXPECT_EQ(segment.records[2].body, to_bytes("c"));
  EXPECT_EQ(segment.header.first_record, 0U);
  EXPECT_TRUE(confirmed_.empty());
  finish(0);
  EXPECT_EQ(confirmed_, std::vector<RecordNumber>{3});
  EXPECT_EQ(log_->confirmed(), 3U);
  EXPECT_EQ(log_->appended(), 3U);
  EXPECT_EQ(log_->backlog_bytes(), 0U);
  EXPECT_EQ(log_->slots_confirmed(), 1U);
}

TEST_F(WorkerLogTest, waits_for_the_flush_delay_while_something_is_in_flight) {
  open();
  append("a");
  executor_.run_until_idle();
  append("b");
  executor_.advance(milliseconds(24));
  EXPECT_EQ(store_.puts.size(), 1U);
  append("c");
  executor_.advance(milliseconds(1));
  ASSERT_EQ(store_.puts.size(), 2U);
  EXPECT_EQ(segment_sent(1).records.size(), 2U);
}

TEST_F(WorkerLogTest, flushes_at_once_when_the_last_slot_in_flight_arrives) {
  open();
  append("a");
  executor_.run_until_idle();
  append("b");
  finish(0);
  ASSERT_EQ(store_.puts.size(), 1U);
  EXPECT_EQ(store_.puts[0].key, slot_key(worker_, 1));
  executor_.advance(seconds(1));
  EXPECT_EQ(store_.puts.size(), 1U);
}

TEST_F(WorkerLogTest, flushes_before_the_delay_when_enough_is_buffered) {
  open(options_small_);
  append("a");
  executor_.run_until_idle();
  append(std::string(100, 'b'));
  executor_.run_until_idle();
  EXPECT_EQ(store_.puts.size(), 2U);
}

TEST_F(WorkerLogTest, a_segment_stays_below_its_size_limit) {
  open({.in_flight_max = 1, .flush_bytes = 1000, .segment_bytes_max = 1000});
  for (int i = 0; i < 10; ++i) append(std::string(300, 'x'));
  append(std::string(5000, 'y'));  // too long for the limit: a segment of its own
  executor_.run_until_idle();
  while (!store_.puts.empty()) finish(0);
  ASSERT_EQ(store_.sent.size(), 5U);
  EXPECT_EQ(segment_sent(0).records.size(), 3U);
  EXPECT_EQ(segment_sent(3).records.size(), 1U);
  EXPECT_EQ(segment_sent(4).records.at(0).body.size(), 5000U);
  EXPECT_EQ(log_->confirmed(), 11U);
}

TEST_F(WorkerLogTest, at_most_eight_slots_are_in_flight) {
  open(options_small_);
  for (int i = 0; i < 20; ++i) append_and_flush();
  executor_.advance(seconds(10));
  EXPECT_EQ(store_.puts.size(), 8U);
  EXPECT_GT(log_->backlog_bytes(), 2000U);
  finish(7);  // not the first: nothing is confirmed, and no later slot is sent
  EXPECT_EQ(store_.puts.size(), 7U);
  EXPECT_EQ(log_->confirmed(), 0U);
  finish(0);
  EXPECT_EQ(log_->confirmed(), 1U);
  EXPECT_EQ(store_.puts.size(), 7U);
  while (!store_.puts.empty()) finish(store_.puts.size() - 1);
  EXPECT_EQ(log_->confirmed(), 20U);
}

TEST_F(WorkerLogTest, confirms_in_order_whatever_the_order_of_the_answers) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SeededRng rng(seed);
    ControlledStore store(executor_);
    WorkerLog log(executor_, store, worker_, options_small_);
    RecordNumber last = 0;
    log.on_confirmed([&](RecordNumber up_to) {
      EXPECT_GT(up_to, last);
      for (; last < up_to; ++last) {
        const auto place = log.place_of(last);
        // Output commit: this slot and all before it are in the store.
        for (Slot slot = 0; slot <= place.slot; ++slot)
          ASSERT_TRUE(store.state->get(slot_key(worker_, slot), std::nullopt)->has_value());
      }
    });
    for (int step = 0; step < 100; ++step) {
      if (rng.below(2) == 0) log.append({protocol::ShardId(1), 1, Bytes(rng.below(150))});
      if (!store.puts.empty() && rng.below(3) == 0) store.finish(rng.below(store.puts.size()));
      executor_.advance(milliseconds(rng.below(10)));
    }
    for (int i = 0; i < 1000 && last < log.appended(); ++i) {
      if (!store.puts.empty()) store.finish(rng.below(store.puts.size()));
      executor_.advance(milliseconds(30));
    }
    EXPECT_EQ(last, log.appended());
    EXPECT_EQ(log.backlog_bytes(), 0U);
  }
}

TEST_F(WorkerLogTest, segments_form_a_chain) {
  open(options_small_);
  for (int i = 0; i < 3; ++i) append_and_flush();
  EXPECT_EQ(segment_sent(0).header.previous, crypto::Hash{});
  EXPECT_EQ(segment_sent(1).header.previous, segment_hash(*store_.sent[0].second));
  EXPECT_EQ(segment_sent(2).header.previous, segment_hash(*store_.sent[1].second));
  EXPECT_EQ(segment_sent(2).header.first_record, 2U);
}

TEST_F(WorkerLogTest, knows_the_place_of_a_confirmed_record) {
  open();
  append("a");
  append("b");
  executor_.run_until_idle();
  finish(0);
  append("c");
  executor_.run_until_idle();
  finish(0);
  EXPECT_EQ(log_->place_of(1).slot, 0U);
  EXPECT_EQ(log_->place_of(1).index, 1U);
  EXPECT_EQ(log_->place_of(2).slot, 1U);
  EXPECT_EQ(log_->place_of(2).index, 0U);
}

TEST_F(WorkerLogTest, keeps_the_flush_rate_after_a_burst) {
  open({.flush_bytes = 100, .flushes_per_second_max = 10, .flush_burst = 3});
  for (int i = 0; i < 10; ++i) append_and_flush();
  EXPECT_EQ(store_.sent.size(), 3U);
  executor_.advance(milliseconds(100));
  EXPECT_EQ(store_.sent.size(), 4U);
  EXPECT_EQ(segment_sent(3).records.size(), 7U) << "what had to wait goes together";
  executor_.advance(seconds(10));
  for (int i = 0; i < 10; ++i) append_and_flush();
  EXPECT_EQ(store_.sent.size(), 7U) << "a pause gives the burst back, and no more";
}

TEST_F(WorkerLogTest, sends_the_identical_bytes_again_after_passing_trouble) {
  for (const auto kind : {StoreErrorKind::throttled, StoreErrorKind::unavailable, StoreErrorKind::ambiguous}) {
    worker_.bytes.fill(static_cast<std::uint8_t>(kind));
    store_.sent.clear();
    open();
    append("a");
    executor_.run_until_idle();
    store_.answer(0, {kind, "trouble"});
    append("b");  // must not get into the frozen slot
    executor_.advance(milliseconds(20));
    ASSERT_EQ(store_.sent.size(), 2U);
    EXPECT_EQ(store_.sent[1].first, slot_key(worker_, 0));
    EXPECT_EQ(*store_.sent[1].second, *store_.sent[0].second);
    finish(0);
    finish(0);
    EXPECT_EQ(segment_sent(2).header.slot, 1U);
    EXPECT_EQ(log_->confirmed(), 2U);
    EXPECT_TRUE(trouble_.empty());
  }
}

TEST_F(WorkerLogTest, never_gives_up_and_backs_off) {
  open();
  append("a");
  executor_.run_until_idle();
  for (int i = 0; i < 40; ++i) {
    ASSERT_EQ(store_.puts.size(), 1U);
    store_.answer(0, {StoreErrorKind::unavailable, "down"});
    executor_.run_until_idle();
    EXPECT_TRUE(store_.puts.empty());
    executor_.advance(seconds(5));
  }
  for (const auto& [key, bytes] : store_.sent) EXPECT_EQ(*bytes, *store_.sent[0].second);
  finish(0);
  EXPECT_EQ(log_->confirmed(), 1U);
}

TEST_F(WorkerLogTest, an_ambiguous_put_that_landed_is_success) {
  open();
  append("a");
  executor_.run_until_idle();
  store_.answer(0, {StoreErrorKind::ambiguous, "reset"}, /*applied=*/true);
  executor_.advance(milliseconds(20));
  finish(0);
  EXPECT_EQ(confirmed_, std::vector<RecordNumber>{1});
  EXPECT_TRUE(fenced_.empty());
}

TEST_F(WorkerLogTest, an_ambiguous_put_that_lands_late_is_success) {
  open();
  append("a");
  executor_.run_until_idle();
  store_.answer(0, {StoreErrorKind::ambiguous, "reset"});
  executor_.advance(milliseconds(20));
  ASSERT_EQ(store_.puts.size(), 1U);
  (void)store_.state->put_if_absent(store_.sent[0].first, store_.sent[0].second);  // the first try arrives now
  finish(0);
  EXPECT_EQ(confirmed_, std::vector<RecordNumber>{1});
  EXPECT_TRUE(fenced_.empty());
}

TEST_F(WorkerLogTest, a_full_disk_is_told_and_work_goes_on_when_it_is_freed) {
  open();
  append("a");
  executor_.run_until_idle();
  store_.answer(0, {StoreErrorKind::denied, "no space left"});
  executor_.run_until_idle();
  ASSERT_EQ(trouble_.size(), 1U);
  EXPECT_EQ(trouble_[0].kind, ErrorKind::io);
  EXPECT_EQ(trouble_[0].message, "no space left");
  EXPECT_EQ(log_->confirmed(), 0U);
  executor_.advance(milliseconds(20));
  finish(0);
  EXPECT_EQ(confirmed_, std::vector<RecordNumber>{1});
}

TEST_F(WorkerLogTest, a_seal_fences_once_and_nothing_is_confirmed_after_it) {
  open(options_small_);
  for (int i = 0; i < 5; ++i) append_and_flush();
  WorkerId rescuer;
  rescuer.bytes.fill(0xcd);
  (void)store_.state->put_if_absent(slot_key(worker_, 2), store::content(encode_seal({worker_, rescuer, 2})));
  finish(0);
  EXPECT_EQ(log_->confirmed(), 1U);
  finish(1);  // slot 2
  ASSERT_EQ(fenced_.size(), 1U);
  EXPECT_EQ(fenced_[0].kind, ErrorKind::fenced);
  EXPECT_NE(fenced_[0].message.find(rescuer.hex()), std::string::npos) << fenced_[0].message;
  while (!store_.puts.empty()) finish(0);
  append();
  executor_.advance(seconds(60));
  EXPECT_TRUE(store_.puts.empty());
  EXPECT_EQ(log_->confirmed(), 1U);
  EXPECT_EQ(confirmed_, std::vector<RecordNumber>{1});
  EXPECT_EQ(fenced_.size(), 1U);
  EXPECT_EQ(executor_.run_until(log_->drain()).error().kind, ErrorKind::fenced);
}

TEST_F(WorkerLogTest, foreign_bytes_fence) {
  open();
  const Segment foreign{{worker_, 0, 0, 0, {}}, {}};
  (void)store_.state->put_if_absent(slot_key(worker_, 0), store::content(encode_segment(foreign)));
  append();
  executor_.run_until_idle();
  finish(0);
  ASSERT_EQ(fenced_.size(), 1U);
  EXPECT_EQ(log_->confirmed(), 0U);
}

TEST_F(WorkerLogTest, bytes_that_nobody_wrote_fence_after_some_readings) {
  open();
  (void)store_.state->put_if_absent(slot_key(worker_, 0), store::content(to_bytes("noise")));
  append();
  executor_.run_until_idle();
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(fenced_.empty());
    finish(0);
    executor_.advance(seconds(1));
  }
  EXPECT_EQ(fenced_.size(), 1U);
}

TEST_F(WorkerLogTest, exists_but_nothing_there_is_tried_again) {
  open();
  append();
  executor_.run_until_idle();
  auto reply = std::move(store_.puts[0].reply);
  store_.puts.clear();
  reply(store::PutIfAbsent(store::Exists{}));
  executor_.advance(milliseconds(20));
  ASSERT_EQ(store_.puts.size(), 1U);
  finish(0);
  EXPECT_EQ(log_->confirmed(), 1U);
}

TEST_F(WorkerLogTest, drain_waits_for_what_was_appended) {
  open();
  append("a");
  TaskScope scope;
  std::optional<Result<void>> drained;
  scope.spawn(keep(log_->drain(), drained));
  executor_.run_until_idle();
  EXPECT_FALSE(drained.has_value());
  finish(0);
  ASSERT_TRUE(drained.has_value());
  EXPECT_TRUE(drained->has_value());
}

TEST_F(WorkerLogTest, drain_ends_when_the_log_is_closed) {
  open();
  append("a");
  TaskScope scope;
  std::optional<Result<void>> drained;
  scope.spawn(keep(log_->drain(), drained));
  log_.reset();
  executor_.run_until_idle();
  ASSERT_TRUE(drained.has_value());
  EXPECT_EQ(drained->error().kind, ErrorKind::cancelled);
}

TEST_F(WorkerLogTest, can_be_destroyed_in_its_own_callbacks) {
  open();
  log_->on_confirmed([this](RecordNumber) { log_.reset(); });
  append();
  executor_.run_until_idle();
  finish(0);
  EXPECT_FALSE(log_.has_value());

  worker_.bytes.fill(1);
  open();
  log_->on_fenced([this](const Error&) { log_.reset(); });
  (void)store_.state->put_if_absent(slot_key(worker_, 0), store::content(encode_seal({worker_, {}, 0})));
  append();
  executor_.run_until_idle();
  finish(0);
  EXPECT_FALSE(log_.has_value());

  worker_.bytes.fill(2);
  open();
  log_->on_trouble([this](const Error&) { log_.reset(); });
  append();
  executor_.run_until_idle();
  store_.answer(0, {StoreErrorKind::denied, "full"});
  executor_.advance(seconds(10));
  EXPECT_FALSE(log_.has_value());
}

TEST_F(WorkerLogTest, can_be_destroyed_at_any_moment) {
  for (int moment = 0; moment < 6; ++moment) {
    worker_.bytes.fill(static_cast<std::uint8_t>(10 + moment));
    open();
    append("a");
    if (moment >= 1) executor_.run_until_idle();
    if (moment >= 2) append("b");
    if (moment == 3) store_.answer(0, {StoreErrorKind::unavailable, "down"});
    if (moment >= 4) store_.finish(0);
    if (moment >= 5) executor_.run_until_idle();
    log_.reset();
    executor_.advance(seconds(10));
    while (!store_.puts.empty()) finish(0);
  }
}

TEST_F(WorkerLogTest, survives_every_fault_of_the_store_without_wrappers) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SeededRng rng(seed);
    auto state = std::make_shared<store::MemoryState>();
    store::FaultyStore faulty(store::make_memory_store(executor_, state), executor_, rng,
                              {.lost_before = 100,
                               .lost_after = 100,
                               .late = 100,
                               .throttled = 100,
                               .unavailable = 100,
                               .damaged_read = 50,
                               .delay_max = milliseconds(50)});
    WorkerLog log(executor_, faulty, worker_, options_small_);
    bool fenced = false;
    log.on_fenced([&](const Error&) { fenced = true; });
    for (int i = 0; i < 30; ++i) {
      log.append({protocol::ShardId(1), 1, Bytes(50, static_cast<std::uint8_t>(i))});
      executor_.advance(milliseconds(5));
    }
    ASSERT_TRUE(executor_.run_until(log.drain()).has_value()) << "seed " << seed;
    EXPECT_FALSE(fenced);
    std::uint64_t next = 0;
    for (Slot slot = 0; slot < log.slots_confirmed(); ++slot) {
      const auto object = state->get(slot_key(worker_, slot), std::nullopt).value();
      ASSERT_TRUE(object.has_value());
      const auto segment = std::get<Segment>(decode_slot(object->bytes).value());
      EXPECT_EQ(segment.header.first_record, next);
      for (const LogRecord& record : segment.records) EXPECT_EQ(record.body[0], next++);
    }
    EXPECT_EQ(next, 30U);
  }
}

}  // namespace
}  // namespace zef::ledger
