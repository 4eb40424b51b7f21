// The instance protocol (docs/protocol.md, rules L3 to L6) as an explicit state machine, small enough to be searched
// exhaustively: 4 validators of equal weight, one of them Byzantine, and participants of whom nothing is assumed.
//
// What is modelled and why it is enough: docs/instances-model.md. In short: certificates are never used up, so the
// adversary (who also delivers all messages, in any order, any number of times or never) is the set of certificates
// that can be formed from the votes cast so far. A quorum is 3 votes; the Byzantine validator votes for everything, so
// 2 honest votes make a certificate.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace zef::model {

inline constexpr int honest_validators = 3;
inline constexpr int rounds_max = 4;

// What is broken on purpose, to see that the search would notice.
enum class Rule {
  as_written,
  looser,            // a PreCommit certificate of an earlier round is taken if no PreCommit *vote* went beyond it
  ignore_lock,       // (b) without the lock
  lower_lock,        // (a) replaces the lock by one of a lower round
  uncarried_lock,    // (d) a PreCommit certificate of an earlier round becomes the lock without a proposal
  quorum_minus_one,  // two votes make a certificate
  timeout_now_only,  // L5 without Timeout votes for rounds that are over
};
[[nodiscard]] std::optional<Rule> rule_named(std::string_view name);
[[nodiscard]] std::string_view name_of(Rule rule);
[[nodiscard]] std::vector<Rule> all_rules();

enum Decision : int { confirm = 0, abort = 1 };

// A PreCommit certificate.
struct LockOn {
  int round;
  int decision;
  friend bool operator==(const LockOn&, const LockOn&) = default;
};

// One honest validator, as L4 keeps it, with the votes that it has ever cast. A leader that is followed from the last
// round that is searched votes one round beyond; such a validator is never packed.
struct Validator {
  int round = 0;
  std::optional<LockOn> lock;
  std::uint16_t precommits = 0;  // bit 2 r + d: voted PreCommit for decision d in round r
  std::uint16_t commits = 0;     // likewise

  [[nodiscard]] bool voted(int of_round, int decision) const { return (precommits >> (2 * of_round + decision)) & 1; }
  [[nodiscard]] bool committed(int of_round, int decision) const { return (commits >> (2 * of_round + decision)) & 1; }
  [[nodiscard]] std::uint32_t packed() const;
  static Validator unpacked(std::uint32_t bits);
};

using State = std::array<Validator, honest_validators>;
using Packed = std::array<std::uint32_t, honest_validators>;  // sorted: honest validators are interchangeable

class Model {
 public:
  Model(int rounds, Rule rule) : rounds_(rounds), rule_(rule) {}

  // What the votes cast so far can certify.
  [[nodiscard]] bool precommit_exists(const State& state, LockOn on) const;
  [[nodiscard]] bool commit_exists(const State& state, int decision) const;
  [[nodiscard]] bool timeout_exists(const State& state, int round) const;

  // L3, L4 (a) and (b): a proposal of the validator's round; whether it votes for it.
  bool propose(Validator& validator, int decision, std::optional<LockOn> carried) const;
  // L4 (c) and (d).
  void show_precommit(Validator& validator, LockOn on) const;
  // L5.
  void show_timeout(Validator& validator, int round) const;

  // Calls `found(next, step)` for everything that can happen next; steps that change nothing are left out.
  void for_each_step(const State& state, const std::function<void(const State&, const std::string&)>& found,
                     bool describe) const;

  // Why a leader that follows L5 would be refused, or stuck, when it starts from here; nothing if it decides. Its round
  // is the one after the highest that anybody is in, and the Byzantine validator does not help it.
  [[nodiscard]] std::optional<std::string> leader_problem(const State& state) const;

  [[nodiscard]] int rounds() const { return rounds_; }

 private:
  bool bring_all_to(State& state, int goal, bool by_lock) const;
  [[nodiscard]] std::optional<std::string> proposal_problem(const State& heard) const;
  [[nodiscard]] std::optional<LockOn> spoiler(const State& heard, int wish, std::optional<LockOn> carried) const;
  [[nodiscard]] int honest_votes_needed() const { return rule_ == Rule::quorum_minus_one ? 1 : 2; }
  int rounds_;
  Rule rule_;
};

// The honest validators are called A, B and C, in the order in which they stand in the state.
[[nodiscard]] std::string describe(const State& state);

struct SearchResult {
  std::uint64_t states = 0;
  std::uint64_t transitions = 0;
  int depth = 0;                        // of the search, in steps
  std::optional<std::string> conflict;  // two decisions: the steps that lead there
  std::optional<std::string> leader;    // a leader that is refused: the steps and why
  std::uint64_t leaders_tried = 0;      // states from which a leader was followed to a decision
  [[nodiscard]] bool holds() const { return !conflict && !leader; }
};

// Breadth first, so that what it finds is as short as can be. Stops when two decisions are possible; a leader that is
// refused is told, the first one, and the search goes on.
[[nodiscard]] SearchResult search(const Model& model);

}  // namespace zef::model
