#include "shard/outbox.h"

#include <gtest/gtest.h>

#include "base/testing/seeded_rng.h"

namespace zef::shard {
namespace {

WaitingEffect total(std::uint64_t value) {
  return {.effect = FeeTotal{Uid(), static_cast<Balance>(value)}, .proof = {}};
}
Balance value_at(const Outbox& box, std::uint64_t index) { return std::get<FeeTotal>(box.at(index).effect).total; }

TEST(Outbox, keeps_every_effect_at_its_index_until_it_is_dropped) {
  zef::testing::SeededRng rng(3);
  Outbox box;
  std::uint64_t pushed = 0;
  for (int round = 0; round < 2000; ++round) {
    for (std::uint64_t i = rng.below(40); i > 0; --i) box.push(total(pushed++));
    EXPECT_EQ(box.end(), pushed);
    if (box.waiting() > 0) {
      const std::uint64_t up_to = box.first() + rng.below(box.waiting() + 1);
      const std::uint64_t dropped = up_to - box.first();
      EXPECT_EQ(box.drop_below(up_to), dropped);
      EXPECT_EQ(box.first(), up_to);
    }
    for (std::uint64_t index = box.first(); index < box.end(); ++index)
      ASSERT_EQ(value_at(box, index), static_cast<Balance>(index));
  }
}

TEST(Outbox, lets_a_proof_go_with_its_last_effect) {
  auto proof = std::make_shared<const Proof>();
  Outbox box;
  for (int i = 0; i < 4; ++i) box.push({.effect = CertifiedEffect{}, .proof = proof});
  EXPECT_EQ(proof.use_count(), 5);
  box.drop_below(1);  // too few to move the rest
  EXPECT_EQ(proof.use_count(), 4);
  box.drop_below(4);
  EXPECT_EQ(proof.use_count(), 1);
}

TEST(Outboxes, know_their_busy_destinations_in_order) {
  Outboxes boxes;
  for (const std::uint16_t id : {1023, 0, 64, 63, 500}) boxes.push(ShardId(id), total(1));
  boxes.push(ShardId(64), total(2));
  EXPECT_EQ(boxes.waiting(), 6);
  EXPECT_EQ(boxes.destinations(), (std::vector{ShardId(0), ShardId(63), ShardId(64), ShardId(500), ShardId(1023)}));
  boxes.drop_below(ShardId(64), 1);
  boxes.drop_below(ShardId(0), 1);
  EXPECT_EQ(boxes.destinations(), (std::vector{ShardId(63), ShardId(64), ShardId(500), ShardId(1023)}));
  EXPECT_EQ(boxes.to(ShardId(0)).end(), 1);  // indexes go on where they were
  EXPECT_EQ(boxes.to(ShardId(7)).end(), 0);
  EXPECT_EQ(boxes.waiting(), 4);
}

}  // namespace
}  // namespace zef::shard
