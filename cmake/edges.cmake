# What the files of a room may include. Used while configuring (cmake/rooms.cmake), and as a script in each build, so
# that an include added later fails the build too:
#
#   cmake -DROOM=net -DALLOWED=net,base -DFILES=a.h,b.cpp -DROOMS=base,net -DSTAMP=file -P cmake/edges.cmake

cmake_policy(VERSION 3.25)

# Fails when one of `files` includes a room outside `allowed`, goes around the root of src/, or, unless `testing` is
# true, includes test helpers.
function(zef_check_edges room allowed files all_rooms testing)
  foreach(file IN LISTS files)
    file(STRINGS "${file}" includes REGEX "^[ \t]*#[ \t]*include[ \t]*[\"<][^\">]+[\">]")
    foreach(line IN LISTS includes)
      string(REGEX REPLACE "^[^\"<]*([\"<])([^\">]+)[\">].*$" "\\1" quote "${line}")
      string(REGEX REPLACE "^[^\"<]*([\"<])([^\">]+)[\">].*$" "\\2" path "${line}")
      string(REGEX MATCH "^[a-z_]+/" first "${path}")
      string(REGEX REPLACE "/$" "" first "${first}")
      if(quote STREQUAL "<" AND NOT first IN_LIST all_rooms)
        continue()
      endif()
      if(first STREQUAL "" OR path MATCHES "\\.\\.")
        message(FATAL_ERROR "${file}: \"${path}\": name files from the root of src/ (\"room/file.h\").")
      endif()
      if(NOT first IN_LIST allowed)
        message(FATAL_ERROR "${file}: room '${room}' may not include \"${path}\". Allowed rooms: ${allowed} "
                            "(declared in src/CMakeLists.txt).")
      endif()
      if(NOT testing AND path MATCHES "/testing/")
        message(FATAL_ERROR "${file}: \"${path}\" is for tests, benchmarks and fuzzers only.")
      endif()
    endforeach()
  endforeach()
endfunction()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  foreach(list IN ITEMS ALLOWED FILES TEST_ALLOWED TEST_FILES ROOMS)
    string(REPLACE "," ";" ${list} "${${list}}")
  endforeach()
  zef_check_edges("${ROOM}" "${ALLOWED}" "${FILES}" "${ROOMS}" FALSE)
  zef_check_edges("${ROOM}" "${TEST_ALLOWED}" "${TEST_FILES}" "${ROOMS}" TRUE)
  file(TOUCH "${STAMP}")
endif()
