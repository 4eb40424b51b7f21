#include "sim/judge.h"

#include <algorithm>

namespace zef::sim {

using namespace protocol;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr Duration weigh_period = milliseconds(500);
constexpr Duration quiet_look_period = milliseconds(100);
constexpr Duration settle_time = seconds(1);  // for what attackers have under way
constexpr std::size_t flows_at_a_time = 16;
constexpr std::size_t again_after_restart = 24;
constexpr std::size_t again_at_the_end = 100;  // of each validator
constexpr int rounds_max = 8;

Balance supply_in(const Totals& totals) {
  return totals.balances + (totals.caused - totals.received) + (totals.fees - totals.fees_credited) + totals.burned;
}
std::string number(Balance balance) {
  return fmt::format("{}{}", balance < 0 ? "-" : "", static_cast<unsigned long long>(balance < 0 ? -balance : balance));
}

}  // namespace

Judge::Judge(World world, SimRng rng)
    : world_(world),
      rng_(rng),
      process_(world.schedule.make_process()),
      transport_(world.network.transport(process_, world.network.new_site())),
      quorum_(process_, rng_, *transport_, world.rules, world.addresses, {.root_cache_entries = 64}),
      witness_(world.rules, world.journal) {
  for (std::size_t v = 0; v < world_.validators.size(); ++v) {
    Validator& validator = *world_.validators[v];
    clients_.push_back(std::make_unique<net::RpcClient>(process_, *transport_, validator.inner_address()));
    chronicles_.push_back(std::make_unique<Chronicle>(v, world_.genesis, world_.rules, world_.journal));
    chronicles_.back()->on_executed(
        [this, v](const Request& request, const Hash& hash) { executed(v, request, hash); });
    chronicles_.back()->on_decided([this, v](const Uid& instance, const Decision& decision) {
      if (world_.beyond_f || !honest(v)) return;
      const auto [known, first] = decisions_.try_emplace(instance, decision);
      if (!first && known->second != decision)
        world_.journal.violation("I1", instance.text(), fmt::format("instance {} is decided twice", instance.text()));
    });
    validator.bucket().on_created(
        [this, v](const std::string& key, ByteView bytes) { chronicles_[v]->created(key, bytes); });
    validator.on_serving([this, v] {
      world_.journal.event("validator {}: a worker serves", v);
      ask_again(v, again_after_restart);
    });
    for (std::size_t w = 0; w < validator.slot_count(); ++w) witness_.watch(worker_host(v, w), v, *chronicles_[v]);
  }
}
Judge::~Judge() { process_.kill(); }

void Judge::start() {
  for (std::size_t i = 0; i < world_.genesis.accounts.size(); ++i)
    books_[Uid::genesis(i)] = world_.genesis.accounts[i].balance.value();
  weigh();
}

// I1 and I2, over all validators, Byzantine ones' honest workers included.
void Judge::executed(std::size_t validator, const Request& request, const Hash& hash) {
  world_.journal.event("validator {} has executed {} of account {}", validator, request.sequence_number.value(),
                       request.account.text());
  const auto [known, added] = certified_.try_emplace(Place{request.account, request.sequence_number}, hash);
  if (std::holds_alternative<LockInto>(request.operation))
    world_.journal.violation(
        "C2", request.account.text(),
        fmt::format("validator {} executes a lock of account {}", validator, request.account.text()));
  if (world_.beyond_f) return;
  // What Byzantine validators alone have executed is nobody's business.
  if (honest(validator) && accounted_.insert({request.account, request.sequence_number}).second) account_for(request);
  if (const auto by_owner = world_.is_signed(request, hash); by_owner && !*by_owner)
    world_.journal.violation("R3", request.account.text(),
                             fmt::format("request {} of account {} was executed, and its owner never signed it",
                                         request.sequence_number.value(), request.account.text()));
  if (!added && known->second != hash)
    world_.journal.violation("I1", request.account.text(),
                             fmt::format("two requests of account {} at number {} were executed",
                                         request.account.text(), request.sequence_number.value()));
  if (request.sequence_number.value() > 0) {
    const Hash* before =
        chronicles_[validator]->executed_at(request.account, SequenceNumber(request.sequence_number.value() - 1));
    if (!before || *before != request.previous)
      world_.journal.violation("I1", request.account.text(),
                               fmt::format("validator {} executes request {} of account {}, which does not follow the "
                                           "one before it",
                                           validator, request.sequence_number.value(), request.account.text()));
  }
  const Uid* made = nullptr;
  if (const auto* open = std::get_if<OpenAccount>(&request.operation)) made = &open->new_id;
  if (const auto* start = std::get_if<StartInstance>(&request.operation)) made = &start->new_id;
  if (!made) return;
  const auto [creator, first] = created_.try_emplace(*made, hash);
  if ((!first && creator->second != hash) || *made != request.account.child(request.sequence_number))
    world_.journal.violation("I2", made->text(), fmt::format("UID {} is created a second time", made->text()));
}

