// zef_model: searches all states of the instance protocol (docs/instances-model.md) and of the fencing of a worker's
// log (docs/fencing-model.md).
//
//   zef_model [--model instances|fencing] [--rule NAME] [--rounds 3] [--slots 3] [--in-flight 3] [--json]
//
// Tells what it finds, and as its last line one JSON object (with --json nothing else). Exit: 0 if the properties hold,
// 1 if one fails, 2 for wrong flags. A rule other than as_written belongs to one model, and only that is searched;
// --broken is another word for --rule.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "model/fencing_model.h"
#include "model/instance_model.h"

namespace {

using namespace zef::model;

struct Flags {
  bool instances = true;
  bool fencing = true;
  Rule rule = Rule::as_written;
  int rounds = 3;
  fencing::Rule fencing_rule = fencing::Rule::as_written;
  fencing::Bounds bounds;
  bool json_only = false;
};

int usage() {
  std::string rules;
  for (const auto rule : all_rules()) rules += " " + std::string(name_of(rule));
  std::string fencing_rules;
  for (const auto rule : fencing::all_rules()) fencing_rules += " " + std::string(fencing::name_of(rule));
  std::fprintf(stderr,
               "usage: zef_model [--model instances|fencing] [--rule NAME] [--rounds 1..%d] [--slots 1..%d] "
               "[--in-flight 1..%d] [--json]\nrules of instances:%s\nrules of fencing:%s\n",
               rounds_max, fencing::slots_max, fencing::slots_max, rules.c_str(), fencing_rules.c_str());
  return 2;
}

bool set_rule(Flags& flags, const std::string& name) {
  const auto rule = rule_named(name);
  const auto fencing_rule = fencing::rule_named(name);
  flags.instances = flags.instances && rule;
  flags.fencing = flags.fencing && fencing_rule;
  flags.rule = rule.value_or(Rule::as_written);
  flags.fencing_rule = fencing_rule.value_or(fencing::Rule::as_written);
  return flags.instances || flags.fencing;
}

bool set_number(int& number, const char* word, int max) {
  number = std::atoi(word);
  return number >= 1 && number <= max;
}

bool set(Flags& flags, const std::string& flag, const char* word) {
  const std::string value = word;
  if (flag == "--model") {
    flags.instances = flags.instances && value == "instances";
    flags.fencing = flags.fencing && value == "fencing";
    return flags.instances || flags.fencing;
  }
  if (flag == "--rule" || flag == "--broken") return set_rule(flags, value);
  if (flag == "--rounds") return set_number(flags.rounds, word, rounds_max);
  if (flag == "--slots") return set_number(flags.bounds.slots, word, fencing::slots_max);
  if (flag == "--in-flight") return set_number(flags.bounds.in_flight, word, fencing::slots_max);
  return false;
}

const char* yes_or_no(bool value) { return value ? "true" : "false"; }

std::string searched_instances(const Flags& flags, bool& holds) {
  const SearchResult result = search(Model(flags.rounds, flags.rule));
  holds = holds && result.holds();
  if (!flags.json_only) {
    std::printf("instances: %llu states\n", static_cast<unsigned long long>(result.states));
    if (result.conflict) std::printf("%s\n", result.conflict->c_str());
    if (result.leader) std::printf("%s\n", result.leader->c_str());
  }
  return "\"instances\": {\"rule\": \"" + std::string(name_of(flags.rule)) +
         "\", \"rounds\": " + std::to_string(flags.rounds) + ", \"states\": " + std::to_string(result.states) +
         ", \"transitions\": " + std::to_string(result.transitions) + ", \"depth\": " + std::to_string(result.depth) +
         ", \"leaders_tried\": " + std::to_string(result.leaders_tried) +
         ", \"decisions_conflict\": " + yes_or_no(result.conflict.has_value()) +
         ", \"leader_refused\": " + yes_or_no(result.leader.has_value()) + "}";
}

std::string searched_fencing(const Flags& flags, bool& holds) {
  const fencing::SearchResult result = search(fencing::Model(flags.bounds, flags.fencing_rule));
  holds = holds && !result.problem;
  if (!flags.json_only) {
    std::printf("fencing: %llu states\n", static_cast<unsigned long long>(result.states));
    if (result.problem) std::printf("%s\n", result.problem->c_str());
  }
  return "\"fencing\": {\"rule\": \"" + std::string(fencing::name_of(flags.fencing_rule)) +
         "\", \"slots\": " + std::to_string(flags.bounds.slots) +
         ", \"in_flight\": " + std::to_string(flags.bounds.in_flight) +
         ", \"states\": " + std::to_string(result.states) + ", \"transitions\": " + std::to_string(result.transitions) +
         ", \"depth\": " + std::to_string(result.depth) + ", \"problem\": " + yes_or_no(result.problem.has_value()) +
         ", \"problem_steps\": " + std::to_string(result.problem_steps) + "}";
}

}  // namespace

int main(int count, char** words) {
  Flags flags;
  for (int i = 1; i < count; ++i) {
    const std::string flag = words[i];
    if (flag == "--json") {
      flags.json_only = true;
      continue;
    }
    ++i;
    if (i == count || !set(flags, flag, words[i])) return usage();
  }
  bool holds = true;
  std::string found;
  if (flags.instances) found = searched_instances(flags, holds);
  if (flags.fencing) found += (found.empty() ? "" : ", ") + searched_fencing(flags, holds);
  std::printf("{%s}\n", found.c_str());
  return holds ? 0 : 1;
}
