#include "sim/world.h"

#include <fmt/core.h>

#include "base/log.h"
#include "sim/attacker.h"
#include "sim/front.h"
#include "sim/genesis.h"
#include "sim/judge.h"
#include "sim/nemesis.h"

namespace zef::sim {

using namespace protocol;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr std::size_t accounts_per_user = 3;
constexpr std::size_t trace_lines = 400;
constexpr std::size_t accounts_per_attacker = 6;
constexpr Duration busy_time_min = seconds(4);  // with faults, if there is that much to do
constexpr Duration busy_time_max = seconds(14);
// Of a world to have controllers, which cost time: reports all the time, and recoveries and moves of all shards.
constexpr std::uint64_t controlled_chance = 333'000;
constexpr Duration finish_time_max = std::chrono::minutes(5);  // after them

std::size_t users_for(std::uint64_t operations) {
  return static_cast<std::size_t>(std::clamp<std::uint64_t>(operations / 40, 4, 24));
}

// Mostly few: large committees find the same bugs, more slowly.
std::size_t validators_by(SimRng& rng) { return rng.chance(100'000) ? rng.between(8, 10) : rng.between(4, 7); }

class World {
 public:
  explicit World(const WorldOptions& options);
  ~World() { schedule_.clear(); }  // while everything that waits refer to is there
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  void run();
  [[nodiscard]] WorldResult result() const;

 private:
  void make_validators();
  void make_clients();
  [[nodiscard]] bool all_idle() const;
  [[nodiscard]] std::size_t users() const { return options_.users ? options_.users : users_for(options_.operations); }
  [[nodiscard]] bool calm() const { return options_.scenario == "calm"; }
  [[nodiscard]] bool beyond_f() const { return options_.scenario == "beyond_f"; }
  [[nodiscard]] std::size_t attackers() const { return calm() ? 0 : 2; }
  [[nodiscard]] Byzantine byzantine() const {
    if (beyond_f()) return Byzantine::beyond_f;
    return calm() ? Byzantine::none : Byzantine::up_to_f;
  }
  [[nodiscard]] std::optional<bool> is_signed(const Request& request, const Hash& hash) const;

  WorldOptions options_;
  SimRng rng_;
  Schedule schedule_;
  SimExecutor& machine_ = schedule_.make_process();
  Journal journal_;
  Network network_;
  SimGenesis genesis_;
  protocol::Network rules_;
  bool controlled_;
  Workload workload_;
  std::vector<std::unique_ptr<Validator>> validators_;
  std::vector<net::Address> addresses_;
  std::vector<std::unique_ptr<User>> users_;
  std::vector<std::unique_ptr<Front>> fronts_;
  std::unique_ptr<Judge> judge_;
  std::vector<std::unique_ptr<Attacker>> attackers_;
  std::unique_ptr<Nemesis> nemesis_;
};

World::World(const WorldOptions& options)
    : options_(options),
      rng_(options.seed * 0x9e3779b97f4a7c15U + 1),
      journal_(machine_, options.traced),
      network_(schedule_, rng_.fork()),
      genesis_(make_genesis(rng_, options.validators ? options.validators : validators_by(rng_),
                            users() * accounts_per_user + attackers() * accounts_per_attacker, byzantine())),
      rules_(genesis_.genesis),
      controlled_(rng_.chance(controlled_chance)) {
  make_validators();
  judge_ = std::make_unique<Judge>(
      Judge::World{schedule_, network_, genesis_.genesis, rules_, validators_, addresses_, genesis_.byzantine,
                   beyond_f(), [this](const Request& request, const Hash& hash) { return is_signed(request, hash); },
                   journal_},
      rng_.fork());
  network_.on_sent([this](const Sent& sent) {
    journal_.mix(sent.connection);
    journal_.mix(static_cast<std::uint64_t>(machine_.now().time_since_epoch().count()));
    journal_.mix(sent.frame);
    judge_->witness().sent(sent);
  });
  make_clients();
  if (!calm())
    nemesis_ =
        std::make_unique<Nemesis>(Nemesis::World{schedule_, network_, validators_, users_, journal_}, rng_.fork());
}

void World::make_validators() {
  for (std::size_t i = 0; i < genesis_.validator_keys.size(); ++i) {
    ValidatorOptions validator;
    validator.workers = rng_.between(1, 4);
    if (controlled_) {
      validator.controllers = rng_.chance(400'000) ? 2 : 1;
      validator.workers_min = rng_.between(1, validator.workers);
    }
    validator.checkpoint_period = milliseconds(rng_.chance(200'000) ? 0 : rng_.between(300, 4000));
    validator.garbage_grace = milliseconds(rng_.chance(300'000) ? 0 : rng_.between(1000, 5000));
    validator.behind_front = genesis_.byzantine[i];
    validators_.push_back(std::make_unique<Validator>(schedule_, network_, rng_.fork(), genesis_.genesis,
                                                      genesis_.validator_keys[i], i, validator));
    addresses_.push_back(validators_.back()->address());
    if (!genesis_.byzantine[i]) continue;
    fronts_.push_back(std::make_unique<Front>(schedule_, network_, rng_.fork(), rules_, *validators_.back(), journal_));
    if (beyond_f()) fronts_.back()->set_honest_chance(100'000);
  }
}

void World::make_clients() {
  workload_.operations_left = options_.operations;
  const std::size_t accounts = genesis_.genesis.accounts.size();
  for (std::size_t i = 0; i < accounts; ++i) workload_.book.push_back(Uid::genesis(i));
  workload_.accounts_max = accounts * 2;
  std::size_t account = 0;
  const auto give = [&](auto& client, std::size_t count) {
    for (std::size_t k = 0; k < count; ++k, ++account)
      client.add_account(client::genesis_chain(genesis_.genesis, rules_, account, true),
                         genesis_.account_seeds[account]);
  };
  for (std::size_t i = 0; i < users(); ++i) {
    users_.push_back(std::make_unique<User>(User::World{schedule_, network_, rules_, addresses_, workload_, journal_},
                                            rng_.fork(), i));
    give(*users_.back(), accounts_per_user);
  }
  for (std::size_t i = 0; i < attackers(); ++i) {
    attackers_.push_back(std::make_unique<Attacker>(
        Attacker::World{schedule_, network_, rules_, addresses_, workload_, judge_->witness(), journal_}, rng_.fork()));
    workload_.strangers.push_back(Uid::genesis(account));
    give(*attackers_.back(), accounts_per_attacker);
  }
}

bool World::all_idle() const {
  return std::ranges::all_of(users_, [](const auto& user) { return user->idle(); });
}

// By the honest owner of the account; nothing if it has none.
std::optional<bool> World::is_signed(const Request& request, const Hash& hash) const {
  // What attackers sign, nobody knows; one of their accounts may come to an honest owner.
  const std::uint64_t root = request.account.parts().front();
  if (root >= users() * accounts_per_user) return std::nullopt;
  bool has_owner = false;  // an account that was swapped has had several
  for (const auto& user : users_) {
    if (!user->disk().accounts.contains(request.account)) continue;
    has_owner = true;
    const auto found = user->disk().signed_requests.find({request.account, request.sequence_number});
    if (found != user->disk().signed_requests.end() && (found->second.hash == hash || found->second.locks)) return true;
  }
  if (!has_owner) return std::nullopt;
  return false;
}

void World::run() {
  judge_->start();
  for (const auto& validator : validators_) validator->start();
  for (const auto& user : users_) user->start();
  for (const auto& attacker : attackers_) attacker->start();
  const auto broken = [this] { return !journal_.violations().empty(); };
  if (nemesis_) nemesis_->start();
  schedule_.run_until([&] { return all_idle() || broken(); }, rng_.between(busy_time_min, busy_time_max));
  if (nemesis_) nemesis_->stop();
  for (const auto& validator : validators_) validator->tidy_up();
  journal_.event("the faults stop");
  if (beyond_f()) return;
  if (!broken() && !schedule_.run_until([&] { return all_idle() || broken(); }, finish_time_max))
    for (const auto& user : users_)
      if (!user->idle()) journal_.violation("I6", "user", "a user does not come to an end: " + user->state());
  if (broken()) return;
  for (const auto& attacker : attackers_) attacker->stop();
  journal_.event("the end is compared");
  judge_->finish(workload_.book);
}

WorldResult World::result() const {
  WorldResult result;
  result.seed = options_.seed;
  result.operations = workload_.done;
  result.digest = journal_.digest();
  result.steps = schedule_.steps();
  result.virtual_time = schedule_.now().time_since_epoch();
  result.violations = journal_.violations();
  result.counters = journal_.counters();
  result.counters["frames"] = network_.counters().frames;
  result.faults = network_.counters().cuts + network_.counters().refused + network_.counters().slow;
  for (const auto& validator : validators_) {
    result.faults += validator->bucket().faults();
    validator->count_up(result.counters);
  }
  if (nemesis_) result.faults += nemesis_->injected();
  for (const char* lie :
       {"lies", "double spends", "forged certificates", "requests against the rules", "replays", "garbage"})
    if (const auto found = result.counters.find(lie); found != result.counters.end()) result.faults += found->second;
  if (options_.traced)
    result.trace = journal_.trace(result.violations.empty() ? "" : result.violations.front().subject, trace_lines);
  return result;
}

}  // namespace

WorldResult run_world(const WorldOptions& options) {
  World world(options);
  world.run();
  return world.result();
}

}  // namespace zef::sim
