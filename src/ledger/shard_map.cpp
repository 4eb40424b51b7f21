#include "ledger/shard_map.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/parallel.h"
#include "ledger/objects.h"

namespace zef::ledger {
namespace {

Error foreign_store(const StoreIdentity& found, const StoreIdentity& expected) {
  return {
      ErrorKind::refused,
      fmt::format("this store belongs to validator {} of network {}, not to validator {} of network {}: use another "
                  "store, or the genesis that this one was made with",
                  found.validator.value(), found.network.hex(), expected.validator.value(), expected.network.hex())};
}

std::unexpected<Error> not_initialised() {
  return fail(ErrorKind::refused,
              "this store was not initialised for any network: prepare it with 'zef store init', or use another store");
}

Result<void> compare_identity(ByteView bytes, const StoreIdentity& expected) {
  const auto found = decode_object<StoreIdentity>(network_key(), bytes);
  if (!found) return std::unexpected(found.error());
  if (*found != expected) return std::unexpected(foreign_store(*found, expected));
  return {};
}

constexpr std::size_t reads_in_flight = 16;
constexpr std::size_t group_size = protocol::shard_count / group_count;

ShardGroup first_group(std::size_t group, const std::vector<std::string>& names, Rng& rng) {
  ShardGroup out;
  out.group = static_cast<std::uint32_t>(group);
  out.nonce = random_id<decltype(out.nonce)>(rng);
  for (std::size_t i = 0; i < group_size; ++i) {
    const std::size_t shard = group * group_size + i;
    ShardEntry entry;
    entry.assigned_to = names[shard * names.size() / protocol::shard_count];
    out.entries.push_back(std::move(entry));
  }
  return out;
}

}  // namespace

Task<Result<void>> check_identity(store::ObjectStore& store, const StoreIdentity& identity) {
  const StoreIdentity expected = identity;
  auto got = co_await store.get(network_key());
  if (!got) co_return store_error(network_key(), std::move(got.error()));
  if (!*got) co_return not_initialised();
  co_return compare_identity((*got)->bytes, expected);
}

Task<Result<void>> check_initialised(store::ObjectStore& store) {
  auto got = co_await store.get(network_key());
  if (!got) co_return store_error(network_key(), std::move(got.error()));
  if (!*got) co_return not_initialised();
  co_return Result<void>{};
}

// The identity first: a store that carries it may be completed by anyone of the same network, and by nobody else.
Task<Result<void>> initialise_store(store::ObjectStore& store, Rng& rng, const StoreIdentity& identity,
                                    std::vector<std::string> worker_names) {
  const StoreIdentity expected = identity;
  if (worker_names.empty() || worker_names.size() > protocol::shard_count)
    co_return fail(ErrorKind::invalid_input, fmt::format("{} workers; 1 to 1024 are possible", worker_names.size()));
  auto made = co_await store.put_if_absent(network_key(), store::content(codec::encode(expected)));
  if (!made) co_return store_error(network_key(), std::move(made.error()));
  // Created or not: what is there now decides, and a second call finds the same.
  if (auto checked = co_await check_identity(store, expected); !checked) co_return checked;
  for (std::size_t group = 0; group < group_count; ++group) {
    const auto put = co_await store.put_if_absent(group_key(group),
                                                  store::content(codec::encode(first_group(group, worker_names, rng))));
    if (!put) co_return store_error(group_key(group), put.error());
    if (std::holds_alternative<store::Created>(*put)) continue;
    if (auto there = co_await read_group(store, group); !there) co_return std::unexpected(std::move(there.error()));
  }
  co_return Result<void>{};
}

namespace {

using MaybeGroup = Result<std::optional<Versioned<ShardGroup>>>;

Task<void> read_one_group(store::ObjectStore& store, std::size_t group, store::Tag known, MaybeGroup& out) {
  out = co_await read_group_unless(store, group, std::move(known));
}
Task<void> read_one_head(store::ObjectStore& store, WorkerId worker, Result<WorkerHead>& out) {
  auto head = co_await read_head(store, worker);
  if (head)
    out = std::move(head->value);
  else
    out = std::unexpected(std::move(head.error()));
}

}  // namespace

std::vector<WorkerId> MapReader::owners_with(const std::vector<Versioned<ShardGroup>>& changed) const {
  std::vector<const ShardEntry*> entries;
  for (const ShardEntry& entry : snapshot_.entries) entries.push_back(&entry);
  entries.resize(protocol::shard_count);
  for (const Versioned<ShardGroup>& group : changed)
    for (std::size_t i = 0; i < group_size; ++i) entries[group.value.group * group_size + i] = &group.value.entries[i];
  std::set<WorkerId> owners;
  const WorkerId* last = nullptr;  // neighbours mostly have one owner
  for (const ShardEntry* entry : entries) {
    if (entry->owner != WorkerId{} && (last == nullptr || *last != entry->owner)) owners.insert(entry->owner);
    last = &entry->owner;
  }
  return {owners.begin(), owners.end()};
}

Task<Result<bool>> MapReader::read() {
  std::vector<MaybeGroup> groups(group_count);
  co_await in_parallel(executor_, group_count, reads_in_flight,
                       [&](std::size_t group) { return read_one_group(store_, group, tags_[group], groups[group]); });
  std::vector<Versioned<ShardGroup>> changed;
  for (MaybeGroup& group : groups) {
    if (!group) co_return std::unexpected(std::move(group.error()));
    if (*group) changed.push_back(std::move(**group));
  }
  const std::vector<WorkerId> owners = owners_with(changed);
  std::vector<Result<WorkerHead>> heads(owners.size());
  co_await in_parallel(executor_, owners.size(), reads_in_flight,
                       [&](std::size_t i) { return read_one_head(store_, owners[i], heads[i]); });
  std::vector<WorkerHead> workers;
  for (auto& head : heads) {
    if (!head) co_return std::unexpected(std::move(head.error()));
    workers.push_back(std::move(*head));
  }
  if (changed.empty() && workers == snapshot_.workers) co_return false;
  snapshot_.workers = std::move(workers);
  snapshot_.entries.resize(protocol::shard_count);
  for (Versioned<ShardGroup>& group : changed) {
    std::ranges::move(group.value.entries,
                      snapshot_.entries.begin() + static_cast<std::ptrdiff_t>(group.value.group * group_size));
    tags_[group.value.group] = std::move(group.tag);
  }
  co_return true;
}

Task<Result<MapSnapshot>> read_map(Executor& executor, store::ObjectStore& store) {
  MapReader reader(executor, store);
  auto read = co_await reader.read();
  if (!read) co_return std::unexpected(std::move(read.error()));
  co_return std::move(reader).take();
}

}  // namespace zef::ledger
