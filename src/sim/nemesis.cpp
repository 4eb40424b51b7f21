#include "sim/nemesis.h"

#include <array>
#include <utility>

namespace zef::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

enum Trouble : std::size_t {
  crash_worker,
  power_cut,
  crash_in_slow_writes,
  double_worker,
  stall_worker,
  crash_balancer,
  partition,
  cut_connections,
  crash_user,
  jump_clocks,
  change_weather,
  move_shards,
  rescue_worker,
  lose_worker,
  crash_controller,
  stall_controller,
  change_load,
  trouble_count
};

}  // namespace

Nemesis::Nemesis(World world, SimRng rng) : world_(world), rng_(rng), machine_(world.schedule.make_process()) {
  for (std::size_t i = 0; i < trouble_count; ++i) weights_.push_back(rng_.chance(300'000) ? 0 : rng_.between(1, 10));
  weights_[change_weather] += 2;
  if (!world_.validators.front()->controllers())
    for (const Trouble kind : {lose_worker, crash_controller, stall_controller, change_load}) weights_[kind] = 0;
  disturb_chance_ = rng_.chance(500'000) ? rng_.between(0, 20'000) : 0;
  pause_max_ = milliseconds(rng_.between(100, 1500));
}

void Nemesis::start() {
  set_weather(false);
  for (std::size_t v = 0; v < world_.validators.size(); ++v) {
    Validator& validator = *world_.validators[v];
    if (!validator.controllers()) continue;
    validator.set_load(rng_.between(0, 100 * validator.worker_count()));
    validator.controllers()->on_command([this, v](std::size_t which, Controllers::Command command) {
      world_.journal.event("validator {}: controller {} begins command {}", v, which, static_cast<int>(command));
      static constexpr std::array names = {"rescue", "move", "retire"};
      world_.journal.count(fmt::format("controllers: {}", names[static_cast<std::size_t>(command)]));
      if (rng_.chance(command == Controllers::Command::move ? disturb_chance_ : disturb_chance_ * 10))
        disturb(*world_.validators[v], milliseconds(400));
    });
  }
  scope_.spawn(rage());
}

void Nemesis::stop() {
  scope_.clear();
  disturb_chance_ = 0;
  set_weather(true);
  world_.network.heal();
}

Task<void> Nemesis::rage() {
  while (true) {
    co_await sleep_for(machine_, rng_.between(milliseconds(1), pause_max_));
    strike();
  }
}

void Nemesis::strike() {
  std::uint64_t sum = 0;
  for (const std::uint64_t weight : weights_) sum += weight;
  std::uint64_t point = rng_.pick(sum);
  std::size_t kind = 0;
  while (point >= weights_[kind]) point -= weights_[kind++];
  ++injected_;

  const std::size_t v = rng_.pick(world_.validators.size());
  Validator& validator = *world_.validators[v];
  const std::size_t w = rng_.pick(validator.worker_count());
  const Duration down = rng_.between(milliseconds(1), rng_.chance(100'000) ? Duration(seconds(3)) : milliseconds(300));
  User& user = *world_.users[rng_.pick(world_.users.size())];
  switch (kind) {
    case crash_worker:
      world_.journal.event("fault: validator {}: worker {} dies", v, w);
      world_.journal.count("fault: worker dies");
      return validator.crash_worker(w, down, false);
    case power_cut:
      world_.journal.event("fault: validator {}: the machine of worker {} loses its power", v, w);
      world_.journal.count("fault: power cut");
      return validator.crash_worker(w, down, true);
    case crash_in_slow_writes:
      world_.journal.event("fault: validator {}: writes take long, and worker {} dies meanwhile", v, w);
      world_.journal.count("fault: worker dies in slow writes");
      return crash_later(validator, w, down);
    case double_worker:
      world_.journal.event("fault: validator {}: a second process of the name w{} starts", v, w);
      world_.journal.count("fault: two workers of one name");
      if (rng_.chance(500'000)) validator.stall_worker(w, down * 3);
      return validator.double_worker(w);
    case stall_worker:
      world_.journal.event("fault: validator {}: worker {} stands still", v, w);
      world_.journal.count("fault: worker stands still");
      return validator.stall_worker(w, down * 2);
    case crash_balancer:
      world_.journal.event("fault: validator {}: the balancer dies", v);
      world_.journal.count("fault: balancer dies");
      return validator.crash_balancer(down, rng_.chance(500'000));
    case partition: return part();
    case cut_connections:
      world_.journal.event("fault: connections of validator {} break", v);
      world_.journal.count("fault: connections break");
      return world_.network.cut(validator.sites()[rng_.pick(validator.sites().size())]);
    case crash_user:
      world_.journal.event("fault: a user dies");
      world_.journal.count("fault: user dies");
      return user.crash(down);
    case jump_clocks: {
      const Duration by = std::chrono::hours(static_cast<long>(rng_.pick(2000)) - 1000);
      world_.journal.event("fault: clocks of validator {} jump", v);
      world_.journal.count("fault: clocks jump");
      validator.jump_clocks(by);
      return user.jump_clock(-by);
    }
    case move_shards: {
      const std::size_t to = another(w, validator);
      if (to == w) return;
      world_.journal.event("fault: validator {}: shards move from worker {} to {}", v, w, to);
      world_.journal.count("fault: shards move");
      validator.move_shards(w, to);
      // Sometimes one side dies or stands still in the middle.
      if (rng_.chance(500'000))
        machine_.after(rng_.between(milliseconds(1), milliseconds(400)),
                       [&validator, who = rng_.chance(500'000) ? w : to, dies = rng_.chance(400'000), down] {
                         if (dies) return validator.crash_worker(who, down, false);
                         validator.stall_worker(who, down * 6 + milliseconds(500));
                       });
      // Sometimes they come back soon, so that a log has records of several epochs of a shard, and whoever reads it
      // next, as the worker that has them dies, must tell these apart.
      if (rng_.chance(400'000)) {
        const Duration back = rng_.between(milliseconds(50), milliseconds(800));
        const Duration death = back + rng_.between(milliseconds(20), milliseconds(400));
        machine_.after(back, [&validator, w, to] { validator.move_shards(to, w); });
        if (rng_.chance(500'000))
          machine_.after(death, [&validator, w, down] { validator.crash_worker(w, down, false); });
      }
      return;
    }
    case rescue_worker: {
      const std::size_t heir = another(w, validator);
      if (heir == w) return;
      world_.journal.event("fault: validator {}: worker {} is taken for dead, worker {} is its heir", v, w, heir);
      world_.journal.count("fault: worker taken for dead");
      if (rng_.chance(500'000)) validator.stall_worker(w, down * 10);
      validator.rescue_worker(w, heir);
      if (rng_.chance(300'000)) {
        const std::size_t second = rng_.pick(validator.worker_count());
        if (second != w) validator.rescue_worker(w, second);
      }
      return;
    }
    case lose_worker: return lose_worker_for_long(validator, v, w);
    case crash_controller: {
      world_.journal.event("fault: validator {}: a controller dies", v);
      world_.journal.count("fault: controller dies");
      return validator.controllers()->crash(rng_.pick(validator.controllers()->size()), down * 3, rng_.chance(500'000));
    }
    case stall_controller: {
      world_.journal.event("fault: validator {}: a controller stands still", v);
      world_.journal.count("fault: controller stands still");
      return validator.controllers()->stall(rng_.pick(validator.controllers()->size()), down * 5);
    }
    case change_load: {
      world_.journal.event("fault: validator {} has more to do, or less", v);
      world_.journal.count("fault: load changes");
      return validator.set_load(rng_.chance(300'000) ? 0 : rng_.between(0, 120 * validator.slot_count()));
    }
    default:
      world_.journal.event("fault: the weather changes");
      world_.journal.count("fault: weather changes");
      return set_weather(false);
  }
}

// Not that worker, if there are others.
std::size_t Nemesis::another(std::size_t worker, const Validator& validator) {
  const std::size_t count = validator.worker_count();
  return count < 2 ? worker : (worker + 1 + rng_.pick(count - 1)) % count;
}

// Longer than it takes to be suspected: others have to take its shards over, and what helps them dies too.
void Nemesis::lose_worker_for_long(Validator& validator, std::size_t v, std::size_t worker) {
  world_.journal.event("fault: validator {}: worker {} is lost for a while", v, worker);
  world_.journal.count("fault: worker lost");
  validator.crash_worker(worker, rng_.between(seconds(2), seconds(6)), rng_.chance(500'000));
  if (!rng_.chance(500'000)) return;
  machine_.after(rng_.between(Controllers::suspect_after, Controllers::suspect_after * 2),
                 [this, &validator] { disturb(validator, milliseconds(1)); });
}

void Nemesis::disturb(Validator& validator, Duration at_most) {
  ++injected_;
  world_.journal.count("fault: command disturbed");
  const Duration down = rng_.between(milliseconds(100), seconds(2));
  Controllers& controllers = *validator.controllers();
  const std::size_t controller = rng_.pick(controllers.size());
  const std::size_t worker = rng_.pick(validator.worker_count());
  const std::uint64_t what = rng_.pick(4);
  machine_.after(rng_.between(milliseconds(1), at_most), [&validator, &controllers, controller, worker, what, down] {
    if (what == 0) return controllers.stall(controller, down);
    if (what == 1) return validator.stall_worker(worker, down);
    if (what == 2) return validator.crash_worker(worker, down, false);
    controllers.crash(controller, down, false);
  });
}

void Nemesis::crash_later(Validator& validator, std::size_t worker, Duration down) {
  BucketWeather slow;
  slow.delay_min = milliseconds(rng_.between(50, 400));
  slow.delay_max = slow.delay_min * 2;
  validator.bucket().set_weather(slow);
  const bool all = rng_.chance(300'000);
  machine_.after(rng_.between(milliseconds(20), slow.delay_max * 2), [&validator, worker, down, all] {
    for (std::size_t i = 0; i < validator.worker_count(); ++i)
      if (all || i == worker) validator.crash_worker(i, down, false);
    validator.bucket().set_weather({});
  });
}

// Some links are dead for a while: between two halves of all, or around one site, or between two.
void Nemesis::part() {
  world_.journal.event("fault: links are cut");
  world_.journal.count("fault: partition");
  std::vector<Site> sites;
  for (const auto& validator : world_.validators)
    sites.insert(sites.end(), validator->sites().begin(), validator->sites().end());
  for (const auto& user : world_.users) sites.push_back(user->site());
  const auto block_between = [&](const std::vector<Site>& ones, const std::vector<Site>& others) {
    for (const Site one : ones)
      for (const Site other : others)
        if (one != other) world_.network.block(one, other);
  };
  switch (rng_.pick(3)) {
    case 0: {
      std::vector<Site> ones;
      std::vector<Site> others;
      for (const Site site : sites) (rng_.chance(500'000) ? ones : others).push_back(site);
      block_between(ones, others);
      break;
    }
    case 1: block_between({sites[rng_.pick(sites.size())]}, sites); break;
    default: {
      const auto& inside = world_.validators[rng_.pick(world_.validators.size())]->sites();
      block_between({inside[rng_.pick(inside.size())]}, {inside[rng_.pick(inside.size())]});
      break;
    }
  }
  const Duration time = rng_.between(milliseconds(5), rng_.chance(50'000) ? Duration(seconds(10)) : milliseconds(600));
  machine_.after(time, [this] {
    world_.journal.event("links are healed");
    world_.network.heal();
  });
}

void Nemesis::set_weather(bool calm) {
  NetworkWeather network;
  if (!calm) {
    network.delay_max = milliseconds(rng_.between(1, 25));
    network.cut_chance = rng_.chance(500'000) ? rng_.between(0, 3'000) : 0;
    network.refuse_chance = rng_.chance(500'000) ? rng_.between(0, 100'000) : 0;
    network.slow_chance = rng_.chance(500'000) ? rng_.between(0, 10'000) : 0;
  }
  world_.network.set_weather(network);
  for (const auto& validator : world_.validators) {
    BucketWeather bucket;
    if (!calm) {
      const auto sometimes = [this](std::uint64_t most) { return rng_.chance(400'000) ? rng_.between(0, most) : 0; };
      bucket.lost_before = sometimes(60'000);
      bucket.lost_after = sometimes(60'000);
      bucket.late = sometimes(60'000);
      bucket.throttled = sometimes(100'000);
      bucket.unavailable = sometimes(60'000);
      bucket.delay_max = milliseconds(rng_.between(3, rng_.chance(100'000) ? 600 : 60));
    }
    validator->bucket().set_weather(bucket);
  }
}

}  // namespace zef::sim
