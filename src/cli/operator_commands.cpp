#include "cli/operator_commands.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>

#include "cli/fleet_access.h"
#include "cli/flow.h"
#include "controller/lease.h"

namespace zef::cli {
namespace {

using controller::FleetMember;
using ledger::WorkerId;
using protocol::ShardId;

constexpr Duration rate_time = std::chrono::seconds(1);  // between the two reports that rates are made of

// ---- what is seen ----

struct Seen {
  std::vector<FleetMember> members;  // by name
  std::map<WorkerId, std::size_t> owned;
  std::size_t orphans = 0;  // shards whose owner is not among the members, or nobody
  std::string leader;
};

std::string name_of(const FleetMember& member) { return member.head.name; }

std::vector<FleetMember> by_name(std::vector<FleetMember> members) {
  std::ranges::sort(members, {}, [](const FleetMember& member) {
    return std::pair(controller::ordinal_of(member.head.name), member.head.name);
  });
  return members;
}

Seen seen_by(const controller::Fleet& fleet, std::string leader) {
  Seen seen{.members = by_name(fleet.members()), .owned = {}, .leader = std::move(leader)};
  for (const FleetMember& member : seen.members) seen.owned[member.head.worker] = 0;
  for (const ledger::ShardEntry& entry : fleet.map().entries) {
    const auto found = seen.owned.find(entry.owner);
    if (found == seen.owned.end())
      ++seen.orphans;
    else
      ++found->second;
  }
  return seen;
}

// Two looks, so that rates are of this moment.
Task<Result<Seen>> look(FleetAccess& access) {
  if (auto looked = co_await access.fleet->look(); !looked) co_return std::unexpected(looked.error());
  co_await sleep_for(access.loop, rate_time);
  if (auto looked = co_await access.fleet->look(); !looked) co_return std::unexpected(looked.error());
  auto leader = co_await controller::read_lease_holder(access.store->store());
  if (!leader) co_return std::unexpected(leader.error());
  co_return seen_by(*access.fleet, std::move(*leader));
}

std::uint64_t accounts_of(const worker::Report& report) {
  std::uint64_t sum = 0;
  for (const worker::ShardReport& shard : report.shards) sum += shard.accounts;
  return sum;
}

double mean_ms(std::uint64_t us, std::uint64_t count) {
  return count == 0 ? 0 : static_cast<double>(us) / static_cast<double>(count) / 1000;
}

std::string state_of(const FleetMember& member) {
  if (!member.report) return "silent";
  if (member.report->retiring) return "retires";
  if (member.report->draining) return "drains";
  return member.report->leaving > 0 ? fmt::format("gives {} shards", member.report->leaving) : "serves";
}

codec::Json json_of(const Seen& seen) {
  codec::Json workers = codec::Json::array();
  for (const FleetMember& member : seen.members) {
    codec::Json one = {{"name", name_of(member)},
                       {"worker", member.head.worker.hex()},
                       {"client", member.head.client_address},
                       {"internal", member.head.internal_address},
                       {"state", state_of(member)},
                       {"shards", seen.owned.at(member.head.worker)}};
    if (const auto& report = member.report) {
      one["accounts"] = accounts_of(*report);
      one["cpu"] = member.cpu;
      one["cores"] = static_cast<double>(report->millicores) / 1000;
      one["queries_per_second"] = member.answered;
      one["memory_bytes"] = report->memory_bytes;
      one["log_backlog_bytes"] = report->backlog_bytes;
      one["log_backlog_ms"] = static_cast<double>(report->backlog_us) / 1000;
      one["checkpoints"] = report->checkpoints;
      one["store"] = {{"puts", report->store.puts},
                      {"gets", report->store.gets},
                      {"lists", report->store.lists},
                      {"deletes", report->store.deletes},
                      {"bytes_written", report->store.bytes_written},
                      {"bytes_read", report->store.bytes_read},
                      {"put_ms", mean_ms(report->store.put_us, report->store.puts)},
                      {"get_ms", mean_ms(report->store.get_us, report->store.gets)},
                      {"failed", report->store.failed},
                      {"hedged_gets", report->store.hedged},
                      {"hedged_gets_first", report->store.hedged_first}};
    }
    workers.push_back(std::move(one));
  }
  return {{"workers", std::move(workers)}, {"orphaned_shards", seen.orphans}, {"controller", seen.leader}};
}

std::string table_of(const Seen& seen) {
  Table table({{"worker"},
               {"id"},
               {"shards", true},
               {"accounts", true},
               {"cpu", true},
               {"queries/s", true},
               {"memory MB", true},
               {"log backlog", true},
               {"put ms", true},
               {"get ms", true},
               {"state"}});
  for (const FleetMember& member : seen.members) {
    const worker::Report report = member.report.value_or(worker::Report{});
    table.add({name_of(member), member.head.worker.hex().substr(0, 8),
               grouped(std::uint64_t{seen.owned.at(member.head.worker)}), grouped(accounts_of(report)),
               fmt::format("{:.2f}", member.cpu), fmt::format("{:.0f}", member.answered),
               fmt::format("{:.0f}", static_cast<double>(report.memory_bytes) / 1e6),
               fmt::format("{:.0f} ms", static_cast<double>(report.backlog_us) / 1000),
               fmt::format("{:.1f}", mean_ms(report.store.put_us, report.store.puts)),
               fmt::format("{:.1f}", mean_ms(report.store.get_us, report.store.gets)), state_of(member)});
  }
  std::string text = table.text();
  if (seen.orphans > 0) text += fmt::format("\n{} shards have no owner that lives\n", seen.orphans);
  text += fmt::format("\ncontroller: {}\n", seen.leader.empty() ? "none leads" : seen.leader);
  return text;
}

// ---- status ----

Task<Result<ExitCode>> show_once(FleetAccess& access, bool json) {
  const auto seen = co_await look(access);
  if (!seen) co_return std::unexpected(seen.error());
  if (json)
    print_json(json_of(*seen));
  else
    print_out(access.title + "\n\n" + table_of(*seen));
  co_return ExitCode::ok;
}

// Until Ctrl-C ends the program.
Task<Result<ExitCode>> show_again_and_again(FleetAccess& access) {
  for (;;) {
    const auto seen = co_await look(access);
    const std::string text = seen ? table_of(*seen) : seen.error().message + "\n";
    print_out(fmt::format("\x1b[H\x1b[J{}   (Ctrl-C ends this)\n\n{}", access.title, text));
  }
}

Result<ExitCode> status(const FleetFlags& flags, bool json, bool once) {
  auto access = FleetAccess::open(flags);
  if (!access) return std::unexpected(access.error());
  if (json || once || ::isatty(STDOUT_FILENO) == 0) return run_flow((*access)->loop, show_once(**access, json));
  return run_flow((*access)->loop, show_again_and_again(**access));
}

// ---- workers ----

Result<FleetMember> find_worker(const controller::Fleet& fleet, const std::string& name) {
  std::string known;
  for (const FleetMember& member : by_name(fleet.members())) {
    if (member.head.name == name || member.head.worker.hex() == name) return member;
    known += (known.empty() ? "" : ", ") + member.head.name;
  }
  return fail(ErrorKind::not_found, fmt::format("no worker {} is alive; those that are: {}", name, known));
}

Task<Result<ExitCode>> drain(FleetAccess& access, std::string name, bool back) {
  if (auto looked = co_await access.fleet->look(); !looked) co_return std::unexpected(looked.error());
  const auto worker = find_worker(*access.fleet, name);
  if (!worker) co_return std::unexpected(worker.error());
  if (auto told = co_await access.fleet->retire(worker->head.worker, !back); !told)
    co_return std::unexpected(told.error());
  print_out(back ? fmt::format("{} takes shards again\n", name)
                 : fmt::format("{} takes no shards any more; the controller gives those it has to the others\n", name));
  co_return ExitCode::ok;
}

Task<Result<ExitCode>> add(FleetAccess& access, int count) {
  if (!access.driver)
    co_return fail(ErrorKind::invalid_input, "say how workers are started: --dir, --workers-file or --stateful-set");
  const auto now = co_await access.driver->current();
  if (!now) co_return std::unexpected(now.error());
  if (auto set = co_await access.driver->set(*now + count); !set) co_return std::unexpected(set.error());
  print_out(
      fmt::format("{} workers instead of {}: the controller gives the new ones shards, and ends them again when "
                  "they are not needed\n",
                  *now + count, *now));
  co_return ExitCode::ok;
}

void add_workers(Program& program) {
  CLI::App& group = add_group(program.app, "workers", "The workers of a validator");
  struct Flags : FleetFlags {
    std::string name;
    int count = 1;
    bool json = false;
    bool back = false;
  };
  const auto with_access = [](const std::shared_ptr<Flags>& flags, auto flow) -> Action {
    return [flags, flow]() -> Result<ExitCode> {
      auto access = FleetAccess::open(*flags);
      if (!access) return std::unexpected(access.error());
      return run_flow((*access)->loop, flow(**access, *flags));
    };
  };
  const auto list = std::make_shared<Flags>();
  CLI::App& list_app =
      add_command(program, group, "list", "Those that live",
                  with_access(list, [](FleetAccess& access, Flags& flags) { return show_once(access, flags.json); }));
  list->add_to(list_app);
  add_json_flag(list_app, list->json);

  const auto drained = std::make_shared<Flags>();
  CLI::App& drain_app = add_command(
      program, group, "drain", "Empties a worker, so that it can be ended",
      with_access(drained, [](FleetAccess& access, Flags& flags) { return drain(access, flags.name, flags.back); }));
  drain_app.add_option("name", drained->name, "w0, w1, ... or its id")->required();
  drain_app.add_flag("--back", drained->back, "Lets it take shards again");
  drained->add_to(drain_app);

  const auto added = std::make_shared<Flags>();
  CLI::App& add_app =
      add_command(program, group, "add", "Starts further workers",
                  with_access(added, [](FleetAccess& access, Flags& flags) { return add(access, flags.count); }));
  add_app.add_option("count", added->count, "How many")->check(CLI::Range(1, 1024))->capture_default_str();
  added->add_to(add_app);
  added->add_driver_to(add_app);
}

// ---- shards ----

Task<Result<ExitCode>> list_shards(FleetAccess& access, bool json) {
  if (auto looked = co_await access.fleet->look(); !looked) co_return std::unexpected(looked.error());
  std::map<WorkerId, std::string> names;
  for (const FleetMember& member : access.fleet->members()) names[member.head.worker] = member.head.name;
  const auto& entries = access.fleet->map().entries;
  codec::Json all = codec::Json::array();
  Table table({{"shard", true}, {"owner"}, {"id"}, {"epoch", true}, {"closed lineage", true}, {"checkpoint"}});
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const ledger::ShardEntry& entry = entries[i];
    const auto found = names.find(entry.owner);
    const std::string owner = found == names.end() ? "" : found->second;
    const std::size_t closed = entry.lineage.empty() ? 0 : entry.lineage.size() - 1;
    const std::string checkpoint = entry.checkpoint
                                       ? fmt::format("{} objects, epoch {}, slot {}", entry.checkpoint->objects.size(),
                                                     entry.checkpoint->epoch, entry.checkpoint->slot)
                                       : "none";
    if (json)
      all.push_back({{"shard", i},
                     {"owner", owner},
                     {"worker", entry.owner.hex()},
                     {"epoch", entry.epoch},
                     {"closed_lineage", closed},
                     {"checkpoint_objects", entry.checkpoint ? entry.checkpoint->objects.size() : 0}});
    else
      table.add({fmt::format("{}", i), owner.empty() ? "(nobody that lives)" : owner, entry.owner.hex().substr(0, 8),
                 fmt::format("{}", entry.epoch), fmt::format("{}", closed), checkpoint});
  }
  if (json)
    print_json({{"shards", std::move(all)}});
  else
    print_out(table.text());
  co_return ExitCode::ok;
}

// "7" or "0-255", comma-separated.
Result<std::vector<ShardId>> parse_shards(const std::string& text) {
  std::vector<ShardId> shards;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    unsigned first = 0, last = 0;
    char rest = 0;
    const int read = std::sscanf(part.c_str(), "%u-%u%c", &first, &last, &rest);
    if (read == 1) last = first;
    if (read < 1 || read > 2 || first > last || last >= protocol::shard_count ||
        part.find_first_not_of("0123456789-") != std::string::npos)
      return fail(ErrorKind::invalid_input,
                  fmt::format("\"{}\" names no shards: give numbers and ranges from 0 to {}, like 3,16-31", part,
                              protocol::shard_count - 1));
    for (unsigned i = first; i <= last; ++i) shards.emplace_back(static_cast<std::uint16_t>(i));
    begin = end + 1;
  }
  return shards;
}

