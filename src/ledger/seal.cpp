// Why this is safe. The victim acknowledges slot j only when 0..j are in the store (WorkerLog::slot_is_in_store). The
// head leaves Active, by seal_worker's compare-and-set, before the first probe (a LIST is one), so `trim` is frozen and
// no slot that a probe has seen can vanish. find_seal puts a SEAL only at a slot below which it has seen every slot
// taken, and a SEAL is never deleted: the victim's own put_if_absent at k finds it and fences
// (WorkerLog::settle_exists), so slot k is never confirmed, nor any after it.
#include "ledger/seal.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "base/mutant.h"
#include "ledger/objects.h"
#include "ledger/read_ahead.h"

namespace zef::ledger {
namespace {

constexpr std::size_t probes_in_flight = 16;
constexpr std::size_t keys_listed = 100'000;  // at a time: some providers read all from the first one on each time

// The first slot from `from` on that the store does not list, or not in its turn. Some thousand keys cost one request.
Task<Slot> end_of_listing(store::ObjectStore& store, WorkerId victim, Slot from) {
  const std::string prefix = folder_of(slot_key(victim, 0));
  for (Slot slot = from;;) {
    const auto keys = co_await store.list(prefix, slot == 0 ? "" : slot_key(victim, slot - 1), keys_listed);
    if (!keys) co_return slot;
    for (const std::string& key : *keys) {
      if (key != slot_key(victim, slot)) co_return slot;
      ++slot;
    }
    if (keys->size() < keys_listed) co_return slot;
  }
}

// Skips the slots that are taken by segments: by the listing those that can be no SEAL, as its worker went far beyond
// them and so found none there; then by reading many headers at a time. Only a saving: what it is not sure of it leaves
// to find_seal.
Task<Slot> skip_segments(Executor& executor, store::ObjectStore& store, WorkerId victim, Slot from) {
  const Slot listed = co_await end_of_listing(store, victim, from);
  from = std::max(from, listed - std::min<Slot>(listed, 2 * slots_in_flight_max));
  ReadAhead headers(
      executor, store, [victim](Slot slot) { return slot_key(victim, slot); }, from, std::numeric_limits<Slot>::max(),
      probes_in_flight, store::Range{0, slot_header_size});
  for (Slot slot = from;; ++slot) {
    const auto got = co_await headers.next();
    if (!got || !*got) co_return slot;
    const auto seal = is_seal((*got)->bytes);
    if (!seal || *seal) co_return slot;
  }
}

// Slot `free` is not taken. If one so far behind it is that its worker must have seen `free` in the store, the store
// has lost an object, and with it votes that clients have seen: nobody may go on from there.
Task<Result<void>> check_nothing_is_lost(Sealer sealer, WorkerId victim, Slot free) {
  const std::string prefix = folder_of(slot_key(victim, 0));
  Patience patience(sealer.executor);
  for (;;) {
    auto behind = co_await sealer.store.list(prefix, slot_key(victim, free + slots_in_flight_max - 1), 1);
    if (behind && behind->empty()) co_return Result<void>{};
    Error trouble;
    if (behind) {  // unless its worker lives after all, and has written both since `free` was looked for
      const auto now = co_await sealer.store.get(slot_key(victim, free));
      if (now && *now) co_return Result<void>{};
      if (now)
        co_return fail(ErrorKind::corrupt,
                       fmt::format("{} is missing although {} exists: the store has lost a part of the log. "
                                   "Restore that object, then start again",
                                   slot_key(victim, free), behind->front()));
      trouble = store_error(prefix, now.error()).error();
    } else {
      trouble = store_error(prefix, std::move(behind.error())).error();
    }
    if (!co_await patience.again(trouble.kind)) co_return std::unexpected(std::move(trouble));
  }
}

// The first slot that holds anyone's SEAL, or is free and gets ours.
Task<Result<Slot>> find_seal(Sealer sealer, WorkerId victim, Slot from) {
  Slot slot = from;
  if (sealer.executor != nullptr) slot = co_await skip_segments(*sealer.executor, sealer.store, victim, from);
  if (mutant("takeover_without_seal")) co_return slot;
  Patience patience(sealer.executor);
  std::optional<Slot> checked;
  for (;;) {
    const std::string key = slot_key(victim, slot);
    if (checked != slot) {
      if (auto whole = co_await check_nothing_is_lost(sealer, victim, slot); !whole)
        co_return std::unexpected(std::move(whole.error()));
      checked = slot;
    }
    // A SEAL of this rescuer at this slot has always the same bytes, so sending it again is harmless.
    auto put = co_await sealer.store.put_if_absent(key, store::content(encode_seal({victim, sealer.rescuer, slot})));
    if (put && std::holds_alternative<store::Created>(*put)) co_return slot;
    if (put) {
      auto found = co_await sealer.store.get(key);
      if (found && *found) {
        const auto decoded = decode_slot_of(victim, slot, (*found)->bytes);
        if (!decoded) co_return std::unexpected(decoded.error());
        const auto* seal = std::get_if<Seal>(&*decoded);
        const bool passes = mutant("pass_foreign_seal") && seal && seal->rescuer != sealer.rescuer;
        if (seal && !passes) co_return slot;
        ++slot;
        continue;
      }
      if (!found) put = std::unexpected(std::move(found.error()));
    }
    Error trouble{ErrorKind::unavailable, key + ": exists, but cannot be read"};
    if (!put) trouble = store_error(key, std::move(put.error())).error();
    if (!co_await patience.again(trouble.kind)) co_return std::unexpected(std::move(trouble));
  }
}

// One step of the head: writes its next state. What came of it is told by reading the head again.
Task<Result<void>> advance_head(Sealer sealer, Versioned<WorkerHead> head,
                                std::variant<Active, Sealing, Sealed> state) {
  head.value.state = state;
  head.value.nonce = random_id<decltype(head.value.nonce)>(sealer.rng);
  const std::string key = head_key(head.value.worker);
  auto put = co_await sealer.store.put_if_match(key, store::content(codec::encode(head.value)), std::move(head.tag));
  if (!put) co_return store_error(key, std::move(put.error()));
  co_return Result<void>{};
}

}  // namespace

Task<Result<Slot>> seal_worker(Sealer sealer, WorkerId victim, Slot known) {
  Patience patience(sealer.executor);
  for (;;) {
    Result<void> step;
    auto head = co_await read_head(sealer.store, victim);
    if (!head) {
      step = std::unexpected(std::move(head.error()));
    } else if (const auto* sealed = std::get_if<Sealed>(&head->value.state)) {
      co_return sealed->at;
    } else if (mutant("rescue_without_seal") && sealer.executor != nullptr) {
      co_return co_await skip_segments(*sealer.executor, sealer.store, victim, head->value.trim);
    } else if (std::holds_alternative<Active>(head->value.state)) {
      step = co_await advance_head(sealer, std::move(*head), Sealing{});
    } else {
      const auto slot = co_await find_seal(sealer, victim, std::max(head->value.trim, known));
      if (!slot) co_return slot;
      step = co_await advance_head(sealer, std::move(*head), Sealed{*slot});
    }
    if (!step && !co_await patience.again(step.error().kind)) co_return std::unexpected(std::move(step.error()));
  }
}

}  // namespace zef::ledger
