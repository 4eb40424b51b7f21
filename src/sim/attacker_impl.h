// What the files of Attacker share.
#pragma once

#include <array>

#include "net/rpc.h"
#include "protocol/verification.h"
#include "sim/attacker.h"

namespace zef::sim {

inline constexpr Duration answer_time_max = std::chrono::milliseconds(1500);
// What its accounts are for, by their place; the others spend twice, and break rules.
inline constexpr std::size_t meddler = 0;
inline constexpr std::array<std::size_t, 2> conspirators{1, 2};

struct Attacker::Process {
  Process(Attacker& attacker, SimExecutor& e, SimRng random)
      : executor(e), rng(random), transport(attacker.world_.network.transport(e, attacker.site_)) {
    for (const net::Address& address : attacker.world_.validators)
      validators.push_back(std::make_unique<net::RpcClient>(e, *transport, address));
  }
  ~Process() { executor.kill(); }

  SimExecutor& executor;
  SimRng rng;
  std::unique_ptr<net::Transport> transport;
  std::vector<std::unique_ptr<net::RpcClient>> validators;
  protocol::RootCaches caches{crypto::RootCache(512), crypto::RootCache(512)};
  TaskScope scope;
};

}  // namespace zef::sim
