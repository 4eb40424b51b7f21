// The search: states are kept packed and sorted in one array, in the order in which they were found, with the place of
// the state before; a hash table of places finds them again.
#include <algorithm>

#include "base/check.h"
#include "model/instance_model.h"

namespace zef::model {
namespace {

Packed packed(const State& state) {
  Packed bits;
  for (std::size_t i = 0; i < state.size(); ++i) bits[i] = state[i].packed();
  std::ranges::sort(bits);
  return bits;
}
State unpacked(const Packed& bits) {
  State state;
  for (std::size_t i = 0; i < bits.size(); ++i) state[i] = Validator::unpacked(bits[i]);
  return state;
}

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
  [[nodiscard]] std::uint32_t parent(std::uint32_t place) const { return parents_[place]; }

 private:
  static std::uint64_t mix(const Packed& state) {
    std::uint64_t hash = 0x9e3779b97f4a7c15;
    for (const std::uint32_t word : state) {
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

// The steps from the beginning to a state, in words.
std::string steps_to(const Model& model, const Seen& seen, std::uint32_t place) {
  std::vector<std::uint32_t> path;
  for (; place != Seen::none; place = seen.parent(place)) path.push_back(place);
  std::ranges::reverse(path);
  std::string text;
  for (std::size_t i = 1; i < path.size(); ++i) {
    std::string step;
    model.for_each_step(
        unpacked(seen.at(path[i - 1])),
        [&](const State& next, const std::string& told) {
          if (step.empty() && packed(next) == seen.at(path[i])) step = told;
        },
        true);
    text += "  " + std::to_string(i) + ". " + step + "\n";
  }
  return text;
}

}  // namespace

SearchResult search(const Model& model) {
  SearchResult result;
  Seen seen;
  seen.add(packed(State{}), Seen::none);
  std::uint32_t level_end = 1;
  for (std::uint32_t place = 0; place < seen.size(); ++place) {
    if (place == level_end) {
      ++result.depth;
      level_end = static_cast<std::uint32_t>(seen.size());
    }
    const State state = unpacked(seen.at(place));
    if (model.commit_exists(state, confirm) && model.commit_exists(state, abort)) {
      result.conflict = "two decisions after these steps:\n" + steps_to(model, seen, place) + "  " + describe(state);
      break;
    }
    if (!result.leader) {
      if (const auto problem = model.leader_problem(state))
        result.leader = *problem + "\nafter these steps:\n" + steps_to(model, seen, place) + "  " + describe(state);
      else
        ++result.leaders_tried;
    }
    model.for_each_step(
        state,
        [&](const State& next, const std::string&) {
          ++result.transitions;
          seen.add(packed(next), place);
        },
        false);
  }
  result.states = seen.size();
  return result;
}

}  // namespace zef::model