void Judge::account_for(const Request& request) {
  Balance cost = fee_of(world_.rules, request).value();
  fees_ += cost;
  const auto pay = [&](const Uid& recipient, Amount amount) { books_[recipient] += amount.value(); };
  if (const auto* transfer = std::get_if<Transfer>(&request.operation)) {
    for (const Payment& payment : transfer->payments) {
      cost += payment.amount.value();
      if (const auto* to = std::get_if<Account>(&payment.recipient)) {
        pay(to->uid, payment.amount);
        if (payment.amount < world_.rules.fees.min_credit)
          world_.journal.violation("R6", request.account.text(), "a payment below the least amount was certified");
      } else {
        burned_ += payment.amount.value();
      }
    }
  }
  if (const auto* open = std::get_if<OpenAccount>(&request.operation)) {
    cost += open->funding.value();
    pay(open->new_id, open->funding);
  }
  if (std::holds_alternative<CloseAccount>(request.operation)) closed_.insert(request.account);
  books_[request.account] -= cost;
}

// Every unit is where certified requests have sent it, and nobody owes anything.
void Judge::compare_with_books(std::size_t validator) {
  Balance burned = burned_;
  for (const auto& [uid, balance] : books_) {
    if (closed_.contains(uid)) {
      burned += balance;
      continue;
    }
    const auto found = rebuilt_[validator].states.find(uid);
    const Balance held = found == rebuilt_[validator].states.end() ? 0 : found->second.balance;
    if (held != balance)
      world_.journal.violation("C3", uid.text(),
                               fmt::format("account {} holds {} in validator {}; certified requests make it {}",
                                           uid.text(), number(held), validator, number(balance)));
    if (balance < 0)
      world_.journal.violation(
          "R6", uid.text(), fmt::format("account {} has spent what it does not have: {}", uid.text(), number(balance)));
  }
  if (rebuilt_[validator].totals.burned != burned)
    world_.journal.violation("C4", fmt::format("validator {}", validator),
                             fmt::format("validator {} has burned {}; certified requests make it {}", validator,
                                         number(rebuilt_[validator].totals.burned), number(burned)));
}

void Judge::weigh() {
  const Balance supply = supply_of(world_.genesis);
  for (const auto& validator : world_.validators) {
    if (!validator->complete()) continue;
    ++weighed_;
    const Balance held = supply_in(validator->totals());
    if (held != supply)
      world_.journal.violation(
          "I4", fmt::format("validator {}", validator->index()),
          fmt::format("validator {} holds {} of a supply of {}", validator->index(), number(held), number(supply)));
  }
  process_.after(weigh_period, [this] { weigh(); });
}

