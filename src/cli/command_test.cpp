#include "cli/command.h"

#include <gtest/gtest.h>

#include "base/testing/manual_executor.h"

namespace zef::cli {
namespace {

TEST(Command, exit_statuses_are_those_of_the_documentation) {
  EXPECT_EQ(exit_code_of(ErrorKind::invalid_input), ExitCode::usage);
  EXPECT_EQ(exit_code_of(ErrorKind::not_found), ExitCode::usage);
  EXPECT_EQ(exit_code_of(ErrorKind::unavailable), ExitCode::unavailable);
  EXPECT_EQ(exit_code_of(ErrorKind::cancelled), ExitCode::unavailable);
  EXPECT_EQ(exit_code_of(ErrorKind::refused), ExitCode::refused);
  EXPECT_EQ(exit_code_of(ErrorKind::corrupt), ExitCode::corrupt);
  EXPECT_EQ(exit_code_of(ErrorKind::fenced), ExitCode::fenced);
  EXPECT_EQ(exit_code_of(ErrorKind::io), ExitCode::io);
  EXPECT_EQ(static_cast<int>(ExitCode::failed), 1);
}

TEST(Command, a_child_s_exit_status_gives_its_kind_of_error_back) {
  for (const ErrorKind kind : {ErrorKind::invalid_input, ErrorKind::unavailable, ErrorKind::refused, ErrorKind::corrupt,
                               ErrorKind::fenced, ErrorKind::io})
    EXPECT_EQ(kind_of_exit(static_cast<int>(exit_code_of(kind))), kind);
  for (const int status : {-1, 0, 1, 8, 137}) EXPECT_EQ(kind_of_exit(status), std::nullopt) << status;
}

TEST(Command, numbers_are_grouped_for_people) {
  EXPECT_EQ(grouped(std::uint64_t{0}), "0");
  EXPECT_EQ(grouped(std::uint64_t{999}), "999");
  EXPECT_EQ(grouped(std::uint64_t{1000}), "1,000");
  EXPECT_EQ(grouped(std::uint64_t{18'446'744'073'709'551'615U}), "18,446,744,073,709,551,615");
  EXPECT_EQ(grouped(__int128{-999}), "-999");
  EXPECT_EQ(grouped(__int128{-1234567}), "-1,234,567");
}

TEST(Command, a_table_aligns_its_columns) {
  Table table({{"name"}, {"balance", true}, {"note"}});
  table.add({"a", "1", ""});
  table.add({"longer", "1,000", "x"});
  EXPECT_EQ(table.text(),
            "name    balance  note\n"
            "a             1\n"
            "longer    1,000  x\n");
}

TEST(Command, progress_is_silent_for_what_is_quick_and_speaks_after_a_second) {
  zef::testing::ManualExecutor executor;
  ::testing::internal::CaptureStderr();
  {
    Progress progress(executor, "making keys");
    progress.update(1, 10);
    executor.advance(std::chrono::milliseconds(900));
    progress.update(2, 10);
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");

  ::testing::internal::CaptureStderr();
  {
    Progress progress(executor, "making keys");
    executor.advance(std::chrono::milliseconds(1100));
    progress.update(3000, 10'000);
    progress.update(3001, 10'000);  // too soon for a second line
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "making keys: 3,000 of 10,000\n");
}

}  // namespace
}  // namespace zef::cli
