#include "model/instance_model.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "model/named_rules.h"

namespace zef::model {
namespace {

constexpr std::pair<Rule, std::string_view> names[] = {
    {Rule::as_written, "as_written"},
    {Rule::looser, "looser"},
    {Rule::ignore_lock, "ignore_lock"},
    {Rule::lower_lock, "lower_lock"},
    {Rule::uncarried_lock, "uncarried_lock"},
    {Rule::quorum_minus_one, "quorum_minus_one"},
    {Rule::timeout_now_only, "timeout_now_only"},
};

constexpr unsigned lock_bits = 4, round_bits = 3, vote_bits = 2 * rounds_max;

std::string says(LockOn on) {
  return std::string(on.decision == confirm ? "Confirm" : "Abort") + " of round " + std::to_string(on.round);
}

std::string name_of_validator(std::size_t place) { return {static_cast<char>('A' + place)}; }

std::optional<LockOn> highest_lock(const State& state) {
  std::optional<LockOn> highest;
  for (const Validator& validator : state)
    if (validator.lock && (!highest || validator.lock->round > highest->round)) highest = validator.lock;
  return highest;
}

// What a step did to a validator.
std::string says_change(const Validator& before, const Validator& after) {
  std::string text;
  const auto add = [&text](const std::string& what) { text += (text.empty() ? ": " : ", ") + what; };
  if (after.round != before.round) add("enters round " + std::to_string(after.round));
  if (after.lock && after.lock != before.lock) add("locks on " + says(*after.lock));
  for (int round = 0; round < rounds_max; ++round) {
    for (const int decision : {confirm, abort}) {
      const unsigned bit = 1U << (2 * round + decision);
      if (after.precommits & ~before.precommits & bit) add("votes PreCommit for " + says({round, decision}));
      if (after.commits & ~before.commits & bit) add("votes Commit for " + says({round, decision}));
    }
  }
  return text;
}

}  // namespace

std::optional<Rule> rule_named(std::string_view name) { return find_rule(names, name); }
std::string_view name_of(Rule rule) { return find_name(names, rule); }
std::vector<Rule> all_rules() { return rules_in(names); }

std::uint32_t Validator::packed() const {
  ZEF_CHECK(round < (1 << round_bits) && (commits >> vote_bits) == 0 && (precommits >> vote_bits) == 0);
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
  validator.precommits = static_cast<std::uint16_t>(take(vote_bits));
  validator.commits = static_cast<std::uint16_t>(bits);
  return validator;
}

bool Model::precommit_exists(const State& state, LockOn on) const {
  return std::ranges::count_if(state, [&](const Validator& v) { return v.voted(on.round, on.decision); }) >=
         honest_votes_needed();
}
bool Model::commit_exists(const State& state, int decision) const {
  for (int round = 0; round < rounds_; ++round) {
    const auto votes = std::ranges::count_if(state, [&](const Validator& v) { return v.committed(round, decision); });
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
  validator.precommits = static_cast<std::uint16_t>(validator.precommits | 1U << (2 * round + decision));
  return true;
}

void Model::show_precommit(Validator& validator, LockOn on) const {
  const auto commit = [&] {
    validator.commits = static_cast<std::uint16_t>(validator.commits | 1U << (2 * on.round + on.decision));
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
  if (round >= validator.round) validator.round = round + 1;
}

void Model::for_each_step(const State& state, const std::function<void(const State&, const std::string&)>& found,
                          bool describe) const {
  const auto step = [&](int who, const auto& act, const auto& tell) {
    State next = state;
    const Validator& before = state[static_cast<std::size_t>(who)];
    Validator& after = next[static_cast<std::size_t>(who)];
    act(after);
    if (after.packed() != before.packed()) found(next, describe ? tell() + says_change(before, after) : std::string());
  };
  for (int who = 0; who < honest_validators; ++who) {
    const Validator& validator = state[static_cast<std::size_t>(who)];
    const std::string name = describe ? name_of_validator(static_cast<std::size_t>(who)) : "";
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

// Between what the leader heard and its proposal, the Byzantine validator may show any certificate to anybody. The one
// that makes somebody refuse.
std::optional<LockOn> Model::spoiler(const State& heard, int wish, std::optional<LockOn> carried) const {
  for (const Validator& validator : heard) {
    for (int round = 0; round < validator.round; ++round) {
      for (const int decision : {confirm, abort}) {
        const LockOn on{round, decision};
        if (!precommit_exists(heard, on)) continue;
        Validator shown = validator;
        show_precommit(shown, on);
        if (!propose(shown, wish, carried)) return on;
      }
    }
  }
  return std::nullopt;
}

// By honest votes alone, as the Byzantine validator may be silent, and by no certificate that the leader could not get:
// those of Timeout votes that it asks for, and perhaps the highest lock that an answer showed.
bool Model::bring_all_to(State& state, int goal, bool by_lock) const {
  const auto quorum = honest_votes_needed() + 1;
  if (by_lock) {
    if (const auto lock = highest_lock(state))
      for (Validator& validator : state) show_precommit(validator, *lock);
  }
  for (;;) {
    const int lowest = std::ranges::min(state, {}, &Validator::round).round;
    if (lowest == goal) return true;
    const auto votes = std::ranges::count_if(state, [&](const Validator& v) {
      return v.round == lowest || (v.round > lowest && rule_ != Rule::timeout_now_only);
    });
    if (votes < quorum) return false;
    for (Validator& validator : state) show_timeout(validator, lowest);
  }
}

std::optional<std::string> Model::leader_problem(const State& state) const {
  const int round = std::ranges::max(state, {}, &Validator::round).round + 1;
  for (const bool by_lock : {false, true}) {
    State heard = state;
    if (!bring_all_to(heard, round, by_lock))
      return "no Timeout certificate brings all to round " + std::to_string(round) + ": " + describe(heard);
    if (auto problem = proposal_problem(heard)) return problem;
  }
  return std::nullopt;
}

// Everybody is in the leader's round, where nobody else can propose (L3).
std::optional<std::string> Model::proposal_problem(const State& heard) const {
  const int round = heard.front().round;
  // It sees the locks of honest validators, and any other certificate that the Byzantine one shows it.
  const auto highest = highest_lock(heard);
  std::vector<std::optional<LockOn>> seen = {highest};
  for (int other = highest ? highest->round : 0; other < round; ++other)
    for (const int decision : {confirm, abort})
      if (const LockOn on{other, decision}; precommit_exists(heard, on) && on != highest) seen.emplace_back(on);
  for (const auto& carried : seen) {
    for (const int wish : {confirm, abort}) {
      if (carried && carried->decision != wish) continue;
      State after = heard;
      const auto refused = [&](const std::string& when) {
        return "a proposal of " + says({round, wish}) +
               (carried ? ", carrying the PreCommit certificate for " + says(*carried) + "," : std::string()) +
               " is refused" + when + ": " + describe(heard);
      };
      for (Validator& validator : after)
        if (!propose(validator, wish, carried)) return refused("");
      if (const auto shown = spoiler(heard, wish, carried))
        return refused(" by who is shown the PreCommit certificate for " + says(*shown) + " just before");
      for (Validator& validator : after) show_precommit(validator, {round, wish});
      if (std::ranges::any_of(after, [&](const Validator& v) { return !v.committed(round, wish); }))
        return "the PreCommit certificate of an accepted proposal leads to no decision";
    }
  }
  return std::nullopt;
}

std::string describe(const State& state) {
  std::string text;
  for (std::size_t place = 0; place < state.size(); ++place) {
    const Validator& validator = state[place];
    text += (text.empty() ? "[" : "; ") + name_of_validator(place) + " in round " + std::to_string(validator.round);
    if (validator.lock) text += ", locked on " + says(*validator.lock);
  }
  return text + "]";
}

}  // namespace zef::model
