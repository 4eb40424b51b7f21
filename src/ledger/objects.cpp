#include "ledger/objects.h"

#include <algorithm>

namespace zef::ledger {
namespace {

constexpr std::size_t group_size = protocol::shard_count / group_count;
constexpr std::uint32_t head_version = 1;

std::string_view checkpoint_fault(const ShardEntry& entry, const ShardCheckpoint& checkpoint) {
  if (checkpoint.epoch == 0 || checkpoint.epoch > entry.epoch) return "a checkpoint of an epoch that never was";
  if (checkpoint.objects.empty() || checkpoint.objects.size() > checkpoint_objects_max)
    return "a checkpoint of too many objects, or none";
  if (!entry.lineage.empty()) {
    const LineageEntry& line = entry.lineage.front();
    if (line.epoch < checkpoint.epoch || (line.epoch == checkpoint.epoch && line.from < checkpoint.slot))
      return "lineage from before the checkpoint";
  }
  return {};
}

// What is wrong with an entry, or nothing.
std::string_view entry_fault(const ShardEntry& entry) {
  if (entry.checkpoint)
    if (const auto fault = checkpoint_fault(entry, *entry.checkpoint); !fault.empty()) return fault;
  std::uint64_t last_epoch = 0;
  for (std::size_t i = 0; i < entry.lineage.size(); ++i) {
    const LineageEntry& line = entry.lineage[i];
    if (line.epoch <= last_epoch || line.epoch > entry.epoch) return "lineage epochs do not ascend";
    last_epoch = line.epoch;
    if (!line.to) {
      if (i + 1 != entry.lineage.size()) return "an open lineage entry that is not the last";
      if (line.worker != entry.owner || line.epoch != entry.epoch) return "the open lineage entry is not the owner's";
    } else if (*line.to <= line.from) {
      return "a lineage entry of no slots";
    }
  }
  const bool open = !entry.lineage.empty() && !entry.lineage.back().to;
  if (open == (entry.owner == WorkerId{})) return "owner and open lineage entry do not fit";
  return {};
}

}  // namespace

Result<ShardGroup> decode_group(std::size_t group, ByteView bytes) {
  const std::string key = group_key(group);
  auto decoded = decode_object<ShardGroup>(key, bytes);
  if (!decoded) return decoded;
  if (decoded->version != map_version)
    return corrupt_object(key,
                          fmt::format("shard map of version {}, this program reads {}", decoded->version, map_version));
  if (decoded->group != group || decoded->entries.size() != group_size)
    return corrupt_object(key, "not this group of the shard map");
  for (std::size_t i = 0; i < group_size; ++i)
    if (const auto fault = entry_fault(decoded->entries[i]); !fault.empty())
      return corrupt_object(key, fmt::format("entry of shard {}: {}", group * group_size + i, fault));
  return decoded;
}

Task<Result<std::optional<Versioned<ShardGroup>>>> read_group_unless(store::ObjectStore& store, std::size_t group,
                                                                     store::Tag known) {
  auto got = co_await store.get(group_key(group));
  if (!got) co_return store_error(group_key(group), std::move(got.error()));
  if (!*got)
    co_return fail(ErrorKind::not_found,
                   fmt::format("{} is missing: this store was not initialised, or not completely", group_key(group)));
  if (!known.text.empty() && (*got)->tag == known) co_return std::nullopt;
  auto decoded = decode_group(group, (*got)->bytes);
  if (!decoded) co_return std::unexpected(std::move(decoded.error()));
  co_return Versioned<ShardGroup>{std::move(*decoded), std::move((*got)->tag)};
}

Task<Result<Versioned<ShardGroup>>> read_group(store::ObjectStore& store, std::size_t group) {
  auto got = co_await read_group_unless(store, group, {});
  if (!got) co_return std::unexpected(std::move(got.error()));
  co_return std::move(**got);
}

Result<WorkerHead> decode_head(const WorkerId& worker, ByteView bytes) {
  const std::string key = head_key(worker);
  auto decoded = decode_object<WorkerHead>(key, bytes);
  if (!decoded) return decoded;
  if (decoded->version != head_version)
    return corrupt_object(
        key, fmt::format("worker head of version {}, this program reads {}", decoded->version, head_version));
  if (decoded->worker != worker) return corrupt_object(key, "the head of another worker");
  return decoded;
}

Task<Result<Versioned<WorkerHead>>> read_head(store::ObjectStore& store, WorkerId worker) {
  auto got = co_await store.get(head_key(worker));
  if (!got) co_return store_error(head_key(worker), std::move(got.error()));
  if (!*got) co_return corrupt_object(head_key(worker), "missing, although the shard map names this worker");
  auto decoded = decode_head(worker, (*got)->bytes);
  if (!decoded) co_return std::unexpected(std::move(decoded.error()));
  co_return Versioned<WorkerHead>{std::move(*decoded), std::move((*got)->tag)};
}

Result<std::variant<Segment, Seal>> decode_slot_of(const WorkerId& worker, Slot slot, ByteView bytes) {
  auto decoded = decode_slot(bytes);
  if (!decoded) return corrupt_object(slot_key(worker, slot), decoded.error().message);
  const auto* seal = std::get_if<Seal>(&*decoded);
  const WorkerId& named_worker = seal ? seal->worker : std::get<Segment>(*decoded).header.worker;
  const Slot named_slot = seal ? seal->slot : std::get<Segment>(*decoded).header.slot;
  if (named_worker != worker || named_slot != slot)
    return corrupt_object(slot_key(worker, slot),
                          fmt::format("holds slot {} of worker {}", named_slot, named_worker.hex()));
  return decoded;
}

Task<bool> Patience::again(ErrorKind kind) {
  if (kind != ErrorKind::unavailable || executor_ == nullptr || ++tries_ > tries_max) co_return false;
  const Duration delay = std::chrono::milliseconds(20) * (1 << std::min(tries_, 7));
  co_await sleep_for(*executor_, delay);
  co_return true;
}

Task<Result<Versioned<ShardGroup>>> read_group_patiently(Executor* executor, store::ObjectStore& store,
                                                         std::size_t group) {
  Patience patience(executor);
  for (;;) {
    auto got = co_await read_group(store, group);
    if (got || !co_await patience.again(got.error().kind)) co_return got;
  }
}

Task<Result<WorkerHead>> read_head_patiently(Executor* executor, store::ObjectStore& store, WorkerId worker) {
  Patience patience(executor);
  for (;;) {
    auto head = co_await read_head(store, worker);
    if (head) co_return std::move(head->value);
    if (!co_await patience.again(head.error().kind)) co_return std::unexpected(std::move(head.error()));
  }
}

}  // namespace zef::ledger
