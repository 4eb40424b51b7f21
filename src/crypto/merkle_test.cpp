#include "crypto/merkle.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <string>
#include <vector>

#include "crypto/sha256.h"

namespace zef::crypto {
namespace {

// The eight leaves that Certificate Transparency logs have been tested with since RFC 6962, the roots of their first n,
// and some paths.
const std::vector<std::string> known_messages{
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"};
const std::vector<std::string> known_roots{
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};
struct KnownPath {
  std::uint32_t index, size;
  std::vector<std::string> path;
};
const std::vector<KnownPath> known_paths{
    {0,
     8,
     {"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}},
    {5,
     8,
     {"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}},
    {2, 3, {"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"}},
    {1,
     5,
     {"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"}},
};

std::vector<Hash> known_leaves(std::size_t count) {
  std::vector<Hash> leaves;
  for (std::size_t i = 0; i < count; ++i) leaves.push_back(leaf_hash(*from_hex(known_messages[i])));
  return leaves;
}

// RFC 9162 section 2.1.1 and 2.1.3.1 word by word.
std::size_t split(std::size_t size) { return std::bit_floor(size - 1); }

Hash naive_node(const Hash& left, const Hash& right) {
  Bytes bytes{0x01};
  append(bytes, left.view());
  append(bytes, right.view());
  return sha256(bytes);
}

Hash naive_root(std::span<const Hash> leaves) {
  if (leaves.size() == 1) return leaves[0];
  const std::size_t k = split(leaves.size());
  return naive_node(naive_root(leaves.first(k)), naive_root(leaves.subspan(k)));
}

void naive_path(std::size_t m, std::span<const Hash> leaves, std::vector<Hash>& path) {
  if (leaves.size() == 1) return;
  const std::size_t k = split(leaves.size());
  if (m < k) {
    naive_path(m, leaves.first(k), path);
    path.push_back(naive_root(leaves.subspan(k)));
  } else {
    naive_path(m - k, leaves.subspan(k), path);
    path.push_back(naive_root(leaves.first(k)));
  }
}

std::vector<Hash> numbered_leaves(std::size_t count) {
  std::vector<Hash> leaves;
  for (std::size_t i = 0; i < count; ++i) leaves.push_back(leaf_hash(as_bytes(std::to_string(i))));
  return leaves;
}

TEST(Merkle, gives_the_known_roots) {
  for (std::size_t size = 1; size <= known_messages.size(); ++size)
    EXPECT_EQ(MerkleTree(known_leaves(size)).root().hex(), known_roots[size - 1]) << size;
}

TEST(Merkle, gives_the_known_paths) {
  for (const KnownPath& known : known_paths) {
    std::vector<std::string> path;
    for (const Hash& hash : MerkleTree(known_leaves(known.size)).path(known.index)) path.push_back(hash.hex());
    EXPECT_EQ(path, known.path) << known.index << " of " << known.size;
  }
}

TEST(Merkle, one_message_is_its_own_root_with_an_empty_path) {
  const Hash leaf = leaf_hash(as_bytes("alone"));
  const MerkleTree tree({leaf});
  EXPECT_EQ(tree.root(), leaf);
  EXPECT_TRUE(tree.path(0).empty());
  EXPECT_EQ(root_of(leaf, 0, 1, {}), leaf);
}

TEST(Merkle, agrees_with_the_recursive_definition) {
  for (std::size_t size = 1; size <= 70; ++size) {
    const std::vector<Hash> leaves = numbered_leaves(size);
    const MerkleTree tree(leaves);
    ASSERT_EQ(tree.root(), naive_root(leaves)) << size;
    for (std::size_t index = 0; index < size; ++index) {
      std::vector<Hash> expected;
      naive_path(index, leaves, expected);
      const auto path = tree.path(index);
      ASSERT_TRUE(std::ranges::equal(path, expected)) << index << " of " << size;
      const auto i = static_cast<std::uint32_t>(index);
      const auto n = static_cast<std::uint32_t>(size);
      ASSERT_EQ(path_length(i, n), path.size());
      ASSERT_EQ(root_of(leaves[index], i, n, path), tree.root());
    }
  }
}

TEST(Merkle, holds_the_largest_batch) {
  const MerkleTree tree(numbered_leaves(BatchSignature::batch_size_max));
  const auto path = tree.path(54321);
  EXPECT_EQ(path.size(), 16U);
  EXPECT_EQ(root_of(leaf_hash(as_bytes("54321")), 54321, BatchSignature::batch_size_max, path), tree.root());
}

TEST(Merkle, another_index_or_leaf_leads_elsewhere) {
  const std::vector<Hash> leaves = numbered_leaves(13);
  const MerkleTree tree(leaves);
  for (std::uint32_t index = 0; index < 13; ++index)
    for (std::uint32_t other = 0; other < 13; ++other)
      if (other != index) {
        EXPECT_NE(root_of(leaves[index], other, 13, tree.path(index)), tree.root());
        EXPECT_NE(root_of(leaves[other], index, 13, tree.path(index)), tree.root());
      }
}

TEST(Merkle, refuses_wrong_shapes) {
  const std::vector<Hash> leaves = numbered_leaves(6);
  const MerkleTree tree(leaves);
  const auto path = tree.path(2);
  const std::span<const Hash> view = path;
  ASSERT_EQ(root_of(leaves[2], 2, 6, view), tree.root());
  EXPECT_EQ(root_of(leaves[2], 0, 0, {}), std::nullopt) << "no messages";
  EXPECT_EQ(root_of(leaves[2], 6, 6, view), std::nullopt) << "index beyond";
  EXPECT_EQ(root_of(leaves[2], 0xffffffff, 6, view), std::nullopt);
  EXPECT_EQ(root_of(leaves[2], 2, 6, view.first(view.size() - 1)), std::nullopt) << "path too short";
  auto longer = path;
  longer.push_back(leaves[0]);
  EXPECT_EQ(root_of(leaves[2], 2, 6, longer), std::nullopt) << "path too long";
  EXPECT_EQ(root_of(leaves[2], 0, BatchSignature::batch_size_max + 1, std::vector<Hash>(17)), std::nullopt)
      << "batch too large";
  EXPECT_EQ(root_of(leaves[2], 0, 0xffffffff, std::vector<Hash>(32)), std::nullopt);
}

TEST(Merkle, path_of_the_last_leaf_skips_levels) {
  EXPECT_EQ(path_length(4, 5), 1U);
  EXPECT_EQ(path_length(0, 5), 3U);
  EXPECT_EQ(path_length(0, 1), 0U);
  EXPECT_EQ(path_length(65535, 65536), 16U);
  EXPECT_EQ(path_length(32768, 32769), 1U);
}

}  // namespace
}  // namespace zef::crypto
