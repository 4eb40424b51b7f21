#include "cli/local_network.h"

#include <fmt/core.h>

#include <algorithm>
#include <csignal>

#include "base/log.h"
#include "cli/child_process.h"
#include "cli/command.h"
#include "cli/network_folder.h"
#include "codec/json.h"
#include "controller/process_driver.h"
#include "ledger/shard_map.h"
#include "net/system_rng.h"
#include "store/open_store.h"
#include "store/retrying_store.h"

namespace zef::cli {
namespace {

using namespace std::chrono_literals;

constexpr Duration poll_period = 10ms;
constexpr Duration follow_period = 200ms;  // of the files that say how many workers there shall be
constexpr Duration start_time_max = 300s;  // replaying a long log takes its time
constexpr Duration restart_delay_max = 5s;
constexpr Duration stable_after = 10s;  // a process that lived for so long starts again with the shortest delay
constexpr int first_start_tries = 3;
constexpr std::size_t starting_max = 8;  // processes at a time, if a validator has no more

// A process of a validator: what starts it, and how it is doing.
struct Managed {
  std::string name;
  std::vector<std::string> arguments;
  std::filesystem::path log;
  std::optional<ChildProcess> child;
  bool wanted = false;
  bool ready = false;
  bool dying = false;  // it was sent a signal that ends it
  std::string address;
  std::uint64_t launches = 0;
  int failed_starts = 0;  // since it served last
  std::optional<Error> failure;
  MonotonicTime launched;
  Duration delay{};
  TimerId restart = TimerId::none;
  std::uint64_t dead_processor_us = 0;
  std::uint64_t store_puts = 0;

  [[nodiscard]] std::uint64_t processor_us() const { return dead_processor_us + (child ? child->processor_us() : 0); }
  [[nodiscard]] ProcessView view() const {
    return {.name = name,
            .pid = child ? child->pid() : -1,
            .address = address,
            .restarts = launches > 0 ? launches - 1 : 0};
  }
};

struct Validator {
  std::string name;
  bool up = false;
  bool store_checked = false;
  Managed balancer;
  Managed controller;
  std::vector<Managed> workers;

  template <class F>
  void for_each(F f) {
    f(balancer);
    f(controller);
    for (Managed& worker : workers) f(worker);
  }
};

bool may_pass(ErrorKind kind) {
  return kind == ErrorKind::io || kind == ErrorKind::unavailable || kind == ErrorKind::fenced;
}

std::string says(const ChildProcess::Ended& ended) {
  if (ended.signal != 0) return fmt::format("was killed by signal {}", ended.signal);
  return fmt::format("ended with status {}", ended.exit_status);
}

}  // namespace

struct LocalNetwork::State {
  State(net::Loop& l, NetworkFolder f, const LocalNetworkOptions& options)
      : loop(l), folder(std::move(f)), network(folder.genesis), restart_delay(options.restart_delay) {
    for (std::size_t i = 0; i < folder.settings.validators; ++i) add_validator(i, options);
    loop.on_signals({SIGCHLD}, [this, still = std::weak_ptr(alive)](int) {
      if (!still.expired()) poll();
    });
  }
  ~State() {
    for (Validator& validator : validators)
      validator.for_each([this](Managed& process) { loop.cancel(process.restart); });
    loop.cancel(poll_timer);
    loop.cancel(follow_timer);
  }

  net::Loop& loop;
  NetworkFolder folder;
  protocol::Network network;
  std::vector<Validator> validators;
  LocalNetworkNews news;
  std::string count_trouble;  // told already
  Duration restart_delay;
  TimerId poll_timer = TimerId::none;
  TimerId follow_timer = TimerId::none;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);

  // ---- what is started ----

