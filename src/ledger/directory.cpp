#include "ledger/directory.h"

#include <map>

#include "base/log.h"

namespace zef::ledger {

Directory::Directory(Executor& executor, store::ObjectStore& store, Options options)
    : executor_(executor), store_(store), options_(options), wanted_(executor) {}

void Directory::start() { scope_.spawn(run()); }

void Directory::refresh_soon() { wanted_.set(); }

Task<> Directory::run() {
  while (true) {
    wanted_.reset();
    auto read = co_await read_map(executor_, store_);
    if (read)
      adopt(std::move(*read));
    else
      log::warning("ledger", "the shard map could not be read: {}", read.error().message);
    co_await sleep_for(executor_, options_.period_min);
    co_await wanted_.wait_for(read ? options_.period - options_.period_min : options_.period_min);
  }
}

void Directory::adopt(MapSnapshot snapshot) {
  if (snapshot.entries == snapshot_.entries && snapshot.workers == snapshot_.workers) return;
  snapshot_ = std::move(snapshot);
  std::map<WorkerId, int> index;
  for (std::size_t i = 0; i < snapshot_.workers.size(); ++i)
    if (std::holds_alternative<Active>(snapshot_.workers[i].state))
      index.emplace(snapshot_.workers[i].worker, static_cast<int>(i));
  worker_of_shard_.assign(snapshot_.entries.size(), -1);
  for (std::size_t shard = 0; shard < snapshot_.entries.size(); ++shard)
    if (const auto found = index.find(snapshot_.entries[shard].owner); found != index.end())
      worker_of_shard_[shard] = found->second;
  if (on_change_) on_change_();
}

const WorkerHead* Directory::owner_of(protocol::ShardId shard) const {
  if (shard.value() >= worker_of_shard_.size()) return nullptr;
  const int index = worker_of_shard_[shard.value()];
  return index < 0 ? nullptr : &snapshot_.workers[static_cast<std::size_t>(index)];
}

const ShardEntry* Directory::entry_of(protocol::ShardId shard) const {
  return shard.value() < snapshot_.entries.size() ? &snapshot_.entries[shard.value()] : nullptr;
}

}  // namespace zef::ledger
