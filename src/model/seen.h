// The states that a search has seen: kept packed in one array, in the order in which they were found, with the place of
// the state before; a hash table of places finds them again. One thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/check.h"

namespace zef::model {

// Packed: an array of unsigned words, equal exactly when the states are.
template <class Packed>
class Seen {
 public:
  static constexpr std::uint32_t none = UINT32_MAX;

  // The place of the state, if it is new.
  std::uint32_t add(const Packed& state, std::uint32_t parent) {
    if ((states_.size() + 1) * 2 > table_.size()) grow();
    std::uint32_t& slot = find(state);
    if (slot != none) return none;
    ZEF_CHECK(states_.size() < none);
    slot = static_cast<std::uint32_t>(states_.size());
    states_.push_back(state);
    parents_.push_back(parent);
    return slot;
  }
  [[nodiscard]] std::size_t size() const { return states_.size(); }
  [[nodiscard]] const Packed& at(std::uint32_t place) const { return states_[place]; }

  // The places from the first state to this one.
  [[nodiscard]] std::vector<std::uint32_t> path_to(std::uint32_t place) const {
    std::vector<std::uint32_t> path;
    for (; place != none; place = parents_[place]) path.push_back(place);
    std::ranges::reverse(path);
    return path;
  }

 private:
  static std::uint64_t mix(const Packed& state) {
    std::uint64_t hash = 0x9e3779b97f4a7c15;
    for (const auto word : state) {
      hash = (hash ^ word) * 0xff51afd7ed558ccd;
      hash ^= hash >> 32;
    }
    return hash;
  }
  std::uint32_t& find(const Packed& state) {
    std::size_t i = mix(state) & (table_.size() - 1);
    while (table_[i] != none && states_[table_[i]] != state) i = (i + 1) & (table_.size() - 1);
    return table_[i];
  }
  void grow() {
    table_.assign(std::max<std::size_t>(1024, table_.size() * 2), none);
    for (std::uint32_t place = 0; place < states_.size(); ++place) find(states_[place]) = place;
  }

  std::vector<Packed> states_;
  std::vector<std::uint32_t> parents_;
  std::vector<std::uint32_t> table_;
};

}  // namespace zef::model
