#include "controller/process_driver.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/testing/manual_executor.h"
#include "base/testing/temp_folder.h"

namespace zef::controller {
namespace {

class ProcessDriverTest : public ::testing::Test {
 protected:
  template <class T>
  T run(Task<T> task) {
    return executor_.run_until(std::move(task));
  }
  zef::testing::TempFolder folder_;
  std::filesystem::path file_ = folder_.path() / "workers";
  zef::testing::ManualExecutor executor_;
};

TEST_F(ProcessDriverTest, grows_by_set_and_shrinks_by_retiring_the_last_one) {
  ASSERT_TRUE(write_worker_count(file_, 2).has_value());
  ProcessDriver driver(file_);
  EXPECT_EQ(run(driver.current()), 2);
  EXPECT_TRUE(run(driver.set(4)).has_value());
  EXPECT_EQ(run(driver.current()), 4);
  EXPECT_EQ(run(driver.set(3)).error().kind, ErrorKind::refused);
  EXPECT_EQ(run(driver.retire("w2")).error().kind, ErrorKind::refused);
  EXPECT_EQ(run(driver.retire("x")).error().kind, ErrorKind::refused);
  EXPECT_TRUE(run(driver.retire("w3")).has_value());
  EXPECT_EQ(run(driver.retire("w3")).error().kind, ErrorKind::refused);  // another controller was slower
  EXPECT_EQ(run(driver.current()), 3);
}

TEST_F(ProcessDriverTest, the_last_worker_stays) {
  ASSERT_TRUE(write_worker_count(file_, 1).has_value());
  ProcessDriver driver(file_);
  EXPECT_EQ(run(driver.retire("w0")).error().kind, ErrorKind::refused);
  EXPECT_EQ(run(driver.current()), 1);
}

TEST_F(ProcessDriverTest, says_what_is_wrong_with_the_file) {
  ProcessDriver driver(file_);
  EXPECT_EQ(run(driver.current()).error().kind, ErrorKind::io);
  for (const char* text : {"", "many", "0", "-1", "3 4", "99999"}) {
    std::ofstream(file_, std::ios::trunc) << text << '\n';
    const auto count = run(driver.current());
    ASSERT_FALSE(count.has_value()) << text;
    EXPECT_EQ(count.error().kind, ErrorKind::corrupt);
    EXPECT_NE(count.error().message.find("number of workers"), std::string::npos);
    EXPECT_FALSE(run(driver.set(3)).has_value());
  }
}

}  // namespace
}  // namespace zef::controller
