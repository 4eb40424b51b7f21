#include "sim/world.h"

#include <fmt/core.h>

#include "base/log.h"
#include "sim/genesis.h"

namespace zef::sim {

using namespace protocol;
using std::chrono::seconds;

namespace {

constexpr std::size_t accounts_per_user = 3;
constexpr Duration busy_time_max = std::chrono::minutes(10);    // with faults
constexpr Duration finish_time_max = std::chrono::minutes(30);  // after them

std::size_t users_for(std::uint64_t operations) {
  return static_cast<std::size_t>(std::clamp<std::uint64_t>(operations / 40, 4, 24));
}

class World {
 public:
  explicit World(const WorldOptions& options);
  ~World() { schedule_.clear(); }  // while everything that waits refer to is there
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  void run();
  [[nodiscard]] WorldResult result() const;

 private:
  [[nodiscard]] bool all_idle() const;

  WorldOptions options_;
  SimRng rng_;
  Schedule schedule_;
  SimExecutor& machine_ = schedule_.make_process();
  Journal journal_;
  Network network_;
  SimGenesis genesis_;
  protocol::Network rules_;
  Workload workload_;
  std::vector<std::unique_ptr<Validator>> validators_;
  std::vector<net::Address> addresses_;
  std::vector<std::unique_ptr<User>> users_;
};

World::World(const WorldOptions& options)
    : options_(options),
      rng_(options.seed * 0x9e3779b97f4a7c15U + 1),
      journal_(machine_, options.traced),
      network_(schedule_, rng_.fork()),
      genesis_(make_genesis(rng_, options.validators ? options.validators : rng_.between(4, 7),
                            (options.users ? options.users : users_for(options.operations)) * accounts_per_user,
                            options.faults)),
      rules_(genesis_.genesis) {
  for (std::size_t i = 0; i < genesis_.validator_keys.size(); ++i) {
    ValidatorOptions validator;
    validator.workers = rng_.between(1, 4);
    validators_.push_back(std::make_unique<Validator>(schedule_, network_, rng_.fork(), genesis_.genesis,
                                                      genesis_.validator_keys[i], i, validator));
    addresses_.push_back(validators_.back()->address());
  }
  workload_.operations_left = options.operations;
  const std::size_t accounts = genesis_.genesis.accounts.size();
  for (std::size_t i = 0; i < accounts; ++i) workload_.book.push_back(Uid::genesis(i));
  workload_.accounts_max = accounts * 2;
  for (std::size_t i = 0; i < accounts / accounts_per_user; ++i) {
    users_.push_back(std::make_unique<User>(User::World{schedule_, network_, rules_, addresses_, workload_, journal_},
                                            rng_.fork(), i));
    for (std::size_t k = 0; k < accounts_per_user; ++k) {
      const std::size_t account = i * accounts_per_user + k;
      users_.back()->add_account(client::genesis_chain(genesis_.genesis, rules_, account, true),
                                 genesis_.account_seeds[account]);
    }
  }
  network_.on_sent([this](const Sent& sent) {
    journal_.mix(sent.connection);
    journal_.mix(static_cast<std::uint64_t>(machine_.now().time_since_epoch().count()));
    journal_.mix(sent.frame);
  });
}

bool World::all_idle() const {
  return workload_.operations_left == 0 && std::ranges::all_of(users_, [](const auto& user) { return user->idle(); });
}

void World::run() {
  for (const auto& validator : validators_) validator->start();
  for (const auto& user : users_) user->start();
  schedule_.run_until([this] { return all_idle(); }, busy_time_max);
  workload_.operations_left = 0;
  if (!schedule_.run_until([this] { return all_idle(); }, finish_time_max))
    for (const auto& user : users_)
      if (!user->idle()) journal_.violation("I6", "user", "a user does not come to an end: " + user->state());
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
  if (options_.traced)
    result.trace = journal_.trace(result.violations.empty() ? "" : result.violations.front().subject, 200);
  return result;
}

}  // namespace

WorldResult run_world(const WorldOptions& options) {
  World world(options);
  world.run();
  return world.result();
}

}  // namespace zef::sim
