// The shards that this worker owns, by shard id.
#pragma once

#include <algorithm>
#include <array>
#include <memory>

#include "shard/shard.h"
#include "worker/history.h"

namespace zef::worker {

struct OwnedShard {
  shard::Shard shard;
  std::uint64_t epoch = 0;  // of the shard map: stands in every record
  History history;          // where its records stand; it comes and goes with the shard
  std::uint64_t work = 0;   // messages handled
};

class ShardTable {
 public:
  [[nodiscard]] OwnedShard* find(protocol::ShardId id) { return shards_[id.value()].get(); }
  [[nodiscard]] const OwnedShard* find(protocol::ShardId id) const { return shards_[id.value()].get(); }
  OwnedShard& add(protocol::ShardId id, OwnedShard owned) {
    shards_[id.value()] = std::make_unique<OwnedShard>(std::move(owned));
    return *shards_[id.value()];
  }
  // Takes a shard out: from now on this worker answers Moved for it.
  [[nodiscard]] OwnedShard remove(protocol::ShardId id) {
    ZEF_CHECK(shards_[id.value()]);
    OwnedShard out = std::move(*shards_[id.value()]);
    shards_[id.value()].reset();
    return out;
  }
  [[nodiscard]] std::size_t size() const {
    return static_cast<std::size_t>(std::ranges::count_if(shards_, [](const auto& shard) { return shard != nullptr; }));
  }
  template <class Visitor>
  void for_each(Visitor visit) {
    for (std::size_t i = 0; i < shards_.size(); ++i)
      if (shards_[i]) visit(protocol::ShardId(static_cast<std::uint16_t>(i)), *shards_[i]);
  }
  template <class Visitor>
  void for_each(Visitor visit) const {
    for (std::size_t i = 0; i < shards_.size(); ++i)
      if (shards_[i]) visit(protocol::ShardId(static_cast<std::uint16_t>(i)), std::as_const(*shards_[i]));
  }

 private:
  std::array<std::unique_ptr<OwnedShard>, protocol::shard_count> shards_;
};

}  // namespace zef::worker
