#include "program.h"

#include <csignal>
#include <cstdio>
#include <string_view>

#include "cli/program.h"
#include "crypto/keys.h"

namespace zef::networks {

std::optional<int> run_if_program(int argc, char** argv) {
  if (const auto protected_now = crypto::protect_process(); !protected_now) {
    std::fprintf(stderr, "%s\n", protected_now.error().message.c_str());
    return 1;
  }
  std::signal(SIGPIPE, SIG_IGN);
  if (argc == 0 || std::string_view(argv[0]) != "zef") return std::nullopt;
  return cli::run_program(argc, argv);
}

}  // namespace zef::networks
