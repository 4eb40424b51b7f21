# Language level, warnings, linker, sanitizers: what every target is built with.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
# Assertions of the project (ZEF_CHECK) do not depend on NDEBUG. Line tables keep stack traces readable.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG -gline-tables-only")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g")
# Tests themselves: compiled in half the time, and half of a clean build is tests.
set(ZEF_TEST_OPTIONS "$<$<CONFIG:Release>:-O0>")
# The commands, which are much code that runs once: the same with sanitizers.
set(ZEF_CLI_OPTIONS "")
# The same bytes from every checkout.
add_compile_options("-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.")

add_library(zef_options INTERFACE)
target_include_directories(zef_options INTERFACE "${CMAKE_CURRENT_SOURCE_DIR}/src" "${CMAKE_BINARY_DIR}/generated")
target_compile_options(zef_options INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor -Wextra-semi -Wunused-result
  -Wno-missing-field-initializers -fno-omit-frame-pointer)

find_program(LLD NAMES ld.lld-19 ld.lld)
if(LLD AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_link_options("-fuse-ld=lld")
endif()

find_program(CCACHE ccache)
if(CCACHE)
  # Paths relative to the project, so that all checkouts and build folders share what was compiled. The sloppiness is what
  # precompiled headers need (cmake/precompiled.cmake).
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env
    "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}" CCACHE_NOHASHDIR=1 CCACHE_PCH_EXTSUM=1
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime "${CCACHE}")
endif()

if(ZEF_SANITIZE)
  # Faster to compile, and reports are as good.
  set(CMAKE_CXX_FLAGS_RELEASE "-O1 -DNDEBUG -gline-tables-only")
  add_compile_options("-fsanitize=${ZEF_SANITIZE}" -fno-sanitize-recover=all)
  add_link_options("-fsanitize=${ZEF_SANITIZE}")
  set(ZEF_CLI_OPTIONS "$<$<CONFIG:Release>:-O0>")
endif()
if(ZEF_FUZZERS)
  add_compile_options(-fsanitize=fuzzer-no-link)
  # What fuzzers follow is what they test.
  list(APPEND ZEF_TEST_OPTIONS -fno-sanitize=fuzzer-no-link)
  list(APPEND ZEF_CLI_OPTIONS -fno-sanitize=fuzzer-no-link)
endif()
