// The search of the fencing model: packing, breadth-first search, and the words of a counterexample.
#include "base/check.h"
#include "model/fencing_model.h"
#include "model/seen.h"

namespace zef::model::fencing {
namespace {

class Bits {
 public:
  explicit Bits(Packed bits = {}) : bits_(bits) {}
  void put(unsigned width, unsigned value) {
    ZEF_CHECK(value < (1U << width));
    if (used_ + width > 64) next_word();
    bits_[word_] |= static_cast<std::uint64_t>(value) << used_;
    used_ += width;
  }
  unsigned take(unsigned width) {
    if (used_ + width > 64) next_word();
    const auto value = static_cast<unsigned>(bits_[word_] >> used_ & ((1U << width) - 1));
    used_ += width;
    return value;
  }
  [[nodiscard]] const Packed& bits() const { return bits_; }

 private:
  void next_word() {
    ++word_;
    used_ = 0;
    ZEF_CHECK(word_ < bits_.size());
  }
  Packed bits_;
  std::size_t word_ = 0;
  unsigned used_ = 0;
};

// One list of fields for both directions: `field(width, value)` reads or writes the value.
template <class State, class Field>
void each_field(State& state, Field field) {
  for (auto& slot : state.slots) {
    field(3, slot.sent);
    field(1, slot.sent_again);
    field(3, slot.holds);
    field(1, slot.created);
    field(1, slot.confirmed);
    field(2, slot.read);
  }
  field(2, state.head);
  for (auto* number : {&state.sealed_at, &state.trim, &state.checkpoint, &state.lineage_to[0], &state.lineage_to[1]})
    field(3, *number);
  field(2, state.owner);
  field(2, state.epoch);
  for (auto* flag : {&state.dropped, &state.cancelled, &state.adopted, &state.restarted}) field(1, *flag);
  for (auto& rescuer : state.rescuers) {
    field(2, rescuer.phase);
    field(3, rescuer.at);
    field(2, rescuer.served);
  }
}

using SeenStates = Seen<Packed>;

std::string name_of_worker(int who) { return {static_cast<char>('A' + who)}; }

std::string says_sent(Sent sent) {
  switch (sent) {
    case Sent::record_0: return "a record of epoch 0";
    case Sent::record_1: return "a record of epoch 1";
    case Sent::handoff: return "HANDOFF";
    case Sent::other_shards: return "records of other shards";
    case Sent::nothing:
    case Sent::not_ours: break;
  }
  return "nothing";
}

// A is the victim.
std::string describe(const Step& step, const State& after) {
  const std::string name = name_of_worker(step.who);
  const std::string at = std::to_string(step.slot);
  switch (step.kind) {
    case Step::send:
      return name + " sends slot " + at + ": " + says_sent(after.slots[static_cast<std::size_t>(step.slot)].sent);
    case Step::send_again: return name + " sends slot " + at + " again, with other bytes";
    case Step::arrive: return "slot " + at + " of " + name + " arrives in the store";
    case Step::arrive_other: return "slot " + at + " of " + name + " arrives in the store, with the other bytes";
    case Step::confirm: return name + " hears that slot " + at + " is in the store";
    case Step::checkpoint: return name + " writes a checkpoint of all slots below " + at;
    case Step::trim: return name + " trims its log to slot " + at + " in its head";
    case Step::remove: return name + "'s deletion of slot " + at + " arrives";
    case Step::restart: return name + " restarts under its old id and goes on at slot " + at;
    case Step::cancel: return name + " cancels its move: epoch 1, the lineage of epoch 0 ends after slot " + at;
    case Step::start:
      return name + " begins to seal the log of A at slot " + at +
             (after.head == Head::sealing ? ", the head is Sealing" : "");
    case Step::put_seal: return "a SEAL of " + name + " arrives in slot " + at;
    case Step::look: return name + " reads slot " + at;
    case Step::seal_head: return name + " writes the head: Sealed(" + at + ")";
    case Step::take: return name + " takes the shard in the map: the lineage of A ends before slot " + at;
    case Step::take_over_handoff: return name + " takes the shard in the map after the HANDOFF in slot " + at;
    case Step::adopt: return name + " has replayed the lineage and serves";
    case Step::drop: return name + " writes a checkpoint and drops the lineage of A";
    case Step::collect: return "slot " + at + " of A is collected as garbage";
  }
  return {};
}

std::string told(const Model& model, const SeenStates& seen, const std::vector<std::uint32_t>& path) {
  std::string text;
  for (std::size_t i = 1; i < path.size(); ++i) {
    std::string step;
    model.for_each_step(unpacked(seen.at(path[i - 1])), [&](const State& next, Step taken) {
      if (step.empty() && packed(next) == seen.at(path[i])) step = describe(taken, next);
    });
    text += "  " + std::to_string(i) + ". " + step + "\n";
  }
  return text;
}

}  // namespace

Packed packed(const State& state) {
  Bits bits;
  each_field(state, [&bits](unsigned width, const auto& value) { bits.put(width, static_cast<unsigned>(value)); });
  return bits.bits();
}
State unpacked(const Packed& packed) {
  Bits bits(packed);
  State state;
  each_field(state, [&bits]<class T>(unsigned width, T& value) { value = static_cast<T>(bits.take(width)); });
  return state;
}

SearchResult search(const Model& model) {
  SearchResult result;
  SeenStates seen;
  seen.add(packed(State{}), SeenStates::none);
  std::uint32_t level_end = 1;
  for (std::uint32_t place = 0; place < seen.size() && !result.problem; ++place) {
    if (place == level_end) {
      ++result.depth;
      level_end = static_cast<std::uint32_t>(seen.size());
    }
    model.for_each_step(unpacked(seen.at(place)), [&](const State& next, Step step) {
      ++result.transitions;
      const std::uint32_t added = seen.add(packed(next), place);
      if (added == SeenStates::none || result.problem) return;
      const auto problem = model.problem(next, step);
      if (!problem) return;
      const auto path = seen.path_to(added);
      result.problem_steps = static_cast<int>(path.size()) - 1;
      result.problem = *problem + ", after these steps:\n" + told(model, seen, path);
    });
  }
  result.states = seen.size();
  return result;
}

}  // namespace zef::model::fencing
