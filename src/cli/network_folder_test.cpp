#include "cli/network_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <fstream>

#include "base/testing/temp_folder.h"
#include "cli/child_process.h"

namespace zef::cli {
namespace {

namespace fs = std::filesystem;
using zef::testing::TempFolder;

LocalNetworkOptions small() {
  LocalNetworkOptions options;
  options.validators = 2;
  options.workers = 1;
  options.accounts = 3;
  options.balance = 1000;
  return options;
}

Result<NetworkFolder> open(const fs::path& dir, const LocalNetworkOptions& options = {}) {
  return NetworkFolder::open(dir, options, {}, WallTime(std::chrono::seconds(1)));
}

unsigned mode_of(const fs::path& path) {
  struct stat status{};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
  return status.st_mode & 0777U;
}

TEST(NetworkFolder, a_new_folder_holds_a_whole_network) {
  const TempFolder temp;
  const auto folder = open(temp.path() / "net", small());
  ASSERT_TRUE(folder) << folder.error().message;
  EXPECT_TRUE(folder->is_new);
  EXPECT_EQ(folder->genesis.validators.size(), 2U);
  EXPECT_EQ(folder->genesis.accounts.size(), 5U);
  EXPECT_EQ(protocol::supply_of(folder->genesis), 3000);
  EXPECT_EQ(folder->genesis.validators[1].reward_account.text(), "4");
  for (const char* file : {"genesis.json", "network.json", "net.json", "wallet.sqlite", "validator-1/tls/w0.pem"})
    EXPECT_TRUE(fs::exists(folder->dir / file)) << file;
  for (const char* file : {"passphrase", "validator-0/key", "validator-0/tls/w0.key"})
    EXPECT_EQ(mode_of(folder->dir / file), 0600U) << file;
  EXPECT_EQ(mode_of(folder->dir), 0700U);
  EXPECT_FALSE(fs::exists(folder->dir / "making"));
  EXPECT_NE(folder->endpoints.validators[0].address, folder->endpoints.validators[1].address);
}

TEST(NetworkFolder, opening_it_again_finds_the_same_network) {
  const TempFolder temp;
  const auto id = open(temp.path(), small())->settings.network;
  {
    const auto again = open(temp.path());
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_FALSE(again->is_new);
    EXPECT_EQ(again->settings.network, id);
  }
  EXPECT_TRUE(open(temp.path(), small())) << "the same options do not contradict it";
}

TEST(NetworkFolder, options_that_contradict_it_are_named) {
  const TempFolder temp;
  ASSERT_TRUE(open(temp.path(), small()));
  LocalNetworkOptions options;
  options.validators = 7;
  const auto other = open(temp.path(), options);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ErrorKind::invalid_input);
  EXPECT_NE(other.error().message.find("validators: 2, and 7"), std::string::npos) << other.error().message;
  LocalNetworkOptions moved;
  moved.store = "file:///elsewhere";
  EXPECT_FALSE(open(temp.path(), moved));
}

TEST(NetworkFolder, a_second_process_is_refused) {
  const TempFolder temp;
  const auto first = open(temp.path(), small());
  ASSERT_TRUE(first);
  const auto second = open(temp.path());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::refused);
  EXPECT_NE(second.error().message.find("another process uses"), std::string::npos);
}

TEST(NetworkFolder, a_folder_with_other_things_is_left_alone) {
  const TempFolder temp;
  std::ofstream(temp / "letter.txt") << "dear";
  const auto opened = open(temp.path());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::refused);
  EXPECT_EQ(std::distance(fs::directory_iterator(temp.path()), fs::directory_iterator()), 1);
}

TEST(NetworkFolder, an_interrupted_making_begins_again) {
  const TempFolder temp;
  const auto id = open(temp.path(), small())->settings.network;
  fs::remove(temp.path() / "net.json");  // as if it had been killed before its last step
  std::ofstream(temp / "making");
  const auto again = open(temp.path(), small());
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(again->is_new);
  EXPECT_NE(again->settings.network, id);
}

TEST(NetworkFolder, a_making_interrupted_at_its_first_step_begins_again) {
  const TempFolder temp;
  std::ofstream(temp / "lock");
  std::ofstream(temp / "making.new");
  EXPECT_TRUE(open(temp.path(), small()));
}

