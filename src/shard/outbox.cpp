#include "shard/outbox.h"

#include <bit>
#include <utility>

namespace zef::shard {

namespace {

std::uint64_t bit_of(ShardId destination) { return std::uint64_t{1} << (destination.value() % 64); }

std::vector<ShardId> listed(const std::array<std::uint64_t, shard_count / 64>& destinations) {
  std::vector<ShardId> result;
  for (std::size_t word = 0; word < destinations.size(); ++word) {
    for (std::uint64_t bits = destinations[word]; bits != 0; bits &= bits - 1)
      result.emplace_back(static_cast<std::uint16_t>(word * 64 + static_cast<std::size_t>(std::countr_zero(bits))));
  }
  return result;
}

}  // namespace

const WaitingEffect& Outbox::at(std::uint64_t index) const {
  ZEF_CHECK(index >= first_ && index < end());
  return items_[front_ + static_cast<std::size_t>(index - first_)];
}

std::size_t Outbox::drop_below(std::uint64_t up_to) {
  ZEF_CHECK(up_to >= first_ && up_to <= end());
  const auto count = static_cast<std::size_t>(up_to - first_);
  for (std::size_t i = 0; i < count; ++i) items_[front_ + i] = {};  // lets the proofs go
  first_ = up_to;
  front_ += count;
  if (front_ == items_.size()) {
    constexpr std::size_t kept_capacity = 16;  // a quiet destination costs little, a busy one does not allocate again
    if (items_.capacity() > kept_capacity) {
      items_ = {};
    } else {
      items_.clear();
    }
    front_ = 0;
  } else if (front_ * 2 >= items_.size()) {  // each item is moved at most once for each time that it is passed
    items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(front_));
    front_ = 0;
  }
  return count;
}

void Outboxes::push(ShardId destination, WaitingEffect effect) {
  boxes_[destination].push(std::move(effect));
  busy_[destination.value() / 64] |= bit_of(destination);
  changed_[destination.value() / 64] |= bit_of(destination);
  ++waiting_;
}

void Outboxes::drop_below(ShardId destination, std::uint64_t up_to) {
  const auto found = boxes_.find(destination);
  ZEF_CHECK(found != boxes_.end());
  waiting_ -= found->second.drop_below(up_to);
  changed_[destination.value() / 64] |= bit_of(destination);
  if (found->second.waiting() == 0) busy_[destination.value() / 64] &= ~bit_of(destination);
}

void Outboxes::restore(ShardId destination, Outbox box) {
  Outbox& place = boxes_[destination];
  waiting_ = waiting_ - place.waiting() + box.waiting();
  place = std::move(box);
  if (place.waiting() > 0) {
    busy_[destination.value() / 64] |= bit_of(destination);
  } else {
    busy_[destination.value() / 64] &= ~bit_of(destination);
  }
}

std::vector<ShardId> Outboxes::take_changed() { return listed(std::exchange(changed_, {})); }

const Outbox& Outboxes::to(ShardId destination) const {
  static const Outbox empty;
  const auto found = boxes_.find(destination);
  return found == boxes_.end() ? empty : found->second;
}

std::vector<ShardId> Outboxes::destinations() const { return listed(busy_); }

std::map<ShardId, const Outbox*> Outboxes::all() const {
  std::map<ShardId, const Outbox*> result;
  for (const auto& [destination, box] : boxes_) result.emplace(destination, &box);
  return result;
}

}  // namespace zef::shard
