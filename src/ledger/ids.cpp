#include "ledger/ids.h"

#include <fmt/core.h>

namespace zef::ledger {

std::string head_key(const WorkerId& worker) { return "workers/" + worker.hex() + "/head"; }

std::string slot_key(const WorkerId& worker, Slot slot) {
  return fmt::format("workers/{}/log/{:016x}", worker.hex(), slot);
}

std::string group_key(std::size_t group) { return fmt::format("shards/{:02}", group); }

std::string network_key() { return "network"; }

}  // namespace zef::ledger
