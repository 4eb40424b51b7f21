// Swaps and settlements by wallets, on a network in memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/database.h"
#include "client/testing/wallets.h"
#include "protocol/instance_rules.h"

namespace zef::client {
namespace {

using namespace testing;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Swaps : public ::testing::Test {
 protected:
  Person& person(std::uint64_t first, std::uint64_t count = 1) {
    people_.push_back(std::make_unique<Person>(net, folder / ("wallet" + std::to_string(first)), first, count));
    return *people_.back();
  }
  void let_run(const std::function<bool()>& done) { net.executor.run_while_not(done); }
  Uid must_propose_swap(Person& proposer, std::vector<Uid> accounts) {
    const auto uid = net.run(proposer->propose_swap(accounts.front(), accounts));
    EXPECT_TRUE(uid) << (uid ? "" : uid.error().message);
    return uid ? *uid : Uid();
  }
  void must_accept(Person& who, const Uid& instance, const Uid& account) {
    const auto accepted = net.run(who->accept(instance, account));
    ASSERT_TRUE(accepted) << accepted.error().message;
  }
  Outcome<DriveReport> drive(Person& who, const Uid& instance, Wish wish, Duration time = seconds(120)) {
    return net.run(who->drive(instance, wish, time));
  }
  void expect_decided(const Outcome<DriveReport>& report, const Decision& decision) {
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->decided, decision) << report->why;
    EXPECT_TRUE(report->finished) << report->why;
  }
  bool owned(Person& who, const Uid& account) {
    const auto view = who->account(account);
    return view && view->owned;
  }
  void expect_pays(Person& who, const Uid& from) {
    const auto paid = net.run(who->transfer(from, to(Uid::genesis(7), 1)));
    EXPECT_TRUE(paid) << from.text() << ": " << paid.error().message;
  }
  // No validator signed two requests for one number, nor two decisions in one round; in the end all are equal.
  void expect_all_equal() {
    for (auto& one : people_) EXPECT_TRUE(net.run(one->quorum().finish_background(seconds(120))));
    for (std::size_t i = 1; i < net.validators.size(); ++i) EXPECT_EQ(net[i].digests(), net[0].digests()) << i;
    expect_honest_votes();
  }
  void expect_honest_votes() {
    for (auto& validator : net.validators) {
      for (const auto& [place, hashes] : validator->voted()) EXPECT_EQ(hashes.size(), 1U) << place.first.text();
      for (const auto& [place, decisions] : validator->precommitted()) EXPECT_EQ(decisions.size(), 1U);
    }
  }

  zef::testing::TempFolder folder;
  LocalNetwork net;
  const Uid a = Uid::genesis(0);
  const Uid b = Uid::genesis(1);
  const Uid c = Uid::genesis(2);
  const Decision confirmed = Confirmed{};
  const Decision aborted = Aborted{};

