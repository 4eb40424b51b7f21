#include "model/instance_model.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace zef::model {
namespace {

constexpr std::pair<Rule, std::string_view> names[] = {
    {Rule::as_written, "as_written"},         {Rule::looser, "looser"},
    {Rule::ignore_lock, "ignore_lock"},       {Rule::lower_lock, "lower_lock"},
    {Rule::uncarried_lock, "uncarried_lock"}, {Rule::quorum_minus_one, "quorum_minus_one"},
};

constexpr unsigned lock_bits = 4, round_bits = 3, vote_bits = 2 * rounds_max;

std::string says(LockOn on) {
  return std::string(on.decision == confirm ? "Confirm" : "Abort") + " of round " + std::to_string(on.round);
}

}  // namespace

std::optional<Rule> rule_named(std::string_view name) {
  for (const auto& [rule, its_name] : names)
    if (its_name == name) return rule;
  return std::nullopt;
}
std::string_view name_of(Rule rule) {
  for (const auto& [one, its_name] : names)
    if (one == rule) return its_name;
  return {};
}
std::vector<Rule> all_rules() {
  std::vector<Rule> rules;
  for (const auto& [rule, name] : names) rules.push_back(rule);
  return rules;
}

std::uint32_t Validator::packed() const {
  std::uint32_t bits = commits;
  bits = bits << vote_bits | precommits;
  bits = bits << lock_bits |
         (lock ? 1U + 2U * static_cast<unsigned>(lock->round) + static_cast<unsigned>(lock->decision) : 0U);
  return bits << round_bits | static_cast<unsigned>(round);
}

Validator Validator::unpacked(std::uint32_t bits) {
  Validator validator;
  const auto take = [&bits](unsigned count) {
    const std::uint32_t value = bits & ((1U << count) - 1);
    bits >>= count;
    return value;
  };
  validator.round = static_cast<int>(take(round_bits));
  if (const std::uint32_t lock = take(lock_bits))
    validator.lock = LockOn{static_cast<int>((lock - 1) / 2), static_cast<int>((lock - 1) % 2)};
  validator.precommits = static_cast<std::uint8_t>(take(vote_bits));
  validator.commits = static_cast<std::uint8_t>(bits);
  return validator;
}

bool Model::precommit_exists(const State& state, LockOn on) const {
  return std::ranges::count_if(state, [&](const Validator& v) { return v.voted(on.round, on.decision); }) >=
         honest_votes_needed();
}
bool Model::commit_exists(const State& state, int decision) const {
  for (int round = 0; round < rounds_; ++round) {
    const auto votes =
        std::ranges::count_if(state, [&](const Validator& v) { return (v.commits >> (2 * round + decision)) & 1; });
    if (votes >= honest_votes_needed()) return true;
  }
  return false;
}
// A Timeout vote binds nothing and is given for every round up to the validator's own.
bool Model::timeout_exists(const State& state, int round) const {
  return std::ranges::count_if(state, [&](const Validator& v) { return v.round >= round; }) >= honest_votes_needed();
}

bool Model::propose(Validator& validator, int decision, std::optional<LockOn> carried) const {
  const int round = validator.round;
  if (validator.voted(round, 1 - decision)) return false;
  if (carried) {  // (a)
    const bool newer = !validator.lock || validator.lock->round < carried->round || rule_ == Rule::lower_lock;
    if (carried->decision == decision && newer && carried->round < round) validator.lock = carried;
  }
  if (validator.voted(round, decision)) return true;
  if (validator.lock && validator.lock->decision != decision && rule_ != Rule::ignore_lock) return false;  // (b)
  validator.precommits = static_cast<std::uint8_t>(validator.precommits | 1U << (2 * round + decision));
  return true;
}

void Model::show_precommit(Validator& validator, LockOn on) const {
  const auto commit = [&] {
    validator.commits = static_cast<std::uint8_t>(validator.commits | 1U << (2 * on.round + on.decision));
  };
  if (on.round >= validator.round) {  // (c)
    if (validator.lock && validator.lock->round == on.round && validator.lock->decision != on.decision) return;
    validator.round = on.round;
    validator.lock = on;
    commit();
    return;
  }
  // (d): ignored. The rest is what must not be.
  const bool newer = !validator.lock || validator.lock->round < on.round;
  if (rule_ == Rule::uncarried_lock && newer) validator.lock = on;
  if (rule_ == Rule::looser && (validator.precommits >> (2 * (on.round + 1))) == 0) {
    validator.lock = on;
    commit();
  }
}

void Model::show_timeout(Validator& validator, int round) const {
  if (round >= validator.round && round + 1 < rounds_) validator.round = round + 1;
}

