// Replay of lineages that earlier workers left, sound and damaged, and single records for serving history.
#include <gtest/gtest.h>

#include "base/testing/manual_executor.h"
#include "base/testing/seeded_rng.h"
#include "ledger/segment.h"
#include "ledger/takeover.h"
#include "ledger/testing/worker_life.h"
#include "shard/records.h"
#include "store/faulty_store.h"
#include "store/memory_store.h"
#include "store/testing/forwarding_store.h"

namespace zef::ledger {
namespace {

using testing::ShardHistory;
using zef::testing::ManualExecutor;
using zef::testing::SeededRng;

WorkerId worker(std::uint8_t fill) {
  WorkerId id;
  id.bytes.fill(fill);
  return id;
}

struct Entry {
  std::uint16_t shard;
  std::uint64_t epoch;
  std::string text;
};

class ReplayTest : public ::testing::Test {
 protected:
  ReplayTest() {
    for (const WorkerId& id : {a_, b_, c_}) put_head(id, 0);
  }
  void put_head(const WorkerId& id, Slot trim) {
    (void)state_->del(head_key(id));
    const WorkerHead head{1, id, "w0", "a:1", "a:2", Active{}, trim, {}};
    ASSERT_TRUE(state_->put_if_absent(head_key(id), store::content(codec::encode(head))).has_value());
  }
  // A whole log: one segment for each list of records, then a SEAL.
  void write_log(const WorkerId& id, const std::vector<std::vector<Entry>>& slots) {
    crypto::Hash previous;
    RecordNumber number = 0;
    for (Slot slot = 0; slot < slots.size(); ++slot) {
      Segment segment{{id, slot, number, static_cast<std::uint32_t>(slots[slot].size()), previous}, {}};
      for (const Entry& entry : slots[slot])
        segment.records.push_back({protocol::ShardId(entry.shard), entry.epoch, to_bytes(entry.text)});
      number += slots[slot].size();
      const Bytes bytes = encode_segment(segment);
      previous = segment_hash(bytes);
      put(id, slot, bytes);
    }
    put(id, slots.size(), encode_seal({id, worker(0xff), slots.size()}));
  }
  void put(const WorkerId& id, Slot slot, Bytes bytes) {
    ASSERT_TRUE(state_->put_if_absent(slot_key(id, slot), store::content(std::move(bytes))).has_value());
  }
  Bytes slot_bytes(const WorkerId& id, Slot slot) {
    return state_->get(slot_key(id, slot), std::nullopt).value().value().bytes;
  }
  void replace(const WorkerId& id, Slot slot, Bytes bytes) {
    (void)state_->del(slot_key(id, slot));
    put(id, slot, std::move(bytes));
  }
  static OwnedShard owned(std::uint16_t shard, std::vector<LineageEntry> lineage) {
    ShardEntry entry;
    entry.owner = worker(0xee);
    entry.epoch = lineage.empty() ? 1 : lineage.back().epoch + 1;
    lineage.push_back({entry.owner, entry.epoch, 0, std::nullopt});
    entry.lineage = std::move(lineage);
    return {protocol::ShardId(shard), std::move(entry)};
  }
  Result<std::uint64_t> replay(std::vector<OwnedShard> shards) { return replay(std::move(shards), *store_); }
  Result<std::uint64_t> replay(std::vector<OwnedShard> shards, store::ObjectStore& store) {
    history_.clear();
    return executor_.run_until(
        replay_lineage(executor_, store, std::move(shards),
                       [this](protocol::ShardId shard, const ReadPlace& place, ByteView body) -> Result<void> {
                         history_[shard.value()].emplace_back(as_text(body));
                         places_.push_back(place);
                         if (as_text(body) == "poison") return fail(ErrorKind::corrupt, "cannot follow");
                         return {};
                       }));
  }
  void expect_corrupt(const Result<std::uint64_t>& result, const WorkerId& id, Slot slot, std::string_view what) {
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().kind, ErrorKind::corrupt);
    EXPECT_NE(result.error().message.find(slot_key(id, slot)), std::string::npos) << result.error().message;
    EXPECT_NE(result.error().message.find(what), std::string::npos) << result.error().message;
    EXPECT_NE(result.error().message.find("Nothing was changed"), std::string::npos) << result.error().message;
  }

