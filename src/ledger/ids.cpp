#include "ledger/ids.h"

#include <fmt/core.h>

namespace zef::ledger {

std::string head_key(const WorkerId& worker) { return "workers/" + worker.hex() + "/head"; }

std::string slot_key(const WorkerId& worker, Slot slot) {
  return fmt::format("workers/{}/log/{:016x}", worker.hex(), slot);
}

std::string folder_of(std::string_view key) { return std::string(key.substr(0, key.rfind('/') + 1)); }

std::string group_key(std::size_t group) { return fmt::format("shards/{:02}", group); }

std::string checkpoint_key(std::size_t group, const WorkerId& worker, std::uint32_t number) {
  return fmt::format("checkpoints/{:02}/{}-{:08x}", group, worker.hex(), number);
}

std::string archive_key(const WorkerId& worker, std::uint64_t block) {
  return fmt::format("archive/{}/{:016x}", worker.hex(), block);
}

std::string network_key() { return "network"; }

}  // namespace zef::ledger
