// Laws of whole histories, on random ones; a failing case is shrunk and printed with its seed, in words.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "protocol/testing/agreement.h"
#include "shard/testing/choices.h"
#include "shard/testing/local_validator.h"
#include "shard/testing/matchers.h"
#include "shard/testing/quiet.h"
#include "shard/testing/scenario.h"

namespace zef::shard::testing {
namespace {

using namespace protocol::testing;

constexpr std::size_t accounts_max = 12;
constexpr std::size_t agreements_max = 8;

const TestNetwork& network() {
  static const TestNetwork net({.validators = 2, .accounts = 4, .balance = 100'000, .fees = test_fees});
  return net;
}

// The decisions of one step: shrinking drops whole steps and leaves the others what they were.
using StepChoices = std::array<std::uint8_t, 8>;
using Steps = std::vector<StepChoices>;

// A protocol instance of a history, and what was decided about it, in which round; nothing: its accounts stay locked.
struct Held {
  Held(Chain& starter, std::vector<Chain*> participants, Functionality functionality, std::uint64_t delegates)
      : instance(network(), starter, std::move(participants), std::move(functionality), delegates,
                 [](const Value& value) {
                   static const Certifier certifier(network());
                   return certifier.certificate(value);
                 }) {}
  Agreement instance;
  std::optional<Decision> decision;
  Round round;
};

// Certified requests of several accounts, each chain in order; what a network of honest clients might have made, but
// that balances are not looked at (execution does not either).
struct History {
  struct Step {
    Request request;
    std::optional<std::size_t> held;  // decided by that instance, for the account at `place` of it
    std::size_t place = 0;
  };
  struct Account {
    explicit Account(Chain its) : chain(std::move(its)) {}
    Chain chain;
    std::vector<Step> steps;
    bool ended = false;          // closed, or locked for ever
    std::optional<Step> locked;  // for ever: the lock
  };
  std::deque<Account> accounts;  // chains do not move: instances point to them
  std::deque<Held> helds;

  [[nodiscard]] std::vector<std::size_t> open() const {
    std::vector<std::size_t> result;
    for (std::size_t i = 0; i < accounts.size(); ++i)
      if (!accounts[i].ended) result.push_back(i);
    return result;
  }
};

void add_instance(History& history, std::size_t starter, Choices& choices) {
  std::vector<std::size_t> open = history.open();
  if (open.size() < 2 || history.helds.size() == agreements_max) return;
  std::vector<std::size_t> parties;
  const std::size_t wanted = std::min<std::size_t>(open.size(), 2 + choices.below(2));
  while (parties.size() < wanted) {
    const std::size_t at = choices.below(open.size());
    parties.push_back(open[at]);
    open.erase(open.begin() + static_cast<std::ptrdiff_t>(at));
  }
  const auto uid_of = [&](std::size_t party) { return history.accounts[parties[party]].chain.account(); };
  Functionality functionality = AtomicSwap{};
  if (choices.one_in(2)) {
    const Uid other = network().uid(choices.below(4));
    functionality = payments({{uid_of(0), uid_of(1), Amount(40)}, {uid_of(1), other, Amount(7)}});
  }
  std::vector<Chain*> chains;
  for (const std::size_t party : parties) chains.push_back(&history.accounts[party].chain);
  const std::size_t held = history.helds.size();
  Held& added = history.helds.emplace_back(history.accounts[starter].chain, std::move(chains), std::move(functionality),
                                           7000 + 16 * held);
  history.accounts[starter].steps.push_back({added.instance.start(), {}, 0});
  const std::size_t outcome = choices.below(8);
  if (outcome > 0) added.decision = outcome < 5 ? Decision(Confirmed{}) : Decision(Aborted{});
  added.round = Round(static_cast<std::uint32_t>(choices.below(3)));
  for (std::size_t place = 0; place < parties.size(); ++place) {
    History::Account& account = history.accounts[parties[place]];
    if (added.decision) {
      account.steps.push_back({added.instance.derived(place, *added.decision), held, place});
    } else {
      account.locked = History::Step{added.instance.lock_request(place), held, place};
      account.ended = true;
    }
  }
  if (added.decision) added.instance.execute(*added.decision);
}

void add_step(History& history, Choices choices) {
  const TestNetwork& net = network();
  const std::size_t kind = choices.below(10);
  const std::size_t place = choices.below(history.accounts.size());
  History::Account& account = history.accounts[place];
  if (account.ended) return;
  Chain& chain = account.chain;
  const Uid recipient = history.accounts[choices.below(history.accounts.size())].chain.account();
  const auto add = [&](Request request) { account.steps.push_back({std::move(request), {}, 0}); };
  switch (kind) {
    case 1: {
      const auto& key = net.account_key(choices.below(4));
      add(chain.open_child(key, Amount(2 * choices.below(50))));
      if (history.accounts.size() < accounts_max)
        history.accounts.emplace_back(chain.child_of(account.steps.back().request, key));
      return;
    }
    case 2:
      if (!choices.one_in(3)) return add(chain.next(skip()));
      account.ended = true;
      return add(chain.next(close_account()));
    case 3: return add(chain.next(burn(1 + choices.below(100))));
    case 4: {
      const auto& key = net.account_key(choices.below(4));
      add(chain.next(change_owner(key.public_key())));
      return chain.set_key(key);
    }
    case 5: return add(chain.next(pay_all({{recipient, 5}, {net.uid(choices.below(4)), 7}, {recipient, 2}})));
    case 6: return add(chain.next(pay(chain.account().child(chain.sequence_number()), 9)));  // never opened
    case 7:
    case 8: return add_instance(history, place, choices);
    default: return add(chain.next(pay(recipient, 2 + choices.below(200))));
  }
}

History history_from(const Steps& steps) {
  History history;
  for (std::uint64_t i = 0; i < 4; ++i) history.accounts.emplace_back(Chain(network(), i));
  for (const StepChoices& choices : steps) add_step(history, Choices(choices));
  return history;
}

std::string in_words(const History& history) {
  constexpr const char* names[] = {"Transfer", "OpenAccount",   "ChangeOwner", "CloseAccount",
                                   "Skip",     "StartInstance", "LockInto"};
  std::string text;
  for (const History::Account& account : history.accounts) {
    text += fmt::format("account {}:", account.chain.account().text());
    for (const History::Step& step : account.steps) {
      text += fmt::format(" {}", names[step.request.operation.index()]);
      if (step.held) text += fmt::format(" (by instance {})", history.helds[*step.held].instance.uid().text());
    }
    if (account.locked) text += " LockInto, for ever";
    text += "\n";
  }
  for (const Held& held : history.helds)
    text += fmt::format("instance {}: {} in round {}\n", held.instance.uid().text(),
                        !held.decision                                      ? "undecided"
                        : std::holds_alternative<Confirmed>(*held.decision) ? "confirmed"
                                                                            : "aborted",
                        held.round.value());
  return text;
}

// One validator's way through a history: in an order that the choices say, as far as the rules admit it.
class Journey {
 public:
  explicit Journey(const History& history) : history_(history), done_(history.accounts.size()) {}

  void step(Choices choices) {
    const std::size_t kind = choices.below(10);
    const std::size_t place = choices.below(history_.accounts.size());
    const std::size_t end = history_.accounts[place].steps.size();
    switch (kind) {
      case 0:
      case 1: return execute_some(place, 1 + choices.below(4), choices.one_in(2));
      case 2: {  // what was executed already, and what comes next with it
        if (done_[place] == 0) return;
        const std::size_t from = choices.below(done_[place]);
        const std::size_t to = std::min(end, done_[place] + choices.below(2));
        must(!std::holds_alternative<Refusal>(validator_.execute(proof_of(place, from, to, choices.one_in(2))).answer));
        done_[place] = to;
        return;
      }
      case 3: return vote(place);
      case 4: return validator_.queue_fee_totals();
      case 5:
      case 6: return tell(choices);
      case 7:
        switch (choices.below(8)) {
          case 1: return validator_.restart();
          case 2: return validator_.restart_from_checkpoints();
          default: return checkpoint_some(choices);
        }
      default: {
        const auto shards = validator_.shards();
        const ShardId source = shards[choices.below(shards.size())];
        const auto destinations = validator_.shard(source).destinations();
        if (destinations.empty()) return;
        const ShardId destination = destinations[choices.below(destinations.size())];
        const std::size_t limit = choices.one_in(4) ? SIZE_MAX : 1 + choices.below(3);
        return validator_.deliver(source, destination, limit, !choices.one_in(3));
      }
    }
  }
  LocalValidator& finish() {
    for (std::size_t round = 0; round <= Uid::depth_max; ++round) {
      for (std::size_t place = 0; place < done_.size(); ++place) execute_some(place, SIZE_MAX, false);
      validator_.settle();
    }
    for (std::size_t place = 0; place < done_.size(); ++place)
      must(done_[place] == history_.accounts[place].steps.size());
    must(validator_.totals().effects_waiting == 0);
    must(validator_.totals().conflicts == 0);
    for (const Held& held : history_.helds) {  // every start arrived, once, whoever came first
      const auto state = validator_.instance(held.instance.uid());
      must(state.has_value() && state->start == held.instance.start());
    }
    return validator_;
  }
  LocalValidator& validator() { return validator_; }

 private:
  void checkpoint_some(Choices& choices) {
    const bool whole = choices.one_in(4);
    const std::size_t every = 1 + choices.below(3);
    std::size_t count = choices.below(every);
    for (const ShardId id : validator_.shards())
      if (count++ % every == 0) validator_.checkpoint(id, whole);
  }
  // Vouches for the steps from..to of an account: by what executes the last of them, or by the Lock after it.
  [[nodiscard]] Proof proof_of(std::size_t place, std::size_t from, std::size_t to, bool by_lock) {
    const History::Account& account = history_.accounts[place];
    std::vector<Request> requests;
    for (std::size_t i = from; i < to; ++i) requests.push_back(account.steps[i].request);
    const std::optional<History::Step> next =
        to < account.steps.size() ? std::optional(account.steps[to]) : account.locked;
    if (by_lock && next && next->held) return history_.helds[*next->held].instance.proof_by_lock(next->place, requests);
    const History::Step& last = account.steps[to - 1];
    if (!last.held) return validator_.certifier().proof(requests);
    const Held& held = history_.helds[*last.held];
    return held.instance.proof(last.place, *held.decision, std::span(requests).first(requests.size() - 1), held.round);
  }
  void execute_some(std::size_t place, std::size_t count, bool by_lock) {
    count = std::min(count, history_.accounts[place].steps.size() - done_[place]);
    if (count == 0) return;
    const Outcome outcome = validator_.execute(proof_of(place, done_[place], done_[place] + count, by_lock));
    if (executed(outcome)) {
      done_[place] += count;
    } else {  // its Open is still under way
      must(refusal<InactiveAccount>(outcome) != nullptr);
    }
  }
  // A vote for what comes next, if the account can pay.
  void vote(std::size_t place) {
    const History::Account& account = history_.accounts[place];
    const std::size_t at = done_[place];
    const auto next = at < account.steps.size() ? std::optional(account.steps[at]) : account.locked;
    if (!next) return;
    const auto state = validator_.account(account.chain.account());
    if (!state || !state->owner) return;
    Outcome outcome;
    if (next->held) {
      outcome = validator_.order(history_.helds[*next->held].instance.lock_order(next->place));
    } else {
      outcome = validator_.order(next->request, *state->owner);
    }
    must(!std::holds_alternative<Refusal>(outcome.answer) || refusal<InsufficientFunds>(outcome) != nullptr);
  }
  // A message to an instance, whatever the instance makes of it. Only what was decided has a Commit certificate.
  void tell(Choices& choices) {
    if (history_.helds.empty()) return;
    const Held& held = history_.helds[choices.below(history_.helds.size())];
    const Agreement& instance = held.instance;
    const Round round(static_cast<std::uint32_t>(choices.below(3)));
    const Decision decision = choices.one_in(2) ? Decision(Aborted{}) : Decision(Confirmed{});
    const std::size_t place = choices.below(instance.size());
    InstanceMessage message = instance.show_locks({place});
    switch (choices.below(8)) {
      case 1: message = instance.propose(round, decision, place); break;
      case 2:
        message =
            instance.propose(round, decision, place, instance.certificate(instance.precommit(Round(0), decision)));
        break;
      case 3: message = instance.show(instance.precommit(round, decision)); break;
      case 4: message = instance.show(instance.timeout(round)); break;
      case 5: message = instance.ask_timeout(round, place); break;
      case 6:
      case 7:
        if (held.decision) message = instance.show(instance.commit(held.round, *held.decision));
        break;
      default: break;
    }
    validator_.pass(std::chrono::milliseconds(700));
    static_cast<void>(validator_.tell(choices.one_in(4) ? message : instance.with_start(message)));
  }

  const History& history_;
  std::vector<std::size_t> done_;
  LocalValidator validator_{network()};
};

// rapidcheck's containers grow with the size of a case; single choices do not.
const auto steps = rc::gen::scale(
    1.5, rc::gen::container<Steps>(rc::gen::resize(rc::kNominalSize, rc::gen::arbitrary<StepChoices>())));
const auto bytes = rc::gen::scale(4.0, rc::gen::arbitrary<Bytes>());

TEST(ShardProperty, every_admissible_order_gives_the_same_state) {  // I3, and I4 after every step
  EXPECT_TRUE(rc::check("I3", [] {
    const History history = history_from(*steps);
    RC_LOG(in_words(history));
    std::map<Uid, Hash> accounts[3];
    Balance burned[3];
    std::map<Uid, Decision> decided;
    for (int i = 0; i < 3; ++i) {
      const Steps order = *steps;
      Journey run(history);
      for (const StepChoices& choices : order) run.step(Choices(choices));
      LocalValidator& validator = run.finish();
      accounts[i] = validator.account_digests();
      burned[i] = validator.totals().burned;
      for (const auto& [uid, decision] : validator.decisions())
        RC_ASSERT(decided.emplace(uid, decision).first->second == decision);
    }
    RC_ASSERT(accounts[0] == accounts[1]);
    RC_ASSERT(accounts[0] == accounts[2]);
    RC_ASSERT(burned[0] == burned[1]);
    RC_ASSERT(burned[0] == burned[2]);
  }));
}

TEST(ShardProperty, replay_gives_the_same_state_at_any_moment) {
  EXPECT_TRUE(rc::check("replay", [] {
    const History history = history_from(*steps);
    RC_LOG(in_words(history));
    Journey run(history);
    const Steps order = *steps;
    for (const StepChoices& choices : order) run.step(Choices(choices));
    RC_ASSERT(run.validator().replayed_digests() == run.validator().digests());
  }));
}

TEST(ShardProperty, snapshots_and_what_came_later_give_the_same_state_at_any_moment) {
  EXPECT_TRUE(rc::check("snapshots", [] {
    const History history = history_from(*steps);
    RC_LOG(in_words(history));
    Journey run(history);
    const Steps order = *steps;
    for (const StepChoices& choices : order) {
      run.step(Choices(choices));
      LocalValidator& validator = run.validator();
      const auto shards = validator.shards();
      const ShardId id = shards[choices[7] % shards.size()];
      if (choices[6] % 4 == 0) validator.checkpoint(id, choices[5] % 8 == 0);
      if (choices[6] % 8 == 1) validator.restart_from_checkpoints();
    }
    run.validator().restart_from_checkpoints();
    static_cast<void>(run.finish());
    RC_ASSERT(run.validator().replayed_digests() == run.validator().digests());
  }));
}

TEST(ShardProperty, agrees_with_a_naive_model) {
  const Quiet quiet;
  EXPECT_TRUE(rc::check("model", [] { run_scenario(*bytes); }));
}

}  // namespace
}  // namespace zef::shard::testing
