#include "sim/controllers.h"

#include <fmt/core.h>

#include <utility>

#include "controller/controller.h"
#include "controller/fleet.h"
#include "store/retrying_store.h"

namespace zef::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Says what is set at once, whoever asks.
class Controllers::Driver final : public controller::Driver {
 public:
  explicit Driver(const WorkerSlots& slots) : slots_(slots) {}
  Task<Result<int>> current() override { co_return slots_.count(); }
  Task<Result<void>> set(int count) override {
    if (count < slots_.count()) co_return fail(ErrorKind::refused, "fewer by retiring one only");
    if (count > slots_.count()) slots_.raise(count);
    co_return Result<void>{};
  }
  Task<Result<void>> retire(std::string worker) override {
    if (slots_.count() < 2 || controller::ordinal_of(worker) != slots_.count() - 1)
      co_return fail(ErrorKind::refused, worker + " is not the last one");
    slots_.end_last();
    co_return Result<void>{};
  }

 private:
  const WorkerSlots& slots_;
};

// The fleet, and somebody who hears what it is told.
class Controllers::Watched final : public controller::Workers {
 public:
  Watched(Controllers& controllers, std::size_t which, controller::Fleet& fleet)
      : controllers_(controllers), which_(which), fleet_(fleet) {}
  [[nodiscard]] std::vector<controller::WorkerReport> reports() override { return fleet_.reports(); }
  Task<Result<controller::ShardOwners>> owners() override { return fleet_.owners(); }
  Task<Result<void>> move(controller::Move move) override {
    tell(Command::move);
    return fleet_.move(move);
  }
  Task<Result<void>> rescue(controller::Rescue rescue) override {
    tell(Command::rescue);
    return fleet_.rescue(std::move(rescue));
  }
  Task<Result<void>> retire(controller::WorkerId worker, bool away) override {
    tell(Command::retire);
    return fleet_.retire(worker, away);
  }

 private:
  void tell(Command command) const {
    if (controllers_.on_command_) controllers_.on_command_(which_, command);
  }
  Controllers& controllers_;
  std::size_t which_;
  controller::Fleet& fleet_;
};

// In the order of need: what stands below goes first.
struct Controllers::Process {
  Process(Controllers& c, SimExecutor& e, std::size_t which, SimRng random)
      : executor(e),
        rng(random),
        store(c.world_.bucket.open(e), e, rng,
              {.put = {}, .get = {.deadline = seconds(5)}, .del = {}, .list = {.deadline = seconds(5)}}),
        internal(c.world_.network.transport(e, c.sites_[which])),
        driver(c.slots_),
        fleet(e, rng, store, *internal, fleet_options()),
        workers(c, which, fleet),
        controller(e, rng, store, workers, driver, options_of(c, which)) {}
  ~Process() { executor.kill(); }

  static controller::FleetOptions fleet_options() {
    return {.report_every = milliseconds(300),
            .find_every = seconds(1),
            .call_time_max = milliseconds(600),
            .move_time_max = seconds(5),
            .look_every = milliseconds(100)};
  }
  static controller::ControllerOptions options_of(const Controllers& controllers, std::size_t which) {
    controller::ControllerOptions options;
    options.law = controllers.law_;
    options.placement.moves_per_worker = 64;  // runs are short
    options.lease = {.name = fmt::format("c{}", which), .expires = seconds(1), .margin = milliseconds(300)};
    options.stall = suspect_after;
    options.tick_every = milliseconds(200);
    options.lease_every = milliseconds(250);
    options.law_every = milliseconds(500);
    options.map_every = seconds(2);
    return options;
  }

  SimExecutor& executor;
  SimRng rng;
  store::RetryingStore store;
  std::unique_ptr<net::Transport> internal;
  Driver driver;
  controller::Fleet fleet;
  Watched workers;
  controller::Controller controller;
};

Controllers::Controllers(World world, SimRng rng, WorkerSlots slots, std::vector<Site> sites, int workers_min,
                         int workers_max)
    : world_(world),
      rng_(rng),
      supervisor_(world.schedule.make_process()),
      slots_(std::move(slots)),
      sites_(std::move(sites)),
      processes_(sites_.size()) {
  law_ = {.min = workers_min,
          .max = workers_max,
          .up_after = milliseconds(400),
          .cool_down = seconds(1),
          .down_window = seconds(2),
          .down_every = milliseconds(1500)};
}
Controllers::~Controllers() { supervisor_.kill(); }

void Controllers::start() {
  for (std::size_t i = 0; i < sites_.size(); ++i) start(i);
}

void Controllers::start(std::size_t which) {
  processes_[which] = std::make_unique<Process>(*this, world_.schedule.make_process(), which, rng_.fork());
  processes_[which]->fleet.start();
  processes_[which]->controller.start();
}

// Posted, as a command of the controller itself may be the reason.
void Controllers::crash(std::size_t which, Duration down, bool power) {
  supervisor_.post([this, which, down, power] {
    if (power) world_.network.silence(sites_[which]);
    if (!processes_[which]) return;
    processes_[which].reset();
    supervisor_.after(down, [this, which] { start(which); });
  });
}

void Controllers::stall(std::size_t which, Duration time) {
  if (processes_[which]) processes_[which]->executor.stand_still(time);
}

}  // namespace zef::sim