  const WorkerId a_ = worker(0xa), b_ = worker(0xb), c_ = worker(0xc);
  ManualExecutor executor_;
  std::shared_ptr<store::MemoryState> state_ = std::make_shared<store::MemoryState>();
  std::unique_ptr<store::ObjectStore> store_ = store::make_memory_store(executor_, state_);
  ShardHistory history_;
  std::vector<ReadPlace> places_;
};

TEST_F(ReplayTest, hands_over_only_records_of_the_epoch_in_the_span) {
  write_log(a_, {{{1, 1, "early"}, {2, 1, "other shard"}},
                 {{1, 1, "x"}, {1, 2, "other epoch"}},
                 {{1, 1, "y"}, {3, 1, "not owned"}},
                 {{1, 1, "late"}}});
  const auto count = replay({owned(1, {{a_, 1, 1, Slot{3}}}), owned(2, {{a_, 1, 0, Slot{4}}})});
  // The span ends before the log's SEAL for shard 1 but not for shard 2, which decides where the log ends.
  ASSERT_TRUE(count.has_value()) << count.error().message;
  EXPECT_EQ(*count, 3U);
  EXPECT_EQ(history_, (ShardHistory{{1, {"x", "y"}}, {2, {"other shard"}}}));
}

TEST_F(ReplayTest, tells_where_each_record_stands) {
  write_log(a_, {{{1, 1, "x"}}, {{2, 1, "-"}, {1, 1, "y"}}});
  ASSERT_TRUE(replay({owned(1, {{a_, 1, 0, Slot{2}}})}).has_value());
  ASSERT_EQ(places_.size(), 2U);
  EXPECT_EQ(places_[1].worker, a_);
  EXPECT_EQ(places_[1].slot, 1U);
  EXPECT_EQ(places_[1].index, 1U);
}

TEST_F(ReplayTest, keeps_the_order_of_epochs_whatever_the_order_of_the_worker_ids) {
  write_log(c_, {{{1, 1, "1"}, {2, 1, "one"}}});
  write_log(b_, {{{1, 2, "2"}}});
  write_log(a_, {{{1, 3, "3"}, {2, 2, "two"}}});
  const auto count = replay({owned(1, {{c_, 1, 0, Slot{1}}, {b_, 2, 0, Slot{1}}, {a_, 3, 0, Slot{1}}}),
                             owned(2, {{c_, 1, 0, Slot{1}}, {a_, 2, 0, Slot{1}}})});
  EXPECT_EQ(count, 5U);
  EXPECT_EQ(history_, (ShardHistory{{1, {"1", "2", "3"}}, {2, {"one", "two"}}}));
}

// Shards that went away and came back, and logs whose orders contradict each other.
TEST_F(ReplayTest, keeps_the_order_of_epochs_when_logs_alternate) {
  write_log(a_, {{{1, 1, "1"}, {2, 2, "two"}}, {{1, 3, "3"}}});
  write_log(b_, {{{2, 1, "one"}, {1, 2, "2"}}, {{2, 3, "three"}}});
  const auto count = replay({owned(1, {{a_, 1, 0, Slot{1}}, {b_, 2, 0, Slot{2}}, {a_, 3, 1, Slot{2}}}),
                             owned(2, {{b_, 1, 0, Slot{1}}, {a_, 2, 0, Slot{1}}, {b_, 3, 1, Slot{2}}})});
  EXPECT_EQ(count, 6U);
  EXPECT_EQ(history_, (ShardHistory{{1, {"1", "2", "3"}}, {2, {"one", "two", "three"}}}));
}

TEST_F(ReplayTest, reads_long_logs_in_order) {
  std::vector<std::vector<Entry>> slots;
  std::vector<std::string> expected;
  for (int i = 0; i < 100; ++i) {
    slots.push_back({{1, 1, std::to_string(i)}});
    expected.push_back(std::to_string(i));
  }
  write_log(a_, slots);
  SeededRng rng(1);
  store::FaultyStore slow(*store_, executor_, rng, {.unavailable = 100, .delay_max = std::chrono::milliseconds(50)});
  const MonotonicTime start = executor_.now();
  EXPECT_EQ(replay({owned(1, {{a_, 1, 0, Slot{100}}})}, slow), 100U);
  EXPECT_EQ(history_.at(1), expected);
  EXPECT_LT(executor_.now() - start, std::chrono::milliseconds(2500)) << "reads overlap";
}

TEST_F(ReplayTest, nothing_to_read_is_nothing) { EXPECT_EQ(replay({owned(1, {})}), 0U); }

TEST_F(ReplayTest, what_was_handed_over_needs_no_seal) {
  const std::string hand_over = std::string(as_text(codec::encode(shard::Record(shard::HandedOff{}))));
  write_log(a_, {{{1, 1, "one"}, {2, 1, "x"}}, {{1, 1, hand_over}}, {{2, 1, "y"}}});
  EXPECT_EQ(replay({owned(1, {{a_, 1, 0, Slot{2}}})}), 2U);
  EXPECT_EQ(history_[1], (std::vector<std::string>{"one", hand_over}));
  (void)state_->del(slot_key(a_, 2));
  EXPECT_EQ(replay({owned(1, {{a_, 1, 0, Slot{2}}})}), 2U) << "its worker may not have written on yet";
  expect_corrupt(replay({owned(2, {{a_, 1, 0, Slot{2}}})}), a_, 2, "missing");
}

TEST_F(ReplayTest, a_missing_slot_is_corruption) {
  write_log(a_, {{{1, 1, "x"}}, {{1, 1, "y"}}, {{1, 1, "z"}}});
  (void)state_->del(slot_key(a_, 1));
  expect_corrupt(replay({owned(1, {{a_, 1, 0, Slot{3}}})}), a_, 1, "missing; the log goes up to slot 3");
}

TEST_F(ReplayTest, begins_at_the_trim_though_a_late_write_has_brought_a_deleted_slot_back) {
  write_log(a_, {{{1, 1, "old"}}, {{2, 1, "older"}}, {{1, 2, "1"}}, {{1, 2, "2"}}});
  (void)state_->del(slot_key(a_, 1));
  put_head(a_, 2);
  EXPECT_EQ(replay({owned(1, {{a_, 2, 0, Slot{4}}})}), 2U);
  EXPECT_EQ(history_, (ShardHistory{{1, {"1", "2"}}}));
}

TEST_F(ReplayTest, a_missing_seal_is_corruption) {
  write_log(a_, {{{1, 1, "x"}}, {{1, 1, "y"}}});
  expect_corrupt(replay({owned(1, {{a_, 1, 0, Slot{1}}})}), a_, 1, "SEAL");
  (void)state_->del(slot_key(a_, 2));
  expect_corrupt(replay({owned(1, {{a_, 1, 0, Slot{2}}})}), a_, 2, "missing");
}

TEST_F(ReplayTest, a_seal_inside_is_corruption) {
  write_log(a_, {{{1, 1, "x"}}, {{1, 1, "y"}}});
  replace(a_, 0, encode_seal({a_, b_, 0}));
  expect_corrupt(replay({owned(1, {{a_, 1, 0, Slot{2}}})}), a_, 0, "a SEAL inside");
}

TEST_F(ReplayTest, a_truncated_slot_is_corruption) {
  write_log(a_, {{{1, 1, "x"}}, {{1, 1, "y"}}});
  Bytes bytes = slot_bytes(a_, 1);
  bytes.resize(bytes.size() - 3);
  state_->damage(slot_key(a_, 1), bytes);
  expect_corrupt(replay({owned(1, {{a_, 1, 0, Slot{2}}})}), a_, 1, "truncated");
}

TEST_F(ReplayTest, any_flipped_byte_is_corruption) {
  write_log(a_, {{{1, 1, "x"}}, {{1, 1, "y"}}});
  const Bytes good = slot_bytes(a_, 0);
  for (std::size_t at = 0; at < good.size(); ++at) {
    Bytes bad = good;
    bad[at] ^= 0x10;
    state_->damage(slot_key(a_, 0), bad);
    expect_corrupt(replay({owned(1, {{a_, 1, 0, Slot{2}}})}), a_, 0, "");
    EXPECT_TRUE(history_.empty());
  }
}

TEST_F(ReplayTest, a_segment_of_another_place_is_corruption) {
  write_log(a_, {{{1, 1, "x"}}, {{1, 1, "y"}}});
  write_log(b_, {{{1, 1, "x"}}, {{1, 1, "other"}}});
  const Bytes good = slot_bytes(a_, 1);
  state_->damage(slot_key(a_, 1), slot_bytes(b_, 1));
  expect_corrupt(replay({owned(1, {{a_, 1, 0, Slot{2}}})}), a_, 1, "holds slot 1 of worker 0b0b");
  state_->damage(slot_key(a_, 1), slot_bytes(a_, 0));
  expect_corrupt(replay({owned(1, {{a_, 1, 0, Slot{2}}})}), a_, 1, "holds slot 0 of worker 0a0a");
  Segment segment = std::get<Segment>(decode_slot(good).value());
  segment.header.previous.bytes[0] ^= 1;
  state_->damage(slot_key(a_, 1), encode_segment(segment));
  expect_corrupt(replay({owned(1, {{a_, 1, 0, Slot{2}}})}), a_, 1, "hash");
  segment.header.previous.bytes[0] ^= 1;
  segment.header.first_record = 5;
  state_->damage(slot_key(a_, 1), encode_segment(segment));
  expect_corrupt(replay({owned(1, {{a_, 1, 0, Slot{2}}})}), a_, 1, "begins with record 5 instead of 1");
}

TEST_F(ReplayTest, a_record_that_cannot_follow_stops_it_and_names_the_place) {
  write_log(a_, {{{1, 1, "x"}, {1, 1, "poison"}, {1, 1, "y"}}});
  const auto count = replay({owned(1, {{a_, 1, 0, Slot{1}}})});
  EXPECT_EQ(count.error().kind, ErrorKind::corrupt);
  EXPECT_EQ(count.error().message, slot_key(a_, 0) + ", record 1: cannot follow");
  EXPECT_EQ(history_.at(1).size(), 2U);
}

// --- SegmentCache

class CountingStore final : public store::testing::ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Task<store::StoreResult<std::optional<store::Object>>> get(std::string key,
                                                             std::optional<store::Range> range) override {
    ++gets;
    return ForwardingStore::get(std::move(key), range);
  }
  int gets = 0;
};

