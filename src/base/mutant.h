// Mutants: one rule broken by name, to prove that the simulation would notice. They exist only in builds with
// ZEF_MUTANTS (preset `mutants`); in all others mutant() is a constant false and the broken branch is not compiled in.
#pragma once

#include <zef_mutants.h>  // made by cmake: defines ZEF_MUTANTS or nothing

#include <string_view>

namespace zef {

// By name, "skip_pending_check". The list of all of them, with what each breaks, is in sim/mutants.cpp.
#ifdef ZEF_MUTANTS
inline std::string_view active_mutant;  // set once, before anything runs
[[nodiscard]] inline bool mutant(std::string_view name) { return active_mutant == name; }
#else
[[nodiscard]] constexpr bool mutant(std::string_view /*name*/) { return false; }
#endif

}  // namespace zef
