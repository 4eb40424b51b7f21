#include "controller/controller.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/log.h"

namespace zef::controller {
namespace {

// A log that gathers for less is behind by some of its intervals whenever its process waits for a processor.
constexpr Duration flush_interval_min = std::chrono::milliseconds(50);

bool contains(const std::vector<WorkerId>& workers, const WorkerId& worker) {
  return std::ranges::find(workers, worker) != workers.end();
}

}  // namespace

Controller::Controller(Executor& executor, Rng& rng, store::ObjectStore& store, Workers& workers, Driver& driver,
                       ControllerOptions options)
    : executor_(executor),
      workers_(workers),
      driver_(driver),
      options_(std::move(options)),
      lease_(executor, rng, store, options_.lease),
      suspicion_(options_.stall) {}

Controller::~Controller() = default;

void Controller::start() {
  law_asked_ = executor_.now();
  scope_.spawn(run());
}

Task<void> Controller::stop() {
  stopping_ = true;
  co_await lease_.give_up();
}

Task<void> Controller::run() {
  while (!stopping_) {
    if (!lease_asked_ || executor_.now() - *lease_asked_ >= options_.lease_every) {
      lease_asked_ = executor_.now();
      co_await lease_.tick();
      if (stopping_) co_return;
    }
    co_await tick();
    co_await sleep_for(executor_, options_.tick_every);
  }
}

Task<void> Controller::tick() {
  observe();
  if (lease_.held() != leads_) {
    leads_ = lease_.held();
    map_is_old_ = true;
    history_ = {};  // what was measured by others is not known
    log::info("controller", "{}", leads_ ? "this process leads" : "this process only watches");
  }
  status_.leads = leads_;
  status_.leader = lease_.holder_name();
  // Those who watch need the map too: it says who ought to be alive.
  if (!co_await read_map() || !leads_ || stopping_) co_return;
  plan();
  if (executor_.now() - law_asked_ < options_.law_every) co_return;
  law_asked_ = executor_.now();
  co_await obey_law();
}

// ---- what is known ----

void Controller::observe() {
  const MonotonicTime now = executor_.now();
  std::map<WorkerId, WorkerReport> reports;
  for (WorkerReport& report : workers_.reports()) {
    const WorkerId worker = report.worker;
    suspicion_.heard(worker, report.counter, now);
    // One that is silent and owns nothing is nobody's concern.
    if (!suspicion_.suspect(worker, now) || owns_something(worker)) reports.emplace(worker, std::move(report));
  }
  reports_ = std::move(reports);
  std::map<WorkerId, std::size_t> owned;
  for (const WorkerId& owner : owners_) ++owned[owner];
  std::vector<WorkerId> suspects;
  std::size_t orphans = 0;
  for (const auto& [owner, count] : owned) {
    if (owner != WorkerId{}) suspicion_.look_for(owner, now);
    const bool suspect = suspicion_.suspect(owner, now);
    if (suspect || owner == WorkerId{}) orphans += count;
    if (suspect) suspects.push_back(owner);
  }
  if (suspects != status_.suspects || orphans != 0) map_is_old_ = true;
  for (const WorkerId& suspect : suspects)
    if (!contains(status_.suspects, suspect))
      log::warning("controller", "worker {} is silent and owns shards", suspect.hex());
  status_.suspects = std::move(suspects);
  status_.orphans = orphans;
}

bool Controller::owns_something(const WorkerId& worker) const { return contains(owners_, worker); }

// At every tick while something happens, else now and then. False: it cannot be read, and nothing is known.
Task<bool> Controller::read_map() {
  const bool busy = map_is_old_ || !moves_.empty() || !rescues_.empty() || owners_.empty();
  if (!busy && executor_.now() - map_read_ < options_.map_every) co_return true;
  auto owners = co_await workers_.owners();
  if (!owners) {
    log::warning("controller", "the map cannot be read: {}", owners.error().message);
    co_return false;
  }
  owners_ = std::move(*owners);
  map_read_ = executor_.now();
  map_is_old_ = false;
  observe();
  co_return true;
}

// ---- rescues and moves ----

std::vector<PlacedWorker> Controller::placed_workers() const {
  const MonotonicTime now = executor_.now();
  std::vector<PlacedWorker> workers;
  for (const auto& [id, report] : reports_) {
    const bool alive = suspicion_.alive(id, now);
    workers.push_back({.worker = id,
                       .cores = report.cores,
                       .takes = alive && !report.draining,
                       .leaves = alive && report.draining,
                       .dead = !alive});
  }
  // Owners that never sent a report, and are not suspect yet: they may only be slow to start.
  for (const WorkerId& owner : std::set<WorkerId>(owners_.begin(), owners_.end()))
    if (owner != WorkerId{} && !reports_.contains(owner))
      workers.push_back({.worker = owner, .takes = false, .dead = suspicion_.suspect(owner, now)});
  return workers;
}

std::vector<PlacedShard> Controller::placed_shards() const {
  std::vector<PlacedShard> shards;
  for (std::size_t i = 0; i < owners_.size(); ++i)
    shards.push_back({.shard = ShardId(static_cast<std::uint16_t>(i)), .owner = owners_[i]});
  for (const auto& [id, report] : reports_) {
    for (const ShardLoad& load : report.shards) {
      if (load.shard.value() >= shards.size() || owners_[load.shard.value()] != id) continue;
      shards[load.shard.value()].load = load.load;
      shards[load.shard.value()].bytes = load.bytes;
    }
  }
  return shards;
}

// A move whose giver is dead will not be finished: its shard has to be rescued.
std::vector<Move> Controller::under_way() const {
  std::vector<Move> moves;
  for (const auto& [shard, move] : moves_)
    if (!suspicion_.suspect(move.from, executor_.now())) moves.push_back(move);
  for (const auto& [who, shards] : rescues_)
    for (const ShardId shard : shards) moves.push_back({shard, who.first, who.second});
  return moves;
}

void Controller::plan() {
  Plan next = place(options_.placement, placed_workers(), placed_shards(), under_way());
  for (Rescue& rescue : next.rescues) {
    log::info("controller", "{} rescues {} shards of {}", rescue.by.hex(), rescue.shards.size(), rescue.victim.hex());
    if (rescues_.emplace(std::pair(rescue.victim, rescue.by), rescue.shards).second)
      scope_.spawn(carry_out(std::move(rescue)));
  }
  // Moves wait until every shard has an owner: a recovery needs the workers' time.
  if (rescues_.empty())
    for (const Move& move : next.moves)
      if (moves_.emplace(move.shard.value(), move).second) scope_.spawn(carry_out(move));
  status_.moves.clear();
  for (const auto& [shard, move] : moves_) status_.moves.push_back(move);
}

Task<void> Controller::carry_out(Move move) {
  const auto done = co_await workers_.move(move);
  if (!done)  // who carries many out together says more
    log::debug("controller", "shard {} stays with {}: {}", move.shard.value(), move.from.hex(), done.error().message);
  moves_.erase(move.shard.value());
  map_is_old_ = true;
}

Task<void> Controller::carry_out(Rescue rescue) {
  const std::pair who(rescue.victim, rescue.by);
  const auto done = co_await workers_.rescue(std::move(rescue));
  if (!done)
    log::warning("controller", "{} could not rescue {}: {}", who.second.hex(), who.first.hex(), done.error().message);
  rescues_.erase(who);
  map_is_old_ = true;
}

// ---- how many workers ----

LawInput Controller::measured(int set) const {
  const MonotonicTime now = executor_.now();
  LawInput input{.now = now, .set = set};
  bool draining = false;
  for (const auto& [id, report] : reports_) {
    if (!suspicion_.alive(id, now)) continue;
    draining = draining || report.draining;
    ++input.fresh;
    input.cores += report.cores;
    for (const ShardLoad& shard : report.shards) input.load += shard.load;
    const Duration interval = std::max(report.flush_interval, flush_interval_min);
    input.backlog = std::max(input.backlog,
                             static_cast<double>(report.log_backlog.count()) / static_cast<double>(interval.count()));
  }
  // Moves that only spread load do not count: under a load that changes there is always one.
  input.unsettled = draining || status_.orphans != 0 || !rescues_.empty();
  return input;
}

Task<void> Controller::obey_law() {
  const auto set = co_await driver_.current();
  if (!set) {
    log::warning("controller", "the driver does not say how many workers there are: {}", set.error().message);
    co_return;
  }
  const LawDecision decision = decide(options_.law, history_, measured(*set));
  status_.wanted = decision.wanted;
  status_.because = decision.because;
  if (decision.wanted != *set)
    log::info("controller", "{} workers instead of {}: {}", decision.wanted, *set, decision.because);
  if (decision.wanted > *set)
    co_await grow(*set, decision.wanted);
  else if (decision.wanted < *set)
    co_await shrink(*set);
  else
    co_await retire_drained(*set);
}

// A worker that was to leave is needed after all.
Task<void> Controller::grow(int set, int wanted) {
  std::vector<WorkerId> staying;
  for (const auto& [id, report] : reports_)
    if (report.retiring && suspicion_.alive(id, executor_.now())) staying.push_back(id);
  for (const WorkerId& worker : staying)
    if (const auto done = co_await workers_.retire(worker, false); !done)
      log::warning("controller", "{} does not stay: {}", worker.hex(), done.error().message);
  if (const auto done = co_await driver_.set(wanted); !done)
    log::warning("controller", "the driver does not start workers {} to {}: {}", set, wanted - 1, done.error().message);
}

// The worker of the highest ordinal gives its shards away first.
Task<void> Controller::shrink(int set) {
  std::optional<WorkerId> leaving;
  for (const auto& [id, report] : reports_)
    if (ordinal_of(report.name) == set - 1 && suspicion_.alive(id, executor_.now())) leaving = id;
  if (!leaving) co_return;
  if (const auto done = co_await workers_.retire(*leaving, true); !done)
    log::warning("controller", "{} does not drain: {}", leaving->hex(), done.error().message);
}

// Whichever controller told it to: a retiring worker of the highest ordinal that owns nothing ends.
Task<void> Controller::retire_drained(int set) {
  if (set <= options_.law.min) co_return;
  std::optional<std::string> name;
  for (const auto& [id, report] : reports_)
    if (ordinal_of(report.name) == set - 1 && report.retiring && suspicion_.alive(id, executor_.now()) &&
        !owns_something(id))
      name = report.name;
  if (!name) co_return;
  log::info("controller", "{} has nothing left and ends", *name);
  if (const auto done = co_await driver_.retire(*name); !done)
    log::warning("controller", "the driver does not end {}: {}", *name, done.error().message);
}

}  // namespace zef::controller
