#include "sim/user.h"

#include <fmt/core.h>

#include <utility>

#include "client/instance_driver.h"
#include "client/quorum_driver.h"
#include "crypto/keys.h"
#include "protocol/instance_rules.h"

namespace zef::sim {

using namespace protocol;
using client::AccountDriver;
using client::ChainState;
using client::FailureKind;
using client::Outcome;
using std::chrono::milliseconds;

struct User::Process {
  Process(User& user, SimExecutor& e, SimRng random);
  ~Process();

  static client::DriverOptions options_of() {
    client::DriverOptions options;
    options.root_cache_entries = 64;
    // Shorter than people would have them: what nobody answers costs simulated time.
    options.operation_time_max = std::chrono::seconds(10);
    options.answer_time_max = std::chrono::seconds(3);
    options.query_time_max = std::chrono::seconds(2);
    return options;
  }

  SimExecutor& executor;
  SimRng rng;
  std::unique_ptr<net::Transport> transport;
  std::unique_ptr<Storage> storage;
  client::QuorumDriver quorum;
  client::InstanceDriver instances{quorum};
  std::map<Uid, std::unique_ptr<AccountDriver>> drivers;
  std::size_t living = 0;  // flows that have not stopped
  TaskScope scope;
};

// A disk that takes its time; what it has not said to be saved may be saved or not.
class User::Storage final : public client::AccountStorage {
 public:
  Storage(User& user, Process& process) : user_(user), process_(process) {}

  Task<Result<void>> save_order(RequestOrder order) override {
    const Request& request = order.request;
    const Hash hash = hash_of(user_.world_.rules.id, request);
    co_await write();
    const auto [known, added] = user_.disk_.signed_requests.try_emplace(
        {request.account, request.sequence_number},
        Disk::Signed{hash, std::holds_alternative<LockInto>(request.operation)});
    if (!added && known->second.hash != hash) {
      user_.world_.journal.violation("client", request.account.text(), "an honest owner signs two requests");
      co_return fail(ErrorKind::refused, "another request was signed for this number");
    }
    Disk::Saved& saved = user_.disk_.accounts.at(request.account);
    saved.pending = std::move(order);
    saved.proof.reset();
    saved.lock.reset();
    saved.begun = true;
    co_await write();
    co_return Result<void>{};
  }
  Task<Result<void>> save_lock(Certificate lock) override {
    co_await write();
    user_.disk_.accounts.at(std::get<Lock>(lock.value.kind).request.account).lock = std::move(lock);
    co_return Result<void>{};
  }
  Task<Result<void>> save_certified(Proof proof, SequenceNumber /*at*/, ChainState after) override {
    co_await write();
    Disk::Saved& saved = user_.disk_.accounts.at(after.account);
    saved.chain = std::move(after);
    saved.proof = std::move(proof);
    saved.lock.reset();
    if (saved.pending) {
      if (const auto* open = std::get_if<OpenAccount>(&saved.pending->request.operation);
          open && user_.disk_.keys.contains(open->new_owner)) {
        ChainState child{.account = open->new_id,
                         .owner = open->new_owner,
                         .next = SequenceNumber(0),
                         .head = hash_of(user_.world_.rules.id, saved.pending->request),
                         .balance = static_cast<Balance>(open->funding.value()),
                         .closed = false,
                         .synced = true};
        user_.disk_.accounts.try_emplace(open->new_id, Disk::Saved{std::move(child), {}, {}, {}, false});
      }
    }
    co_await write();
    co_return Result<void>{};
  }
  Task<Result<void>> save_executed(Uid account, SequenceNumber /*at*/) override {
    co_await write();
    Disk::Saved& saved = user_.disk_.accounts.at(account);
    saved.pending.reset();
    saved.proof.reset();
    saved.lock.reset();
    if (std::exchange(saved.begun, false)) ++user_.world_.workload.done;
    co_await write();
    co_return Result<void>{};
  }
  Task<Result<void>> save_chain(ChainState chain) override {
    co_await write();
    Disk::Saved& saved = user_.disk_.accounts.at(chain.account);
    if (saved.pending && saved.pending->request.sequence_number < chain.next) {
      saved.pending.reset();
      saved.proof.reset();
      saved.lock.reset();
      if (std::exchange(saved.begun, false)) ++user_.world_.workload.done;
    }
    saved.chain = std::move(chain);
    co_return Result<void>{};
  }