class SegmentCacheTest : public ReplayTest {
 protected:
  SegmentCacheTest() {
    write_log(a_, {{{1, 1, "x"}, {1, 1, "y"}}, {{1, 1, std::string(1000, 'z')}}, {{1, 1, std::string(1000, 'u')}}});
  }
  Result<Bytes> body(SegmentCache& cache, std::uint32_t slot, std::uint32_t index) {
    return executor_.run_until(cache.record_body({a_, slot, index}));
  }
  static Task<void> keep(Task<Result<Bytes>> task, std::vector<Result<Bytes>>& out) {
    out.push_back(co_await std::move(task));
  }
  CountingStore counting_{*store_};
};

TEST_F(SegmentCacheTest, reads_a_segment_once) {
  SegmentCache cache(counting_, 1U << 20);
  EXPECT_EQ(body(cache, 0, 0), to_bytes("x"));
  EXPECT_EQ(body(cache, 0, 1), to_bytes("y"));
  EXPECT_EQ(counting_.gets, 1);
}

TEST_F(SegmentCacheTest, requests_at_one_time_share_one_read) {
  SegmentCache cache(counting_, 1U << 20);
  std::vector<Result<Bytes>> out;
  TaskScope scope;
  TaskScope dropped;
  dropped.spawn(keep(cache.record_body({a_, 0, 0}), out));  // begins the read, and goes away
  scope.spawn(keep(cache.record_body({a_, 0, 0}), out));
  scope.spawn(keep(cache.record_body({a_, 0, 1}), out));
  dropped.clear();
  executor_.run_until_idle();
  ASSERT_EQ(out.size(), 2U);
  EXPECT_EQ(out[0], to_bytes("x"));
  EXPECT_EQ(out[1], to_bytes("y"));
  EXPECT_EQ(counting_.gets, 1);
}