Task<Result<ExitCode>> move_shards(FleetAccess& access, std::vector<ShardId> shards, std::string to) {
  if (auto looked = co_await access.fleet->look(); !looked) co_return std::unexpected(looked.error());
  const auto receiver = find_worker(*access.fleet, to);
  if (!receiver) co_return std::unexpected(receiver.error());
  std::map<WorkerId, std::vector<ShardId>> by_owner;
  std::size_t there = 0;
  for (const ShardId shard : shards) {
    const WorkerId owner = access.fleet->map().entries[shard.value()].owner;
    if (owner == receiver->head.worker)
      ++there;
    else
      by_owner[owner].push_back(shard);
  }
  std::size_t moved = 0;
  for (const auto& [owner, its] : by_owner) {
    const auto given = co_await access.fleet->give(owner, receiver->head.worker, its);
    if (!given) co_return std::unexpected(given.error());
    moved += *given;
  }
  print_out(fmt::format("{} shards moved to {}{}\n", moved, to,
                        there > 0 ? fmt::format("; {} were there already", there) : ""));
  if (moved + there == shards.size()) co_return ExitCode::ok;
  print_err(fmt::format("zef: {} shards did not move: see the logs of the workers, and try again\n",
                        shards.size() - moved - there));
  co_return ExitCode::failed;
}