 private:
  // Most writes are as good as done at once; some take their time, and a crash finds them half-way.
  Task<void> write() {
    if (process_.rng.chance(50'000)) co_await sleep_for(process_.executor, milliseconds(process_.rng.between(1, 30)));
  }
  User& user_;
  Process& process_;
};

User::Process::Process(User& user, SimExecutor& e, SimRng random)
    : executor(e),
      rng(random),
      transport(user.world_.network.transport(e, user.site_)),
      storage(std::make_unique<Storage>(user, *this)),
      quorum(e, rng, *transport, user.world_.rules, user.world_.validators, options_of()) {}
User::Process::~Process() { executor.kill(); }

User::User(World world, SimRng rng, std::size_t number)
    : world_(world),
      rng_(rng),
      number_(number),
      site_(world.network.new_site()),
      machine_(world.schedule.make_process()) {}
User::~User() = default;

void User::add_account(const ChainState& chain, const KeySeed& seed) {
  disk_.keys.emplace(chain.owner, seed);
  disk_.accounts.emplace(chain.account, Disk::Saved{chain, {}, {}, {}, false});
}

void User::start() {
  process_ = std::make_unique<Process>(*this, world_.schedule.make_process(), rng_.fork());
  adopt_children(*process_);
}

void User::crash(Duration down) {
  if (!process_) return;
  process_.reset();
  machine_.after(down, [this] {
    if (!process_) start();
  });
}

void User::jump_clock(Duration by) {
  if (process_) process_->executor.jump_wall(by);
}

bool User::idle() const { return process_ && process_->living == 0; }

std::string User::state() const {
  if (!process_) return "down";
  std::string text = fmt::format("{} accounts busy;", process_->living);
  for (const auto& [uid, driver] : process_->drivers)
    if (driver->pending())
      text += fmt::format(" {}@{}", uid.text(), driver->pending()->request.sequence_number.value());
  return text;
}

// Every account on the disk that nobody looks after yet.
void User::adopt_children(Process& process) {
  for (const auto& [uid, saved] : disk_.accounts)
    if (!process.drivers.contains(uid)) begin(process, uid);
}

void User::begin(Process& process, const Uid& uid) {
  const Disk::Saved& saved = disk_.accounts.at(uid);
  const auto key_of = [this](const PublicKey& owner) -> std::optional<crypto::SigningKey> {
    const auto found = disk_.keys.find(owner);
    if (found == disk_.keys.end()) return std::nullopt;
    return crypto::SigningKey::from_seed(found->second);
  };
  auto driver =
      std::make_unique<AccountDriver>(process.quorum, saved.chain, key_of(saved.chain.owner), process.storage.get());
  if (saved.pending) {
    const auto* change = std::get_if<ChangeOwner>(&saved.pending->request.operation);
    driver->restore(*saved.pending, saved.proof, change ? key_of(change->new_owner) : std::nullopt);
    if (saved.lock) driver->restore_lock(*saved.lock);
  }
  process.drivers.emplace(uid, std::move(driver));
  ++process.living;
  process.scope.spawn(live(process, uid));
}

Task<void> User::live(Process& process, Uid uid) {
  AccountDriver& driver = *process.drivers.at(uid);
  // Not all at one moment.
  co_await sleep_for(process.executor, milliseconds(process.rng.between(0, 200)));
  std::size_t attempts = 0;
  while (true) {
    if (driver.pending()) {
      const bool locked = driver.locked_into().has_value();
      if (!(locked ? co_await get_out(process, driver, attempts++) : co_await finish(process, driver))) {
        co_await sleep_for(process.executor, milliseconds(process.rng.between(50, 500)));
        continue;
      }
    }
    attempts = 0;
    adopt_children(process);
    if (driver.chain().closed || !driver.owned()) break;
    co_await follow_invitation(process, driver);
    co_await consider_offers(process, driver);
    if (driver.pending()) continue;
    if (!world_.workload.take()) break;
    co_await operate(process, driver);
  }
  --process.living;
}

// What was begun, whatever it was, until a quorum has executed it. False: try again later.
Task<bool> User::finish(Process& process, AccountDriver& driver) {
  const auto outcome = co_await driver.finish_pending();
  if (outcome) co_return true;
  settle(process, driver, outcome);
  co_return false;
}

Task<void> User::operate(Process& process, AccountDriver& driver) {
  const auto outcome = co_await run_one(process, driver);
  if (outcome) co_return;
  if (!driver.pending()) world_.workload.give_back();
  settle(process, driver, outcome);
  co_await sleep_for(process.executor, milliseconds(process.rng.between(20, 300)));
}

// Refusals are no violation: a validator that lags and one that lies may say the same for a moment. To be refused for
// ever is one, and so is to sign twice.
void User::settle(Process& /*process*/, AccountDriver& driver, const Outcome<void>& outcome) {
  const client::Failure& why = outcome.error();
  world_.journal.event("user {}: account {}: {} ({})", number_, driver.uid().text(), why.message,
                       client::to_string(why.kind));
  world_.journal.count(std::string("user told: ") + std::string(client::to_string(why.kind)));
  if (why.kind != FailureKind::insufficient_funds || driver.pending()) return;
  ++world_.workload.poor;
  if (world_.workload.poor % 4 == 0) world_.workload.take();  // a network of beggars comes to its end too
}

KeySeed User::new_key(Process& process) {
  KeySeed seed;
  process.rng.fill(seed);
  const crypto::SigningKey key = crypto::SigningKey::from_seed(seed);
  disk_.keys.emplace(key.public_key(), seed);
  return seed;
}

Address User::recipient(Process& process) {
  if (process.rng.chance(20'000)) return Burn{};
  return Account{world_.workload.book[process.rng.pick(world_.workload.book.size())]};
}

Task<Outcome<void>> User::run_one(Process& process, AccountDriver& driver) {
  SimRng& rng = process.rng;
  const auto amount = [&rng] { return Amount(rng.between(10, 200)); };
  const auto done = [](auto outcome) -> Outcome<void> {
    if (!outcome) return std::unexpected(std::move(outcome.error()));
    return {};
  };
  const std::uint64_t choice = rng.pick(100);
  if (choice < 56) {
    std::vector<Payment> payments{{recipient(process), amount(), {}}};
    co_return done(co_await driver.transfer(std::move(payments)));
  }
  if (choice < 72) {
    std::vector<Payment> payments;
    const std::uint64_t many = rng.between(2, 6);
    for (std::uint64_t i = 0; i < many; ++i) {
      payments.push_back({recipient(process), amount(), {}});
      if (rng.chance(300'000)) payments.push_back({payments.back().recipient, amount(), {}});  // the same one again
    }
    co_return done(co_await driver.transfer(std::move(payments)));
  }
  if (choice < 79 && world_.workload.book.size() < world_.workload.accounts_max && driver.uid().depth() < 6) {
    const crypto::SigningKey key = crypto::SigningKey::from_seed(new_key(process));
    auto opened = co_await driver.open(key.public_key(), Amount(rng.chance(200'000) ? 0 : rng.between(500, 20'000)));
    if (opened) {
      world_.workload.book.push_back(std::get<OpenAccount>(opened->request.operation).new_id);
      adopt_children(process);
    }
    co_return done(std::move(opened));
  }
  if (choice < 84) co_return done(co_await driver.rotate(crypto::SigningKey::from_seed(new_key(process))));
  if (choice < 88) co_return done(co_await driver.run(Skip{}));
  if (choice < 90 && driver.uid().depth() > 1) co_return done(co_await driver.close(true));
  if (choice < 93) {
    // A certificate that its recipient may execute.
    Transfer transfer;
    transfer.payments.push_back({recipient(process), amount(), {}});
    auto proof = co_await driver.certify(std::move(transfer));
    if (proof) world_.workload.mail.push_back(*proof);
    co_return done(std::move(proof));
  }
  if (choice < 99) co_return co_await propose(process, driver);
  co_await read_mail(process);
  world_.workload.give_back();
  co_return Outcome<void>{};
}

Task<void> User::read_mail(Process& process) {
  if (world_.workload.mail.empty()) co_return;
  const Proof proof = std::move(world_.workload.mail.back());
  world_.workload.mail.pop_back();
  const auto executed = co_await process.quorum.execute(proof);
  if (!executed) world_.workload.mail.push_back(proof);
}

bool Workload::offered(const Uid& account, SequenceNumber at) const {
  const auto names = [&](const Offer& offer) {
    return std::ranges::count(offer.terms.accounts, Participant{account, at}) > 0;
  };
  return std::ranges::any_of(offers, names);
}

// One or two other accounts, with the numbers at which they wait. The proposer's own comes first.
Task<std::vector<Participant>> User::invite(Process& process, const Uid& proposer) {
  constexpr Duration patience = std::chrono::seconds(2);
  constexpr Duration look_period = milliseconds(40);
  auto& invitations = world_.workload.invitations;
  const MonotonicTime until = process.executor.now() + patience;
  std::vector<Uid> invited;
  const std::uint64_t wanted = process.rng.between(1, 2);
  for (std::uint64_t i = 0; i < wanted; ++i) {
    const auto& strangers = world_.workload.strangers;
    const auto& from = !strangers.empty() && process.rng.chance(200'000) ? strangers : world_.workload.book;
    const Uid other = from[process.rng.pick(from.size())];
    const auto known = invitations.find(other);
    if (other == proposer || (known != invitations.end() && known->second.until >= process.executor.now())) continue;
    invitations.insert_or_assign(other, Workload::Invitation{until, {}});
    invited.push_back(other);
  }
  const auto answered = [&](const Uid& other) { return invitations.at(other).answer.has_value(); };
  while (!std::ranges::all_of(invited, answered) && process.executor.now() < until)
    co_await sleep_for(process.executor, look_period);
  std::vector<Participant> participants{{proposer, SequenceNumber(0)}};
  for (const Uid& other : invited)
    if (const auto& answer = invitations.at(other).answer) participants.push_back({other, *answer});
  co_return participants;
}

Task<void> User::follow_invitation(Process& process, AccountDriver& driver) {
  constexpr Duration patience = std::chrono::seconds(4);
  constexpr Duration look_period = milliseconds(40);
  auto* invitation = world_.workload.invitation(driver.uid(), process.executor.now());
  if (!invitation || process.rng.chance(100'000)) co_return;
  invitation->answer = driver.chain().next;
  const MonotonicTime until = process.executor.now() + patience;
  while (!world_.workload.offered(driver.uid(), driver.chain().next) && process.executor.now() < until)
    co_await sleep_for(process.executor, look_period);
}

// A swap or a settlement with one or two other accounts, whoever they belong to. They join or they do not.
Task<Outcome<void>> User::propose(Process& process, AccountDriver& driver) {
  SimRng& rng = process.rng;
  if (driver.uid().depth() >= 8) co_return Outcome<void>{};
  std::vector<Participant> participants = co_await invite(process, driver.uid());
  if (participants.size() < 2) {
    world_.workload.give_back();
    co_return Outcome<void>{};
  }
  Functionality functionality = AtomicSwap{};
  if (rng.chance(600'000)) {
    AtomicPayments payments;
    for (std::size_t i = 0; i < participants.size(); ++i)
      payments.legs.push_back(
          {participants[i].account, participants[(i + 1) % participants.size()].account, Amount(rng.between(10, 300))});
    functionality = std::move(payments);
  }
  auto started = co_await driver.start_instance(std::move(functionality), std::move(participants));
  if (!started) co_return std::unexpected(std::move(started.error()));
  const StartInstance& terms = started_by(started->request);
  world_.journal.count("instances started");
  world_.workload.offers.push_back({terms.new_id, terms});
  co_return Outcome<void>{};
}

// An offer that names this account at the number where it stands is taken, mostly.
Task<void> User::consider_offers(Process& process, AccountDriver& driver) {
  constexpr std::size_t looked_at = 16;
  for (std::size_t i = 0; i < std::min(looked_at, world_.workload.offers.size()); ++i) {
    const Workload::Offer offer = world_.workload.offers[world_.workload.offers.size() - 1 - i];
    const auto named = std::ranges::find(offer.terms.accounts, driver.uid(), &Participant::account);
    if (named == offer.terms.accounts.end() || named->sequence_number != driver.chain().next) continue;
    if (process.rng.chance(100'000)) continue;
    const auto start = co_await process.instances.start_proof(offer.instance);
    if (!start) continue;
    const crypto::SigningKey delegate = crypto::SigningKey::from_seed(new_key(process));
    const auto locked =
        co_await driver.lock_into(offer.instance, named->sequence_number, delegate.public_key(), *start);
    world_.journal.event("user {}: account {} locks into {}: {}", number_, driver.uid().text(), offer.instance.text(),
                         locked ? "done" : locked.error().message);
    world_.journal.count(locked ? "locks" : "locks that failed");
    co_return;
  }
}

// Confirms if the others come in time, and else gets the account back. True when it is settled.
Task<bool> User::get_out(Process& process, AccountDriver& driver, std::size_t attempts) {
  if (!driver.lock()) {
    (void)co_await driver.finish_pending();
    if (!driver.lock()) co_return !driver.locked_into();
  }
  const auto& into = std::get<LockInto>(driver.pending()->request.operation);
  const Uid instance = into.instance;
  const auto seed = disk_.keys.find(into.delegate);
  if (seed == disk_.keys.end()) {
    world_.journal.violation("client", driver.uid().text(), "a delegate's key is not on the disk");
    co_return false;
  }
  const crypto::SigningKey key = crypto::SigningKey::from_seed(seed->second);
  (void)co_await process.instances.show_locks(instance, {*driver.lock()});  // so that the others see it
  const client::Wish wish = attempts < 2 && process.rng.chance(850'000) ? client::Wish::confirm : client::Wish::abort;
  const auto view = co_await process.instances.drive(instance, {{driver.uid(), &key}}, {*driver.lock()}, wish,
                                                     std::chrono::seconds(4));
  if (!view) {
    world_.journal.event("user {}: account {} waits for instance {}: {}", number_, driver.uid().text(), instance.text(),
                         view.error().message);
    co_return false;
  }
  const std::size_t place = *view->place_of(driver.uid());
  const auto proof = client::decided_proof(*view, place);
  if (!proof) co_return false;
  const bool confirmed = std::holds_alternative<Confirmed>(*view->decision());
  if (confirmed) receive_account(process, *view, place);
  const auto settled = co_await driver.settle(*proof);
  if (!settled) co_return false;
  world_.journal.count(confirmed ? "instances confirmed" : "instances aborted");
  if (process.rng.chance(200'000)) (void)co_await process.instances.execute_all(*view, std::chrono::seconds(1));
  co_return true;
}

// What a confirmed swap brings, on the disk before anything else.
void User::receive_account(Process& process, const client::InstanceView& view, std::size_t place) {
  if (!std::holds_alternative<AtomicSwap>(view.terms.functionality)) return;
  const auto& decided = std::get<Commit>(view.decided->value.kind);
  const std::size_t from = client::received_place(view.terms, place);
  const Request& derived = decided.requests[from];
  const auto* change = std::get_if<ChangeOwner>(&derived.operation);
  if (!change || disk_.accounts.contains(derived.account) || !disk_.keys.contains(change->new_owner)) return;
  ChainState chain{.account = derived.account,
                   .owner = change->new_owner,
                   .next = SequenceNumber(derived.sequence_number.value() + 1),
                   .head = hash_of(world_.rules.id, derived),
                   .balance = 0,
                   .closed = false,
                   .synced = true};
  disk_.accounts.emplace(derived.account, Disk::Saved{std::move(chain), {}, {}, {}, false});
  world_.journal.count("accounts received in swaps");
  adopt_children(process);
}

}  // namespace zef::sim
