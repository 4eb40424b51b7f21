# cmake -P compiler_ask.cmake <id> <version> <source folder>
include("${CMAKE_ARGV5}/cmake/compiler.cmake")
zef_check_compiler("${CMAKE_ARGV3}" "${CMAKE_ARGV4}")
