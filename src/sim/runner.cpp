#include "sim/runner.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/check.h"

namespace zef::sim {

namespace {

using Json = nlohmann::ordered_json;

std::string to_json(const WorldResult& result) {
  Json json{{"seed", result.seed},         {"operations", result.operations},
            {"faults", result.faults},     {"digest", result.digest},
            {"steps", result.steps},       {"time", result.virtual_time.count()},
            {"counters", result.counters}, {"trace", result.trace}};
  for (const Violation& violation : result.violations)
    json["violations"].push_back({violation.invariant, violation.what, violation.subject, violation.at.count()});
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

WorldResult from_json(const std::string& text) {
  const Json json = Json::parse(text);
  WorldResult result;
  result.seed = json["seed"];
  result.operations = json["operations"];
  result.faults = json["faults"];
  result.digest = json["digest"];
  result.steps = json["steps"];
  result.virtual_time = Duration(json["time"].get<Duration::rep>());
  result.counters = json["counters"].get<std::map<std::string, std::uint64_t>>();
  result.trace = json["trace"].get<std::vector<std::string>>();
  if (json.contains("violations"))
    for (const auto& violation : json["violations"])
      result.violations.push_back({violation[0], violation[1], violation[2], Duration(violation[3].get<long>())});
  return result;
}

struct Child {
  std::uint64_t seed = 0;
  int pipe = -1;
};

// In the child: never returns.
[[noreturn]] void run_child(WorldOptions options, int out) {
  WorldResult result = run_world(options);
  if (!result.violations.empty() && !options.traced) {
    options.traced = true;
    result = run_world(options);
  }
  const std::string text = to_json(result);
  std::size_t written = 0;
  while (written < text.size()) {
    const auto count = ::write(out, text.data() + written, text.size() - written);
    if (count <= 0) break;
    written += static_cast<std::size_t>(count);
  }
  ::_exit(0);
}

Child start_child(const WorldOptions& options) {
  int ends[2];
  ZEF_CHECK(::pipe(ends) == 0);
  std::fflush(stdout);
  const pid_t pid = ::fork();
  ZEF_CHECK(pid >= 0);
  if (pid == 0) {
    ::close(ends[0]);
    run_child(options, ends[1]);
  }
  ::close(ends[1]);
  return {options.seed, ends[0]};
}

// Reads until the child has closed its end.
std::string read_all(int pipe) {
  std::string text;
  char buffer[65536];
  for (;;) {
    const auto count = ::read(pipe, buffer, sizeof buffer);
    if (count <= 0) break;
    text.append(buffer, static_cast<std::size_t>(count));
  }
  ::close(pipe);
  return text;
}

double cpu_of_children() {
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

RunSummary run_seeds(const RunOptions& options, const std::function<void(const WorldResult&)>& on_result) {
  const std::size_t jobs = options.jobs ? options.jobs : std::max(1U, std::thread::hardware_concurrency());
  const auto begin = std::chrono::steady_clock::now();
  const double cpu_before = cpu_of_children();
  const auto passed = [&] { return std::chrono::steady_clock::now() - begin; };
  RunSummary summary;
  std::deque<Child> children;  // in the order of their starts: results are read in this order
  std::uint64_t begun = 0;
  bool stopping = false;
  while (true) {
    while (!stopping && children.size() < jobs && begun < options.seeds &&
           (options.time_max == Duration::zero() || passed() < options.time_max)) {
      WorldOptions world = options.world;
      world.seed += begun++;
      children.push_back(start_child(world));
    }
    if (children.empty()) break;
    const Child child = children.front();
    children.pop_front();
    const std::string text = read_all(child.pipe);
    WorldResult result;
    if (text.empty() || text.back() != '}') {
      result.seed = child.seed;
      result.violations.push_back({"check", "the process ended at a failed check", "", {}});
    } else {
      result = from_json(text);
    }
    ++summary.seeds;
    summary.operations += result.operations;
    summary.faults += result.faults;
    if (!result.violations.empty()) {
      ++summary.violations;
      stopping |= options.stop_at_violation;
    }
    on_result(result);
  }
  while (::waitpid(-1, nullptr, 0) > 0) {
  }
  summary.seconds = std::chrono::duration<double>(passed()).count();
  summary.cpu_seconds = cpu_of_children() - cpu_before;
  return summary;
}

}  // namespace zef::sim
