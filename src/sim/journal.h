// What happened in a run: counters, violations, and a digest of every event, by which two runs are compared. With
// tracing on, also the events themselves as text.
//
// Thread rule: the simulation's thread.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/executor.h"

namespace zef::sim {

struct Violation {
  std::string invariant;  // "I1" to "I6", "votes", "crash"
  std::string what;       // for people
  std::string subject;    // what the trace is searched for: an account, "validator 2"
  Duration at{};
};

class Journal {
 public:
  Journal(const Clock& clock, bool traced) : clock_(clock), traced_(traced) {}

  [[nodiscard]] MonotonicTime now() const { return clock_.now(); }
  [[nodiscard]] bool traced() const { return traced_; }
  // Part of the digest, whatever it means.
  void mix(std::uint64_t word) {
    digest_ ^= word + 0x9e3779b97f4a7c15U + (digest_ << 6) + (digest_ >> 2);
    digest_ *= 0xff51afd7ed558ccdU;
    digest_ ^= digest_ >> 33;
  }
  void mix(ByteView bytes);
  // One line of the trace. Its words are made only when somebody will read them.
  template <class... Args>
  void event(fmt::format_string<Args...> format, Args&&... args) {
    mix(static_cast<std::uint64_t>(clock_.now().time_since_epoch().count()));
    const fmt::string_view text = format;
    mix(as_bytes({text.data(), text.size()}));
    if (traced_) add_line(fmt::format(format, std::forward<Args>(args)...));
  }
  void count(const std::string& what, std::uint64_t many = 1) { counters_[what] += many; }
  // The first one of each invariant is kept.
  void violation(std::string invariant, std::string subject, std::string what);

  [[nodiscard]] const std::vector<Violation>& violations() const { return violations_; }
  [[nodiscard]] const std::map<std::string, std::uint64_t>& counters() const { return counters_; }
  [[nodiscard]] std::uint64_t digest() const { return digest_; }
  // The last `limit` lines that name the subject; all lines if it is empty.
  [[nodiscard]] std::vector<std::string> trace(std::string_view subject, std::size_t limit) const;

 private:
  void add_line(std::string line);

  const Clock& clock_;
  bool traced_;
  std::uint64_t digest_ = 0x5eed;
  std::vector<Violation> violations_;
  std::map<std::string, std::uint64_t> counters_;
  std::deque<std::string> lines_;
  static constexpr std::size_t lines_max = 2'000'000;
};

}  // namespace zef::sim
