// The shards that this worker owns, by shard id.
#pragma once

#include <array>
#include <memory>

#include "shard/shard.h"

namespace zef::worker {

struct OwnedShard {
  shard::Shard shard;
  std::uint64_t epoch = 0;  // of the shard map: stands in every record
};

class ShardTable {
 public:
  [[nodiscard]] OwnedShard* find(protocol::ShardId id) { return shards_[id.value()].get(); }
  [[nodiscard]] const OwnedShard* find(protocol::ShardId id) const { return shards_[id.value()].get(); }
  OwnedShard& add(protocol::ShardId id, OwnedShard owned) {
    shards_[id.value()] = std::make_unique<OwnedShard>(std::move(owned));
    return *shards_[id.value()];
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
