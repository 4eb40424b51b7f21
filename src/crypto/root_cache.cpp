#include "crypto/root_cache.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace zef::crypto {

RootCache::RootCache(std::size_t entries)
    : entries_(std::bit_ceil(std::max(entries, ways))), next_(entries_.size() / ways), used_(entries_.size() / ways) {}

// The encoded R of a signature and the root are both as good as random unless their maker chose them, and then the
// maker hurts only the roots of one set.
std::size_t RootCache::set_of(const Entry& entry) const {
  std::uint64_t r = 0;
  std::uint64_t root = 0;
  std::memcpy(&r, entry.signature.bytes.data(), sizeof r);
  std::memcpy(&root, entry.root.bytes.data(), sizeof root);
  constexpr std::uint64_t odd = 0x9e3779b97f4a7c15;
  return ((r ^ std::rotl(root, 32)) * odd >> 24) & (next_.size() - 1);
}

bool RootCache::set_contains(std::size_t set, const Entry& entry) const {
  const auto* first = entries_.data() + set * ways;
  return std::find(first, first + used_[set], entry) != first + used_[set];
}

bool RootCache::contains(const PublicKey& key, const Hash& root, const Signature& signature) const {
  const Entry entry{signature, root, key};
  return set_contains(set_of(entry), entry);
}

void RootCache::insert(const PublicKey& key, const Hash& root, const Signature& signature) {
  const Entry entry{signature, root, key};
  const std::size_t set = set_of(entry);
  if (set_contains(set, entry)) return;
  entries_[set * ways + next_[set]] = entry;
  next_[set] = static_cast<std::uint8_t>((next_[set] + 1) % ways);
  used_[set] = static_cast<std::uint8_t>(std::min<std::size_t>(used_[set] + 1U, ways));
}

}  // namespace zef::crypto