TEST_F(SegmentCacheTest, forgets_the_least_recently_used) {
  SegmentCache cache(counting_, 2400);  // two of the three
  (void)body(cache, 1, 0);
  (void)body(cache, 2, 0);
  (void)body(cache, 1, 0);
  EXPECT_EQ(counting_.gets, 2);
  (void)body(cache, 0, 0);  // slot 2 goes
  (void)body(cache, 1, 0);
  EXPECT_EQ(counting_.gets, 3);
  (void)body(cache, 2, 0);
  EXPECT_EQ(counting_.gets, 4);
}

TEST_F(SegmentCacheTest, a_segment_beyond_its_limit_is_served_all_the_same) {
  SegmentCache cache(counting_, 1);
  EXPECT_EQ(body(cache, 1, 0), Bytes(1000, 'z'));
}

TEST_F(SegmentCacheTest, says_what_is_not_there) {
  SegmentCache cache(counting_, 1U << 20);
  EXPECT_EQ(body(cache, 0, 2).error().kind, ErrorKind::not_found);
  EXPECT_EQ(body(cache, 3, 0).error().kind, ErrorKind::not_found);  // the SEAL
  EXPECT_EQ(body(cache, 4, 0).error().kind, ErrorKind::not_found);
  state_->damage(slot_key(a_, 2), to_bytes("noise"));
  EXPECT_EQ(body(cache, 2, 0).error().kind, ErrorKind::corrupt);
}

TEST_F(SegmentCacheTest, can_be_destroyed_while_reads_are_under_way) {
  auto cache = std::make_unique<SegmentCache>(counting_, 1U << 20);
  std::vector<Result<Bytes>> out;
  TaskScope scope;
  scope.spawn(keep(cache->record_body({a_, 0, 0}), out));
  cache.reset();
  executor_.run_until_idle();
  EXPECT_TRUE(out.empty());
}

}  // namespace
}  // namespace zef::ledger
