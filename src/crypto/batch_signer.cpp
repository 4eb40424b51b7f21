#include "crypto/batch_signer.h"

#include <algorithm>

#include "crypto/merkle.h"

namespace zef::crypto {

std::vector<BatchSignature> sign_batch(const SigningKey& key, std::span<const Hash> leaves, ByteView prefix) {
  std::vector<BatchSignature> result;
  result.reserve(leaves.size());
  while (!leaves.empty()) {
    const auto chunk = leaves.first(std::min<std::size_t>(leaves.size(), BatchSignature::batch_size_max));
    leaves = leaves.subspan(chunk.size());
    const MerkleTree tree({chunk.begin(), chunk.end()});
    const Signature signature = key.sign(root_message(prefix, tree.root()));
    const auto size = static_cast<std::uint32_t>(chunk.size());
    for (std::uint32_t index = 0; index < size; ++index)
      result.push_back({.signature = signature, .index = index, .size = size, .path = tree.path(index)});
  }
  return result;
}

std::optional<Hash> batch_root(const Hash& leaf, const BatchSignature& batch) {
  return root_of(leaf, batch.index, batch.size, batch.path);
}

Bytes root_message(ByteView prefix, const Hash& root) {
  Bytes message;
  message.reserve(prefix.size() + Hash::size);
  append(message, prefix);
  append(message, root.view());
  return message;
}

}  // namespace zef::crypto
