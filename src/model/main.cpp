// zef_model: searches all states of the instance protocol (docs/instances-model.md).
//
//   zef_model [--rounds 3] [--rule as_written] [--json]
//
// Tells what it finds, and as its last line one JSON object (with --json nothing else). Exit: 0 if the properties hold,
// 1 if one fails, 2 for wrong flags.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "model/instance_model.h"

namespace {

int usage() {
  std::string rules;
  for (const auto rule : zef::model::all_rules()) rules += " " + std::string(zef::model::name_of(rule));
  std::fprintf(stderr, "usage: zef_model [--rounds 1..%d] [--rule NAME] [--json]\nrules:%s\n", zef::model::rounds_max,
               rules.c_str());
  return 2;
}

}  // namespace

int main(int count, char** words) {
  using namespace zef::model;
  int rounds = 3;
  Rule rule = Rule::as_written;
  bool json_only = false;
  for (int i = 1; i < count; ++i) {
    const std::string flag = words[i];
    if (flag == "--json") {
      json_only = true;
      continue;
    }
    if (++i == count) return usage();
    if (flag == "--rounds") {
      rounds = std::atoi(words[i]);
      if (rounds < 1 || rounds > rounds_max) return usage();
    } else if (flag == "--rule") {
      const auto named = rule_named(words[i]);
      if (!named) return usage();
      rule = *named;
    } else {
      return usage();
    }
  }
  const SearchResult result = search(Model(rounds, rule));
  if (result.conflict && !json_only) std::printf("%s\n", result.conflict->c_str());
  if (result.leader && !json_only) std::printf("%s\n", result.leader->c_str());
  std::printf(
      "{\"rule\": \"%s\", \"rounds\": %d, \"states\": %llu, \"transitions\": %llu, \"depth\": %d, \"leaders_tried\": "
      "%llu, \"decisions_conflict\": %s, \"leader_refused\": %s}\n",
      std::string(name_of(rule)).c_str(), rounds, static_cast<unsigned long long>(result.states),
      static_cast<unsigned long long>(result.transitions), result.depth,
      static_cast<unsigned long long>(result.leaders_tried), result.conflict ? "true" : "false",
      result.leader ? "true" : "false");
  return result.holds() ? 0 : 1;
}
