# Which compilers are refused, and why. A function apart, so that a test can ask it.

function(zef_check_compiler id version)
  if(id STREQUAL "GNU" AND version VERSION_LESS 13)
    message(FATAL_ERROR "GCC ${version} miscompiles coroutines: it destroys temporaries inside co_await expressions "
                        "twice. Use a preset (cmake --preset release), which takes clang-19, or set "
                        "CMAKE_CXX_COMPILER.")
  endif()
endfunction()
