// The search of the instance protocol: breadth first over packed states, which are kept sorted.
#include <algorithm>

#include "base/check.h"
#include "model/instance_model.h"
#include "model/seen.h"

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

using SeenStates = Seen<Packed>;

struct Path {
  std::string steps;
  State end;  // its validators in the order in which the steps name them
};

// The steps from the beginning to a state, in words. States are kept up to the order of their validators; here each
// keeps its name.
Path path_to(const Model& model, const SeenStates& seen, std::uint32_t place) {
  const std::vector<std::uint32_t> path = seen.path_to(place);
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
  SeenStates seen;
  seen.add(packed(State{}), SeenStates::none);
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
