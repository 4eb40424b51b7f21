#include "crypto/batch_signer.h"

#include <gtest/gtest.h>

#include "crypto/merkle.h"
#include "crypto/verify.h"

namespace zef::crypto {
namespace {

const ByteView prefix = as_bytes("some network BatchRoot::");

std::vector<Hash> leaves_of(std::size_t count) {
  std::vector<Hash> leaves;
  for (std::size_t i = 0; i < count; ++i) leaves.push_back(leaf_hash(as_bytes(std::to_string(i))));
  return leaves;
}

TEST(BatchSigner, every_message_leads_to_the_signed_root) {
  const SigningKey key = SigningKey::generate();
  for (const std::size_t size : {1U, 2U, 3U, 64U, 65U}) {
    const std::vector<Hash> leaves = leaves_of(size);
    const std::vector<BatchSignature> batch = sign_batch(key, leaves, prefix);
    ASSERT_EQ(batch.size(), size);
    for (std::size_t i = 0; i < size; ++i) {
      const auto root = batch_root(leaves[i], batch[i]);
      ASSERT_TRUE(root.has_value());
      EXPECT_EQ(batch[i].signature, batch[0].signature) << "one signature for all";
      EXPECT_TRUE(verify(key.public_key(), root_message(prefix, *root), batch[i].signature));
      EXPECT_FALSE(verify(key.public_key(), root_message(as_bytes("another network"), *root), batch[i].signature));
    }
  }
}

TEST(BatchSigner, signs_exactly_prefix_and_root) {
  const SigningKey key = SigningKey::from_seed(Bytes(32, 5));
  const std::vector<Hash> leaves = leaves_of(1);
  Bytes expected = to_bytes(prefix);
  append(expected, leaves[0].view());
  EXPECT_EQ(root_message(prefix, leaves[0]), expected);
  const auto batch = sign_batch(key, leaves, prefix);
  EXPECT_EQ(batch[0], (BatchSignature{.signature = key.sign(expected), .index = 0, .size = 1, .path = {}}));
}

TEST(BatchSigner, no_messages_give_no_signatures) {
  EXPECT_TRUE(sign_batch(SigningKey::generate(), {}, prefix).empty());
}

TEST(BatchSigner, too_many_messages_make_several_batches) {
  const SigningKey key = SigningKey::generate();
  const std::vector<Hash> leaves = leaves_of(BatchSignature::batch_size_max + 2);
  const std::vector<BatchSignature> batch = sign_batch(key, leaves, prefix);
  ASSERT_EQ(batch.size(), leaves.size());
  EXPECT_EQ(batch[0].size, BatchSignature::batch_size_max);
  EXPECT_EQ(batch.back().size, 2U);
  EXPECT_EQ(batch.back().index, 1U);
  const auto root = batch_root(leaves.back(), batch.back());
  ASSERT_TRUE(root.has_value());
  EXPECT_TRUE(verify(key.public_key(), root_message(prefix, *root), batch.back().signature));
}

TEST(BatchSigner, refuses_wrong_shapes_before_hashing) {
  const std::vector<Hash> leaves = leaves_of(5);
  BatchSignature batch = sign_batch(SigningKey::generate(), leaves, prefix)[1];
  ASSERT_TRUE(batch_root(leaves[1], batch).has_value());
  BatchSignature wrong = batch;
  wrong.index = 5;
  EXPECT_EQ(batch_root(leaves[1], wrong), std::nullopt);
  wrong = batch;
  wrong.size = 0;
  EXPECT_EQ(batch_root(leaves[1], wrong), std::nullopt);
  wrong = batch;
  wrong.path.pop_back();
  EXPECT_EQ(batch_root(leaves[1], wrong), std::nullopt);
  wrong = batch;
  wrong.index = 4;  // whose path has one hash only
  EXPECT_EQ(batch_root(leaves[1], wrong), std::nullopt);
}

TEST(BatchSigner, bytes_of_a_batch_signature_are_as_documented) {
  BatchSignature batch{.index = 3, .size = 300, .path = {Hash{}, Hash{}}};
  batch.signature.bytes.fill(0xab);
  batch.path[1].bytes.fill(0xcd);
  std::string hex;
  for (int i = 0; i < 64; ++i) hex += "ab";
  hex +=
      "03000000"
      "2c010000"
      "02";
  for (int i = 0; i < 32; ++i) hex += "00";
  for (int i = 0; i < 32; ++i) hex += "cd";
  EXPECT_EQ(to_hex(codec::encode(batch)), hex);
  EXPECT_EQ(codec::decode<BatchSignature>(*from_hex(hex)), batch);
  batch.path.resize(17);
  EXPECT_EQ(codec::decode<BatchSignature>(codec::encode(batch)).error(), codec::DecodeError::too_long);
}

}  // namespace
}  // namespace zef::crypto
