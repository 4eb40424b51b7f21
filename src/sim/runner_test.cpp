#include "sim/runner.h"

#include <gtest/gtest.h>

#include <vector>

namespace zef::sim {
namespace {

TEST(SimRunner, a_seed_is_the_same_run_after_others_in_one_process) {
  RunOptions options;
  options.world.operations = 40;
  options.world.validators = 4;
  options.seeds = 12;
  options.jobs = 2;  // three seeds in each process
  std::vector<WorldResult> together;
  const auto summary = run_seeds(options, [&](const WorldResult& result) { together.push_back(result); });
  ASSERT_EQ(together.size(), 12U);
  EXPECT_EQ(summary.seeds, 12U);
  for (std::size_t i = 0; i < together.size(); ++i) {
    EXPECT_EQ(together[i].seed, i + 1);
    EXPECT_TRUE(together[i].violations.empty());
    WorldOptions alone = options.world;
    alone.seed = i + 1;
    EXPECT_EQ(run_world(alone).digest, together[i].digest);
  }
}

TEST(SimRunner, stops_at_the_first_violation_if_told_so) {
  RunOptions options;
  options.world.validators = 1000;  // no committee is as large: the process of each seed ends at a check
  options.seeds = 12;
  options.jobs = 2;
  std::vector<WorldResult> results;
  const auto take = [&](const WorldResult& result) { results.push_back(result); };
  EXPECT_EQ(run_seeds(options, take).violations, 12U);
  EXPECT_EQ(results.size(), 12U);
  results.clear();
  options.stop_at_violation = true;
  EXPECT_EQ(run_seeds(options, take).violations, 1U);
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results.front().seed, 1U);
  EXPECT_EQ(results.front().violations.front().invariant, "check");
}

}  // namespace
}  // namespace zef::sim
