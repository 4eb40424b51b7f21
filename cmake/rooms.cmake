# The house: every room of src/, what it may include, and nothing else. A room is one library `zef_<room>` made of the
# files of src/<room>/; x_test.cpp, x_bench.cpp and x_fuzz.cpp beside x.cpp become its tests, benchmarks and fuzzers.
#
#   zef_room(<name> ROOMS <rooms it includes> LIBRARIES <outside libraries>
#            TEST_ROOMS <more rooms that only its tests include> TEST_LIBRARIES <...>)
#
# Configuring and building fail when a file includes a room that is not in ROOMS. Rooms are declared from the bottom up
# and may name only rooms declared before them, so there can be no cycle and no upward edge.

include(GoogleTest)
include("${CMAKE_CURRENT_LIST_DIR}/edges.cmake")

set(ZEF_ROOMS "" CACHE INTERNAL "")
set(ZEF_CMAKE_DIR "${CMAKE_CURRENT_LIST_DIR}")
add_custom_target(zef_benches)

# The files of a room, sorted into `<prefix>_headers`, `_sources`, `_mains` (main.cpp), `_tests`, `_benches`, `_fuzzers`
# and, for the helpers in src/<room>/testing/ that only tests, benchmarks and fuzzers of this and higher rooms use,
# `_testing` and `_testing_headers`.
function(zef_room_files prefix dir)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS "${dir}/*.h")
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${dir}/*.cpp")
  foreach(kind IN ITEMS test bench fuzz)
    set(${kind}_files ${sources})
    list(FILTER ${kind}_files INCLUDE REGEX "_${kind}\\.cpp$")
  endforeach()
  set(mains ${sources})
  list(FILTER mains INCLUDE REGEX "/main\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "_(test|bench|fuzz)\\.cpp$|/main\\.cpp$")
  set(testing ${sources})
  list(FILTER testing INCLUDE REGEX "/testing/")
  list(FILTER sources EXCLUDE REGEX "/testing/")
  set(testing_headers ${headers})
  list(FILTER testing_headers INCLUDE REGEX "/testing/")
  list(FILTER headers EXCLUDE REGEX "/testing/")

  set(${prefix}_headers ${headers} PARENT_SCOPE)
  set(${prefix}_sources ${sources} PARENT_SCOPE)
  set(${prefix}_mains ${mains} PARENT_SCOPE)
  set(${prefix}_tests ${test_files} PARENT_SCOPE)
  set(${prefix}_benches ${bench_files} PARENT_SCOPE)
  set(${prefix}_fuzzers ${fuzz_files} PARENT_SCOPE)
  set(${prefix}_testing ${testing} PARENT_SCOPE)
  set(${prefix}_testing_headers ${testing_headers} PARENT_SCOPE)
endfunction()

# Checks the includes now, and again in each build after a file of the room has changed.
function(zef_room_edges room allowed files test_allowed test_files)
  file(GLOB all_rooms LIST_DIRECTORIES true RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}/*")
  zef_check_edges(${room} "${allowed}" "${files}" "${all_rooms}" FALSE)
  zef_check_edges(${room} "${test_allowed}" "${test_files}" "${all_rooms}" TRUE)

  set(stamp "${CMAKE_CURRENT_BINARY_DIR}/${room}.edges")
  set(depends ${files} ${test_files})
  foreach(list IN ITEMS allowed files test_allowed test_files all_rooms)
    list(JOIN ${list} "," ${list})
  endforeach()
  add_custom_command(OUTPUT "${stamp}"
    COMMAND "${CMAKE_COMMAND}" "-DROOM=${room}" "-DALLOWED=${allowed}" "-DFILES=${files}"
      "-DTEST_ALLOWED=${test_allowed}" "-DTEST_FILES=${test_files}" "-DROOMS=${all_rooms}" "-DSTAMP=${stamp}"
      -P "${ZEF_CMAKE_DIR}/edges.cmake"
    DEPENDS ${depends} "${ZEF_CMAKE_DIR}/edges.cmake"
    COMMENT "Checking what room ${room} includes" VERBATIM)
  add_custom_target(zef_${room}_edges ALL DEPENDS "${stamp}")
endfunction()

function(zef_room room)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "ROOMS;LIBRARIES;TEST_ROOMS;TEST_LIBRARIES")
  foreach(other IN LISTS arg_ROOMS arg_TEST_ROOMS)
    if(NOT other IN_LIST ZEF_ROOMS)
      message(FATAL_ERROR "room '${room}' names '${other}', which is not declared below it")
    endif()
  endforeach()
  set(ZEF_ROOMS "${ZEF_ROOMS};${room}" CACHE INTERNAL "")

  zef_room_files(room "${CMAKE_CURRENT_SOURCE_DIR}/${room}")
  zef_room_edges(${room} "${room};${arg_ROOMS}" "${room_headers};${room_sources};${room_mains}"
    "${room};${arg_ROOMS};${arg_TEST_ROOMS}"
    "${room_testing_headers};${room_testing};${room_tests};${room_benches};${room_fuzzers}")

  set(pch zef_pch)
  set(test_pch zef_test_pch)
  if(room STREQUAL "cli")
    set(pch zef_cli_pch)
    set(test_pch zef_cli_test_pch)
  elseif("protocol" IN_LIST arg_ROOMS)
    set(pch zef_protocol_pch)
    set(test_pch zef_protocol_test_pch)
  endif()

  list(TRANSFORM arg_ROOMS PREPEND zef_ OUTPUT_VARIABLE rooms_below)
  if(room_sources)
    add_library(zef_${room} STATIC ${room_sources})
    target_link_libraries(zef_${room} PUBLIC zef_options ${rooms_below} ${arg_LIBRARIES})
    add_dependencies(zef_${room} zef_${room}_edges)
    zef_precompile(zef_${room} ${pch})
  else()
    add_library(zef_${room} INTERFACE)
    target_link_libraries(zef_${room} INTERFACE zef_options ${rooms_below} ${arg_LIBRARIES})
  endif()

  list(TRANSFORM arg_TEST_ROOMS PREPEND zef_ OUTPUT_VARIABLE test_libraries)
  list(APPEND test_libraries ${arg_TEST_LIBRARIES})
  foreach(below IN LISTS arg_ROOMS arg_TEST_ROOMS)
    if(TARGET zef_${below}_testing)
      list(APPEND test_libraries zef_${below}_testing)
    endif()
  endforeach()
  if(room_testing)
    add_library(zef_${room}_testing STATIC EXCLUDE_FROM_ALL ${room_testing})
    target_link_libraries(zef_${room}_testing PUBLIC zef_${room} ${test_libraries} GTest::gtest)
    zef_precompile(zef_${room}_testing ${pch})
    list(APPEND test_libraries zef_${room}_testing)
  endif()

  if(ZEF_FUZZERS)
    zef_room_fuzzers(${room} "${room_fuzzers}" "${test_libraries}" ${pch})
  endif()
  if(room_tests)
    add_executable(zef_${room}_tests ${room_tests})
    target_link_libraries(zef_${room}_tests PRIVATE zef_${room} ${test_libraries} GTest::gmock GTest::gtest_main)
    zef_precompile(zef_${room}_tests ${test_pch})
    gtest_discover_tests(zef_${room}_tests TEST_PREFIX "${room}/" DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
      PROPERTIES TIMEOUT 300 LABELS "${room}")
  endif()
  if(room_benches)
    add_executable(zef_${room}_bench EXCLUDE_FROM_ALL ${room_benches})
    target_link_libraries(zef_${room}_bench PRIVATE zef_${room} ${test_libraries} benchmark::benchmark_main)
    zef_precompile(zef_${room}_bench ${pch})
    add_dependencies(zef_benches zef_${room}_bench)
    set_property(GLOBAL APPEND_STRING PROPERTY ZEF_BENCH_LIST "$<TARGET_FILE:zef_${room}_bench>\n")
  endif()
endfunction()

function(zef_room_fuzzers room files libraries pch)
  foreach(file IN LISTS files)
    get_filename_component(name "${file}" NAME_WE)
    set(target zef_${room}_${name})
    add_executable(${target} EXCLUDE_FROM_ALL "${file}")
    target_link_libraries(${target} PRIVATE zef_${room} ${libraries})
    zef_precompile(${target} ${pch})
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    if(NOT TARGET zef_fuzzers)
      add_custom_target(zef_fuzzers)
    endif()
    add_dependencies(zef_fuzzers ${target})
    set_property(GLOBAL APPEND_STRING PROPERTY ZEF_FUZZER_LIST "$<TARGET_FILE:${target}>\n")
  endforeach()
endfunction()

# Writes the programs that scripts/fuzz and scripts/bench run, one path a line. Call it after the last room.
function(zef_write_program_lists)
  get_property(fuzzers GLOBAL PROPERTY ZEF_FUZZER_LIST)
  get_property(benches GLOBAL PROPERTY ZEF_BENCH_LIST)
  file(GENERATE OUTPUT "${CMAKE_BINARY_DIR}/fuzzers.txt" CONTENT "${fuzzers}")
  file(GENERATE OUTPUT "${CMAKE_BINARY_DIR}/benches.txt" CONTENT "${benches}")
endfunction()
