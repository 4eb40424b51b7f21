// zef_sim: simulates whole networks, seed after seed, and prints what went wrong. Not part of the shipped program.
//
// The last line is one JSON object. Exit code 1: a violation, or a mutant that was not caught.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/log.h"
#include "sim/mutants.h"
#include "sim/runner.h"

// Read by jemalloc when it starts: what a world gives back stays mapped for the next one. A page fault costs as much as
// the work on a page.
extern "C" const char* malloc_conf;  // NOLINT(readability-identifier-naming)
const char* malloc_conf =
    "narenas:1,thp:always,dirty_decay_ms:-1,muzzy_decay_ms:-1";  // NOLINT(misc-use-internal-linkage)

namespace {

using namespace zef::sim;

struct Flags {
  RunOptions run;
  std::uint64_t minutes = 0;
  bool json = false;
  bool all_mutants = false;
  bool list_mutants = false;
  std::string mutant;
};

void print_violations(const WorldResult& result, const Flags& flags) {
  for (const std::string& line : result.trace) fmt::print("  {}\n", line);
  for (const Violation& violation : result.violations)
    fmt::print("VIOLATION of {} at {:.3f} s: {}\n", violation.invariant,
               std::chrono::duration<double>(violation.at).count(), violation.what);
  fmt::print("replay: zef_sim --first {} --operations {}{}{}{} --trace\n", result.seed, flags.run.world.operations,
             flags.run.world.validators ? fmt::format(" --validators {}", flags.run.world.validators) : "",
             flags.run.world.scenario.empty() ? "" : " --scenario " + flags.run.world.scenario,
             flags.mutant.empty() ? "" : " --mutant " + flags.mutant);
}

int run_plain(const Flags& flags) {
  std::map<std::string, std::uint64_t> counters;
  std::uint64_t count = 0;
  const RunSummary summary = run_seeds(flags.run, [&](const WorldResult& result) {
    ++count;
    for (const auto& [name, value] : result.counters) counters[name] += value;
    if (!flags.json && (flags.run.seeds <= 20 || count % 20 == 0 || !result.violations.empty()))
      fmt::print("seed {}: {} operations, {} faults, {:.1f} s of virtual time, digest {:016x}\n", result.seed,
                 result.operations, result.faults, std::chrono::duration<double>(result.virtual_time).count(),
                 result.digest);
    if (!result.violations.empty() || flags.run.world.traced) print_violations(result, flags);
    std::fflush(stdout);
  });
  if (!flags.json)
    for (const auto& [name, value] : counters) fmt::print("  {:<44} {}\n", name, value);
  const auto per_second = [&](double seconds) { return static_cast<double>(summary.operations) / seconds; };
  fmt::print(
      "{{\"seeds\":{},\"operations\":{},\"faults\":{},\"violations\":{},\"seconds\":{:.1f},\"operations_per_second\":"
      "{:.0f},\"operations_per_cpu_second\":{:.0f}}}\n",
      summary.seeds, summary.operations, summary.faults, summary.violations, summary.seconds,
      per_second(summary.seconds), per_second(summary.cpu_seconds));
  return summary.violations == 0 ? 0 : 1;
}

// How many seeds until something was noticed, and what; nothing if nothing was.
std::optional<std::pair<std::uint64_t, std::string>> hunt(const Mutant& mutant, Flags flags) {
  select_mutant(mutant);
  if (!mutant.scenario.empty()) flags.run.world.scenario = mutant.scenario;
  flags.run.stop_at_violation = true;
  std::optional<std::pair<std::uint64_t, std::string>> caught;
  (void)run_seeds(flags.run, [&](const WorldResult& result) {
    if (!caught && !result.violations.empty())
      caught = {result.seed - flags.run.world.seed + 1,
                result.violations.front().invariant + ": " + result.violations.front().what};
  });
  return caught;
}

int run_mutants(const Flags& flags) {
  if (!mutants_built()) {
    fmt::print(stderr, "zef_sim: this build has no mutants: use `make mutants`\n");
    return 2;
  }
  std::size_t caught = 0;
  std::size_t count = 0;
  for (const Mutant& mutant : mutants()) {
    if (!flags.mutant.empty() && mutant.name != flags.mutant) continue;
    ++count;
    const auto found = hunt(mutant, flags);
    caught += found ? 1 : 0;
    fmt::print("{:<24} {:>5}  {:<60} {}\n", mutant.name, found ? std::to_string(found->first) : "-", mutant.what,
               found ? found->second : "NOT CAUGHT");
    std::fflush(stdout);
  }
  fmt::print("{{\"mutants\":{},\"caught\":{}}}\n", count, caught);
  return caught == count ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Deterministic simulation of whole Zefchain networks");
  Flags flags;
  app.add_option("--seeds", flags.run.seeds, "How many seeds")->capture_default_str();
  app.add_option("--first", flags.run.world.seed, "The first seed")->capture_default_str();
  app.add_option("--operations", flags.run.world.operations, "Of each seed")->capture_default_str();
  app.add_option("--validators", flags.run.world.validators, "4 to 10; 0: by the seed")
      ->check(CLI::Range(0, 10))
      ->capture_default_str();
  app.add_option("--scenario", flags.run.world.scenario, "calm, beyond_f; by default everything")
      ->check(CLI::IsMember({"calm", "beyond_f"}));
  app.add_option("--jobs", flags.run.jobs, "Seeds at a time; 0: as many as there are cores")->capture_default_str();
  app.add_option("--minutes", flags.minutes, "Soak: seed after seed for that long");
  app.add_flag("--trace", flags.run.world.traced, "Print what happened");
  app.add_flag("--json", flags.json, "Print the last line only");
  app.add_option("--mutant", flags.mutant, "Break this rule");
  app.add_flag("--mutants", flags.all_mutants, "Break one rule after the other: all have to be noticed");
  app.add_flag("--list-mutants", flags.list_mutants, "Print their names");
  CLI11_PARSE(app, argc, argv);
  zef::log::set_level(zef::log::Level::none);
  if (flags.list_mutants) {
    for (const Mutant& mutant : mutants()) fmt::print("{:<24} {}\n", mutant.name, mutant.what);
    return 0;
  }
  if (flags.minutes > 0) {
    flags.run.time_max = std::chrono::minutes(flags.minutes);
    flags.run.seeds = ~std::uint64_t{0};
  }
  if (flags.all_mutants) return run_mutants(flags);
  if (!flags.mutant.empty()) {
    const Mutant* mutant = find_mutant(flags.mutant);
    if (!mutant || !mutants_built()) {
      fmt::print(stderr, "zef_sim: there is no mutant '{}' in this build\n", flags.mutant);
      return 2;
    }
    select_mutant(*mutant);
    if (!mutant->scenario.empty()) flags.run.world.scenario = mutant->scenario;
  }
  return run_plain(flags);
}
