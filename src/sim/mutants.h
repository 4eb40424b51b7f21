// The mutants (base/mutant.h): each breaks one rule by its name, and the simulation has to notice. Values only; they do
// something only in a build with ZEF_MUTANTS.
#pragma once

#include <span>
#include <string_view>

namespace zef::sim {

struct Mutant {
  std::string_view name;
  std::string_view what;      // the rule that it breaks
  std::string_view scenario;  // of the world; empty: the usual one
};

[[nodiscard]] std::span<const Mutant> mutants();
[[nodiscard]] const Mutant* find_mutant(std::string_view name);
// Whether this build has them.
[[nodiscard]] bool mutants_built();
// For the whole process, before anything runs.
void select_mutant(const Mutant& mutant);

}  // namespace zef::sim
