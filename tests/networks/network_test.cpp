// Whole networks of real processes: they stop, die, and go on where they were.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "base/parallel.h"
#include "cli/child_process.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/flow.h"
#include "load.h"
#include "program.h"
#include "rig.h"

namespace zef::networks {
namespace {

using namespace std::chrono_literals;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::size_t users = 12;
constexpr Duration limit = 120s;

std::vector<pid_t> pids_of(const cli::LocalNetwork& network) {
  std::vector<pid_t> pids;
  for (const cli::ValidatorView& validator : network.validators()) {
    pids.push_back(validator.balancer.pid);
    for (const cli::ProcessView& worker : validator.workers) pids.push_back(worker.pid);
  }
  return pids;
}

// ---- steps -----------------------------------------------------------------------------------------------------

Task<bool> started(Rig& rig) {
  const auto done = co_await rig.network->start();
  EXPECT_TRUE(done) << (done ? "" : done.error().message);
  co_return done.has_value();
}

Task<bool> stopped(Rig& rig) {
  co_await rig.network->stop();
  co_return std::ranges::all_of(pids_of(*rig.network), [](pid_t pid) { return pid < 0; });
}

// How many workers said that they sealed their log: all that drained to the end.
std::size_t sealed_logs(const Rig& rig) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(rig.network->dir())) {
    if (entry.path().extension() != ".log") continue;
    std::ifstream lines(entry.path());
    for (std::string line; std::getline(lines, line);) count += line.contains("has sealed its log") ? 1 : 0;
  }
  return count;
}

// As an operator does who presses Ctrl-C while the network is being stopped.
Task<bool> stopped_by_two(Rig& rig) {
  TaskScope scope;
  scope.spawn(rig.network->stop());
  co_return co_await stopped(rig);
}

// Waits until the users have done so many operations.
Task<bool> operations_reached(Rig& rig, Load& load, std::uint64_t operations) {
  const MonotonicTime give_up = rig.loop.now() + limit;
  while (load.operations() < operations && load.problems().empty() && rig.loop.now() < give_up)
    co_await sleep_for(rig.loop, 10ms);
  co_return load.operations() >= operations;
}

Task<bool> load_stopped(Load& load) {
  co_await load.stop();
  co_await load.pay_once_each();
  co_return load.problems().empty();
}

Task<bool> all_killed_at_once(Rig& rig) {
  co_await in_parallel(rig.loop, rig.network->size(), rig.network->size(),
                       [&](std::size_t i) { return rig.network->stop_validator(i, SIGKILL); });
  co_return std::ranges::all_of(pids_of(*rig.network), [](pid_t pid) { return pid < 0; });
}

// ---- assertions ------------------------------------------------------------------------------------------------

void expect_all_held(Rig& rig, Load& load, cli::DemoBook& book) {
  std::vector<std::string> problems;
  const auto check = cli::run_flow(rig.loop, settle_and_compare(rig, book, problems));
  EXPECT_THAT(problems, IsEmpty());
  EXPECT_TRUE(check.supply_ok);
  EXPECT_TRUE(check.heads_equal);
  EXPECT_TRUE(check.balances_equal);
  EXPECT_TRUE(cli::run_flow(rig.loop, rig.witness->check(*rig.quorum, limit)));
  EXPECT_THAT(rig.witness->problems(), IsEmpty());
  EXPECT_THAT(load.problems(), IsEmpty());
}

std::unique_ptr<Rig> open_rig(const TempFolder& folder, const cli::LocalNetworkOptions& options = {}) {
  auto rig = Rig::open(folder.path() / "net", options);
  EXPECT_TRUE(rig) << (rig ? "" : rig.error().message);
  return rig ? std::move(*rig) : nullptr;
}

// ---- tests -----------------------------------------------------------------------------------------------------

TEST(Networks, restart_of_all_workers_in_the_middle_loses_nothing) {
  const TempFolder folder;
  const auto rig = open_rig(folder, small_network(users));
  ASSERT_TRUE(rig);
  ASSERT_TRUE(cli::run_flow(rig->loop, started(*rig)));
  cli::DemoBook book(rig->network->genesis(), rig->network->network());
  Load load(*rig, book, users, 1);
  load.start();
  ASSERT_TRUE(cli::run_flow(rig->loop, operations_reached(*rig, load, 50)));
  for (std::size_t validator = 0; validator < rig->network->size(); ++validator)
    for (std::size_t worker = 0; worker < rig->network->settings().workers; ++worker)
      EXPECT_TRUE(rig->network->kill_worker(validator, worker));
  EXPECT_TRUE(cli::run_flow(rig->loop, rig->network->wait_until_serving(limit)));
  EXPECT_TRUE(cli::run_flow(rig->loop, rig->witness->check(*rig->quorum, limit)));
  EXPECT_TRUE(cli::run_flow(rig->loop, operations_reached(*rig, load, load.operations() + 50)));
  EXPECT_TRUE(cli::run_flow(rig->loop, load_stopped(load)));
  expect_all_held(*rig, load, book);
  for (const cli::ValidatorView& validator : rig->network->validators())
    for (const cli::ProcessView& worker : validator.workers) EXPECT_EQ(worker.restarts, 1U) << validator.name;
  EXPECT_TRUE(cli::run_flow(rig->loop, stopped(*rig)));
}

