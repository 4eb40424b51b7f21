// RFC 9162 Merkle trees over signed messages: leaf = SHA-256(0x00 || message), node = SHA-256(0x01 || left || right).
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "crypto/types.h"

namespace zef::crypto {

[[nodiscard]] Hash leaf_hash(ByteView message);

// A whole tree, built once for a batch; gives its root and any leaf's path.
class MerkleTree {
 public:
  explicit MerkleTree(std::vector<Hash> leaves);  // 1 to BatchSignature::batch_size_max leaf hashes
  [[nodiscard]] const Hash& root() const;
  [[nodiscard]] std::size_t size() const { return levels_.front().size(); }
  [[nodiscard]] codec::Bounded<Hash, 0, 16> path(std::size_t index) const;  // RFC 9162 section 2.1.3.1

 private:
  std::vector<std::vector<Hash>> levels_;  // levels_[0] are the leaves; an odd last node moves up unchanged
};

// The number of hashes in the path of leaf `index` in a tree of `size` leaves (index < size).
[[nodiscard]] std::size_t path_length(std::uint32_t index, std::uint32_t size);

// The root that this leaf and path lead to (RFC 9162 section 2.1.3.2); nothing if size, index or path length are
// wrong, which is checked before any hashing.
[[nodiscard]] std::optional<Hash> root_of(const Hash& leaf, std::uint32_t index, std::uint32_t size,
                                          std::span<const Hash> path);

}  // namespace zef::crypto
