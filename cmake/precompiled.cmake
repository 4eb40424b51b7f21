# Precompiled headers, made once and shared by all rooms: what nearly every file includes. They may not be relied upon:
# each file includes what it uses (`make lint` compiles without them, and so does a build without ZEF_PCH).

option(ZEF_PCH "Use precompiled headers (the presets do)" OFF)

# The options that a header is compiled with, and all that use it: no other optimisation may be asked for.
function(zef_options_of_precompiled target pch)
  if(pch MATCHES "test_pch$")
    target_compile_options(${target} PRIVATE ${ZEF_TEST_OPTIONS})
  elseif(pch STREQUAL "zef_cli_pch")
    target_compile_options(${target} PRIVATE ${ZEF_CLI_OPTIONS})
  endif()
endfunction()

# A library that only makes a precompiled header.
function(zef_pch_library target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "HEADERS;LIBRARIES")
  file(GENERATE OUTPUT "${CMAKE_BINARY_DIR}/${target}.cpp" CONTENT "")
  add_library(${target} STATIC "${CMAKE_BINARY_DIR}/${target}.cpp")
  target_link_libraries(${target} PUBLIC zef_options ${arg_LIBRARIES})
  target_precompile_headers(${target} PRIVATE ${arg_HEADERS})
  # Without a time stamp in it, the same header gives the same bytes, and ccache finds what was compiled with it.
  target_compile_options(${target} PRIVATE -Xclang -fno-pch-timestamp)
  zef_options_of_precompiled(${target} ${target})
  set_target_properties(${target} PROPERTIES CXX_COMPILER_LAUNCHER
    "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/precompile.sh;${CMAKE_SOURCE_DIR}")
endfunction()

set(common_headers
  <algorithm> <array> <bit> <chrono> <compare> <cstddef> <cstdint> <cstring> <deque> <expected> <filesystem>
  <functional> <map> <memory> <optional> <set> <span> <string> <string_view> <tuple> <unordered_map> <utility>
  <variant> <vector> <fmt/core.h>)

# Rooms above protocol: the variants of its messages are what their files spend most of their compile time on.
set(protocol_headers <protocol/messages.h> <protocol/verification.h>)
# The room cli: nearly all of its files declare commands, with flags and JSON.
set(cli_headers ${protocol_headers} <client/wallet.h> <CLI/CLI.hpp> <nlohmann/json.hpp>)
set(test_headers <gmock/gmock.h> <gtest/gtest.h>)

if(ZEF_PCH AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # clang takes x.hxx.pch for x.hxx by itself. CMake's own, longer way names the header where ccache does not see that it
  # is a path, and no other checkout would find what was compiled with it.
  set(CMAKE_CXX_COMPILE_OPTIONS_USE_PCH -include <PCH_HEADER>)

  # zef_<name>pch, and zef_<name>test_pch for tests. (zef_pch has only what is common.)
  set(headers "")
  foreach(name IN ITEMS "" protocol_ cli_)
    set(libraries fmt::fmt spdlog::spdlog)
    if(name STREQUAL "cli_")
      list(APPEND libraries CLI11::CLI11 nlohmann_json::nlohmann_json)
    endif()
    zef_pch_library(zef_${name}pch HEADERS ${common_headers} ${${name}headers} LIBRARIES ${libraries})
    zef_pch_library(zef_${name}test_pch HEADERS ${common_headers} ${${name}headers} ${test_headers}
      LIBRARIES ${libraries} GTest::gmock)
  endforeach()
  function(zef_precompile target pch)
    target_precompile_headers(${target} REUSE_FROM ${pch})
    zef_options_of_precompiled(${target} ${pch})
  endfunction()
else()
  function(zef_precompile target pch)
    zef_options_of_precompiled(${target} ${pch})
  endfunction()
endif()