 private:
  std::vector<std::unique_ptr<Person>> people_;
};

TEST_F(Swaps, two_people_swap_their_accounts) {
  Person& alice = person(0);
  Person& bob = person(1);
  ASSERT_TRUE(net.run(bob->transfer(b, to(c, 400'000))));
  const Uid swap = must_propose_swap(alice, {a, b});
  must_accept(alice, swap, a);
  must_accept(bob, swap, b);  // knows the number only
  TaskScope scope;
  const Running one(scope, alice->drive(swap, Wish::confirm, seconds(60)));
  const Running other(scope, bob->drive(swap, Wish::confirm, seconds(60)));
  let_run([&] { return one.done() && other.done(); });
  expect_decided(one.result(), confirmed);
  expect_decided(other.result(), confirmed);
  EXPECT_THAT(one.result()->received, ElementsAre(b));
  EXPECT_THAT(one.result()->given, ElementsAre(a));
  EXPECT_TRUE(owned(alice, b));
  EXPECT_FALSE(owned(alice, a));
  EXPECT_TRUE(owned(bob, a));
  EXPECT_FALSE(owned(bob, b));
  EXPECT_EQ(alice->account(b)->chain.balance, 600'000);
  expect_pays(alice, b);
  expect_pays(bob, a);
  expect_all_equal();
}

TEST_F(Swaps, five_people_settle_at_once) {
  const std::vector<Uid> all = {a, b, c, Uid::genesis(3), Uid::genesis(4)};
  std::vector<Person*> people;
  for (std::uint64_t i = 0; i < 5; ++i) people.push_back(&person(i));
  std::vector<Leg> legs;  // everybody pays the next, the last pays nothing
  for (std::size_t i = 0; i < 4; ++i) legs.push_back({all[i], all[i + 1], Amount(100 * (i + 1))});
  const auto uid = net.run((*people[0])->propose_settlement(a, all, legs));
  ASSERT_TRUE(uid) << uid.error().message;
  for (std::size_t i = 0; i < 5; ++i) must_accept(*people[i], *uid, all[i]);
  const auto report = net.run((*people[1])->inspect(*uid));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_FALSE(report->swap);
  EXPECT_TRUE(report->waits_for.empty());
  ASSERT_EQ(report->shares.size(), 1U);
  EXPECT_EQ(report->shares[0].pays, 200);
  EXPECT_EQ(report->shares[0].gets, 100);
  EXPECT_THAT(report->steps, Contains(InstanceStep::confirm));
  TaskScope scope;
  std::vector<Running<Outcome<DriveReport>>> running;
  for (Person* one : people) running.emplace_back(scope, (*one)->drive(*uid, Wish::confirm, seconds(60)));
  let_run([&] { return std::ranges::all_of(running, [](const auto& one) { return one.done(); }); });
  for (const auto& one : running) expect_decided(one.result(), confirmed);
  expect_all_equal();
  for (std::size_t v = 0; v < 4; ++v) {
    EXPECT_EQ(net[v].account(a)->balance, 999'900);
    EXPECT_EQ(net[v].account(b)->balance, 999'900);
    EXPECT_EQ(net[v].account(all[4])->balance, 1'000'400);
  }
  for (std::size_t i = 0; i < 5; ++i) expect_pays(*people[i], all[i]);
}

TEST_F(Swaps, who_vanishes_after_locking_keeps_nobody_and_loses_nothing) {
  Person& alice = person(0);
  Person& bob = person(1);
  Person& carol = person(2);
  const Uid swap = must_propose_swap(alice, {a, b, c});
  must_accept(alice, swap, a);
  must_accept(carol, swap, c);
  carol.crash();
  const auto waiting = drive(alice, swap, Wish::confirm, seconds(5));
  ASSERT_TRUE(waiting) << waiting.error().message;
  EXPECT_FALSE(waiting->decided);
  EXPECT_THAT(waiting->why, HasSubstr("not locked yet: 1"));
  expect_decided(drive(alice, swap, Wish::abort), aborted);
  expect_pays(alice, a);
  // Carol's account is free as well, though she did nothing; she learns of it when she comes back.
  for (std::size_t v = 0; v < 4; ++v) EXPECT_EQ(net[v].account(c)->next, SequenceNumber(1));
  carol.start();
  const auto back = drive(carol, swap, Wish::confirm);
  expect_decided(back, aborted);
  expect_pays(carol, c);
  const auto late = net.run(bob->accept(swap, b));
  ASSERT_FALSE(late);
  EXPECT_THAT(late.error().message, HasSubstr("decided already"));
  expect_pays(bob, b);
  expect_all_equal();
}

TEST_F(Swaps, of_whom_all_locked_one_may_vanish) {
  Person& alice = person(0);
  Person& bob = person(1);
  const Uid swap = must_propose_swap(alice, {a, b});
  must_accept(alice, swap, a);
  must_accept(bob, swap, b);
  bob.crash();
  expect_decided(drive(alice, swap, Wish::confirm), confirmed);
  expect_pays(alice, b);
  bob.start();
  const auto report = net.run(bob->inspect(swap));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->decided, confirmed);
  EXPECT_THAT(report->steps, ElementsAre(InstanceStep::finish));
  expect_decided(drive(bob, swap, Wish::abort), confirmed);  // too late to abort
  expect_pays(bob, a);
  EXPECT_FALSE(owned(bob, b));
  expect_all_equal();
}

TEST_F(Swaps, wishes_that_differ_end_in_one_decision) {
  Person& alice = person(0);
  Person& bob = person(1);
  const Uid swap = must_propose_swap(alice, {a, b});
  must_accept(alice, swap, a);
  must_accept(bob, swap, b);
  TaskScope scope;
  const Running one(scope, alice->drive(swap, Wish::confirm, seconds(300)));
  const Running other(scope, bob->drive(swap, Wish::abort, seconds(300)));
  let_run([&] { return one.done() && other.done(); });
  ASSERT_TRUE(one.result() && other.result());
  EXPECT_TRUE(one.result()->finished) << one.result()->why;
  EXPECT_TRUE(other.result()->finished) << other.result()->why;
  EXPECT_EQ(one.result()->decided, other.result()->decided);
  expect_all_equal();
}

TEST_F(Swaps, both_accounts_may_be_of_one_wallet) {
  Person& alice = person(0, 2);
  const Uid swap = must_propose_swap(alice, {a, b});
  must_accept(alice, swap, a);
  must_accept(alice, swap, b);
  expect_decided(drive(alice, swap, Wish::confirm), confirmed);
  EXPECT_TRUE(owned(alice, a));
  EXPECT_TRUE(owned(alice, b));
  expect_pays(alice, a);
  expect_pays(alice, b);
  expect_all_equal();
}

TEST_F(Swaps, are_proposed_by_somebody_who_takes_no_part) {
  Person& alice = person(0);
  Person& bob = person(1);
  Person& carol = person(2);
  const auto swap = net.run(carol->propose_swap(c, {a, b}));
  ASSERT_TRUE(swap) << swap.error().message;
  EXPECT_EQ(*swap, c.child(SequenceNumber(0)));
  const auto seen = net.run(bob->inspect(*swap));
  ASSERT_TRUE(seen) << seen.error().message;
  EXPECT_EQ(seen->creator, c);
  EXPECT_THAT(seen->waits_for, ElementsAre(a, b));
  EXPECT_THAT(seen->steps, ElementsAre(InstanceStep::accept));
  ASSERT_EQ(seen->shares.size(), 1U);
  EXPECT_EQ(seen->shares[0].receives, a);
  EXPECT_EQ(seen->parties[0].balance, 1'000'000);
  EXPECT_TRUE(seen->parties[0].ready);
  EXPECT_FALSE(seen->parties[0].mine);
  must_accept(bob, *swap, b);
  must_accept(alice, *swap, a);
  expect_decided(drive(bob, *swap, Wish::confirm), confirmed);
  expect_decided(drive(alice, *swap, Wish::confirm), confirmed);
  const auto entries = carol->instances();
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 1U);
  EXPECT_TRUE(entries->front().proposed_here);
  EXPECT_TRUE(entries->front().terms);
  const auto none = drive(carol, *swap, Wish::abort);
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message, HasSubstr("no account of this wallet"));
  expect_all_equal();
}

TEST_F(Swaps, a_locked_account_does_nothing_else) {
  Person& alice = person(0);
  const Uid swap = must_propose_swap(alice, {a, b});
  must_accept(alice, swap, a);
  for (int round = 0; round < 2; ++round) {
    const auto paid = net.run(alice->transfer(a, to(b, 1)));
    ASSERT_FALSE(paid);
    EXPECT_EQ(paid.error().kind, FailureKind::other_pending);
    EXPECT_THAT(paid.error().message, HasSubstr("locked into instance " + swap.text()));
    EXPECT_EQ(alice->account(a)->locked_into, swap);
    EXPECT_TRUE(net.run(alice->finish_pending()));
    EXPECT_TRUE(net.run(alice->sync(a)));
    must_accept(alice, swap, a);  // the same lock again
    alice.restart();
  }
  expect_decided(drive(alice, swap, Wish::abort), aborted);
  EXPECT_FALSE(alice->account(a)->locked_into);
  expect_pays(alice, a);
  expect_all_equal();
}

TEST_F(Swaps, nobody_locks_before_the_others_stand_at_their_numbers) {
  Person& alice = person(0);
  Person& bob = person(1);
  const auto creator = net.account(bob.quorum(), 3);
  // Alice's account stands at 0; this names 1: until then she could still empty it.
  const auto started = net.run(
      creator->start_instance(AtomicSwap{}, {Participant{a, SequenceNumber(1)}, Participant{b, SequenceNumber(0)}}));
  ASSERT_TRUE(started) << started.error().message;
  const Uid swap = started_by(started->request).new_id;
  const auto early = net.run(bob->accept(swap, b));
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().kind, FailureKind::invalid);
  EXPECT_THAT(early.error().message, HasSubstr("could still empty it"));
  EXPECT_FALSE(bob->account(b)->locked_into);
  ASSERT_TRUE(net.run(alice->transfer(a, to(c, 999'999))));
  const auto seen = net.run(bob->inspect(swap));
  ASSERT_TRUE(seen);
  EXPECT_TRUE(seen->parties[0].ready);
  EXPECT_EQ(seen->parties[0].balance, 1);  // and whoever looks sees what is left
  must_accept(bob, swap, b);
  ASSERT_TRUE(net.run(alice->transfer(a, to(c, 1))));  // beyond it now: it never locks
  const auto gone = net.run(bob->inspect(swap));
  ASSERT_TRUE(gone);
  EXPECT_TRUE(gone->parties[0].gone);
  EXPECT_THAT(gone->steps, ElementsAre(InstanceStep::abort));
  EXPECT_THAT(gone->summary, HasSubstr("can only be aborted"));
  const auto late = net.run(alice->accept(swap, a));
  ASSERT_FALSE(late);
  EXPECT_THAT(late.error().message, HasSubstr("too late to join"));
  expect_decided(drive(bob, swap, Wish::abort), aborted);
  expect_all_equal();
}

TEST_F(Swaps, what_is_no_instance_is_told) {
  Person& alice = person(0);
  ASSERT_TRUE(net.run(alice->transfer(a, to(b, 1))));
  for (const Uid& uid : {a, a.child(SequenceNumber(0)), a.child(SequenceNumber(9))}) {
    const auto seen = net.run(alice->inspect(uid));
    ASSERT_FALSE(seen) << uid.text();
    EXPECT_EQ(seen.error().kind, FailureKind::not_found);
    EXPECT_FALSE(net.run(alice->accept(uid, a)));
    EXPECT_FALSE(drive(alice, uid, Wish::abort));
  }
  EXPECT_FALSE(net.run(alice->propose_swap(a, {a})));
  EXPECT_FALSE(net.run(alice->propose_swap(a, {b, b})));
  EXPECT_FALSE(net.run(alice->propose_swap(a, {a, Uid::genesis(500)})));
  EXPECT_FALSE(net.run(alice->propose_settlement(a, {a, b}, {Leg{c, a, Amount(1)}})));
  expect_pays(alice, a);
}

TEST_F(Swaps, a_silent_validator_holds_up_nobody) {
  net[2].set_fault(Fault::silent);
  Person& alice = person(0);
  Person& bob = person(1);
  const Uid swap = must_propose_swap(alice, {a, b});
  must_accept(alice, swap, a);
  must_accept(bob, swap, b);
  expect_decided(drive(alice, swap, Wish::confirm), confirmed);
  expect_decided(drive(bob, swap, Wish::confirm), confirmed);
  expect_pays(alice, b);
  expect_honest_votes();
}

TEST_F(Swaps, without_a_quorum_it_says_so_and_goes_on_later) {
  Person& alice = person(0);
  const Uid swap = must_propose_swap(alice, {a, b});
  must_accept(alice, swap, a);
  net.set_away(0, true);
  net.set_away(1, true);
  const auto stuck = drive(alice, swap, Wish::abort, seconds(10));
  ASSERT_TRUE(stuck) << stuck.error().message;
  EXPECT_FALSE(stuck->decided);
  EXPECT_FALSE(stuck->why.empty());
  net.set_away(0, false);
  net.set_away(1, false);
  expect_decided(drive(alice, swap, Wish::abort), aborted);
}

// A validator was away while accounts, an instance and what follows from it came to be, each out of the other.
TEST_F(Swaps, a_validator_that_was_away_learns_a_whole_genealogy) {
  Person& alice = person(0);
  Person& bob = person(1);
  net.set_away(3, true);
  const auto child = net.run(alice->open_account(a, Amount(500'000)));
  ASSERT_TRUE(child) << child.error().message;
  const auto grandchild = net.run(alice->open_account(child->uid, Amount(200'000)));
  ASSERT_TRUE(grandchild) << grandchild.error().message;
  const auto swap = net.run(alice->propose_swap(child->uid, {grandchild->uid, b}));
  ASSERT_TRUE(swap) << swap.error().message;
  must_accept(alice, *swap, grandchild->uid);
  must_accept(bob, *swap, b);
  expect_decided(drive(bob, *swap, Wish::confirm), confirmed);
  expect_decided(drive(alice, *swap, Wish::confirm), confirmed);
  const auto aborts = net.run(bob->propose_swap(grandchild->uid, {grandchild->uid, c}));
  ASSERT_TRUE(aborts) << aborts.error().message;
  must_accept(bob, *aborts, grandchild->uid);
  expect_decided(drive(bob, *aborts, Wish::abort), aborted);
  const auto last = net.run(bob->open_account(grandchild->uid, Amount(10)));
  ASSERT_TRUE(last) << last.error().message;
  alice.restart();  // nothing goes on in the background: only what people do brings the validator up to date
  bob.restart();
  net.set_away(3, false);
  net.set_away(0, true);  // its vote is needed now
  const auto paid = net.run(bob->transfer(last->uid, to(c, 10)));
  ASSERT_TRUE(paid) << paid.error().message;
  expect_pays(alice, b);
  net.set_away(0, false);
  for (const Uid& uid : {a, b, child->uid, grandchild->uid, last->uid}) {
    const auto reached = net.run(alice.quorum().bring_up_to_date(uid));
    ASSERT_TRUE(reached) << uid.text();
    EXPECT_EQ(*reached, 4U) << uid.text();
  }
  expect_all_equal();
}

TEST_F(Swaps, a_validator_that_was_away_takes_part_in_an_instance_that_it_does_not_know) {
  Person& alice = person(0);
  Person& bob = person(1);
  net.set_away(3, true);
  const Uid swap = must_propose_swap(alice, {a, b});
  must_accept(alice, swap, a);
  net.set_away(3, false);
  net.set_away(0, true);
  must_accept(bob, swap, b);
  expect_decided(drive(bob, swap, Wish::confirm), confirmed);
  expect_decided(drive(alice, swap, Wish::confirm), confirmed);
  net.set_away(0, false);
  expect_pays(alice, b);
  expect_all_equal();
}

TEST(SwapFees, are_paid_by_each_account_for_what_it_executes) {
  zef::testing::TempFolder folder;
  LocalNetwork net({.validators = 4, .accounts = 8, .fees = protocol::testing::test_fees});
  Person alice(net, folder / "alice", 4, 1);
  Person bob(net, folder / "bob", 5, 1);
  const Uid a = Uid::genesis(4);
  const Uid b = Uid::genesis(5);
  const auto swap = net.run(alice->propose_swap(a, {a, b}));
  ASSERT_TRUE(swap) << swap.error().message;
  ASSERT_TRUE(net.run(alice->accept(*swap, a)));
  ASSERT_TRUE(net.run(bob->accept(*swap, b)));
  const auto one = net.run(alice->drive(*swap, Wish::confirm, seconds(60)));
  const auto other = net.run(bob->drive(*swap, Wish::confirm, seconds(60)));
  ASSERT_TRUE(one && one->finished && other && other->finished);
  for (auto* wallet : {&alice, &bob})
    for (const AccountView& view : *(*wallet)->accounts())
      EXPECT_EQ(view.chain.balance, net[0].account(view.uid)->balance) << view.uid.text();
  EXPECT_LT(net[0].account(b)->balance, 1'000'000);
}

TEST(SwapFiles, of_the_first_format_are_taken_over) {
  zef::testing::TempFolder folder;
  LocalNetwork net;
  Person alice(net, folder / "w", 0, 1);
  alice.crash();
  {
    const auto database = Database::open(folder / "w");
    ASSERT_TRUE(database);
    ASSERT_TRUE((*database)->run("DROP TABLE locks; DROP TABLE instances; PRAGMA user_version = 1"));
  }
  alice.start();
  const auto swap = net.run(alice->propose_swap(Uid::genesis(0), {Uid::genesis(0), Uid::genesis(1)}));
  ASSERT_TRUE(swap) << swap.error().message;
  EXPECT_EQ(alice->instances()->size(), 1U);
  ASSERT_TRUE(net.run(alice->accept(*swap, Uid::genesis(0))));
}

// ---- crashes
// ---------------------------------------------------------------------------------------------------------

// Two wallets before a swap; networks of one seed are the same network, so the files serve for every run.
class SwapCrashes : public ::testing::Test {
 protected:
  static constexpr std::size_t stride = 7;
  const Uid a = Uid::genesis(0);
  const Uid b = Uid::genesis(1);

  static Task<void> propose(Wallet& wallet, bool& ended) {
    static_cast<void>(co_await wallet.propose_swap(Uid::genesis(0), {Uid::genesis(0), Uid::genesis(1)}));
    ended = true;
  }
  static Task<void> join(Wallet& wallet, Uid swap, Uid account, Wish wish, bool& ended) {
    const auto accepted = co_await wallet.accept(swap, account);
    if (accepted) static_cast<void>(co_await wallet.drive(swap, wish, seconds(60)));
    ended = true;
  }
  static void run_and_crash(LocalNetwork& net, Person& who, Task<void> task, const bool& ended, std::size_t steps) {
    TaskScope scope;
    scope.spawn(std::move(task));
    net.executor.run_while_not([&] { return ended || steps-- == 0; });
    scope.clear();
    who.restart();
  }
  // After the crash: whatever it was doing ends with this call, and both sides are left with one account each.
  static void expect_ends(LocalNetwork& net, Person& alice, Person& bob, const Uid& swap, const Uid& account,
                          Wish wish) {
    const auto entries = bob->instances();
    ASSERT_TRUE(entries);
    if (entries->empty() || entries->front().locked.empty()) {
      const auto accepted = net.run(bob->accept(swap, account));
      ASSERT_TRUE(accepted) << accepted.error().message;
    }
    const auto one = net.run(bob->drive(swap, wish, seconds(120)));
    ASSERT_TRUE(one) << one.error().message;
    ASSERT_TRUE(one->finished) << one->why;
    if (wish == Wish::confirm) EXPECT_EQ(one->decided, Decision(Confirmed{}));
    const auto other = net.run(alice->drive(swap, Wish::confirm, seconds(120)));
    ASSERT_TRUE(other) << other.error().message;
    ASSERT_TRUE(other->finished) << other->why;
    EXPECT_EQ(one->decided, other->decided);
    for (Person* who : {&alice, &bob}) {
      const auto views = (*who)->accounts();
      ASSERT_TRUE(views);
      std::size_t owned = 0;
      for (const AccountView& view : *views) {
        if (!view.owned) continue;
        ++owned;
        const auto paid = net.run((*who)->transfer(view.uid, to(Uid::genesis(2), 1)));
        ASSERT_TRUE(paid) << paid.error().message;
        EXPECT_EQ(view.chain.next.value() + 1, net[0].account(view.uid)->next.value());
      }
      EXPECT_EQ(owned, 1U);
    }
    for (auto& validator : net.validators) {
      for (const auto& [place, hashes] : validator->seen_orders()) EXPECT_EQ(hashes.size(), 1U);
      for (const auto& [place, decisions] : validator->precommitted()) EXPECT_EQ(decisions.size(), 1U);
      EXPECT_EQ(validator->totals().conflicts, 0U);
    }
  }
  void crash_while_joining(Wish wish) {
    bool ended = false;
    std::size_t steps = 0;
    for (; !ended && !HasFailure(); steps += stride) {
      SCOPED_TRACE("crash after " + std::to_string(steps) + " steps");
      zef::testing::TempFolder folder;
      LocalNetwork net;
      Person alice(net, folder / "alice", 0, 1);
      Person bob(net, folder / "bob", 1, 1);
      const auto swap = net.run(alice->propose_swap(a, {a, b}));
      ASSERT_TRUE(swap);
      ASSERT_TRUE(net.run(alice->accept(*swap, a)));
      run_and_crash(net, bob, join(bob.wallet(), *swap, b, wish, ended), ended, steps);
      expect_ends(net, alice, bob, *swap, b, wish);
    }
    EXPECT_GT(steps, 20 * stride);
  }
};

TEST_F(SwapCrashes, at_every_step_of_a_confirmation_lead_to_it) { crash_while_joining(Wish::confirm); }
TEST_F(SwapCrashes, at_every_step_of_an_abort_lead_to_one_decision) { crash_while_joining(Wish::abort); }

TEST_F(SwapCrashes, at_every_step_of_a_proposal_leave_one_or_none) {
  bool ended = false;
  for (std::size_t steps = 0; !ended && !HasFailure(); steps += 2) {
    SCOPED_TRACE("crash after " + std::to_string(steps) + " steps");
    zef::testing::TempFolder folder;
    LocalNetwork net;
    Person alice(net, folder / "alice", 0, 1);
    run_and_crash(net, alice, propose(alice.wallet(), ended), ended, steps);
    ASSERT_TRUE(net.run(alice->finish_pending()));
    const auto entries = alice->instances();
    ASSERT_TRUE(entries);
    ASSERT_LE(entries->size(), 1U);
    if (entries->empty()) continue;
    EXPECT_TRUE(entries->front().terms);
    const auto accepted = net.run(alice->accept(entries->front().instance, a));
    ASSERT_TRUE(accepted) << accepted.error().message;
    const auto out = net.run(alice->drive(entries->front().instance, Wish::abort, seconds(60)));
    ASSERT_TRUE(out && out->finished);
  }
}

// Each kind of write fails once in the middle, as on a full disk: nothing that follows from it happens before.
TEST_F(SwapCrashes, writes_that_fail_stop_there_and_are_made_up_for_later) {
  const std::vector<std::string> writes = {"INSERT ON keys",     "INSERT ON requests", "INSERT ON instances",
                                           "INSERT ON locks",    "UPDATE ON locks",    "UPDATE ON instances",
                                           "UPDATE ON accounts", "UPDATE ON requests", "INSERT ON accounts"};
  for (const std::string& write : writes) {
    SCOPED_TRACE(write);
    zef::testing::TempFolder folder;
    LocalNetwork net;
    Person alice(net, folder / "alice", 0, 1);
    Person bob(net, folder / "bob", 1, 1);
    const auto swap = net.run(alice->propose_swap(a, {a, b}));
    ASSERT_TRUE(swap);
    ASSERT_TRUE(net.run(alice->accept(*swap, a)));
    const auto database = Database::open(folder / "bob");
    ASSERT_TRUE(database);
    ASSERT_TRUE((*database)->run("CREATE TRIGGER full BEFORE " + write + " BEGIN SELECT RAISE(FAIL, 'no room'); END"));
    bob.restart();
    const auto accepted = net.run(bob->accept(*swap, b));
    if (accepted) {
      const auto driven = net.run(bob->drive(*swap, Wish::confirm, seconds(60)));
      EXPECT_FALSE(driven && driven->finished);
      if (!driven) EXPECT_EQ(driven.error().kind, FailureKind::storage) << driven.error().message;
    } else {
      EXPECT_EQ(accepted.error().kind, FailureKind::storage) << accepted.error().message;
    }
    bob.crash();
    ASSERT_TRUE((*database)->run("DROP TRIGGER full"));
    bob.start();
    expect_ends(net, alice, bob, *swap, b, Wish::confirm);
    if (HasFailure()) break;
  }
}

}  // namespace
}  // namespace zef::client
