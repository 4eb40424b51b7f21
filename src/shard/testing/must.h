// What must hold in a test, wherever it is found out. An exception, so that a property test can go on to shrink the
// case; a fuzzer ends with it.
#pragma once

#include <source_location>
#include <stdexcept>
#include <string>

namespace zef::shard::testing {

inline void must(bool holds, std::source_location where = std::source_location::current()) {
  if (holds) return;
  throw std::logic_error(std::string(where.file_name()) + ":" + std::to_string(where.line()) + ": must hold, in " +
                         where.function_name());
}

}  // namespace zef::shard::testing
