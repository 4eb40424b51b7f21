// zef_sim: simulates whole networks, seed after seed. Not part of the shipped program.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <chrono>

#include "base/log.h"
#include "crypto/keys.h"
#include "sim/world.h"

int main(int argc, char** argv) {
  CLI::App app("Deterministic simulation of whole Zefchain networks");
  zef::sim::WorldOptions options;
  std::uint64_t seeds = 1;
  app.add_option("--seeds", seeds, "How many seeds")->capture_default_str();
  app.add_option("--first", options.seed, "The first seed")->capture_default_str();
  app.add_option("--operations", options.operations, "Of each seed")->capture_default_str();
  app.add_option("--validators", options.validators, "4 to 10; 0: by the seed")->capture_default_str();
  app.add_flag("--trace", options.traced, "Print what happened");
  CLI11_PARSE(app, argc, argv);
  zef::log::set_level(zef::log::Level::none);
  const auto begin = std::chrono::steady_clock::now();
  std::uint64_t operations = 0;
  std::uint64_t violations = 0;
  for (std::uint64_t i = 0; i < seeds; ++i, ++options.seed) {
    const auto result = zef::sim::run_world(options);
    operations += result.operations;
    violations += result.violations.size();
    fmt::print("seed {} operations {} digest {:016x} steps {} virtual {:.1f} s\n", result.seed, result.operations,
               result.digest, result.steps, std::chrono::duration<double>(result.virtual_time).count());
    for (const auto& [name, count] : result.counters) fmt::print("   {} {}\n", name, count);
    for (const auto& line : result.trace) fmt::print("{}\n", line);
    for (const auto& v : result.violations) fmt::print("violation of {}: {} [{}]\n", v.invariant, v.what, v.subject);
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  fmt::print(
      "{{\"seeds\":{},\"operations\":{},\"seconds\":{:.2f},\"operations_per_second\":{:.0f},\"violations\":{}}}\n",
      seeds, operations, seconds, static_cast<double>(operations) / seconds, violations);
  return violations == 0 ? 0 : 1;
}
