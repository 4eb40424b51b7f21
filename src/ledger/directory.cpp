#include "ledger/directory.h"

#include <map>

#include "base/log.h"

namespace zef::ledger {

Directory::Directory(Executor& executor, store::ObjectStore& store, Options options)
    : executor_(executor), options_(options), map_(executor, store), wanted_(executor) {}

void Directory::start() { scope_.spawn(run()); }

void Directory::refresh_soon() { wanted_.set(); }

Task<> Directory::run() {
  while (true) {
    wanted_.reset();
    const auto read = co_await map_.read();
    if (read && *read) adopt();
    if (!read) log::warning("ledger", "the shard map could not be read: {}", read.error().message);
    co_await sleep_for(executor_, options_.period_min);
    co_await wanted_.wait_for(read ? options_.period - options_.period_min : options_.period_min);
  }
}

void Directory::adopt() {
  const auto& [entries, workers] = snapshot();
  std::map<WorkerId, int> index;
  for (std::size_t i = 0; i < workers.size(); ++i)
    if (std::holds_alternative<Active>(workers[i].state)) index.emplace(workers[i].worker, static_cast<int>(i));
  worker_of_shard_.assign(entries.size(), -1);
  for (std::size_t shard = 0; shard < entries.size(); ++shard)
    if (const auto found = index.find(entries[shard].owner); found != index.end())
      worker_of_shard_[shard] = found->second;
  if (on_change_) on_change_();
}

const WorkerHead* Directory::owner_of(protocol::ShardId shard) const {
  if (shard.value() >= worker_of_shard_.size()) return nullptr;
  const int index = worker_of_shard_[shard.value()];
  return index < 0 ? nullptr : &snapshot().workers[static_cast<std::size_t>(index)];
}

const ShardEntry* Directory::entry_of(protocol::ShardId shard) const {
  return shard.value() < snapshot().entries.size() ? &snapshot().entries[shard.value()] : nullptr;
}

}  // namespace zef::ledger