TEST(NetworkFolder, a_genesis_of_another_network_is_refused) {
  const TempFolder one;
  const TempFolder two;
  ASSERT_TRUE(open(one.path(), small()));
  ASSERT_TRUE(open(two.path(), small()));
  fs::copy_file(one.path() / "genesis.json", two.path() / "genesis.json", fs::copy_options::overwrite_existing);
  const auto opened = open(two.path());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::refused);
}

TEST(NetworkFolder, without_a_wallet_keys_come_from_the_seed) {
  const TempFolder temp;
  LocalNetworkOptions options = small();
  options.wallet = false;
  const auto folder = open(temp.path(), options);
  ASSERT_TRUE(folder) << folder.error().message;
  EXPECT_FALSE(fs::exists(folder->wallet_path()));
  EXPECT_EQ(mode_of(temp.path() / "accounts.seed"), 0600U);
  const auto seed = folder->read_seed();
  ASSERT_TRUE(seed);
  for (std::uint64_t i = 0; i < 5; ++i)
    EXPECT_EQ(derive_account_key(seed->view(), i).public_key(), folder->genesis.accounts[i].owner) << i;
}

TEST(NetworkFolder, numbers_and_stores_out_of_range_make_nothing) {
  const TempFolder temp;
  for (const auto& change : std::vector<std::function<void(LocalNetworkOptions&)>>{
           [](auto& o) { o.validators = 0; }, [](auto& o) { o.validators = 33; }, [](auto& o) { o.workers = 0; },
           [](auto& o) { o.workers = 64; }, [](auto& o) { o.balance = 1 + ~std::uint64_t{0} / 3; },
           [](auto& o) { o.accounts = 0; }, [](auto& o) { o.store = "memory:"; }, [](auto& o) { o.store = "x"; }}) {
    LocalNetworkOptions options = small();
    change(options);
    const auto opened = open(temp.path() / "net", options);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, ErrorKind::invalid_input);
    EXPECT_FALSE(fs::exists(temp.path() / "net"));
  }
}

TEST(NetworkFolder, each_validator_has_a_store_of_its_own) {
  const TempFolder temp;
  LocalNetworkOptions options = small();
  options.store = "file://" + (temp / "stores");
  const auto folder = open(temp.path() / "net", options);
  ASSERT_TRUE(folder) << folder.error().message;
  EXPECT_EQ(folder->store_url(0), *options.store + "/validator-0");
  EXPECT_EQ(folder->store_url(1), *options.store + "/validator-1");
  EXPECT_FALSE(fs::exists(temp.path() / "stores")) << "stores are touched when processes start";
}

// The program that runs this is the test itself.
TEST(ChildProcess, what_it_prints_and_how_it_ends_is_seen) {
  const TempFolder temp;
  auto child = ChildProcess::spawn({"--gtest_list_tests"}, temp.path() / "log");
  ASSERT_TRUE(child) << child.error().message;
  std::optional<ChildProcess::Ended> ended;
  std::vector<std::string> lines;
  const auto take = [&] {
    while (auto line = child->take_line()) lines.push_back(std::move(*line));
  };
  while (!ended) {
    take();
    ended = child->reap();
  }
  take();
  EXPECT_EQ(ended->exit_status, 0);
  EXPECT_NE(std::ranges::find(lines, "ChildProcess."), lines.end());
  EXPECT_EQ(child->last_words(), "");
}

TEST(ChildProcess, one_that_is_killed_says_so) {
  const TempFolder temp;
  // It never ends by itself: it repeats a test until its output is full, which nobody reads.
  auto child = ChildProcess::spawn({"--gtest_repeat=-1", "--gtest_filter=NetworkFolder.numbers*"}, temp.path() / "log");
  ASSERT_TRUE(child);
  child->signal(SIGKILL);
  std::optional<ChildProcess::Ended> ended;
  while (!ended) ended = child->reap();
  EXPECT_EQ(ended->signal, SIGKILL);
  EXPECT_EQ(ended->exit_status, -1);
}

}  // namespace
}  // namespace zef::cli
