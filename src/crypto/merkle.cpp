#include "crypto/merkle.h"

#include <array>
#include <cstring>
#include <utility>

#include "crypto/sha256.h"

namespace zef::crypto {
namespace {

Hash node_hash(const Hash& left, const Hash& right) {
  std::array<std::uint8_t, 1 + 2 * Hash::size> bytes;
  bytes[0] = 0x01;
  std::memcpy(bytes.data() + 1, left.bytes.data(), Hash::size);
  std::memcpy(bytes.data() + 1 + Hash::size, right.bytes.data(), Hash::size);
  return sha256(bytes);
}

}  // namespace

Hash leaf_hash(ByteView message) {
  constexpr std::array<std::uint8_t, 1> tag{0x00};
  return sha256(tag, message);
}

// RFC 9162 splits a tree at the largest power of two below its size. Pairing neighbours level by level and moving an
// odd last node up unchanged gives the same tree: every complete left part pairs up within itself.
MerkleTree::MerkleTree(std::vector<Hash> leaves) {
  ZEF_CHECK(!leaves.empty() && leaves.size() <= BatchSignature::batch_size_max);
  levels_.push_back(std::move(leaves));
  while (levels_.back().size() > 1) {
    const std::vector<Hash>& below = levels_.back();
    std::vector<Hash> level((below.size() + 1) / 2);
    for (std::size_t i = 0; i + 1 < below.size(); i += 2) level[i / 2] = node_hash(below[i], below[i + 1]);
    if (below.size() % 2 == 1) level.back() = below.back();
    levels_.push_back(std::move(level));
  }
}

const Hash& MerkleTree::root() const { return levels_.back().front(); }

codec::Bounded<Hash, 0, 16> MerkleTree::path(std::size_t index) const {
  ZEF_CHECK(index < size());
  codec::Bounded<Hash, 0, 16> path;
  path.reserve(levels_.size() - 1);
  for (const std::vector<Hash>& level : levels_) {
    const std::size_t sibling = index ^ 1;
    if (sibling < level.size()) path.push_back(level[sibling]);
    index /= 2;
  }
  return path;
}

std::size_t path_length(std::uint32_t index, std::uint32_t size) {
  ZEF_CHECK(index < size);
  std::size_t length = 0;
  for (std::uint32_t width = size; width > 1; width = width / 2 + width % 2, index /= 2)
    if ((index ^ 1) < width) ++length;
  return length;
}

std::optional<Hash> root_of(const Hash& leaf, std::uint32_t index, std::uint32_t size, std::span<const Hash> path) {
  if (size > BatchSignature::batch_size_max || index >= size || path.size() != path_length(index, size))
    return std::nullopt;
  Hash hash = leaf;
  auto next = path.begin();
  for (std::uint32_t width = size; width > 1; width = width / 2 + width % 2, index /= 2) {
    if (index % 2 == 1) {
      hash = node_hash(*next++, hash);
    } else if (index + 1 < width) {
      hash = node_hash(hash, *next++);
    }
  }
  return hash;
}

}  // namespace zef::crypto
