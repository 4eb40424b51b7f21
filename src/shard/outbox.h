// Effects on their way to other shards (and to this one: there is no shortcut), one queue for each destination.
// Effects carry consecutive indexes, from 0 for ever, and stay until the destination has durably applied them. Queues
// belong to the shard, not to accounts: a closed sender changes nothing about them.
//
// A proof is shared by all effects of all its requests and dropped with the last of them.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "shard/records.h"

namespace zef::shard {

struct WaitingEffect {
  std::variant<FeeTotal, CertifiedEffect> effect;  // CertifiedEffect::proof is 0: the sender of a batch fills it in
  std::shared_ptr<const Proof> proof;              // nullptr for a fee total
};

// One queue. A vector with a moving front: random access, no memory when idle.
class Outbox {
 public:
  [[nodiscard]] std::uint64_t first() const { return first_; }  // the oldest index not acknowledged
  [[nodiscard]] std::uint64_t end() const { return first_ + waiting(); }
  [[nodiscard]] std::size_t waiting() const { return items_.size() - front_; }
  [[nodiscard]] const WaitingEffect& at(std::uint64_t index) const;  // first() <= index < end()

  void push(WaitingEffect effect) { items_.push_back(std::move(effect)); }
  // Drops everything below up_to, which is in first()..end(); how many.
  std::size_t drop_below(std::uint64_t up_to);

  Outbox() = default;
  // As a checkpoint has it.
  Outbox(std::uint64_t first, std::vector<WaitingEffect> items) : first_(first), items_(std::move(items)) {}

 private:
  std::uint64_t first_ = 0;
  std::size_t front_ = 0;  // items_ before it are dropped
  std::vector<WaitingEffect> items_;
};

class Outboxes {
 public:
  void push(ShardId destination, WaitingEffect effect);
  void drop_below(ShardId destination, std::uint64_t up_to);
  // Puts a queue of a checkpoint in the place of what is there, and does not count it as changed.
  void restore(ShardId destination, Outbox box);
  // Queues pushed to or dropped from since the last call, ascending.
  std::vector<ShardId> take_changed();

  [[nodiscard]] const Outbox& to(ShardId destination) const;  // an empty one if nothing was ever sent there
  [[nodiscard]] std::uint64_t waiting() const { return waiting_; }
  [[nodiscard]] std::vector<ShardId> destinations() const;     // with something waiting, ascending
  [[nodiscard]] std::map<ShardId, const Outbox*> all() const;  // ever used, for digests

 private:
  using Destinations = std::array<std::uint64_t, shard_count / 64>;  // one bit a destination
  std::unordered_map<ShardId, Outbox> boxes_;
  Destinations busy_{};
  Destinations changed_{};
  std::uint64_t waiting_ = 0;
};

}  // namespace zef::shard