void Judge::ask_again(std::size_t validator, std::size_t most) {
  std::vector<const Witness::Voted*> all;
  for (const auto& voted : witness_.voted())
    if (voted.validator == validator) all.push_back(&voted);
  for (std::size_t i = 0; i < most && !all.empty(); ++i) {
    // The newest ones, and others by chance.
    const std::size_t place = i < most / 2 && i < all.size() ? all.size() - 1 - i : rng_.pick(all.size());
    const Witness::Voted voted = *all[place];
    ++asked_again_;
    ++answers_due_;
    clients_[validator]->call(*voted.query, seconds(20), [this, voted](const Result<Bytes>& answer) {
      --answers_due_;
      if (answer) witness_.judge_again(voted, *answer);
    });
  }
}

bool Judge::all_quiet() const {
  for (std::size_t v = 0; v < world_.validators.size(); ++v) {
    if (!honest(v)) continue;
    if (!world_.validators[v]->complete()) return false;
    const Totals totals = world_.validators[v]->totals();
    if (totals.effects_waiting > 0 || totals.fees != totals.fees_credited) return false;
  }
  return true;
}

// Looks now and then: a look goes over all shards of all validators.
bool Judge::await_quiet(Duration limit) {
  const MonotonicTime end = process_.now() + limit;
  while (!all_quiet()) {
    const MonotonicTime next = process_.now() + quiet_look_period;
    if (next > end) return false;
    world_.schedule.run_until([&] { return process_.now() >= next; }, limit);
  }
  return true;
}

bool Judge::all_equal(const std::vector<Uid>& accounts) const {
  for (const Uid& account : accounts) {
    std::optional<std::uint64_t> next;
    for (std::size_t v = 0; v < chronicles_.size(); ++v) {
      if (!honest(v)) continue;
      if (next && *next != chronicles_[v]->next_of(account)) return false;
      next = chronicles_[v]->next_of(account);
    }
  }
  return true;
}

Task<void> Judge::bring_up(const std::vector<Uid>& accounts, std::size_t& at, std::size_t& left) {
  while (at < accounts.size()) {
    const Uid& account = accounts[at++];
    std::optional<std::uint64_t> next;
    bool differ = false;
    for (std::size_t v = 0; v < chronicles_.size(); ++v) {
      if (!honest(v)) continue;
      differ |= next && *next != chronicles_[v]->next_of(account);
      next = chronicles_[v]->next_of(account);
    }
    if (differ) (void)co_await quorum_.bring_up_to_date(account);
  }
  --left;
}

void Judge::finish(const std::vector<Uid>& known) {
  std::set<Uid> all(known.begin(), known.end());
  for (const auto& [place, hash] : certified_) all.insert(place.account);
  const std::vector<Uid> accounts(all.begin(), all.end());
  bool equal = false;
  for (int round = 0; round < rounds_max && !equal; ++round) {
    std::size_t at = 0;
    std::size_t left = flows_at_a_time;
    for (std::size_t i = 0; i < flows_at_a_time; ++i) scope_.spawn(bring_up(accounts, at, left));
    if (!world_.schedule.run_until([&] { return left == 0; }, std::chrono::minutes(20))) break;
    if (!await_quiet(std::chrono::minutes(3))) continue;
    equal = all_equal(accounts);
  }
  for (std::size_t v = 0; v < world_.validators.size(); ++v)
    if (honest(v)) ask_again(v, again_at_the_end);
  const MonotonicTime settled = process_.now() + settle_time;
  world_.schedule.run_until([&] { return answers_due_ == 0 && process_.now() >= settled; }, seconds(30));
  scope_.clear();
  if (!await_quiet(std::chrono::minutes(1)))  // controllers go on
    world_.journal.violation("I3", "validator", "effects or fees are still under way in an honest validator");
  compare_logs();
  std::size_t at = 0;
  std::size_t left = flows_at_a_time;
  for (std::size_t i = 0; i < flows_at_a_time; ++i) scope_.spawn(compare_answers(accounts, at, left));
  if (!world_.schedule.run_until([&] { return left == 0; }, std::chrono::minutes(10)))
    world_.journal.violation("I6", "validator", "questions about accounts are not answered");
  world_.journal.count("checks: supply weighed", weighed_);
  world_.journal.count("checks: votes asked again", asked_again_);
  world_.journal.count("checks: accounts compared", accounts.size());
}