  void add_validator(std::size_t index, const LocalNetworkOptions& options) {
    Validator& validator = validators.emplace_back();
    const LocalNetworkSettings& settings = folder.settings;
    validator.name = folder.genesis.validators[index].name;
    std::vector<std::string> common = {"--store", folder.store_url(index), "--store-threads",
                                       std::to_string(settings.store_threads)};

    validator.balancer.name = "balancer";
    validator.balancer.log = folder.log_path(index, "balancer");
    validator.balancer.address = folder.endpoints.validators[index].address;
    validator.balancer.arguments = {"balancer", "--listen", validator.balancer.address};
    for (const std::string& word : common) validator.balancer.arguments.push_back(word);

    validator.controller.name = "controller";
    validator.controller.log = folder.log_path(index, "controller");
    validator.controller.arguments = {"controller",
                                      "--tls",
                                      folder.tls_path(index).string(),
                                      "--workers-file",
                                      folder.worker_count_path(index).string(),
                                      "--workers-min",
                                      std::to_string(settings.workers),
                                      "--workers-max",
                                      std::to_string(settings.workers_max)};
    for (const auto& words : {common, options.controller_flags})
      for (const std::string& word : words) validator.controller.arguments.push_back(word);

    for (std::size_t i = 0; i < settings.workers_max; ++i) {
      Managed& worker = validator.workers.emplace_back();
      worker.name = folder.worker_name(i);
      worker.log = folder.log_path(index, worker.name);
      worker.arguments = {"worker",
                          "--name",
                          worker.name,
                          "--genesis",
                          folder.genesis_path().string(),
                          "--key",
                          (folder.validator_path(index) / "key").string(),
                          "--passphrase-file",
                          folder.passphrase_path().string(),
                          "--tls",
                          folder.tls_path(index).string(),
                          "--listen",
                          "127.0.0.1:0",
                          "--internal-listen",
                          "127.0.0.1:0",
                          "--fee-period-ms",
                          std::to_string(settings.fee_period_ms),
                          "--flush-delay-ms",
                          std::to_string(settings.flush_delay_ms),
                          "--checkpoint-every-ms",
                          std::to_string(settings.checkpoint_every_ms)};
      for (const auto& words : {common, options.worker_flags})
        for (const std::string& word : words) worker.arguments.push_back(word);
    }
  }

  void launch(Managed& process) {
    process.restart = TimerId::none;
    process.ready = false;
    process.dying = false;
    process.launched = loop.now();
    ++process.launches;
    auto child = ChildProcess::spawn(process.arguments, process.log);
    if (child) {
      process.child.emplace(std::move(*child));
      schedule_poll();
      return;
    }
    process.failure = child.error();
    ++process.failed_starts;
    start_later(process);
  }
  void start_later(Managed& process) {
    process.restart = loop.after(process.delay, [this, &process] { launch(process); });
    process.delay = std::min(process.delay * 2, std::max(restart_delay, restart_delay_max));
  }

  // ---- what they do ----

  void schedule_poll() {
    if (poll_timer != TimerId::none) return;
    poll_timer = loop.after(poll_period, [this] {
      poll_timer = TimerId::none;
      poll();
    });
  }

  // Reads what children say and takes leave of those that have ended. Called at each SIGCHLD, and while any is
  // starting.
  void poll() {
    bool starting = false;
    for (Validator& validator : validators) {
      validator.for_each([&](Managed& process) {
        if (!process.child) return;
        read_lines(process);
        if (const auto ended = process.child->reap())
          take_leave(validator, process, *ended);
        else
          starting |= !process.ready;
      });
    }
    if (starting) schedule_poll();
  }

  static void read_lines(Managed& process) {
    while (const auto line = process.child->take_line()) {
      const auto json = codec::Json::parse(*line, nullptr, false);
      if (!json.is_object()) continue;
      if (json.value("ready", false)) {
        process.ready = true;
        process.failed_starts = 0;
        process.address = json.value("client", process.address);
      }
      process.store_puts += json.value("store_puts", std::uint64_t{0});
    }
  }

  void take_leave(Validator& validator, Managed& process, const ChildProcess::Ended& ended) {
    read_lines(process);
    process.dead_processor_us += ended.processor_us;
    const bool was_ready = std::exchange(process.ready, false);
    std::string words = process.child->last_words();
    if (constexpr std::string_view prefix = "zef: "; words.starts_with(prefix)) words.erase(0, prefix.size());
    process.child.reset();
    if (!process.wanted) return;
    if (!was_ready) {
      ++process.failed_starts;
      process.failure =
          Error{kind_of_exit(ended.exit_status).value_or(ErrorKind::unavailable),
                fmt::format("{}/{} {} before it served; its last words: {} (its log: {})", validator.name, process.name,
                            says(ended), words.empty() ? "none" : words, process.log.string())};
    }
    if (loop.now() - process.launched >= stable_after) process.delay = restart_delay;
    if (news)
      news(fmt::format("{}/{} {}; it is started again{}", validator.name, process.name, says(ended),
                       was_ready || words.empty() ? "" : " (its last words: " + words + ")"));
    start_later(process);
  }

