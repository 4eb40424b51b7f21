#include "controller/kubernetes_driver.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "base/testing/manual_executor.h"
#include "base/testing/temp_folder.h"
#include "controller/testing/fake_kubernetes.h"

namespace zef::controller {
namespace {

using testing::FakeKubernetes;
using zef::testing::IdleTime;
using zef::testing::ManualExecutor;
using zef::testing::TempFolder;

class KubernetesDriverTest : public ::testing::Test {
 protected:
  KubernetesDriverTest() {
    write("token", "token-1\n");
    write("namespace", "validator-a");
    driver = driver_of({});
  }
  void write(const std::string& file, const std::string& text) { std::ofstream(folder.path() / file) << text; }
  std::unique_ptr<KubernetesDriver> driver_of(const std::string& stateful_set) {
    auto made = KubernetesDriver::make(executor, {.api = cluster.url(),
                                                  .name_space = "validator-a",
                                                  .stateful_set = stateful_set.empty() ? "zef-worker" : stateful_set,
                                                  .token_file = folder.path() / "token",
                                                  .ca_file = {}});
    EXPECT_TRUE(made);
    return std::move(*made);
  }
  template <class T>
  T run(Task<T> task) {
    return executor.run_until(std::move(task), IdleTime::stands);
  }

  ManualExecutor executor;
  TempFolder folder;
  FakeKubernetes cluster{"validator-a", "zef-worker", 3};
  std::unique_ptr<KubernetesDriver> driver;
};

TEST_F(KubernetesDriverTest, reads_how_many_workers_are_wanted) {
  EXPECT_EQ(run(driver->current()), 3);
  cluster.set_replicas(0);
  EXPECT_EQ(run(driver->current()), 0);
}

TEST_F(KubernetesDriverTest, starts_more) {
  ASSERT_TRUE(run(driver->set(6)));
  EXPECT_EQ(cluster.replicas(), 6);
  ASSERT_TRUE(run(driver->set(6)));
  EXPECT_EQ(cluster.writes(), 1);
}

TEST_F(KubernetesDriverTest, never_ends_a_worker_by_a_smaller_number) {
  const auto done = run(driver->set(2));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::refused);
  EXPECT_EQ(cluster.replicas(), 3);
}

TEST_F(KubernetesDriverTest, retires_the_last_one_only) {
  ASSERT_TRUE(run(driver->retire("w2")));
  EXPECT_EQ(cluster.replicas(), 2);
  for (const std::string worker : {"w2", "w0", "nobody", ""}) {
    const auto done = run(driver->retire(worker));
    ASSERT_FALSE(done) << worker;
    EXPECT_EQ(done.error().kind, ErrorKind::refused);
  }
  EXPECT_EQ(cluster.replicas(), 2);
}

TEST_F(KubernetesDriverTest, of_two_that_retire_the_same_worker_one_is_refused) {
  bool once = true;
  cluster.before_put([&] {
    if (std::exchange(once, false)) cluster.set_replicas(2);
  });
  const auto done = run(driver->retire("w2"));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::refused);
  EXPECT_EQ(cluster.replicas(), 2);
}

TEST_F(KubernetesDriverTest, another_writer_in_between_is_read_again) {
  bool once = true;
  cluster.before_put([&] {
    if (std::exchange(once, false)) cluster.set_replicas(4);
  });
  ASSERT_TRUE(run(driver->set(6)));
  EXPECT_EQ(cluster.replicas(), 6);
  EXPECT_EQ(cluster.writes(), 1);
}

TEST_F(KubernetesDriverTest, writers_that_are_always_faster_end_it) {
  cluster.before_put([&] { cluster.set_replicas(4); });
  const auto done = run(driver->set(6));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::unavailable);
}

TEST_F(KubernetesDriverTest, an_answer_that_is_lost_retires_nobody_twice) {
  cluster.lose_next_answer();
  EXPECT_FALSE(run(driver->retire("w2")));
  EXPECT_EQ(cluster.replicas(), 2);
  EXPECT_FALSE(run(driver->retire("w2")));
  EXPECT_EQ(cluster.replicas(), 2);
}

TEST_F(KubernetesDriverTest, reads_its_token_again_when_it_is_replaced) {
  EXPECT_TRUE(run(driver->current()));
  cluster.accept_token("token-2");
  const auto old = run(driver->current());
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().kind, ErrorKind::refused);
  EXPECT_NE(old.error().message.find("get and update of statefulsets/scale"), std::string::npos);
  write("token", "token-2");
  EXPECT_TRUE(run(driver->current()));
}

TEST_F(KubernetesDriverTest, says_what_is_wrong) {
  const auto unknown = run(driver_of("other")->current());
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().kind, ErrorKind::not_found);
  EXPECT_NE(unknown.error().message.find("not found"), std::string::npos);
  cluster.answer_all_with(503);
  const auto trouble = run(driver->current());
  ASSERT_FALSE(trouble);
  EXPECT_EQ(trouble.error().kind, ErrorKind::unavailable);
  std::filesystem::remove(folder.path() / "token");
  const auto token = run(driver->current());
  ASSERT_FALSE(token);
  EXPECT_EQ(token.error().kind, ErrorKind::not_found);
}

TEST_F(KubernetesDriverTest, an_answer_that_is_no_scale_is_an_error) {
  cluster.answer_all_with(200);
  const auto done = run(driver->current());
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::unavailable);
}

TEST_F(KubernetesDriverTest, finds_the_cluster_that_its_pod_is_in) {
  ::unsetenv("KUBERNETES_SERVICE_HOST");
  const auto outside = in_cluster_options("zef-worker", folder.path());
  ASSERT_FALSE(outside);
  EXPECT_EQ(outside.error().kind, ErrorKind::not_found);
  ::setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
  ::setenv("KUBERNETES_SERVICE_PORT", "443", 1);
  const auto options = in_cluster_options("zef-worker", folder.path());
  ::unsetenv("KUBERNETES_SERVICE_HOST");
  ::unsetenv("KUBERNETES_SERVICE_PORT");
  ASSERT_TRUE(options);
  EXPECT_EQ(options->api, "https://[fd00::1]:443");
  EXPECT_EQ(options->name_space, "validator-a");
  EXPECT_EQ(options->token_file, folder.path() / "token");
  EXPECT_EQ(options->ca_file, folder.path() / "ca.crt");
}

TEST(Ordinal, is_the_number_at_the_end_of_a_name) {
  EXPECT_EQ(ordinal_of("w0"), 0);
  EXPECT_EQ(ordinal_of("zef-worker-12"), 12);
  EXPECT_FALSE(ordinal_of("w"));
  EXPECT_FALSE(ordinal_of(""));
  EXPECT_FALSE(ordinal_of("w99999999999"));
}

}  // namespace
}  // namespace zef::controller
