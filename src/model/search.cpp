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

struct Path {
  std::string steps;
  State end;  // its validators in the order in which the steps name them
};

// The steps from the beginning to a state, in words. States are kept up to the order of their validators; here each
// keeps its name.
Path path_to(const Model& model, const Seen& seen, std::uint32_t place) {
  std::vector<std::uint32_t> path;
  for (; place != Seen::none; place = seen.parent(place)) path.push_back(place);
  std::ranges::reverse(path);
  Path told;
  for (std::size_t i = 1; i < path.size(); ++i) {
    std::string step;
    State after;
    model.for_each_step(
        told.end,
        [&](const State& next, const std::string& words) {
          if (!step.empty() || packed(next) != seen.at(path[i])) return;
          step = words;
          after = next;
        },
        true);
    ZEF_CHECK(!step.empty());
    told.steps += "  " + std::to_string(i) + ". " + step + "\n";
    told.end = after;
  }
  return told;
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
      const Path path = path_to(model, seen, place);
      result.conflict = "two decisions after these steps:\n" + path.steps + "  " + describe(path.end);
      break;
    }
    if (!result.leader) {
      if (model.leader_problem(state)) {
        const Path path = path_to(model, seen, place);
        result.leader =
            *model.leader_problem(path.end) + "\nafter these steps:\n" + path.steps + "  " + describe(path.end);
      } else {
        ++result.leaders_tried;
      }
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
