#include "cli/drill.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "cli/drill_stage.h"
#include "controller/process_driver.h"
#include "net/rpc.h"

namespace zef::cli {
namespace {

using ledger::WorkerId;
using protocol::ShardId;
using namespace std::chrono_literals;

constexpr Duration warm_up = 3s;
constexpr Duration calm_after = 3s;
constexpr std::size_t shards_per_move = 32;
constexpr double load_factor = 8;            // of the scale drill
constexpr double queries_per_operation = 2;  // an order and its certificate
constexpr double capacity_per_load = 3.2;    // what one worker can do, of what there is to do at first

// What a drill found besides what all have: for the report, and whether it is as it must be.
struct DrillResult {
  codec::Json figures = codec::Json::object();
  std::vector<std::string> wrong;
};

void must(DrillResult& result, bool holds, std::string what) {
  if (!holds) result.wrong.push_back(std::move(what));
}

double seconds_since(const DrillStage& stage, MonotonicTime began) {
  return std::chrono::duration<double>(stage.loop.now() - began).count();
}

// The number of a worker that owns something, drawn at random.
std::size_t any_worker(DrillStage& stage) {
  std::vector<std::size_t> owning;
  for (std::size_t i = 0; i < stage.flags.workers; ++i)
    if (const auto member = stage.member(fmt::format("w{}", i)); member && stage.shards_of(member->head.worker) > 0)
      owning.push_back(i);
  return owning.empty() ? 0 : owning[stage.rng.below(owning.size())];
}

// ---- crash ----

Task<DrillResult> crash(DrillStage& stage) {
  DrillResult result;
  double longest = 0;
  for (std::uint64_t i = 0; i < stage.flags.times; ++i) {
    const std::size_t worker = any_worker(stage);
    const auto victim = stage.member(fmt::format("w{}", worker));
    if (!victim) {
      result.wrong.emplace_back("no worker lives");
      break;
    }
    stage.note(fmt::format("w{} is killed (-9)", worker));
    const MonotonicTime began = stage.loop.now();
    stage.network->kill_worker(0, worker, SIGKILL);
    const WorkerId id = victim->head.worker;
    const bool recovered =
        co_await stage.wait_until([&] { return stage.shards_of(id) == 0 && stage.orphans() == 0; }, 60s);
    longest = std::max(longest, seconds_since(stage, began));
    must(result, recovered, fmt::format("the shards of w{} had no owner that lives for a minute", worker));
    // Until it is back, so that all are there when the next one dies.
    must(result,
         co_await stage.wait_until([&] { return stage.is_back(victim->head); },
                                   std::chrono::milliseconds(stage.flags.restart_after_ms) + 60s),
         fmt::format("w{} did not come back", worker));
    co_await sleep_for(stage.loop, std::chrono::milliseconds(200 + stage.rng.below(1500)));
  }
  result.figures = {{"killed", stage.flags.times}, {"longest_recovery_s", longest}};
  co_return result;
}

// ---- move ----

// Every shard goes to the next worker once.
Task<DrillResult> move(DrillStage& stage) {
  DrillResult result;
  std::vector<WorkerId> workers;
  for (std::size_t i = 0; i < stage.flags.workers; ++i)
    if (const auto member = stage.member(fmt::format("w{}", i))) workers.push_back(member->head.worker);
  const auto entries = stage.fleet().map().entries;
  std::size_t moved = 0;
  for (std::size_t i = 0; i < workers.size(); ++i) {
    const WorkerId to = workers[(i + 1) % workers.size()];
    std::vector<ShardId> shards;
    for (std::size_t k = 0; k < entries.size(); ++k)
      if (entries[k].owner == workers[i]) shards.emplace_back(static_cast<std::uint16_t>(k));
    for (std::size_t at = 0; at < shards.size(); at += shards_per_move) {
      const std::size_t end = std::min(shards.size(), at + shards_per_move);
      const auto given = co_await stage.fleet().give(
          workers[i], to,
          {shards.begin() + static_cast<std::ptrdiff_t>(at), shards.begin() + static_cast<std::ptrdiff_t>(end)});
      if (!given) result.wrong.push_back(given.error().message);
    }
    stage.note(fmt::format("the shards of {} are given away", i));
  }
  // The controller moves shards as well; what counts is that each has another owner than before, or had.
  if (const auto read = co_await stage.fleet().owners(); !read) result.wrong.push_back(read.error().message);
  for (std::size_t i = 0; i < entries.size(); ++i) moved += stage.fleet().map().entries[i].epoch > entries[i].epoch;
  must(result, moved == protocol::shard_count, fmt::format("{} of {} shards moved", moved, protocol::shard_count));
  result.figures = {{"shards_moved", moved}};
  co_return result;
}

// ---- scale ----

Task<DrillResult> scale(DrillStage& stage) {
  DrillResult result;
  const std::filesystem::path file = stage.network->worker_count_path(0);
  const auto wanted = [&] { return static_cast<std::size_t>(controller::read_worker_count(file).value_or(0)); };
  stage.note(fmt::format("load times {:.0f}", load_factor));
  stage.load->set_rate(stage.flags.rate * load_factor);
  const MonotonicTime up = stage.loop.now();
  const bool law_wants = co_await stage.wait_until([&] { return wanted() > 1; }, 60s);
  must(result, law_wants, "the law wanted no more workers for a minute");
  stage.note(fmt::format("the law wants {} workers", wanted()));
  const MonotonicTime wanted_at = stage.loop.now();
  must(result, co_await stage.wait_until([&] { return stage.serving() > 1; }, 60s),
       "no new worker served for a minute");
  const double first_serves = seconds_since(stage, wanted_at);
  must(result, co_await stage.wait_until([&] { return stage.serving() == stage.flags.workers; }, 120s),
       fmt::format("{} workers did not serve within two minutes", stage.flags.workers));
  const double grown = seconds_since(stage, up);
  stage.note(fmt::format("{} workers serve", stage.serving()));
  co_await sleep_for(stage.loop, calm_after);
  stage.note("load as before");
  stage.load->set_rate(stage.flags.rate);
  const MonotonicTime down = stage.loop.now();
  must(result, co_await stage.wait_until([&] { return stage.worker_processes() == 1 && stage.serving() == 1; }, 180s),
       "one worker was not enough again within three minutes");
  result.figures = {{"first_new_worker_serves_s", first_serves},
                    {"grown_after_s", grown},
                    {"shrunk_after_s", seconds_since(stage, down)},
                    {"grown_to", stage.flags.workers}};
  co_return result;
}

// ---- store-outage ----

Task<DrillResult> store_outage(DrillStage& stage) {
  DrillResult result;
  stage.note("the store stops answering");
  for (const int pid : stage.flags.store_pids)
    must(result, ::kill(pid, SIGSTOP) == 0, fmt::format("process {} cannot be stopped", pid));
  const std::uint64_t before = stage.load->acknowledged();
  co_await sleep_for(stage.loop, std::chrono::seconds(stage.flags.outage_s));
  const std::uint64_t meanwhile = stage.load->acknowledged() - before;
  for (const int pid : stage.flags.store_pids) (void)::kill(pid, SIGCONT);
  stage.note(fmt::format("it answers again; meanwhile {} operations were acknowledged, {} clients wait", meanwhile,
                         stage.load->waiting()));
  const std::uint64_t then = stage.load->acknowledged();
  must(result, co_await stage.wait_until([&] { return stage.load->acknowledged() > then + stage.flags.accounts; }, 60s),
       "the load did not go on within a minute");
  result.figures = {{"outage_s", stage.flags.outage_s}, {"acknowledged_meanwhile", meanwhile}};
  co_return result;
}

// ---- zombie ----

// An order that was sent to the zombie while it stood still; whatever it answers must be what its successor says.
struct Bait {
  std::size_t account = 0;
  protocol::RequestOrder for_zombie, for_successor;
  bool zombie_voted = false;
  bool zombie_answered = false;
};

Task<> send_bait(net::RpcClient& zombie, Bait& bait) {
  const auto answer = co_await zombie.call(codec::encode(protocol::Query(protocol::SubmitOrder{bait.for_zombie})), 60s);
  if (!answer) co_return;
  bait.zombie_answered = true;
  const auto decoded = codec::decode<protocol::Answer>(*answer);
  bait.zombie_voted = decoded && std::holds_alternative<protocol::Voted>(*decoded);
}

Task<DrillResult> zombie(DrillStage& stage) {
  DrillResult result;
  const std::size_t worker = any_worker(stage);
  const auto victim = stage.member(fmt::format("w{}", worker));
  const auto address = victim ? net::parse_address(victim->head.client_address) : fail(ErrorKind::not_found, "");
  if (!address) {
    result.wrong.emplace_back("no worker lives");
    co_return result;
  }
  const WorkerId id = victim->head.worker;
  std::vector<Bait> baits;
  const std::size_t load_accounts = stage.flags.accounts / 2;
  for (std::size_t account = load_accounts; account < stage.flags.accounts; ++account) {
    const auto shard = protocol::shard_of(protocol::Uid::genesis(account));
    if (stage.fleet().map().entries[shard.value()].owner == id)
      baits.push_back({.account = account,
                       .for_zombie = stage.load->make_order(account, 1),
                       .for_successor = stage.load->make_order(account, 2)});
  }
  stage.note(fmt::format("w{} is stopped (SIGSTOP)", worker));
  stage.network->kill_worker(0, worker, SIGSTOP);
  net::RpcClient direct(stage.loop, *stage.tcp, *address);
  TaskScope scope;
  for (Bait& bait : baits) scope.spawn(send_bait(direct, bait));
  const bool taken = co_await stage.wait_until([&] { return stage.shards_of(id) == 0; }, 60s);
  must(result, taken, "nobody took the shards of the stopped worker over within a minute");
  std::size_t votes = 0;
  for (const Bait& bait : baits) votes += (co_await stage.load->vote_for(bait.for_successor)).has_value();
  must(result, votes == baits.size(), fmt::format("{} of {} orders got votes of the new owners", votes, baits.size()));
  const auto pid_of = [&] {
    const auto views = stage.network->validators();
    for (const ProcessView& view : views.front().workers)
      if (view.name == fmt::format("w{}", worker)) return view.pid;
    return -1;
  };
  const pid_t pid = pid_of();
  stage.note(fmt::format("w{} goes on (SIGCONT), with {} orders waiting for it", worker, baits.size()));
  stage.network->kill_worker(0, worker, SIGCONT);
  const MonotonicTime began = stage.loop.now();
  must(result, co_await stage.wait_until([&] { return pid_of() != pid; }, 30s), "the zombie did not end within 30 s");
  const double ended = seconds_since(stage, began);
  std::size_t answers = 0, second_votes = 0;
  for (const Bait& bait : baits) {
    answers += bait.zombie_answered;
    second_votes += bait.zombie_voted;
  }
  must(result, second_votes == 0, fmt::format("the zombie voted {} times after it was taken over", second_votes));
  result.figures = {{"orders_sent_to_the_zombie", baits.size()},
                    {"votes_of_the_zombie", second_votes},
                    {"answers_of_the_zombie", answers},
                    {"zombie_ended_after_s", ended}};
  co_return result;
}

// ---- what all have ----

using Scenario = Task<DrillResult> (*)(DrillStage&);

struct Report {
  DrillFindings found;
  DrillResult result;
  std::vector<DrillEvent> timeline;
};

Task<Result<Report>> play(DrillStage& stage, Scenario scenario) {
  if (auto started = co_await stage.start(); !started) co_return std::unexpected(started.error());
  stage.load->start();
  co_await sleep_for(stage.loop, warm_up);
  Report report;
  report.result = co_await scenario(stage);
  co_await sleep_for(stage.loop, calm_after);
  report.found = co_await stage.finish();
  report.timeline = stage.timeline();
  co_return report;
}

bool as_it_must_be(const Report& report) {
  const DrillFindings& found = report.found;
  return report.result.wrong.empty() && found.acknowledged > 0 && found.lost == 0 && found.duplicated == 0 &&
         found.errors == 0 && found.supply_ok;
}

void print_report(const std::string& name, const DrillFlags& flags, const Report& report) {
  const DrillFindings& found = report.found;
  const double gap = std::chrono::duration<double, std::milli>(found.longest_gap).count();
  codec::Json json = {{"drill", name},
                      {"acknowledged", found.acknowledged},
                      {"lost", found.lost},
                      {"duplicated", found.duplicated},
                      {"client_errors", found.errors},
                      {"longest_gap_ms", gap},
                      {"supply_ok", found.supply_ok},
                      {"wrong", report.result.wrong}};
  if (!found.first_error.empty()) json["first_error"] = found.first_error;
  json.update(report.result.figures);
  codec::Json timeline = codec::Json::array();
  for (const DrillEvent& event : report.timeline) timeline.push_back({{"at_s", event.at}, {"event", event.what}});
  json["timeline"] = std::move(timeline);
  if (flags.json) return print_json(json);
  Table table({{"figure"}, {"value", true}});
  for (const auto& [key, value] : json.items())
    if (key != "timeline" && key != "wrong")
      table.add({key, value.is_number_float() ? fmt::format("{:.2f}", value.get<double>())
                      : value.is_string()     ? value.get<std::string>()
                                              : value.dump()});
  print_out(table.text());
  for (const std::string& line : report.result.wrong) print_out("WRONG: " + line + "\n");
}

Result<ExitCode> drill(const std::string& name, const DrillFlags& flags, Scenario scenario, std::uint64_t workers_min,
                       std::vector<std::string> worker_flags, std::vector<std::string> controller_flags) {
  auto stage =
      DrillStage::make(flags, workers_min, flags.workers, std::move(worker_flags), std::move(controller_flags));
  if (!stage) return std::unexpected(stage.error());
  if (scenario == &zombie) (*stage)->load->leave_out_from(flags.accounts / 2);
  (*stage)->load->set_rate(flags.rate);
  const auto report = run_stage(**stage, play(**stage, scenario));
  if (!report) return std::unexpected(report.error());
  print_report(name, flags, *report);
  return as_it_must_be(*report) ? ExitCode::ok : ExitCode::failed;
}

// A few queries a second count as all that a worker can do: one is enough for the load as it is (31 %), and eight times
// the load ask for four and more. The law decides in seconds.
Result<ExitCode> scale_drill(const DrillFlags& flags) {
  const double queries = queries_per_operation * flags.rate * capacity_per_load;
  return drill(
      "scale", flags, &scale, 1, {"--queries-max", fmt::format("{:.0f}", std::max(queries, 1.0))},
      {"--tick-ms",        "200",   "--report-ms",     "500",  "--law-ms",     "500",  "--up-after-ms",  "2000",
       "--up-above",       "0.52",  "--target",        "0.50", "--down-below", "0.48", "--cool-down-ms", "3000",
       "--down-window-ms", "10000", "--down-every-ms", "3000"});
}

CLI::App& add_drill(Program& program, CLI::App& group, const std::string& name, const std::string& what,
                    const std::shared_ptr<DrillFlags>& flags, Action action) {
  CLI::App& app = add_command(program, group, name, what, std::move(action));
  app.add_option("--store", flags->store, "A store URL (without it: in a temporary folder)");
  app.add_option("--dir", flags->dir, "Keeps the network in this folder (without it: in a temporary one)");
  app.add_option("--workers", flags->workers, "Of the validator")->check(CLI::Range(2, 64))->capture_default_str();
  app.add_option("--accounts", flags->accounts, "Clients")->check(CLI::Range(2, 10'000))->capture_default_str();
  app.add_option("--rate", flags->rate, "Operations a second")->check(CLI::Range(0.1, 1e6))->capture_default_str();
  app.add_option("--stall-ms", flags->stall_ms, "A worker that is silent for so long is taken for dead")
      ->check(CLI::Range(200, 60'000))
      ->capture_default_str();
  app.add_option(
         "--restart-after-ms", flags->restart_after_ms,
         "How long a process that died stays away: less than the stall, and its successor takes over instead of "
         "the others")
      ->check(CLI::Range(100, 600'000))
      ->capture_default_str();
  add_json_flag(app, flags->json);
  return app;
}

}  // namespace

void add_drill_commands(Program& program) {
  CLI::App& group = add_group(program.app, "drill", "Game days: trouble under load, and what clients see of it");
  const auto stall = [](const DrillFlags& flags) {
    return std::vector<std::string>{"--stall-ms", std::to_string(flags.stall_ms)};
  };
  const auto crashed = std::make_shared<DrillFlags>();
  CLI::App& crash_app = add_drill(program, group, "crash", "Kills workers (-9), one after the other", crashed, [=] {
    return drill("crash", *crashed, &crash, crashed->workers, {}, stall(*crashed));
  });
  crash_app.add_option("--times", crashed->times, "How many")->check(CLI::Range(1, 10'000))->capture_default_str();
  const auto moved = std::make_shared<DrillFlags>();
  add_drill(program, group, "move", "Moves every shard to another worker once", moved,
            [=] { return drill("move", *moved, &move, moved->workers, {}, stall(*moved)); });
  const auto scaled = std::make_shared<DrillFlags>();
  scaled->workers = 4;
  scaled->rate = 50;
  add_drill(program, group, "scale", "Eight times the load, and back: workers come and go with it", scaled,
            [=] { return scale_drill(*scaled); });
  const auto stopped = std::make_shared<DrillFlags>();
  CLI::App& outage_app = add_drill(
      program, group, "store-outage", "The store stops answering for a while", stopped, [=]() -> Result<ExitCode> {
        if (stopped->store.empty())
          return fail(ErrorKind::invalid_input, "--store: only a server can stop answering; name one that runs here");
        return drill("store-outage", *stopped, &store_outage, stopped->workers, {}, stall(*stopped));
      });
  outage_app.add_option("--store-pid", stopped->store_pids, "The store's process; may be given several times")
      ->required();
  outage_app.add_option("--seconds", stopped->outage_s, "How long")->check(CLI::Range(1, 25))->capture_default_str();
  const auto undead = std::make_shared<DrillFlags>();
  undead->accounts = 128;
  add_drill(program, group, "zombie", "A worker stands still, is taken over, and goes on", undead,
            [=] { return drill("zombie", *undead, &zombie, undead->workers, {}, stall(*undead)); });
}

}  // namespace zef::cli
