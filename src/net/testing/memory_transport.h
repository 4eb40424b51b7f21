// Connections inside one process for tests: deterministic, in the order of the sends, on any Executor. A network holds
// what listens; tests cut, deny and freeze addresses.
//
// Thread rule: the executor's thread. The network outlives its transports, listeners and connections.
#pragma once

#include <memory>
#include <string>

#include "base/executor.h"
#include "net/transport.h"

namespace zef::net::testing {

class MemoryNetwork {
 public:
  explicit MemoryNetwork(Executor& executor);
  MemoryNetwork(const MemoryNetwork&) = delete;
  MemoryNetwork& operator=(const MemoryNetwork&) = delete;
  ~MemoryNetwork();

  // All transports of a network reach the same addresses.
  [[nodiscard]] std::unique_ptr<Transport> transport();

  // Connections to this listening address break now (both sides: unavailable); what was sent and not delivered is lost.
  // How many there were.
  std::size_t cut(const Address& address);
  // Connecting fails from now on, or no longer. Connections that exist go on.
  void deny(const Address& address, bool denied = true);
  // Nothing arrives on connections to this address, and connecting takes until its time is over; or no longer.
  void freeze(const Address& address, bool frozen = true);
  // Frames travel this long. Default: zero (delivered by a post).
  void set_delay(Duration delay);

  [[nodiscard]] std::size_t open_connections() const;

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace zef::net::testing