  // ---- validators ----

  Task<Result<void>> prepare_store(std::size_t index) {
    Validator& validator = validators[index];
    if (validator.store_checked) co_return Result<void>{};
    net::SystemRng rng;
    store::OpenOptions options;
    options.file.threads = 1;
    auto opened = store::open_store(loop, folder.store_url(index), options);
    if (!opened) co_return std::unexpected(opened.error());
    const store::RetryPolicy patient{.deadline = 30s};
    store::RetryingStore store(std::move(*opened), loop, rng,
                               {.put = patient, .get = patient, .del = patient, .list = patient});
    std::vector<std::string> names;
    for (std::size_t i = 0; i < folder.settings.workers; ++i) names.push_back(validator.workers[i].name);
    const ledger::StoreIdentity identity{network.id, protocol::ValidatorIndex(static_cast<std::uint16_t>(index))};
    auto made = co_await ledger::initialise_store(store, rng, identity, std::move(names));
    validator.store_checked = made.has_value();
    if (!made)
      co_return fail(made.error().kind, fmt::format("the store of {} ({}): {}", validator.name, folder.store_url(index),
                                                    made.error().message));
    co_return Result<void>{};
  }

  void launch_all(std::size_t index) {
    Validator& validator = validators[index];
    validator.up = true;
    want(validator.balancer);
    want(validator.controller);
    follow_count(index);
    if (follow_timer == TimerId::none) follow_counts();
  }
  void want(Managed& process) {
    if (process.wanted) return;
    process.wanted = true;
    process.failed_starts = 0;
    process.failure.reset();
    process.delay = restart_delay;
    if (!process.child) launch(process);
  }

  // ---- how many workers ----

  // Within what this run allows: the file may be of a run that allowed something else.
  Result<void> prepare_count(std::size_t index) {
    const std::filesystem::path file = folder.worker_count_path(index);
    const auto bound = [&](int count) {
      return std::clamp(count, static_cast<int>(folder.settings.workers),
                        static_cast<int>(folder.settings.workers_max));
    };
    std::error_code ignored;
    int count = bound(0);
    if (std::filesystem::exists(file, ignored)) {
      const auto before = controller::read_worker_count(file);
      if (!before) return std::unexpected(before.error());
      count = bound(*before);
    }
    return controller::write_worker_count(file, count);
  }
  void follow_counts() {
    follow_timer = loop.after(follow_period, [this] {
      for (std::size_t i = 0; i < validators.size(); ++i)
        if (validators[i].up) follow_count(i);
      follow_counts();
    });
  }
  // A worker that is not to run any more owns nothing by now, so it ends at once.
  void follow_count(std::size_t index) {
    const auto count = controller::read_worker_count(folder.worker_count_path(index));
    if (!count) {
      if (news && count.error().message != count_trouble) news(count.error().message);
      count_trouble = count.error().message;
      return;
    }
    std::vector<Managed>& workers = validators[index].workers;
    for (std::size_t i = 0; i < workers.size(); ++i) {
      if (i < static_cast<std::size_t>(*count)) {
        want(workers[i]);
      } else if (workers[i].wanted) {
        workers[i].wanted = false;
        loop.cancel(std::exchange(workers[i].restart, TimerId::none));
        tell(workers[i], SIGTERM);
      }
    }
  }

  // Each process tries a few times if the reason may pass: the predecessor of a killed network may still hold a port.
  Task<Result<void>> wait_for_start(std::size_t index) {
    const MonotonicTime give_up = loop.now() + start_time_max;
    Validator& validator = validators[index];
    while (true) {
      std::string missing;
      std::optional<Error> failure;
      validator.for_each([&](Managed& process) {
        if (process.ready || !process.wanted) return;
        missing = fmt::format("{}/{}", validator.name, process.name);
        if (process.failed_starts >= first_start_tries ||
            (process.failed_starts > 0 && process.failure && !may_pass(process.failure->kind)))
          failure = process.failure;
      });
      if (!validator.up) co_return fail(ErrorKind::cancelled, "stopped while it was starting");
      if (failure) co_return std::unexpected(std::move(*failure));
      if (missing.empty()) co_return Result<void>{};
      if (loop.now() >= give_up)
        co_return fail(ErrorKind::unavailable, missing + " does not serve after five minutes: see its log");
      co_await sleep_for(loop, poll_period);
    }
  }

