// Service logs: one line an event, "time level room: message key=value ...", to stderr (or a file), ready to be
// collected. Never log a secret, a passphrase or a whole request. Thread-safe.
#pragma once

#include <fmt/core.h>

#include <string_view>

namespace zef::log {

enum class Level { debug, info, warning, error, none };  // none: only for set_level

void set_level(Level level);
[[nodiscard]] bool enabled(Level level);
// Writes one line. Control characters in the message are escaped.
void write(Level level, std::string_view room, std::string_view message);

template <class... Args>
void debug(std::string_view room, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::debug)) write(Level::debug, room, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(std::string_view room, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::info)) write(Level::info, room, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warning(std::string_view room, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::warning)) write(Level::warning, room, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(std::string_view room, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::error)) write(Level::error, room, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace zef::log
