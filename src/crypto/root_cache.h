// Signatures of batch roots that were already found valid, so that each is verified once however many messages lead to
// it. Kept apart for validators and for clients, so that no client can push out what validators signed.
//
// A fixed table: sets of four entries, the oldest of a set makes place. Its memory never grows after construction, and
// whatever roots somebody chooses, a look-up compares four entries and evicts only within one set. A cache never
// changes an answer, only its cost. Thread rule: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "crypto/types.h"

namespace zef::crypto {

class RootCache {
 public:
  // Room for at least `entries` (rounded up to a power of two, at least four), 128 bytes each.
  explicit RootCache(std::size_t entries);

  [[nodiscard]] bool contains(const PublicKey& key, const Hash& root, const Signature& signature) const;
  // Call only with what verify() accepted for the message of this root. Twice is once.
  void insert(const PublicKey& key, const Hash& root, const Signature& signature);

  [[nodiscard]] std::size_t capacity() const { return entries_.size(); }

 private:
  static constexpr std::size_t ways = 4;
  struct Entry {
    Signature signature;  // compared first: it differs where anything does
    Hash root;
    PublicKey key;
    friend bool operator==(const Entry&, const Entry&) = default;
  };
  [[nodiscard]] std::size_t set_of(const Entry& entry) const;
  [[nodiscard]] bool set_contains(std::size_t set, const Entry& entry) const;

  std::vector<Entry> entries_;      // set i is entries_[4i .. 4i+3]
  std::vector<std::uint8_t> next_;  // per set: the entry that makes place next
  std::vector<std::uint8_t> used_;  // per set: how many entries hold something
};

}  // namespace zef::crypto