void Model::for_each_step(const State& state, const std::function<void(const State&, const std::string&)>& found,
                          bool describe) const {
  const auto step = [&](int who, const auto& act, const auto& tell) {
    State next = state;
    act(next[static_cast<std::size_t>(who)]);
    if (next[static_cast<std::size_t>(who)].packed() != state[static_cast<std::size_t>(who)].packed())
      found(next, describe ? tell() : std::string());
  };
  for (int who = 0; who < honest_validators; ++who) {
    const Validator& validator = state[static_cast<std::size_t>(who)];
    const std::string name = describe ? "a validator in round " + std::to_string(validator.round) : "";
    for (const int decision : {confirm, abort}) {
      const LockOn now{validator.round, decision};
      step(
          who, [&](Validator& v) { propose(v, decision, std::nullopt); },
          [&] { return name + " is proposed " + says(now); });
      for (int round = 0; round < rounds_; ++round) {
        const LockOn on{round, decision};
        if (!precommit_exists(state, on)) continue;
        if (round < validator.round)
          step(
              who, [&](Validator& v) { propose(v, decision, on); },
              [&] {
                return name + " is proposed " + says(now) + ", carrying the PreCommit certificate for " + says(on);
              });
        step(
            who, [&](Validator& v) { show_precommit(v, on); },
            [&] { return name + " is shown the PreCommit certificate for " + says(on); });
      }
    }
    for (int round = 0; round + 1 < rounds_; ++round)
      if (timeout_exists(state, round))
        step(
            who, [&](Validator& v) { show_timeout(v, round); },
            [&] { return name + " is shown the Timeout certificate of round " + std::to_string(round); });
  }
}

// Between what the leader heard and its proposal, the Byzantine validator may show any certificate to anybody.
bool Model::accepted_whatever_comes_first(const State& heard, int wish, std::optional<LockOn> carried) const {
  for (const Validator& validator : heard) {
    for (int round = 0; round < validator.round; ++round) {
      for (const int decision : {confirm, abort}) {
        if (!precommit_exists(heard, {round, decision})) continue;
        Validator shown = validator;
        show_precommit(shown, {round, decision});
        if (!propose(shown, wish, carried)) return false;
      }
    }
  }
  return true;
}

std::optional<std::string> Model::leader_problem(State state) const {
  int highest = 0;
  for (const Validator& validator : state) highest = std::max(highest, validator.round);
  if (highest + 1 >= rounds_) return std::nullopt;
  // It brings everybody to the highest round, by the certificate that brought somebody there, and then out of it.
  std::optional<LockOn> entered_by;
  for (const Validator& validator : state)
    if (validator.lock && validator.lock->round == highest) entered_by = validator.lock;
  for (Validator& validator : state) {
    if (validator.round == highest) continue;
    if (entered_by)
      show_precommit(validator, *entered_by);
    else if (timeout_exists(state, highest - 1))
      show_timeout(validator, highest - 1);
    if (validator.round != highest) return "a round that somebody is in cannot be reached by the others";
  }
  for (Validator& validator : state) show_timeout(validator, highest);

  // It may see the locks of honest validators, and any other certificate that the Byzantine one shows it.
  std::optional<LockOn> highest_lock;
  for (const Validator& validator : state)
    if (validator.lock && (!highest_lock || validator.lock->round > highest_lock->round)) highest_lock = validator.lock;
  std::vector<std::optional<LockOn>> seen = {highest_lock};
  for (int round = highest_lock ? highest_lock->round : 0; round <= highest; ++round)
    for (const int decision : {confirm, abort})
      if (const LockOn on{round, decision}; precommit_exists(state, on) && on != highest_lock) seen.emplace_back(on);
  for (const auto& carried : seen) {
    for (const int wish : {confirm, abort}) {
      if (carried && carried->decision != wish) continue;
      State after = state;
      bool accepted = accepted_whatever_comes_first(state, wish, carried);
      for (Validator& validator : after) accepted &= propose(validator, wish, carried);
      if (!accepted)
        return "a proposal of " + says({highest + 1, wish}) +
               (carried ? ", carrying " + says(*carried) + "," : std::string()) + " is refused: " + describe(after);
      for (Validator& validator : after) show_precommit(validator, {highest + 1, wish});
      if (!commit_exists(after, wish)) return "the PreCommit certificate of an accepted proposal leads to no decision";
    }
  }
  return std::nullopt;
}

std::string describe(const State& state) {
  std::string text;
  for (const Validator& validator : state) {
    text += text.empty() ? "[" : "; ";
    text += "round " + std::to_string(validator.round);
    if (validator.lock) text += ", locked on " + says(*validator.lock);
  }
  return text + "]";
}

}  // namespace zef::model
