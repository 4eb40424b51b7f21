// Why a checkpoint loses nothing. It holds all records of earlier epochs (its owner has replayed them) and, of its own
// epoch, those before a position that is confirmed: what is cut from the lineage is in it, and what is behind it is in
// the lineage that stays. The map names it only after it is in the store, by compare-and-set of an entry that names its
// worker as the owner at that epoch: a worker that was replaced cannot change the entry of its successor, which read
// the lineage as it was.
#include "ledger/checkpoint.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"
#include "ledger/objects.h"
#include "ledger/read_ahead.h"

namespace zef::ledger {
namespace {

constexpr std::string_view magic("ZEFCKPT\0", 8);
constexpr std::uint16_t format_version = 1;
constexpr std::size_t reads_in_flight = 4;

struct HeaderPart {
  protocol::ShardId shard;
  std::uint64_t epoch = 0;
  LogPosition at;
  bool whole = false;
  Section state;
  Section history;
  static constexpr auto fields = codec::fields<&HeaderPart::shard, &HeaderPart::epoch, &HeaderPart::at,
                                               &HeaderPart::whole, &HeaderPart::state, &HeaderPart::history>;
};
struct Header {
  std::uint16_t version = format_version;
  std::uint32_t group = 0;
  CheckpointName name;
  std::vector<HeaderPart> parts;
  static constexpr auto fields = codec::fields<&Header::version, &Header::group, &Header::name, &Header::parts>;
};

}  // namespace

Bytes encode_checkpoint(std::size_t group, const CheckpointName& name, const std::vector<CheckpointPart>& parts) {
  Header header;
  header.group = static_cast<std::uint32_t>(group);
  header.name = name;
  std::size_t size = 0;
  for (const CheckpointPart& part : parts) {
    header.parts.push_back({part.shard, part.epoch, part.at, part.whole, part.state.section, part.history.section});
    size += part.state.bytes.size() + part.history.bytes.size();
  }
  Bytes out = packed_begin(magic, codec::encode(header));
  out.reserve(out.size() + size);
  for (const CheckpointPart& part : parts) {
    append(out, part.state.bytes);
    append(out, part.history.bytes);
  }
  return out;
}

Result<Checkpoint> Checkpoint::decode(std::size_t group, const CheckpointName& name, Bytes bytes) {
  Checkpoint result;
  result.key_ = checkpoint_key(group, name.worker, name.number);
  const auto opened = packed_open(magic, bytes);
  if (!opened) return corrupt_object(result.key_, opened.error().message);
  const auto header = codec::decode<Header>(opened->header);
  if (!header) return corrupt_object(result.key_, codec::to_string(header.error()));
  if (header->version != format_version)
    return corrupt_object(result.key_,
                          fmt::format("version {}, this program reads {}", header->version, format_version));
  if (header->group != group || header->name != name) return corrupt_object(result.key_, "another checkpoint");
  std::size_t at = bytes.size() - opened->sections.size();
  for (const HeaderPart& part : header->parts) {
    if (!result.places_.empty() && part.shard <= result.places_.back().shard)
      return corrupt_object(result.key_, "shards that do not ascend");
    if (group_of(part.shard) != group) return corrupt_object(result.key_, "a shard of another group");
    result.places_.push_back({part.shard, part.whole, part.state, part.history, at});
    at += std::size_t{part.state.length} + part.history.length;
  }
  if (at != bytes.size()) return corrupt_object(result.key_, "another length than its header says");
  result.bytes_ = std::move(bytes);
  return result;
}

Result<Checkpoint::Part> Checkpoint::part(protocol::ShardId shard) const {
  const auto place = std::ranges::find(places_, shard, &Place::shard);
  if (place == places_.end())
    return corrupt_object(key_, fmt::format("holds nothing of shard {}, although the map says so", shard.value()));
  const ByteView all(bytes_);
  auto state = unpack(place->state, all.subspan(place->begin, place->state.length));
  if (!state) return corrupt_object(key_, state.error().message);
  auto history = unpack(place->history, all.subspan(place->begin + place->state.length, place->history.length));
  if (!history) return corrupt_object(key_, history.error().message);
  return Part{place->whole, std::move(*state), std::move(*history)};
}

std::vector<protocol::ShardId> Checkpoint::shards() const {
  std::vector<protocol::ShardId> result;
  for (const Place& place : places_) result.push_back(place.shard);
  return result;
}

// Only this worker writes under its id, and each number once: whatever is there already are these bytes.
Task<Result<void>> put_checkpoint(Executor& executor, store::ObjectStore& store, std::size_t group, CheckpointName name,
                                  store::Content bytes) {
  const std::string key = checkpoint_key(group, name.worker, name.number);
  Patience patience(&executor);
  for (;;) {
    auto put = co_await store.put_if_absent(key, bytes);
    if (put) co_return Result<void>{};
    auto trouble = store_error(key, std::move(put.error()));
    if (!co_await patience.again(trouble.error().kind)) co_return trouble;
  }
}

namespace {

// For a mutant: a worker that does not own the shard any more names its checkpoint, as if it did.
bool publish_stale(ShardEntry& entry, const Publication& publication) {
  const ShardCheckpoint next{publication.epoch, publication.at.slot, publication.at.record, publication.objects};
  if (publication.objects.empty() || entry.owner == WorkerId{} || entry.checkpoint == next) return false;
  entry.checkpoint = next;
  entry.lineage = {LineageEntry(entry.lineage.back())};
  return true;
}

// Says in the entry what the publication says; whether the entry says so (also if it did before).
bool publish_in(ShardEntry& entry, const WorkerId& self, const Publication& publication, bool& changed, Rng& rng) {
  const bool stale = entry.owner != self || entry.epoch != publication.epoch;
  if (stale && mutant("stale_checkpoint")) changed |= publish_stale(entry, publication);
  if (stale) return false;
  LineageEntry& open = entry.lineage.back();
  ZEF_CHECK(open.worker == self && !open.to);  // decode_group has checked it
  LogPosition at = publication.at;
  if (at.slot < open.from) at = {open.from, 0};  // nothing of this epoch is before its lineage
  if (!publication.objects.empty()) {
    ShardCheckpoint next{publication.epoch, at.slot, at.record, publication.objects};
    if (entry.checkpoint == next) return true;
    if (entry.checkpoint && std::tuple(entry.checkpoint->epoch, entry.checkpoint->slot, entry.checkpoint->record) >
                                std::tuple(next.epoch, next.slot, next.record))
      return false;  // never lowered
    entry.checkpoint = std::move(next);
  } else if (entry.checkpoint) {
    return false;
  } else if (open.from == at.slot && entry.lineage.size() == 1) {
    return true;
  }
  entry.lineage = {LineageEntry{self, publication.epoch, at.slot, std::nullopt}};
  entry.nonce = random_id<decltype(entry.nonce)>(rng);
  changed = true;
  return true;
}

}  // namespace

Task<Result<std::vector<protocol::ShardId>>> publish_checkpoint(Executor& executor, store::ObjectStore& store, Rng& rng,
                                                                WorkerId self, std::size_t group,
                                                                std::vector<Publication> publications) {
  Patience patience(&executor);
  for (;;) {
    auto got = co_await read_group(store, group);
    if (got) {
      std::vector<protocol::ShardId> done;
      bool changed = false;
      for (const Publication& publication : publications) {
        ZEF_CHECK(group_of(publication.shard) == group);
        ShardEntry& entry = got->value.entries[publication.shard.value() % got->value.entries.size()];
        if (publish_in(entry, self, publication, changed, rng)) done.push_back(publication.shard);
      }
      if (!changed) co_return done;
      got->value.nonce = random_id<decltype(got->value.nonce)>(rng);
      auto put =
          co_await store.put_if_match(group_key(group), store::content(codec::encode(got->value)), std::move(got->tag));
      if (put && std::holds_alternative<store::Updated>(*put)) co_return done;
      // Mismatch: others have changed their entries, or ours. No answer: it may have happened. The entries tell.
      if (put) continue;
      got = store_error(group_key(group), std::move(put.error()));
    }
    if (!co_await patience.again(got.error().kind)) co_return std::unexpected(std::move(got.error()));
  }
}

Task<Result<void>> load_checkpoints(Executor& executor, store::ObjectStore& store,
                                    const std::vector<OwnedShard>& shards, LoadPart load) {
  // Group by group, and in it whatever any of its shards needs, so that each object is read once.
  std::vector<std::pair<std::size_t, CheckpointName>> names;
  std::map<std::size_t, std::vector<const OwnedShard*>> by_group;
  for (const OwnedShard& owned : shards)
    if (owned.entry.checkpoint) by_group[group_of(owned.shard)].push_back(&owned);
  for (const auto& [group, its] : by_group) {
    std::set<CheckpointName> distinct;
    for (const OwnedShard* owned : its)
      distinct.insert(owned->entry.checkpoint->objects.begin(), owned->entry.checkpoint->objects.end());
    for (const CheckpointName& name : distinct) names.emplace_back(group, name);
  }
  const auto key_of = [&names](std::uint64_t i) {
    const auto& [group, name] = names[static_cast<std::size_t>(i)];
    return checkpoint_key(group, name.worker, name.number);
  };
  ReadAhead objects(executor, store, key_of, 0, names.size(), reads_in_flight);
  std::map<CheckpointName, Checkpoint> read;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::size_t group = names[i].first;
    const CheckpointName name = names[i].second;
    const std::string key = key_of(i);
    auto got = co_await objects.next();
    for (Patience patience(&executor); !got; got = co_await store.get(key)) {
      auto trouble = store_error(key, got.error());
      if (!co_await patience.again(trouble.error().kind)) co_return trouble;
    }
    if (!*got) co_return corrupt_object(key, "missing, although the shard map names this checkpoint");
    auto decoded = Checkpoint::decode(group, name, std::move((*got)->bytes));
    if (!decoded) co_return std::unexpected(std::move(decoded.error()));
    read.emplace(name, std::move(*decoded));
    if (i + 1 < names.size() && names[i + 1].first == group) continue;
    for (const OwnedShard* owned : by_group.at(group)) {
      for (const CheckpointName& wanted : owned->entry.checkpoint->objects) {
        auto part = read.at(wanted).part(owned->shard);
        if (!part) co_return std::unexpected(std::move(part.error()));
        if (part->whole != (wanted == owned->entry.checkpoint->objects.front()))
          co_return corrupt_object(
              checkpoint_key(group, wanted.worker, wanted.number),
              fmt::format("shard {} does not follow the checkpoint before it", owned->shard.value()));
        if (auto loaded = load(owned->shard, std::move(*part)); !loaded)
          co_return fail(loaded.error().kind,
                         fmt::format("{}, shard {}: {}", checkpoint_key(group, wanted.worker, wanted.number),
                                     owned->shard.value(), loaded.error().message));
      }
    }
    read.clear();
  }
  co_return Result<void>{};
}

}  // namespace zef::ledger
