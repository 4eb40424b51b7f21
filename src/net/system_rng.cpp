#include "net/system_rng.h"

#include <sys/random.h>

#include <cerrno>

#include "base/check.h"

namespace zef::net {

void SystemRng::fill(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    const ssize_t got = ::getrandom(out.data(), out.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    ZEF_CHECK(got > 0);  // the kernel has no other failure for a valid buffer
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

}  // namespace zef::net
