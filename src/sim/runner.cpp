#include "sim/runner.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
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

// A process and the seeds whose results it writes, a line each, in their order.
struct Child {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  int pipe = -1;
  pid_t process = -1;
};

constexpr std::uint64_t seeds_of_a_child_max = 8;

void write_line(int out, std::string text) {
  text += '\n';
  std::size_t written = 0;
  while (written < text.size()) {
    const auto count = ::write(out, text.data() + written, text.size() - written);
    if (count <= 0) ::_exit(1);
    written += static_cast<std::size_t>(count);
  }
}

// In the child: never returns.
[[noreturn]] void run_child(WorldOptions options, std::uint64_t seeds, bool with_trace, int out) {
  const bool traced = options.traced;
  for (; seeds > 0; --seeds, ++options.seed) {
    options.traced = traced;
    WorldResult result = run_world(options);
    if (!result.violations.empty() && !traced && with_trace) {
      options.traced = true;
      result = run_world(options);
    }
    write_line(out, to_json(result));
  }
  ::_exit(0);
}

Child start_child(const RunOptions& run, std::uint64_t first, std::uint64_t count) {
  WorldOptions options = run.world;
  options.seed = first;
  int ends[2];
  ZEF_CHECK(::pipe(ends) == 0);
  std::fflush(stdout);
  const pid_t pid = ::fork();
  ZEF_CHECK(pid >= 0);
  if (pid == 0) {
    ::close(ends[0]);
    run_child(options, count, !run.stop_at_violation, ends[1]);
  }
  ::close(ends[1]);
  return {first, count, ends[0], pid};
}

// The next whole line; nothing when the child has closed its end.
std::optional<std::string> read_line(int pipe, std::string& buffer) {
  std::size_t searched = 0;
  for (;;) {
    if (const auto end = buffer.find('\n', searched); end != std::string::npos) {
      std::string line = buffer.substr(0, end);
      buffer.erase(0, end + 1);
      return line;
    }
    searched = buffer.size();
    char chunk[65536];
    const auto count = ::read(pipe, chunk, sizeof chunk);
    if (count <= 0) return std::nullopt;
    buffer.append(chunk, static_cast<std::size_t>(count));
  }
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
  const auto take = [&](const WorldResult& result) {
    ++summary.seeds;
    summary.operations += result.operations;
    summary.faults += result.faults;
    summary.violations += result.violations.empty() ? 0 : 1;
    on_result(result);
    return result.violations.empty() || !options.stop_at_violation;
  };
  // Who stops at the first violation expects it soon. Several at a time should end at about one time.
  const std::uint64_t share = options.seeds / (jobs == 1 ? 1 : 2 * jobs);
  const std::uint64_t seeds_each =
      options.stop_at_violation ? 1 : std::clamp<std::uint64_t>(share, 1, seeds_of_a_child_max);
  std::deque<Child> children;  // in the order of their starts: results are read in this order
  std::uint64_t begun = 0;
  bool stopping = false;
  while (!stopping) {
    while (children.size() < jobs && begun < options.seeds &&
           (options.time_max == Duration::zero() || passed() < options.time_max)) {
      const std::uint64_t count = std::min(seeds_each, options.seeds - begun);
      children.push_back(start_child(options, options.world.seed + begun, count));
      begun += count;
    }
    if (children.empty()) break;
    const Child child = children.front();
    children.pop_front();
    std::string buffer;
    std::uint64_t ended = 0;
    for (; ended < child.count && !stopping; ++ended) {
      const auto line = read_line(child.pipe, buffer);
      if (!line) break;
      stopping |= !take(from_json(*line));
    }
    ::close(child.pipe);
    if (stopping || ended == child.count) continue;
    WorldResult failed;
    failed.seed = child.first + ended;
    failed.violations.push_back({"check", "the process ended at a failed check", "", {}});
    stopping |= !take(failed);
    const std::uint64_t left = child.count - ended - 1;
    if (left > 0 && !stopping) children.push_front(start_child(options, failed.seed + 1, left));
  }
  for (const Child& child : children) {
    ::close(child.pipe);
    ::kill(child.process, SIGKILL);
  }
  while (::waitpid(-1, nullptr, 0) > 0) {
  }
  summary.seconds = std::chrono::duration<double>(passed()).count();
  summary.cpu_seconds = cpu_of_children() - cpu_before;
  return summary;
}

}  // namespace zef::sim
