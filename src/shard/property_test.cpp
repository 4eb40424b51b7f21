// Laws of whole histories, on random ones; a failing case is shrunk and printed with its seed.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "shard/testing/choices.h"
#include "shard/testing/local_validator.h"
#include "shard/testing/matchers.h"
#include "shard/testing/quiet.h"
#include "shard/testing/scenario.h"

namespace zef::shard::testing {
namespace {

using namespace protocol::testing;

const TestNetwork& network() {
  static const TestNetwork net({.validators = 3, .accounts = 4, .balance = 100'000, .fees = test_fees});
  return net;
}

// Certified requests of several accounts, each chain in order; what a network of honest clients might have made, but
// that balances are not looked at (execution does not either).
struct History {
  struct Account {
    Chain chain;
    std::vector<Request> requests;
    bool closed = false;
  };
  std::vector<Account> accounts;
};

History history_from(Choices choices) {
  const TestNetwork& net = network();
  History history;
  for (std::uint64_t i = 0; i < 4; ++i) history.accounts.push_back({Chain(net, i), {}, false});
  while (choices.left()) {
    const std::size_t place = choices.below(history.accounts.size());
    if (history.accounts[place].closed) continue;
    Chain& chain = history.accounts[place].chain;
    const Uid recipient = history.accounts[choices.below(history.accounts.size())].chain.account();
    Request request;
    switch (choices.below(8)) {
      case 0: {
        const auto& key = net.account_key(choices.below(4));
        request = chain.open_child(key, Amount(choices.below(100)));
        const Chain child = chain.child_of(request, key);
        history.accounts[place].requests.push_back(request);
        if (history.accounts.size() < 12) history.accounts.push_back({child, {}, false});
        continue;
      }
      case 1:
        request = chain.next(close_account());
        history.accounts[place].closed = true;
        break;
      case 2: request = chain.next(burn(1 + choices.below(100))); break;
      case 3: request = chain.next(change_owner(net.account_key(choices.below(4)).public_key())); break;
      case 4: request = chain.next(pay_all({{recipient, 5}, {net.uid(choices.below(4)), 7}, {recipient, 2}})); break;
      case 5: request = chain.next(pay(chain.account().child(chain.sequence_number()), 9)); break;  // never opened
      default: request = chain.next(pay(recipient, 2 + choices.below(200))); break;
    }
    history.accounts[place].requests.push_back(request);
  }
  return history;
}

// One validator's way through a history: in an order that the choices say, as far as the rules admit it.
class Journey {
 public:
  explicit Journey(const History& history) : history_(history), done_(history.accounts.size()) {}

  void execute_some(std::size_t place, std::size_t count) {
    const auto& requests = history_.accounts[place].requests;
    count = std::min(count, requests.size() - done_[place]);
    if (count == 0) return;
    const Outcome outcome = validator_.execute(std::span(requests).subspan(done_[place], count));
    if (executed(outcome)) {
      done_[place] += count;
    } else {  // its Open is still under way
      ZEF_CHECK(refusal<InactiveAccount>(outcome) != nullptr);
    }
  }
  void step(Choices& choices) {
    const std::size_t place = choices.below(history_.accounts.size());
    const auto& requests = history_.accounts[place].requests;
    switch (choices.below(6)) {
      case 0:
      case 1: return execute_some(place, 1 + choices.below(4));
      case 2: {  // what was executed already, and what comes next with it
        if (done_[place] == 0) return;
        const std::size_t from = choices.below(done_[place]);
        const std::size_t end = std::min(requests.size(), done_[place] + choices.below(2));
        static_cast<void>(validator_.execute(std::span(requests).subspan(from, end - from)));
        done_[place] = end;
        return;
      }
      case 3: {  // a vote, if it can pay
        if (done_[place] == requests.size()) return;
        const auto state = validator_.account(requests[done_[place]].account);
        if (state && state->owner) static_cast<void>(validator_.order(requests[done_[place]], *state->owner));
        return;
      }
      case 4: return validator_.queue_fee_totals();
      default: {
        const auto shards = validator_.shards();
        const ShardId source = shards[choices.below(shards.size())];
        const auto destinations = validator_.shard(source).destinations();
        if (destinations.empty()) return;
        const ShardId destination = destinations[choices.below(destinations.size())];
        return validator_.deliver(source, destination, 1 + choices.below(3), !choices.one_in(3));
      }
    }
  }
  LocalValidator& finish() {
    for (std::size_t round = 0; round <= Uid::depth_max; ++round) {
      for (std::size_t place = 0; place < done_.size(); ++place) execute_some(place, SIZE_MAX);
      validator_.settle();
    }
    for (std::size_t place = 0; place < done_.size(); ++place)
      ZEF_CHECK(done_[place] == history_.accounts[place].requests.size());
    ZEF_CHECK(validator_.totals().effects_waiting == 0);
    return validator_;
  }
  LocalValidator& validator() { return validator_; }

 private:
  const History& history_;
  std::vector<std::size_t> done_;
  LocalValidator validator_{network()};
};

// rapidcheck's containers grow with the size of a case: bytes enough for some hundred steps.
const auto bytes = rc::gen::scale(4.0, rc::gen::arbitrary<Bytes>());

TEST(ShardProperty, every_admissible_order_gives_the_same_state) {  // I3
  EXPECT_TRUE(rc::check("I3", [] {
    const History history = history_from(Choices(*bytes));
    const Bytes one = *bytes;
    const Bytes other = *bytes;
    std::map<Uid, Hash> accounts[2];
    Balance burned[2];
    for (int i = 0; i < 2; ++i) {
      Journey run(history);
      for (Choices choices(i == 0 ? one : other); choices.left();) run.step(choices);
      LocalValidator& validator = run.finish();
      accounts[i] = validator.account_digests();
      burned[i] = validator.totals().burned;
    }
    RC_ASSERT(accounts[0] == accounts[1]);
    RC_ASSERT(burned[0] == burned[1]);
  }));
}

TEST(ShardProperty, replay_gives_the_same_state_at_any_moment) {
  EXPECT_TRUE(rc::check("replay", [] {
    const History history = history_from(Choices(*bytes));
    const Bytes order = *bytes;
    Journey run(history);
    for (Choices choices(order); choices.left();) run.step(choices);
    RC_ASSERT(run.validator().replayed_digests() == run.validator().digests());
  }));
}

TEST(ShardProperty, agrees_with_a_naive_model) {
  const Quiet quiet;
  EXPECT_TRUE(rc::check("model", [] { run_scenario(*bytes); }));
}

}  // namespace
}  // namespace zef::shard::testing
