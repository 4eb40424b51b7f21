#include "sim/journal.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace zef::sim {

void Journal::mix(ByteView bytes) {
  mix(bytes.size());
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, 8);
    mix(word);
  }
  std::uint64_t rest = 0;
  for (; at < bytes.size(); ++at) rest = rest << 8 | bytes[at];
  mix(rest);
}

void Journal::violation(std::string invariant, std::string subject, std::string what) {
  if (traced_) add_line(fmt::format("VIOLATION of {}: {} [{}]", invariant, what, subject));
  if (std::ranges::any_of(violations_, [&](const Violation& known) { return known.invariant == invariant; })) return;
  violations_.push_back({std::move(invariant), std::move(what), std::move(subject), clock_.now().time_since_epoch()});
}

void Journal::add_line(std::string line) {
  const double seconds = std::chrono::duration<double>(clock_.now().time_since_epoch()).count();
  lines_.push_back(fmt::format("{:12.6f}  {}", seconds, line));
  if (lines_.size() > lines_max) lines_.pop_front();
}

std::vector<std::string> Journal::trace(std::string_view subject, std::size_t limit) const {
  std::vector<std::string> found;
  for (auto line = lines_.rbegin(); line != lines_.rend() && found.size() < limit; ++line)
    if (subject.empty() || line->contains(subject)) found.push_back(*line);
  std::ranges::reverse(found);
  return found;
}

}  // namespace zef::sim
