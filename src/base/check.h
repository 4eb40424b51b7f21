// ZEF_CHECK: our own bugs. It is alive in release builds, prints where and why, and aborts the process; what comes
// from outside is answered with a Result instead.
#pragma once

#include <string_view>

namespace zef {

// Prints "file:line: check failed: what" to stderr and aborts.
[[noreturn]] void check_failed(const char* file, int line, std::string_view what);

}  // namespace zef

#define ZEF_CHECK(condition)                               \
  do {                                                     \
    if (!(condition)) [[unlikely]]                         \
      ::zef::check_failed(__FILE__, __LINE__, #condition); \
  } while (false)
