#include "ledger/read_ahead.h"

#include <utility>

#include "base/check.h"

namespace zef::ledger {

ReadAhead::ReadAhead(Executor& executor, store::ObjectStore& store, std::function<std::string(std::uint64_t)> key_of,
                     std::uint64_t from, std::uint64_t end, std::size_t depth, std::optional<store::Range> range)
    : store_(store),
      key_of_(std::move(key_of)),
      next_(from),
      end_(end),
      depth_(depth),
      range_(range),
      arrived_(executor) {
  ZEF_CHECK(depth > 0);
}

void ReadAhead::fill() {
  for (; next_ < end_ && gets_.size() < depth_; ++next_) {
    gets_.push_back(std::make_shared<Get>());
    scope_.spawn(fetch(store_, key_of_(next_), range_, gets_.back(), arrived_));
  }
}

Task<void> ReadAhead::fetch(store::ObjectStore& store, std::string key, std::optional<store::Range> range,
                            std::shared_ptr<Get> get, Event& arrived) {
  get->outcome.emplace(co_await store.get(std::move(key), range));
  arrived.set();  // resumes the reader through the executor, not inside this task
}

Task<ReadAhead::Outcome> ReadAhead::next() {
  fill();
  ZEF_CHECK(!gets_.empty());
  while (!gets_.front()->outcome) {
    arrived_.reset();
    co_await arrived_.wait();
  }
  Outcome outcome = std::move(*gets_.front()->outcome);
  gets_.pop_front();
  fill();
  co_return outcome;
}

}  // namespace zef::ledger
