// The one program, `zef`.
#include <csignal>
#include <cstdio>

#include "cli/program.h"
#include "crypto/keys.h"

int main(int argc, char** argv) {
  if (const auto protected_now = zef::crypto::protect_process(); !protected_now) {
    std::fprintf(stderr, "zef: %s\n", protected_now.error().message.c_str());
    return static_cast<int>(zef::cli::exit_code_of(protected_now.error().kind));
  }
  std::signal(SIGPIPE, SIG_IGN);  // a peer or a reader that goes away is an error of one write, not our end
  return zef::cli::run_program(argc, argv);
}