  Task<Result<void>> start(std::vector<std::size_t> which) {
    for (const std::size_t index : which)
      if (auto prepared = co_await prepare_store(index); !prepared) co_return prepared;
    for (const std::size_t index : which)
      if (auto prepared = prepare_count(index); !prepared) co_return prepared;
    const std::size_t at_a_time = std::max<std::size_t>(1, starting_max / (folder.settings.workers + 2));
    std::size_t launched = 0;
    for (std::size_t waited = 0; waited < which.size(); ++waited) {
      while (launched < std::min(which.size(), waited + at_a_time)) launch_all(which[launched++]);
      if (auto started = co_await wait_for_start(which[waited]); !started) {
        co_await stop(which, SIGKILL, 0s);
        co_return started;
      }
    }
    co_return Result<void>{};
  }

  // Balancers first: what clients have under way is answered while the workers still serve.
  Task<void> stop(std::vector<std::size_t> which, int signal, Duration limit) {
    for (const std::size_t index : which) {
      validators[index].up = false;
      validators[index].for_each([&](Managed& process) {
        process.wanted = false;
        loop.cancel(std::exchange(process.restart, TimerId::none));
      });
    }
    const MonotonicTime give_up = loop.now() + limit;
    for (const std::size_t index : which) {
      tell(validators[index].balancer, signal);
      tell(validators[index].controller, signal);
    }
    if (signal != SIGKILL) co_await wait_for_end(which, false, loop.now() + limit / 2);
    for (const std::size_t index : which)
      for (Managed& worker : validators[index].workers) tell(worker, signal);
    if (signal != SIGKILL && !co_await wait_for_end(which, true, give_up))
      for (const std::size_t index : which)
        validators[index].for_each([&](Managed& process) { tell(process, SIGKILL); });
    co_await wait_for_end(which, true, MonotonicTime::max());  // SIGKILL leaves no choice
  }
  // Once: a server takes a second request to stop for impatience, and ends in the middle of its drain.
  static void tell(Managed& process, int signal) {
    if (!process.child || (process.dying && signal != SIGKILL)) return;
    process.child->signal(signal);
    process.dying |= signal == SIGKILL || signal == SIGTERM || signal == SIGINT;
  }
  Task<bool> wait_for_end(const std::vector<std::size_t>& which, bool workers_too, MonotonicTime give_up) {
    while (true) {
      poll();
      bool running = false;
      for (const std::size_t index : which) {
        running |= validators[index].balancer.child.has_value() || validators[index].controller.child.has_value();
        if (workers_too)
          for (const Managed& worker : validators[index].workers) running |= worker.child.has_value();
      }
      if (!running || loop.now() >= give_up) co_return !running;
      co_await sleep_for(loop, poll_period);
    }
  }

  Task<bool> wait_until_serving(Duration limit) {
    const MonotonicTime give_up = loop.now() + limit;
    while (true) {
      poll();
      bool serving = true;
      for (Validator& validator : validators)
        if (validator.up)
          validator.for_each(
              [&](Managed& process) { serving &= !process.wanted || (process.ready && !process.dying); });
      if (serving || loop.now() >= give_up) co_return serving;
      co_await sleep_for(loop, poll_period);
    }
  }

  [[nodiscard]] std::vector<std::size_t> all() const {
    std::vector<std::size_t> which;
    for (std::size_t i = 0; i < validators.size(); ++i) which.push_back(i);
    return which;
  }
  Validator& at(std::size_t validator) {
    ZEF_CHECK(validator < validators.size());
    return validators[validator];
  }
};

LocalNetwork::LocalNetwork(std::unique_ptr<State> state) : state_(std::move(state)) {}
LocalNetwork::~LocalNetwork() = default;

Result<std::unique_ptr<LocalNetwork>> LocalNetwork::open(net::Loop& loop, std::filesystem::path dir,
                                                         const LocalNetworkOptions& options,
                                                         const LocalNetworkProgress& progress) {
  auto folder = NetworkFolder::open(dir, options, progress, loop.wall_now());
  if (!folder) return std::unexpected(folder.error());
  return std::unique_ptr<LocalNetwork>(new LocalNetwork(std::make_unique<State>(loop, std::move(*folder), options)));
}

