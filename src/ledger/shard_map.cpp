#include "ledger/shard_map.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <utility>

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

ShardGroup first_group(std::size_t group, const std::vector<std::string>& names, Rng& rng) {
  constexpr std::size_t group_size = protocol::shard_count / group_count;
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

Task<Result<bool>> MapReader::read() {
  constexpr std::size_t group_size = protocol::shard_count / group_count;
  std::vector<Versioned<ShardGroup>> changed;
  std::vector<const ShardEntry*> entries(protocol::shard_count);
  for (std::size_t group = 0; group < group_count; ++group) {
    auto got = co_await read_group_unless(store_, group, tags_[group]);
    if (!got) co_return std::unexpected(std::move(got.error()));
    if (*got) changed.push_back(std::move(**got));
    const ShardEntry* first = *got ? changed.back().value.entries.data() : &snapshot_.entries[group * group_size];
    for (std::size_t i = 0; i < group_size; ++i) entries[group * group_size + i] = first + i;
  }
  std::set<WorkerId> owners;
  const WorkerId* last = nullptr;
  for (const ShardEntry* entry : entries) {
    if (entry->owner != WorkerId{} && (last == nullptr || *last != entry->owner)) owners.insert(entry->owner);
    last = &entry->owner;
  }
  std::vector<WorkerHead> workers;
  for (const WorkerId& owner : owners) {
    auto head = co_await read_head(store_, owner);
    if (!head) co_return std::unexpected(std::move(head.error()));
    workers.push_back(std::move(head->value));
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

Task<Result<MapSnapshot>> read_map(store::ObjectStore& store) {
  MapReader reader(store);
  auto read = co_await reader.read();
  if (!read) co_return std::unexpected(std::move(read.error()));
  co_return std::move(reader).take();
}

}  // namespace zef::ledger
