#include "controller/suspicion.h"

#include <gtest/gtest.h>

namespace zef::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const WorkerId worker{{1}};
const MonotonicTime start{std::chrono::hours(5)};

TEST(Suspicion, a_counter_that_moves_is_never_suspect) {
  Suspicion suspicion;
  for (int i = 0; i < 100; ++i) {
    suspicion.heard(worker, static_cast<std::uint64_t>(i), start + i * milliseconds(2900));
    EXPECT_FALSE(suspicion.suspect(worker, start + (i + 1) * milliseconds(2900)));
  }
}

TEST(Suspicion, a_counter_that_stalls_is_suspect_after_three_seconds) {
  Suspicion suspicion;
  suspicion.heard(worker, 7, start);
  suspicion.heard(worker, 7, start + seconds(2));  // the same report again
  suspicion.heard(worker, 6, start + seconds(2));  // an older one, late
  EXPECT_TRUE(suspicion.alive(worker, start + milliseconds(2999)));
  EXPECT_FALSE(suspicion.suspect(worker, start + milliseconds(2999)));
  EXPECT_TRUE(suspicion.suspect(worker, start + seconds(3)));
  EXPECT_FALSE(suspicion.alive(worker, start + seconds(3)));
}

TEST(Suspicion, a_worker_never_heard_of_stalls_from_when_it_was_first_looked_for) {
  Suspicion suspicion;
  suspicion.look_for(worker, start);
  suspicion.look_for(worker, start + seconds(2));
  EXPECT_FALSE(suspicion.alive(worker, start));
  EXPECT_FALSE(suspicion.suspect(worker, start + seconds(2)));
  EXPECT_TRUE(suspicion.suspect(worker, start + seconds(3)));
}

TEST(Suspicion, a_worker_that_nobody_looks_for_is_not_suspect) {
  Suspicion suspicion;
  EXPECT_FALSE(suspicion.suspect(worker, start));
  suspicion.look_for(worker, start);
  suspicion.forget(worker);
  EXPECT_FALSE(suspicion.suspect(worker, start + seconds(100)));
}

TEST(Suspicion, a_suspect_that_is_heard_again_is_alive) {
  Suspicion suspicion(seconds(1));
  suspicion.heard(worker, 1, start);
  EXPECT_TRUE(suspicion.suspect(worker, start + seconds(1)));
  suspicion.heard(worker, 2, start + seconds(5));
  EXPECT_TRUE(suspicion.alive(worker, start + seconds(5)));
  EXPECT_FALSE(suspicion.suspect(worker, start + seconds(5)));
}

}  // namespace
}  // namespace zef::controller