Task<Result<void>> LocalNetwork::start() { return state_->start(state_->all()); }
Task<void> LocalNetwork::stop(Duration limit) { return state_->stop(state_->all(), SIGTERM, limit); }
Task<Result<void>> LocalNetwork::start_validator(std::size_t validator) {
  ZEF_CHECK(validator < size());
  return state_->start({validator});
}
Task<void> LocalNetwork::stop_validator(std::size_t validator, int signal) {
  ZEF_CHECK(validator < size());
  return state_->stop({validator}, signal, std::chrono::seconds(20));
}
bool LocalNetwork::kill_worker(std::size_t validator, std::size_t worker, int signal) {
  ZEF_CHECK(worker < state_->at(validator).workers.size());
  Managed& process = state_->at(validator).workers[worker];
  State::tell(process, signal);
  return process.child.has_value();
}
bool LocalNetwork::kill_balancer(std::size_t validator, int signal) {
  Managed& process = state_->at(validator).balancer;
  State::tell(process, signal);
  return process.child.has_value();
}
bool LocalNetwork::kill_controller(std::size_t validator, int signal) {
  Managed& process = state_->at(validator).controller;
  State::tell(process, signal);
  return process.child.has_value();
}
Task<bool> LocalNetwork::wait_until_serving(Duration limit) { return state_->wait_until_serving(limit); }

void LocalNetwork::on_news(LocalNetworkNews news) { state_->news = std::move(news); }
bool LocalNetwork::is_new() const { return state_->folder.is_new; }
const LocalNetworkSettings& LocalNetwork::settings() const { return state_->folder.settings; }
std::size_t LocalNetwork::size() const { return state_->validators.size(); }

std::vector<ValidatorView> LocalNetwork::validators() const {
  std::vector<ValidatorView> views;
  for (std::size_t i = 0; i < size(); ++i) {
    const Validator& validator = state_->validators[i];
    ValidatorView& view = views.emplace_back();
    view.name = validator.name;
    view.address = state_->folder.endpoints.validators[i].address;
    view.up = validator.up;
    view.balancer = validator.balancer.view();
    view.controller = validator.controller.view();
    for (const Managed& worker : validator.workers)
      if (worker.wanted || worker.child) view.workers.push_back(worker.view());
  }
  return views;
}

ProcessorTime LocalNetwork::processor_time(std::size_t validator) const {
  ProcessorTime time;
  time.balancer_us = state_->at(validator).balancer.processor_us();
  time.controller_us = state_->at(validator).controller.processor_us();
  for (const Managed& worker : state_->at(validator).workers) time.workers_us += worker.processor_us();
  return time;
}
std::uint64_t LocalNetwork::store_puts(std::size_t validator) const {
  std::uint64_t puts = 0;
  for (const Managed& worker : state_->at(validator).workers) puts += worker.store_puts;
  return puts;
}

const protocol::Genesis& LocalNetwork::genesis() const { return state_->folder.genesis; }
const protocol::Network& LocalNetwork::network() const { return state_->network; }
std::vector<net::Address> LocalNetwork::addresses() const { return client::addresses_of(state_->folder.endpoints); }
crypto::SigningKey LocalNetwork::account_key(std::uint64_t account) const {
  const auto seed = state_->folder.read_seed();
  ZEF_CHECK(seed);
  return derive_account_key(seed->view(), account);
}

const std::filesystem::path& LocalNetwork::dir() const { return state_->folder.dir; }
std::filesystem::path LocalNetwork::genesis_path() const { return state_->folder.genesis_path(); }
std::filesystem::path LocalNetwork::network_path() const { return state_->folder.network_path(); }
std::filesystem::path LocalNetwork::wallet_path() const { return state_->folder.wallet_path(); }
std::filesystem::path LocalNetwork::passphrase_path() const { return state_->folder.passphrase_path(); }
std::filesystem::path LocalNetwork::log_path(std::size_t validator, std::string_view process) const {
  return state_->folder.log_path(validator, process);
}
std::string LocalNetwork::store_url(std::size_t validator) const { return state_->folder.store_url(validator); }
std::filesystem::path LocalNetwork::tls_path(std::size_t validator) const { return state_->folder.tls_path(validator); }
std::filesystem::path LocalNetwork::worker_count_path(std::size_t validator) const {
  return state_->folder.worker_count_path(validator);
}

}  // namespace zef::cli
