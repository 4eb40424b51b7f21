#include "sim/world.h"

#include <gtest/gtest.h>

#include "base/log.h"
#include "sim/judge.h"
#include "sim/mutants.h"

namespace zef::sim {
namespace {

class Worlds : public ::testing::Test {
 protected:
  void SetUp() override { log::set_level(log::Level::none); }
  static std::string first_violation(const WorldResult& result) {
    return result.violations.empty() ? "" : result.violations.front().what;
  }
};

TEST_F(Worlds, a_calm_network_does_everything_that_is_asked) {
  const WorldResult result = run_world({.seed = 1, .operations = 120, .scenario = "calm"});
  EXPECT_EQ(first_violation(result), "");
  EXPECT_GE(result.operations, 100U);
}

TEST_F(Worlds, nothing_is_violated_with_faults_and_byzantine_participants) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const WorldResult result = run_world({.seed = seed, .operations = 120});
    EXPECT_EQ(first_violation(result), "") << "seed " << seed;
    EXPECT_GT(result.faults, 0U);
  }
}

TEST_F(Worlds, more_than_f_byzantine_validators_make_no_honest_one_execute_twice) {
  const WorldResult result = run_world({.seed = 2, .operations = 60, .scenario = "beyond_f"});
  EXPECT_EQ(first_violation(result), "");
}

TEST_F(Worlds, a_seed_is_the_same_run_to_the_byte) {
  const WorldOptions options{.seed = 7, .operations = 100};
  const WorldResult first = run_world(options);
  const WorldResult second = run_world(options);
  EXPECT_EQ(first.digest, second.digest);
  EXPECT_EQ(first.steps, second.steps);
  EXPECT_EQ(first.counters, second.counters);
  EXPECT_NE(first.digest, run_world({.seed = 8, .operations = 100}).digest);
}

TEST_F(Worlds, a_trace_changes_nothing) {
  WorldOptions options{.seed = 9, .operations = 60};
  const WorldResult quiet = run_world(options);
  options.traced = true;
  const WorldResult traced = run_world(options);
  EXPECT_EQ(quiet.digest, traced.digest);
  EXPECT_FALSE(traced.trace.empty());
}

TEST_F(Worlds, mutants_are_in_no_other_build) { EXPECT_FALSE(mutants_built()); }

}  // namespace
}  // namespace zef::sim
