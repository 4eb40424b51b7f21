#include "model/fencing_model.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "model/named_rules.h"

namespace zef::model::fencing {
namespace {

constexpr std::pair<Rule, std::string_view> names[] = {
    {Rule::as_written, "as_written"},
    {Rule::seal_deleted, "seal_deleted"},
    {Rule::probe_before_head, "probe_before_head"},
    {Rule::ack_out_of_order, "ack_out_of_order"},
    {Rule::slot_rebatched, "slot_rebatched"},
    {Rule::passes_seal, "passes_seal"},
    {Rule::trim_without_head, "trim_without_head"},
    {Rule::delete_covered, "delete_covered"},
    {Rule::resume_same_epoch, "resume_same_epoch"},
    {Rule::handoff_past_gap, "handoff_past_gap"},
    {Rule::owner_without_cas, "owner_without_cas"},
    {Rule::reused_id, "reused_id"},
    {Rule::replay_ignores_epochs, "replay_ignores_epochs"},
    {Rule::cas_judged_by_object, "cas_judged_by_object"},
};

Slot& slot_of(State& state, int place) { return state.slots[static_cast<std::size_t>(place)]; }
const Slot& slot_of(const State& state, int place) { return state.slots[static_cast<std::size_t>(place)]; }
Rescuer& rescuer_of(State& state, int who) { return state.rescuers[static_cast<std::size_t>(who - 1)]; }
const Rescuer& rescuer_of(const State& state, int who) { return state.rescuers[static_cast<std::size_t>(who - 1)]; }

bool is_seal(Holds holds) { return holds == Holds::seal_1 || holds == Holds::seal_2; }
Holds seal_of(int who) { return who == 1 ? Holds::seal_1 : Holds::seal_2; }

// The slots that the victim knows to be in the store, with all before them.
int confirmed_prefix(const State& state) {
  int prefix = 0;
  while (slot_of(state, prefix).confirmed) ++prefix;
  return prefix;
}
int next_slot(const State& state) {
  int next = 0;
  while (slot_of(state, next).sent != Sent::nothing) ++next;
  return next;
}
std::optional<int> handoff_sent(const State& state) {
  for (int place = 0; place < slots_max; ++place)
    if (slot_of(state, place).sent == Sent::handoff) return place;
  return std::nullopt;
}

// The new owner of the entry, and the end of what it takes from the victim's log.
void change_owner(State& state, int owner, int to) {
  const int closed = state.owner == victim ? state.epoch : 0;
  state.lineage_to[static_cast<std::size_t>(closed)] = to;
  state.owner = owner;
  state.epoch = closed + 1;
  state.adopted = false;
}

}  // namespace

std::optional<Rule> rule_named(std::string_view name) { return find_rule(names, name); }
std::string_view name_of(Rule rule) { return find_name(names, rule); }
std::vector<Rule> all_rules() { return rules_in(names); }

Model::Model(Bounds bounds, Rule rule) : bounds_(bounds), rule_(rule) {
  ZEF_CHECK(bounds.slots >= 1 && bounds.slots <= slots_max && bounds.in_flight >= 1);
}

// ---- the victim ----

void Model::victim_sends(const State& state, const Found& found) const {
  const int next = next_slot(state);
  const int prefix = confirmed_prefix(state);
  const auto send = [&](Sent what) {
    State after = state;
    slot_of(after, next).sent = what;
    found(after, {Step::send, victim, next});
  };
  if (next < bounds_.slots && next < prefix + bounds_.in_flight) {
    const auto handoff = handoff_sent(state);
    if (state.cancelled) {
      send(Sent::record_1);
    } else if (handoff) {
      send(Sent::other_shards);  // frozen for the shard; the log goes on
      if (rule_ == Rule::resume_same_epoch && prefix > *handoff) send(Sent::record_0);
    } else {
      send(Sent::record_0);
      if (bounds_.moves) send(Sent::handoff);
    }
  }
  for (int place = 0; place < bounds_.slots; ++place) {
    const Slot& slot = slot_of(state, place);
    if (slot.sent == Sent::nothing || slot.sent == Sent::not_ours) continue;
    State after = state;
    Slot& changed = slot_of(after, place);
    if (slot.holds == Holds::empty) {
      changed.created = true;
      changed.holds = Holds::segment;
      found(after, {Step::arrive, victim, place});
      if (slot.sent_again) {
        changed.holds = Holds::other_segment;
        found(after, {Step::arrive_other, victim, place});
      }
    }
    after = state;
    if (!slot.confirmed && (slot.created || slot.has_segment())) {
      changed.confirmed = true;
      found(after, {Step::confirm, victim, place});
    } else if (rule_ == Rule::slot_rebatched && !slot.confirmed && !slot.sent_again) {
      changed.sent_again = true;
      found(after, {Step::send_again, victim, place});
    }
  }
}

// Checkpoints, trimming, a move that is cancelled, a restart.
void Model::victim_tidies(const State& state, const Found& found) const {
  const int prefix = confirmed_prefix(state);
  State after = state;
  for (int covered = state.checkpoint + 1; state.owner == victim && covered <= prefix; ++covered) {
    after.checkpoint = covered;
    found(after, {Step::checkpoint, victim, covered});
  }
  after = state;
  if (state.head == Head::active && state.trim < state.checkpoint) {
    after.trim = state.checkpoint;
    found(after, {Step::trim, victim, after.trim});
  }
  const int deleted_below = rule_ == Rule::trim_without_head ? state.checkpoint : state.trim;
  for (int place = 0; place < deleted_below; ++place) {
    if (slot_of(state, place).holds == Holds::empty) continue;
    after = state;
    slot_of(after, place).holds = Holds::empty;
    found(after, {Step::remove, victim, place});
  }
  const auto handoff = handoff_sent(state);
  const bool unchanged = (state.owner == victim && state.epoch == 0) || rule_ == Rule::owner_without_cas;
  if (handoff && prefix > *handoff && unchanged && !state.cancelled) {
    after = state;
    after.cancelled = true;
    after.owner = victim;
    after.epoch = 1;
    after.lineage_to[0] = *handoff + 1;
    found(after, {Step::cancel, victim, *handoff});
  }
  if (rule_ == Rule::reused_id && state.head != Head::active && state.owner == victim && !state.restarted) {
    after = state;
    after.restarted = true;
    after.head = Head::active;
    int end = bounds_.slots + 1;
    while (end > 0 && slot_of(state, end - 1).holds == Holds::empty) --end;
    for (int place = 0; place < end; ++place) {
      Slot& slot = slot_of(after, place);
      if (!slot.has_segment()) slot.sent = Sent::not_ours;
      slot.confirmed = true;
    }
    found(after, {Step::restart, victim, end});
  }
}

// ---- rescuers ----

void Model::rescuer_seals(const State& state, int who, const Found& found) const {
  const Rescuer& rescuer = rescuer_of(state, who);
  State after = state;
  Rescuer& changed = rescuer_of(after, who);
  if (rescuer.phase == Phase::idle && state.head != Head::sealed) {
    if (rule_ != Rule::probe_before_head) after.head = Head::sealing;
    changed = {Phase::probing, state.trim, rescuer.served};
    found(after, {Step::start, who, state.trim});
  }
  if (rescuer.phase == Phase::idle) return;
  // The SEALs that it has sent, from the trim on that it read, arrive whenever they like. A head that is not Active
  // keeps its trim.
  const int first = rule_ == Rule::probe_before_head ? 0 : state.trim;
  for (int place = first; place <= rescuer.at; ++place) {
    if (slot_of(state, place).holds != Holds::empty) continue;
    after = state;
    slot_of(after, place).holds = seal_of(who);
    found(after, {Step::put_seal, who, place});
  }
  const Slot& here = slot_of(state, rescuer.at);
  after = state;
  if (rescuer.phase == Phase::probing && here.holds != Holds::empty) {
    const bool passes = rule_ == Rule::passes_seal && here.holds != seal_of(who);
    if (is_seal(here.holds) && !passes) {
      changed.phase = Phase::found;
      found(after, {Step::look, who, rescuer.at});
    } else if (rescuer.at <= bounds_.slots) {
      ++changed.at;
      found(after, {Step::look, who, rescuer.at});
    }
  }
  const bool may_seal = state.head == Head::sealing || (rule_ == Rule::probe_before_head && state.head == Head::active);
  if (rescuer.phase == Phase::found && may_seal) {
    after = state;
    after.head = Head::sealed;
    after.sealed_at = rescuer.at;
    found(after, {Step::seal_head, who, rescuer.at});
  }
}

// The slot of the HANDOFF, if the mover has read it and every slot before it, none of them a SEAL.
std::optional<int> Model::handoff_read(const State& state) const {
  const auto handoff = handoff_sent(state);
  if (!handoff || !slot_of(state, *handoff).has_segment()) return std::nullopt;
  for (int place = state.checkpoint; place < *handoff; ++place)
    if (!slot_of(state, place).has_segment() && rule_ != Rule::handoff_past_gap) return std::nullopt;
  return handoff;
}

void Model::owner_changes(const State& state, int who, const Found& found) const {
  const bool careless = rule_ == Rule::owner_without_cas && state.owner != who;
  if (state.head == Head::sealed && (state.owner == victim || careless)) {
    State after = state;
    change_owner(after, who, state.sealed_at);
    found(after, {Step::take, who, state.sealed_at});
  }
  const auto handoff = bounds_.moves && who == others ? handoff_read(state) : std::nullopt;
  if (handoff && ((state.owner == victim && state.epoch == 0) || careless)) {
    State after = state;
    change_owner(after, who, *handoff + 1);
    found(after, {Step::take_over_handoff, who, *handoff});
  }
}

void Model::owner_serves(const State& state, int who, const Found& found) const {
  const Rescuer& rescuer = rescuer_of(state, who);
  const bool believes = rule_ == Rule::cas_judged_by_object && rescuer.phase == Phase::found &&
                        state.head == Head::sealed && state.owner != victim && state.owner != who;
  if (rescuer.served == 0 && (state.owner == who || believes)) {
    State after = state;
    rescuer_of(after, who).served = state.epoch;
    if (state.owner == who) {
      after.adopted = true;
      for (Slot& slot : after.slots) slot.read = slot.has_segment() ? slot.holds : Holds::empty;
    }
    found(after, {Step::adopt, who, 0});
  }
  if (state.owner == who && state.adopted && !state.dropped) {
    State after = state;
    after.dropped = true;
    found(after, {Step::drop, who, 0});
  }
}

void Model::for_each_step(const State& state, const Found& found) const {
  victim_sends(state, found);
  victim_tidies(state, found);
  for (int who = 1; who <= others; ++who) {
    rescuer_seals(state, who, found);
    owner_changes(state, who, found);
    owner_serves(state, who, found);
  }
  // Anybody collects the garbage of a sealed log.
  const bool may_collect = state.dropped || (rule_ == Rule::delete_covered && state.owner != victim);
  if (!may_collect || state.head != Head::sealed) return;
  for (int place = 0; place < state.sealed_at + (rule_ == Rule::seal_deleted ? 1 : 0); ++place) {
    if (slot_of(state, place).holds == Holds::empty) continue;
    State after = state;
    slot_of(after, place).holds = Holds::empty;
    found(after, {Step::collect, state.owner, place});
  }
}

// ---- the properties ----

// An answer leaves as soon as it may: the longer it waits, the less can go wrong.
bool Model::acknowledged(const State& state, int place) const {
  const Slot& slot = slot_of(state, place);
  if (slot.sent != Sent::record_0 && slot.sent != Sent::record_1) return false;
  return rule_ == Rule::ack_out_of_order ? slot.confirmed : place < confirmed_prefix(state);
}

// What the replay of a new owner would stumble over.
std::optional<std::string> Model::replay_problem(const State& state) const {
  std::array<int, slots_max + 2> applied{};
  for (int epoch = 0; epoch < 2; ++epoch) {
    const int to = state.lineage_to[static_cast<std::size_t>(epoch)];
    for (int place = state.checkpoint; to != open && place < to; ++place) {
      const Slot& slot = slot_of(state, place);
      if (slot.read == Holds::empty)
        return "the new owner finds no segment in slot " + std::to_string(place) + ", which the lineage covers";
      const bool of_epoch = slot.sent == (epoch == 0 ? Sent::record_0 : Sent::record_1);
      const bool of_shard = slot.sent == Sent::record_0 || slot.sent == Sent::record_1;
      if (of_epoch || (of_shard && rule_ == Rule::replay_ignores_epochs)) ++applied[static_cast<std::size_t>(place)];
      if (applied[static_cast<std::size_t>(place)] > 1)
        return "the new owner applies the record of slot " + std::to_string(place) + " twice";
    }
  }
  return std::nullopt;
}

std::optional<std::string> Model::problem(const State& state, std::optional<Step> last) const {
  if (last && last->kind == Step::adopt && last->who == state.owner)
    if (auto replay = replay_problem(state)) return replay;
  for (int place = state.checkpoint; place < bounds_.slots; ++place) {
    if (!acknowledged(state, place)) continue;
    const Slot& slot = slot_of(state, place);
    const int to = state.lineage_to[slot.sent == Sent::record_0 ? 0 : 1];
    if (to == open) continue;
    if (place >= to)
      return "slot " + std::to_string(place) + " is acknowledged, but the lineage ends before " + std::to_string(to);
    const Holds promised = slot.sent_again ? Holds::other_segment : Holds::segment;
    if (state.adopted && slot.read != promised)
      return "slot " + std::to_string(place) + " is acknowledged, but the new owner has read something else";
  }
  const int first = state.rescuers[0].served;
  const int second = state.rescuers[1].served;
  if (first != 0 && first == second) return "two owners serve at epoch " + std::to_string(first);
  if (state.cancelled && (first == 1 || second == 1)) return "two owners serve at epoch 1";
  return std::nullopt;
}

}  // namespace zef::model::fencing
