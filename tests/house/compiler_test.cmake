# GCC 12 is refused with a message that says what to do; what we build with, and GCC 13, are not.

execute_process(COMMAND "${CMAKE_COMMAND}" -P "${CMAKE_CURRENT_LIST_DIR}/compiler_ask.cmake" GNU 12.2.0 "${SOURCE}"
  RESULT_VARIABLE status ERROR_VARIABLE output)
if(status EQUAL 0 OR NOT output MATCHES "GCC 12\\.2\\.0 miscompiles coroutines" OR NOT output MATCHES "--preset")
  message(FATAL_ERROR "GCC 12.2.0 must be refused with advice; status ${status}, said: ${output}")
endif()

include("${SOURCE}/cmake/compiler.cmake")
zef_check_compiler(GNU 13.1.0)
zef_check_compiler(Clang 19.1.7)

# The top-level file really asks, before it does anything else.
file(READ "${SOURCE}/CMakeLists.txt" top)
if(NOT top MATCHES "zef_check_compiler\\(\"\\\${CMAKE_CXX_COMPILER_ID}\" \"\\\${CMAKE_CXX_COMPILER_VERSION}\"\\)")
  message(FATAL_ERROR "CMakeLists.txt does not call zef_check_compiler")
endif()