// What the logs say, replayed from the beginning.
void Judge::compare_logs() {
  const Balance supply = supply_of(world_.genesis);
  std::optional<std::size_t> first;
  const Balance share = fees_ / static_cast<Balance>(world_.genesis.validators.size());
  for (const ValidatorInfo& validator : world_.genesis.validators) books_[validator.reward_account] += share;
  for (std::size_t v = 0; v < chronicles_.size(); ++v) {
    rebuilt_.push_back(honest(v) ? chronicles_[v]->rebuild() : Chronicle::Rebuilt{});
    if (!honest(v)) continue;
    const auto& mine = rebuilt_[v];
    if (supply_in(mine.totals) != supply)
      world_.journal.violation("I4", fmt::format("validator {}", v),
                               fmt::format("the log of validator {} holds {} of a supply of {}", v,
                                           number(supply_in(mine.totals)), number(supply)));
    compare_with_books(v);
    if (mine.totals.conflicts > 0)
      world_.journal.violation("I1", fmt::format("validator {}", v), "evidence of two certificates for one number");
    if (!first) {
      first = v;
      continue;
    }
    const auto& other = rebuilt_[*first];
    for (const auto& [uid, digest] : mine.accounts) {
      const auto found = other.accounts.find(uid);
      if (found == other.accounts.end() || found->second != digest)
        world_.journal.violation("I3", uid.text(),
                                 fmt::format("validators {} and {} differ in account {}", *first, v, uid.text()));
    }
    if (mine.accounts.size() != other.accounts.size() || mine.totals.burned != other.totals.burned)
      world_.journal.violation("I3", fmt::format("validator {}", v),
                               fmt::format("validators {} and {} differ: {} and {} accounts, {} and {} burned", *first,
                                           v, other.accounts.size(), mine.accounts.size(), number(other.totals.burned),
                                           number(mine.totals.burned)));
    for (const auto& [uid, decision] : mine.decisions)
      if (const auto found = other.decisions.find(uid);
          found != other.decisions.end() && found->second.value != decision.value) {
        const auto decided = [](const Certificate& certificate) {
          const auto* commit = std::get_if<Commit>(&certificate.value.kind);
          return commit ? commit->proposal.decision.index() : 2;
        };
        if (decided(found->second) != decided(decision))
          world_.journal.violation("I3", uid.text(), fmt::format("instance {} is decided twice", uid.text()));
      }
  }
}

// What the workers say now is what their logs say.
Task<void> Judge::compare_answers(const std::vector<Uid>& accounts, std::size_t& at, std::size_t& left) {
  while (at < accounts.size()) {
    const Uid& account = accounts[at++];
    for (std::size_t v = 0; v < world_.validators.size(); ++v) {
      if (!honest(v)) continue;
      const auto found = rebuilt_[v].states.find(account);
      QueryAccount query{account, {}};
      const auto bytes = co_await clients_[v]->call(codec::encode(Query(query)), seconds(60));
      const auto answer = bytes ? codec::decode<Answer>(*bytes) : std::unexpected(codec::DecodeError::truncated);
      if (!answer) continue;
      const auto* state = std::get_if<SignedAccountState>(&*answer);
      const bool known = found != rebuilt_[v].states.end();
      if ((state != nullptr) != known || (state && state->state.balance != found->second.balance) ||
          (state && state->state.next != found->second.next) || (state && state->state.head != found->second.head))
        world_.journal.violation(
            "I5", account.text(),
            fmt::format("validator {} says of account {} what its log does not say", v, account.text()));
    }
  }
  --left;
}

}  // namespace zef::sim
