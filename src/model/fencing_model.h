// The fencing of a worker's log (docs/storage.md, "Takeover" and "Planned moves") as an explicit state machine, small
// enough to be searched exhaustively: one worker that writes for one shard, two others that rescue it or take the shard
// by a planned move, and a store that delivers what was sent late, repeatedly or never.
//
// What is modelled and why it is enough: docs/fencing-model.md. In short: a request that was sent can arrive at any
// later moment, so it is a fact that is never used up; a process that crashes is one that takes no more steps.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace zef::model::fencing {

// What is broken on purpose, to see that the search would notice.
enum class Rule {
  as_written,
  seal_deleted,           // garbage collection of a sealed log takes its SEAL too
  probe_before_head,      // a rescuer looks for the end of the log before it has made the head Sealing
  ack_out_of_order,       // a slot is acknowledged though one before it is not confirmed
  slot_rebatched,         // a slot that was sent is sent again with other bytes
  passes_seal,            // a rescuer goes past the SEAL of another
  trim_without_head,      // slots are deleted without the compare-and-set of the head
  delete_covered,         // slots of a sealed log are deleted while the map's lineage covers them
  resume_same_epoch,      // after its HANDOFF a mover goes on without a new epoch
  handoff_past_gap,       // the new owner has read the HANDOFF, but not every slot before it
  owner_without_cas,      // an owner is changed though the entry is not the one that was read
  reused_id,              // a restarted process takes its old id, head and log
  replay_ignores_epochs,  // replay takes all records of the shard from a log, of whatever epoch
  cas_judged_by_object,   // an ambiguous change of the map is taken for done when the object has changed
};
[[nodiscard]] std::optional<Rule> rule_named(std::string_view name);
[[nodiscard]] std::string_view name_of(Rule rule);
[[nodiscard]] std::vector<Rule> all_rules();

inline constexpr int slots_max = 5;  // that the victim writes
inline constexpr int others = 2;     // workers other than the victim

struct Bounds {
  int slots = 3;      // 1 to slots_max
  int in_flight = 3;  // slots sent beyond the confirmed ones
  bool moves = true;  // HANDOFF, its taking by the second worker, and cancel
};

// What the victim put into a slot. Its shard starts at epoch 0; a cancelled move makes it epoch 1.
enum class Sent : std::uint8_t { nothing, record_0, record_1, handoff, other_shards, not_ours };
// What is in the store.
enum class Holds : std::uint8_t { empty, segment, other_segment, seal_1, seal_2 };

struct Slot {
  Sent sent = Sent::nothing;
  bool sent_again = false;  // with other bytes: only when slots are re-batched
  Holds holds = Holds::empty;
  bool created = false;       // a PUT of the victim succeeded once: its answer can arrive at any time
  bool confirmed = false;     // the victim knows
  Holds read = Holds::empty;  // what the new owner's replay found
  [[nodiscard]] bool has_segment() const { return holds == Holds::segment || holds == Holds::other_segment; }
};

enum class Head : std::uint8_t { active, sealing, sealed };
enum class Phase : std::uint8_t { idle, probing, found };

struct Rescuer {
  Phase phase = Phase::idle;
  int at = 0;      // the slot that is probed, or that was found
  int served = 0;  // the epoch at which it serves the shard; 0: not
};

inline constexpr int victim = 0;  // as an owner; the others are 1 and 2
inline constexpr int open = 7;    // a lineage entry's end

struct State {
  std::array<Slot, slots_max + 2> slots;
  Head head = Head::active;
  int sealed_at = 0;
  int trim = 0;
  // The map's entry of the shard.
  int owner = victim;
  int epoch = 0;
  std::array<int, 2> lineage_to = {open, open};  // of the victim's log, at epoch 0 and 1
  int checkpoint = 0;                            // covers all slots below
  bool dropped = false;                          // the new owner's checkpoint has replaced the lineage
  bool cancelled = false;                        // the victim has taken its shard back, at epoch 1
  bool adopted = false;                          // the owner has replayed
  bool restarted = false;
  std::array<Rescuer, others> rescuers;
};
using Packed = std::array<std::uint64_t, 2>;
[[nodiscard]] Packed packed(const State& state);
[[nodiscard]] State unpacked(const Packed& bits);

struct Step {
  enum Kind : std::uint8_t {
    send,
    send_again,
    arrive,
    arrive_other,
    confirm,
    checkpoint,
    trim,
    remove,
    restart,
    cancel,  // the victim's
    start,
    put_seal,
    look,
    seal_head,
    take,
    take_over_handoff,
    adopt,
    drop,
    collect,  // the others'
  } kind;
  int who;  // 0 the victim, 1 and 2 the others
  int slot;
};

class Model {
 public:
  Model(Bounds bounds, Rule rule);

  // Calls `found(next, step)` for everything that can happen next; steps that change nothing are left out.
  void for_each_step(const State& state, const std::function<void(const State&, Step)>& found) const;
  // What is wrong with this state, or with what the step into it did; nothing if all is well.
  [[nodiscard]] std::optional<std::string> problem(const State& state, std::optional<Step> last) const;

  [[nodiscard]] const Bounds& bounds() const { return bounds_; }

 private:
  using Found = std::function<void(const State&, Step)>;
  void victim_sends(const State& state, const Found& found) const;
  void victim_tidies(const State& state, const Found& found) const;
  void rescuer_seals(const State& state, int who, const Found& found) const;
  void owner_changes(const State& state, int who, const Found& found) const;
  void owner_serves(const State& state, int who, const Found& found) const;
  [[nodiscard]] bool acknowledged(const State& state, int slot) const;
  [[nodiscard]] std::optional<int> handoff_read(const State& state) const;
  [[nodiscard]] std::optional<std::string> replay_problem(const State& state) const;
  Bounds bounds_;
  Rule rule_;
};

struct SearchResult {
  std::uint64_t states = 0;
  std::uint64_t transitions = 0;
  int depth = 0;                       // of the search, in steps
  int problem_steps = 0;               // length of the counterexample
  std::optional<std::string> problem;  // and the steps that lead there
};
// Breadth first, so that what it finds is as short as can be.
[[nodiscard]] SearchResult search(const Model& model);

}  // namespace zef::model::fencing