void add_shards(Program& program) {
  CLI::App& group = add_group(program.app, "shards", "The shards of a validator");
  struct Flags : FleetFlags {
    std::string shards;
    std::string to;
    bool json = false;
  };
  const auto list = std::make_shared<Flags>();
  CLI::App& list_app = add_command(program, group, "list", "Who owns which", [list]() -> Result<ExitCode> {
    auto access = FleetAccess::open(*list);
    if (!access) return std::unexpected(access.error());
    return run_flow((*access)->loop, list_shards(**access, list->json));
  });
  list->add_to(list_app);
  add_json_flag(list_app, list->json);

  const auto moved = std::make_shared<Flags>();
  CLI::App& move_app = add_command(program, group, "move", "Gives shards to a worker", [moved]() -> Result<ExitCode> {
    auto shards = parse_shards(moved->shards);
    if (!shards) return std::unexpected(shards.error());
    auto access = FleetAccess::open(*moved);
    if (!access) return std::unexpected(access.error());
    return run_flow((*access)->loop, move_shards(**access, std::move(*shards), moved->to));
  });
  move_app.add_option("shards", moved->shards, "Numbers and ranges, like 3,16-31")->required();
  move_app.add_option("--to", moved->to, "The worker that is to have them")->required();
  moved->add_to(move_app);
}

}  // namespace

void add_operator_commands(Program& program) {
  struct Flags : FleetFlags {
    bool json = false;
    bool once = false;
  };
  const auto flags = std::make_shared<Flags>();
  CLI::App& app = add_command(program, program.app, "status", "Shows the workers of a validator, live",
                              [flags] { return status(*flags, flags->json, flags->once); });
  flags->add_to(app);
  app.add_flag("--once", flags->once, "Once, and not again and again");
  add_json_flag(app, flags->json);
  add_workers(program);
  add_shards(program);
}

}  // namespace zef::cli