// The same client lives through both: what it was told before the stop must hold after it.
TEST(Networks, stop_under_load_drains_and_start_goes_on) {
  const TempFolder folder;
  const auto rig = open_rig(folder, small_network(users));
  ASSERT_TRUE(rig);
  ASSERT_TRUE(cli::run_flow(rig->loop, started(*rig)));
  std::vector<std::string> news;
  rig->network->on_news([&](const std::string& line) { news.push_back(line); });
  cli::DemoBook book(rig->network->genesis(), rig->network->network());
  Load load(*rig, book, users, 2);
  load.start();
  ASSERT_TRUE(cli::run_flow(rig->loop, operations_reached(*rig, load, 50)));
  EXPECT_TRUE(cli::run_flow(rig->loop, stopped_by_two(*rig)));
  EXPECT_EQ(sealed_logs(*rig), rig->network->size() * rig->network->settings().workers);
  ASSERT_TRUE(cli::run_flow(rig->loop, started(*rig)));
  EXPECT_TRUE(cli::run_flow(rig->loop, rig->witness->check(*rig->quorum, limit)));
  EXPECT_TRUE(cli::run_flow(rig->loop, operations_reached(*rig, load, load.operations() + 50)));
  EXPECT_TRUE(cli::run_flow(rig->loop, load_stopped(load)));
  expect_all_held(*rig, load, book);
  EXPECT_THAT(news, IsEmpty());  // nothing died by itself
  EXPECT_TRUE(cli::run_flow(rig->loop, stopped(*rig)));
}

TEST(Networks, power_cut_of_all_processes_at_once_loses_nothing) {
  const TempFolder folder;
  const auto rig = open_rig(folder, small_network(users));
  ASSERT_TRUE(rig);
  ASSERT_TRUE(cli::run_flow(rig->loop, started(*rig)));
  cli::DemoBook book(rig->network->genesis(), rig->network->network());
  Load load(*rig, book, users, 3);
  load.start();
  for (int cut = 0; cut < 2; ++cut) {
    ASSERT_TRUE(cli::run_flow(rig->loop, operations_reached(*rig, load, load.operations() + 50)));
    EXPECT_TRUE(cli::run_flow(rig->loop, all_killed_at_once(*rig)));
    ASSERT_TRUE(cli::run_flow(rig->loop, started(*rig)));
    EXPECT_TRUE(cli::run_flow(rig->loop, rig->witness->check(*rig->quorum, limit)));
  }
  EXPECT_TRUE(cli::run_flow(rig->loop, load_stopped(load)));
  expect_all_held(*rig, load, book);
  EXPECT_TRUE(cli::run_flow(rig->loop, stopped(*rig)));
}

TEST(Networks, folder_of_a_dead_network_is_opened_again) {
  const TempFolder folder;
  std::vector<client::ChainState> chains;
  protocol::NetworkId id;
  {
    const auto rig = open_rig(folder, small_network(users));
    ASSERT_TRUE(rig);
    EXPECT_TRUE(rig->network->is_new());
    id = rig->network->network().id;
    ASSERT_TRUE(cli::run_flow(rig->loop, started(*rig)));
    cli::DemoBook book(rig->network->genesis(), rig->network->network());
    Load load(*rig, book, users, 4);
    load.start();
    ASSERT_TRUE(cli::run_flow(rig->loop, operations_reached(*rig, load, 50)));
    EXPECT_TRUE(cli::run_flow(rig->loop, load_stopped(load)));
    chains = load.chains();
    expect_all_held(*rig, load, book);
    EXPECT_FALSE(Rig::open(folder.path() / "net")) << "two of them in one folder";
  }  // its processes are killed here
  const auto rig = open_rig(folder);
  ASSERT_TRUE(rig);
  EXPECT_FALSE(rig->network->is_new());
  EXPECT_EQ(rig->network->network().id, id);
  ASSERT_TRUE(cli::run_flow(rig->loop, started(*rig)));
  for (const client::ChainState& chain : chains) {
    const auto states = cli::run_flow(rig->loop, cli::states_of(*rig->quorum, chain.account));
    for (const auto& state : states) {
      ASSERT_TRUE(state) << chain.account.text();
      EXPECT_EQ(state->next, chain.next) << chain.account.text();
      EXPECT_EQ(state->head, chain.head) << chain.account.text();
      EXPECT_EQ(state->owner, chain.owner) << chain.account.text();
    }
  }
  EXPECT_TRUE(cli::run_flow(rig->loop, stopped(*rig)));
}

TEST(Networks, busy_balancer_port_is_a_clear_error_and_passes_when_it_is_free) {
  const TempFolder folder;
  const auto rig = open_rig(folder, small_network(users));
  ASSERT_TRUE(rig);
  const net::Address address = rig->network->addresses()[2];
  auto squatter = rig->tcp->listen(address, {}, [](std::unique_ptr<net::Connection>) {});
  ASSERT_TRUE(squatter) << squatter.error().message;
  const auto refused = cli::run_flow(rig->loop, rig->network->start());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::io);
  EXPECT_THAT(refused.error().message, HasSubstr("port " + std::to_string(address.port)));
  EXPECT_THAT(refused.error().message, HasSubstr("in use"));
  EXPECT_THAT(pids_of(*rig->network), Each(-1));
  squatter->reset();
  EXPECT_TRUE(cli::run_flow(rig->loop, started(*rig)));
  EXPECT_TRUE(cli::run_flow(rig->loop, stopped(*rig)));
}

// ---- the command -----------------------------------------------------------------------------------------------

struct Said {
  std::optional<codec::Json> ready;
  std::optional<cli::ChildProcess::Ended> ended;
};

// Turns until the child has said that it is ready, or has ended.
void listen_until_ready(net::Loop& loop, cli::ChildProcess& child, Said& said) {
  const MonotonicTime give_up = loop.now() + limit;
  while (!said.ready && !said.ended && loop.now() < give_up) {
    while (const auto line = child.take_line()) {
      const auto json = codec::Json::parse(*line, nullptr, false);
      if (json.is_object() && json.value("ready", false)) said.ready = json;
    }
    if (!said.ready) said.ended = child.reap();
    loop.turn(10ms);
  }
}

void wait_for_end(net::Loop& loop, cli::ChildProcess& child, Said& said) {
  const MonotonicTime give_up = loop.now() + limit;
  while (!(said.ended = child.reap()) && loop.now() < give_up) loop.turn(10ms);
}

TEST(Networks, net_up_goes_on_where_it_stopped_or_was_killed) {
  const TempFolder folder;
  net::Loop loop;
  const std::string dir = (folder.path() / "net").string();
  std::string network;
  for (const int signal : {SIGTERM, SIGKILL, SIGINT}) {
    auto child =
        cli::ChildProcess::spawn({"net", "up", "--dir", dir, "--accounts", "3", "--json"}, folder.path() / "up.log");
    ASSERT_TRUE(child) << child.error().message;
    Said said;
    listen_until_ready(loop, *child, said);
    ASSERT_TRUE(said.ready) << child->last_words();
    EXPECT_EQ(said.ready->at("new").get<bool>(), network.empty());
    if (network.empty()) network = said.ready->at("network").get<std::string>();
    EXPECT_EQ(said.ready->at("network").get<std::string>(), network);
    child->signal(signal);
    wait_for_end(loop, *child, said);
    ASSERT_TRUE(said.ended);
    if (signal == SIGKILL)
      EXPECT_EQ(said.ended->signal, SIGKILL);
    else
      EXPECT_EQ(said.ended->exit_status, 0) << child->last_words();
  }
}

TEST(Networks, second_net_up_in_one_folder_is_refused) {
  const TempFolder folder;
  net::Loop loop;
  const std::vector<std::string> arguments = {"net",        "up", "--dir", (folder.path() / "net").string(),
                                              "--accounts", "3",  "--json"};
  auto first = cli::ChildProcess::spawn(arguments, folder.path() / "first.log");
  ASSERT_TRUE(first);
  Said said;
  listen_until_ready(loop, *first, said);
  ASSERT_TRUE(said.ready) << first->last_words();
  auto second = cli::ChildProcess::spawn(arguments, folder.path() / "second.log");
  ASSERT_TRUE(second);
  Said refused;
  wait_for_end(loop, *second, refused);
  ASSERT_TRUE(refused.ended);
  EXPECT_EQ(refused.ended->exit_status, static_cast<int>(cli::ExitCode::refused));
  EXPECT_THAT(second->last_words(), HasSubstr("another process"));
  first->signal(SIGTERM);
  wait_for_end(loop, *first, said);
  ASSERT_TRUE(said.ended);
  EXPECT_EQ(said.ended->exit_status, 0) << first->last_words();
}

}  // namespace
}  // namespace zef::networks

int main(int argc, char** argv) {
  if (const auto status = zef::networks::run_if_program(argc, argv)) return *status;
  testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
