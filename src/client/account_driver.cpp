#include "client/account_driver.h"

#include <fmt/core.h>

#include <array>

#include "base/log.h"
#include "client/verdict.h"
#include "crypto/batch_signer.h"
#include "protocol/request_rules.h"

namespace zef::client {

ChainState genesis_chain(const Genesis& genesis, const Network& network, std::uint64_t index, bool synced) {
  const GenesisAccount& account = genesis.accounts.at(index);
  Hash head;
  head.bytes = network.id.bytes;  // a genesis account's head is the NetworkId
  return {.account = Uid::genesis(index),
          .owner = account.owner,
          .next = SequenceNumber(0),
          .head = head,
          .balance = static_cast<Balance>(account.balance.value()),
          .closed = false,
          .synced = synced};
}

Balance cost_of(const Network& network, const Request& request) {
  const auto spent = amount_spent(request);
  return static_cast<Balance>(spent ? spent->value() : Amount::max) +
         static_cast<Balance>(fee_of(network, request).value());
}

ChainState chain_after(const Network& network, ChainState chain, const Request& request) {
  chain.next = SequenceNumber(request.sequence_number.value() + 1);
  chain.head = hash_of(network.id, request);
  chain.balance -= cost_of(network, request);
  if (const auto* change = std::get_if<ChangeOwner>(&request.operation)) chain.owner = change->new_owner;
  if (std::holds_alternative<CloseAccount>(request.operation)) {
    chain.closed = true;
    chain.balance = 0;
  }
  return chain;
}

Task<Result<void>> AccountStorage::save_lock(Certificate /*lock*/) { co_return Result<void>{}; }

// The right to run operations; given on to the next one in line when it goes.
class AccountDriver::Turn {
 public:
  explicit Turn(AccountDriver& driver) : driver_(&driver) {}
  Turn(Turn&& other) noexcept : driver_(std::exchange(other.driver_, nullptr)) {}
  Turn& operator=(Turn&&) = delete;
  ~Turn() {
    if (driver_) driver_->end_turn();
  }

 private:
  AccountDriver* driver_;
};

AccountDriver::AccountDriver(QuorumDriver& quorum, ChainState chain, std::optional<crypto::SigningKey> key,
                             AccountStorage* storage)
    : quorum_(quorum), chain_(std::move(chain)), key_(std::move(key)), storage_(storage) {}

Task<AccountDriver::Turn> AccountDriver::take_turn() {
  if (busy_) {
    const auto mine = std::make_shared<Event>(quorum_.executor());
    waiting_.push_back(mine);
    co_await mine->wait();
  }
  busy_ = true;
  co_return Turn(*this);
}

void AccountDriver::end_turn() {
  while (!waiting_.empty()) {
    const auto next = waiting_.front().lock();
    waiting_.pop_front();
    if (!next) continue;  // its task is gone
    next->set();          // busy_ stays: nobody can come between
    return;
  }
  busy_ = false;
}

void AccountDriver::restore(RequestOrder pending, std::optional<Proof> proof,
                            std::optional<crypto::SigningKey> next_key) {
  pending_ = std::move(pending);
  proof_ = std::move(proof);
  next_key_ = std::move(next_key);
}

std::optional<Uid> AccountDriver::locked_into() const {
  if (!pending_ || proof_) return std::nullopt;
  const auto* lock = std::get_if<LockInto>(&pending_->request.operation);
  return lock ? std::optional(lock->instance) : std::nullopt;
}

Request AccountDriver::make_request(Operation operation) const {
  return {current_epoch, chain_.account, chain_.next, chain_.head, std::move(operation)};
}

// ---- what callers run
// ------------------------------------------------------------------------------------------------

Task<Outcome<Completed>> AccountDriver::run(Operation operation) {
  const Turn turn = co_await take_turn();
  if (auto ready = co_await prepare(); !ready) co_return std::unexpected(std::move(ready.error()));
  co_return co_await run_prepared(std::move(operation));
}

Task<Outcome<Completed>> AccountDriver::transfer(std::vector<Payment> payments) {
  constexpr std::size_t payments_max = decltype(Transfer::payments)::max_size_allowed;
  if (payments.empty() || payments.size() > payments_max)
    co_return failed(FailureKind::invalid,
                     fmt::format("one transfer carries 1 to {} payments, not {}", payments_max, payments.size()));
  Transfer transfer;
  for (Payment& payment : payments) transfer.payments.push_back(std::move(payment));
  co_return co_await run(std::move(transfer));
}

Task<Outcome<Completed>> AccountDriver::open(PublicKey owner, Amount funding) {
  const Turn turn = co_await take_turn();
  if (auto ready = co_await prepare(); !ready) co_return std::unexpected(std::move(ready.error()));
  if (chain_.account.depth() >= Uid::depth_max)
    co_return failed(FailureKind::invalid, fmt::format("account {} is {} levels deep already: it can open no account",
                                                       chain_.account.text(), Uid::depth_max));
  co_return co_await run_prepared(OpenAccount{chain_.account.child(chain_.next), owner, funding});
}

Task<Outcome<Completed>> AccountDriver::rotate(crypto::SigningKey new_key) {
  const Turn turn = co_await take_turn();
  if (auto ready = co_await prepare(); !ready) co_return std::unexpected(std::move(ready.error()));
  const PublicKey new_owner = new_key.public_key();
  next_key_ = std::move(new_key);
  co_return co_await run_prepared(ChangeOwner{new_owner});
}

Task<Outcome<Completed>> AccountDriver::close(bool burn_balance) {
  const Turn turn = co_await take_turn();
  if (auto ready = co_await prepare(); !ready) co_return std::unexpected(std::move(ready.error()));
  const Request request = make_request(CloseAccount{});
  const Balance fee = cost_of(quorum_.network(), request);
  if (!burn_balance) {
    const auto summary = co_await adopt_network();
    if (!summary) co_return std::unexpected(summary.error());
    if (chain_.balance > fee)
      co_return failed(
          FailureKind::invalid,
          fmt::format("account {} holds more than the fee of closing it: send the money away first, or destroy it "
                      "with --burn",
                      chain_.account.text()));
  }
  co_return co_await run_prepared(CloseAccount{});
}

Task<Outcome<Proof>> AccountDriver::certify(Operation operation) {
  const Turn turn = co_await take_turn();
  if (auto ready = co_await prepare(); !ready) co_return std::unexpected(std::move(ready.error()));
  if (auto saved = co_await sign_and_save(std::move(operation)); !saved)
    co_return std::unexpected(std::move(saved.error()));
  if (auto certified = co_await certify_pending(); !certified) co_return std::unexpected(std::move(certified.error()));
  co_return *proof_;
}

Task<Outcome<Completed>> AccountDriver::start_instance(Functionality functionality, std::vector<Participant> accounts) {
  const Turn turn = co_await take_turn();
  if (auto ready = co_await prepare(); !ready) co_return std::unexpected(std::move(ready.error()));
  if (chain_.account.depth() >= Uid::depth_max)
    co_return failed(FailureKind::invalid, fmt::format("account {} is {} levels deep already: it can start no instance",
                                                       uid().text(), Uid::depth_max));
  StartInstance start{chain_.account.child(chain_.next), std::move(functionality), {}};
  for (Participant& participant : accounts) {
    if (participant.account == uid()) participant.sequence_number = SequenceNumber(chain_.next.value() + 1);
    start.accounts.push_back(std::move(participant));
  }
  co_return co_await run_prepared(std::move(start));
}

Task<Outcome<Certificate>> AccountDriver::lock_into(Uid instance, SequenceNumber number, PublicKey delegate,
                                                    Proof start) {
  const Turn turn = co_await take_turn();
  if (locked_into() != instance) {
    if (auto ready = co_await prepare(); !ready) co_return std::unexpected(std::move(ready.error()));
    if (chain_.next != number)
      co_return failed(FailureKind::invalid,
                       fmt::format("instance {} names operation {} of account {}, which stands at {}: {}",
                                   instance.text(), number.value(), uid().text(), chain_.next.value(),
                                   chain_.next > number ? "it is too late to join" : "synchronise first"));
    if (auto saved = co_await sign_and_save(LockInto{instance, delegate}, std::move(start)); !saved)
      co_return std::unexpected(std::move(saved.error()));
  }
  if (auto certified = co_await certify_pending(); !certified) co_return std::unexpected(std::move(certified.error()));
  if (!lock_)
    co_return failed(FailureKind::out_of_date,
                     fmt::format("instance {} has decided about account {} already", instance.text(), uid().text()));
  co_return *lock_;
}

Task<Outcome<ExecutionSummary>> AccountDriver::settle(Proof proof) {
  const Turn turn = co_await take_turn();
  const auto requests = requests_of(quorum_.network(), proof);
  if (!requests || proof.account != uid())
    co_return failed(FailureKind::invalid, fmt::format("that proves nothing of account {}", uid().text()));
  const SequenceNumber at = requests->back().request->sequence_number;
  if (pending_lock() && pending_->request.sequence_number == at)
    if (auto adopted = co_await adopt_certified(proof); !adopted) co_return std::unexpected(std::move(adopted.error()));
  if (proof_ && pending_->request.sequence_number == at) co_return co_await execute_pending();
  co_return co_await quorum_.execute(std::move(proof));  // settled before
}

Task<Outcome<void>> AccountDriver::finish_pending() {
  const Turn turn = co_await take_turn();
  if (!pending_) co_return Outcome<void>{};
  if (auto certified = co_await certify_pending(); !certified) co_return certified;
  if (!pending_ || pending_lock()) co_return Outcome<void>{};
  if (auto executed = co_await execute_pending(); !executed) co_return std::unexpected(std::move(executed.error()));
  co_return Outcome<void>{};
}

Task<Outcome<AccountSummary>> AccountDriver::refresh() {
  const Turn turn = co_await take_turn();
  co_return co_await adopt_network();
}

// ---- steps
// -----------------------------------------------------------------------------------------------------------

Task<Outcome<void>> AccountDriver::prepare() {
  if (const auto instance = locked_into())
    co_return failed(FailureKind::other_pending,
                     fmt::format("account {} is locked into instance {}: confirm or abort that first", uid().text(),
                                 instance->text()));
  if (pending_) {
    if (auto certified = co_await certify_pending(); !certified)
      co_return failed(certified.error().kind,
                       fmt::format("an earlier operation of account {} is not finished: {}", chain_.account.text(),
                                   certified.error().message),
                       certified.error().refusal);
    if (auto executed = co_await execute_pending(); !executed) co_return std::unexpected(std::move(executed.error()));
  }
  if (!chain_.synced) {
    if (auto known = co_await adopt_network(); !known) co_return std::unexpected(std::move(known.error()));
    if (!chain_.synced)
      co_return failed(FailureKind::not_found,
                       fmt::format("account {} has no owner yet: what opens it is not executed by enough validators; "
                                   "try again later",
                                   uid().text()));
  }
  co_return Outcome<void>{};
}

Task<Outcome<Completed>> AccountDriver::run_prepared(Operation operation) {
  if (auto saved = co_await sign_and_save(std::move(operation)); !saved)
    co_return std::unexpected(std::move(saved.error()));
  const Request request = pending_->request;
  if (auto certified = co_await certify_pending(); !certified) co_return std::unexpected(std::move(certified.error()));
  const Proof proof = *proof_;
  auto summary = co_await execute_pending();
  if (!summary) co_return std::unexpected(std::move(summary.error()));
  const Amount fee = fee_of(quorum_.network(), request);
  co_return Completed{request, proof, fee, std::move(summary->acknowledged)};
}

// The rules that can be checked here are, so that nothing is signed that validators will refuse: a signed request that
// is refused would block the account.
Task<Outcome<void>> AccountDriver::check_against_rules(Request request, const Request* start) {
  if (chain_.closed) co_return failed(FailureKind::closed, fmt::format("account {} is closed", uid().text()));
  if (!key_)
    co_return failed(FailureKind::invalid, fmt::format("there is no key here to sign for account {}", uid().text()));
  if (!owned())
    co_return failed(FailureKind::not_owner,
                     fmt::format("account {} belongs to another key now; this one cannot sign for it", uid().text()));
  if (const auto shape = check_shape(request); !shape)
    co_return failed(kind_of(shape.error()), describe(shape.error()), shape.error());
  const MonotonicTime give_up = quorum_.executor().now() + quorum_.options().credit_time_max;
  for (int attempt = 0;; ++attempt) {
    const AccountFacts facts{chain_.owner, chain_.balance, chain_.next, chain_.head};
    auto ruled = check_operation(quorum_.network(), facts, request);
    if (ruled && std::holds_alternative<LockInto>(request.operation))
      ruled = check_lock(quorum_.network(), facts, request, start);
    if (ruled) co_return Outcome<void>{};
    const auto* funds = std::get_if<InsufficientFunds>(&ruled.error());
    if (!funds) co_return failed(kind_of(ruled.error()), describe(ruled.error()), ruled.error());
    bool seen_by_somebody = attempt == 0;
    const auto summary = co_await adopt_network();
    if (!summary) co_return std::unexpected(summary.error());
    if (chain_.next != request.sequence_number || chain_.head != request.previous)
      co_return failed(FailureKind::out_of_date,
                       fmt::format("account {} has moved on elsewhere; try again", uid().text()));
    for (const auto& [index, state] : summary->answers) seen_by_somebody |= state.balance >= funds->needed;
    // A credit that some validator has applied already is on its way in the others.
    if (attempt > 0 && (!seen_by_somebody || quorum_.executor().now() >= give_up))
      co_return failed(FailureKind::insufficient_funds, describe(ruled.error()), ruled.error());
    if (attempt > 0) co_await sleep_for(quorum_.executor(), quorum_.options().retry_delay_min);
  }
}

Task<Outcome<void>> AccountDriver::sign_and_save(Operation operation, std::optional<Proof> start) {
  ZEF_CHECK(!pending_ && !proof_ && !lock_);
  const Request request = make_request(std::move(operation));
  const auto* lock = std::get_if<LockInto>(&request.operation);
  const Request* started = lock && start ? find_start(*start, lock->instance) : nullptr;
  if (auto allowed = co_await check_against_rules(request, started); !allowed) co_return allowed;
  const NetworkId& network = quorum_.network().id;
  const std::array<Hash, 1> leaves{signing_leaf(network, request)};
  auto signatures = crypto::sign_batch(*key_, leaves, batch_root_prefix(network));
  RequestOrder order{request, key_->public_key(), std::move(signatures.front()), std::move(start)};
  // On disk before it is sent: an honest owner never signs two requests for one number.
  if (storage_) {
    auto saved = co_await storage_->save_order(order);
    if (!saved) co_return std::unexpected(as_failure(saved.error()));
  }
  pending_ = std::move(order);
  co_return Outcome<void>{};
}

Task<Outcome<void>> AccountDriver::certify_pending() {
  if (proof_ || lock_) co_return Outcome<void>{};
  auto certificate = co_await quorum_.submit(*pending_);
  if (!certificate) co_return co_await settle_refused(std::move(certificate.error()));
  if (pending_lock()) {
    if (storage_) {
      auto saved = co_await storage_->save_lock(*certificate);
      if (!saved) co_return std::unexpected(as_failure(saved.error()));
    }
    lock_ = std::move(*certificate);
    co_return Outcome<void>{};
  }
  co_return co_await adopt_certified(Proof{chain_.account, {}, std::move(*certificate), std::nullopt});
}

// A lock is followed by whatever was certified at its number: the instance's to decide.
const Request* AccountDriver::find_ours(const ProvenRequests& requests) const {
  for (const auto& item : requests) {
    if (item.request->sequence_number != pending_->request.sequence_number) continue;
    return *item.request == pending_->request || pending_lock() ? item.request : nullptr;
  }
  return nullptr;
}

// The proof vouches for the pending request, or for what was executed in place of a pending lock.
Task<Outcome<void>> AccountDriver::adopt_certified(Proof proof) {
  const auto requests = requests_of(quorum_.network(), proof);
  ZEF_CHECK(requests);
  const Request* ours = find_ours(*requests);
  ZEF_CHECK(ours);
  Request certified = *ours;
  ChainState after = chain_after(quorum_.network(), chain_, certified);
  if (storage_) {
    auto saved = co_await storage_->save_certified(proof, certified.sequence_number, after);
    if (!saved) co_return std::unexpected(as_failure(saved.error()));
  }
  chain_ = std::move(after);
  proof_ = std::move(proof);
  pending_->request = std::move(certified);
  lock_.reset();
  if (next_key_ && next_key_->public_key() == chain_.owner) {
    key_ = std::move(*next_key_);
    next_key_.reset();
  }
  co_return Outcome<void>{};
}

// Validators refuse the pending request. It may have been executed already (its certificate was made before a crash, or
// by a copy of this wallet): then a proof says so. If another request has its number, it is over (I1).
Task<Outcome<void>> AccountDriver::settle_refused(Failure why) {
  const bool number_used =
      why.kind == FailureKind::out_of_date || why.kind == FailureKind::closed || why.kind == FailureKind::not_owner;
  if (!number_used) co_return std::unexpected(std::move(why));
  const Request request = pending_->request;
  auto proof = co_await quorum_.fetch_proof(request.account, request.sequence_number);
  if (!proof) co_return std::unexpected(std::move(why));
  const auto requests = requests_of(quorum_.network(), *proof);
  ZEF_CHECK(requests);  // fetch_proof verified it
  if (find_ours(*requests)) co_return co_await adopt_certified(std::move(*proof));
  log::warning("client", "another request was certified: account={} number={}", request.account.text(),
               request.sequence_number.value());
  if (auto adopted = co_await adopt_network(); !adopted) co_return std::unexpected(std::move(adopted.error()));
  co_return failed(
      FailureKind::out_of_date,
      fmt::format("operation {} of account {} was another one, made elsewhere (a copy of this wallet?); this "
                  "one did not happen and never will",
                  request.sequence_number.value(), request.account.text()),
      std::move(why.refusal));
}

Task<Outcome<ExecutionSummary>> AccountDriver::execute_pending() {
  const SequenceNumber at = pending_->request.sequence_number;
  auto summary = co_await quorum_.execute(*proof_);
  if (!summary) co_return std::unexpected(std::move(summary.error()));
  if (storage_) {
    auto saved = co_await storage_->save_executed(chain_.account, at);
    if (!saved) co_return std::unexpected(as_failure(saved.error()));
  }
  forget_pending();
  co_return std::move(*summary);
}

// What more than f weight says equally is the network's state: adopted if it is ahead of what is known here.
Task<Outcome<AccountSummary>> AccountDriver::adopt_network() {
  auto summary = co_await quorum_.query_account(chain_.account);
  if (!summary) co_return std::unexpected(std::move(summary.error()));
  ChainState chain = chain_;
  chain.balance = summary->proven_balance;
  const bool ahead = summary->next > chain.next;
  // Credits may reach an account before what opens it does: until then nobody there knows its head.
  const bool opened = summary->owner.has_value() || summary->closed;
  if (ahead || (opened && summary->next == chain.next && !pending_)) {
    chain.next = summary->next;
    chain.head = summary->head;
    chain.closed = summary->closed;
    if (summary->owner) chain.owner = *summary->owner;
  } else if (summary->next < chain.next || !opened) {
    // Validators that lag still show money that was spent: what is known here stands, but for what is certified and was
    // not executed there yet.
    const bool one_behind = proof_ && summary->next == pending_->request.sequence_number;
    chain.balance = one_behind ? chain.balance - cost_of(quorum_.network(), pending_->request) : chain_.balance;
  }
  if (!pending_ && summary->pending && summary->next == chain.next)
    co_return failed(
        FailureKind::other_pending,
        fmt::format("account {} has an unfinished operation that this wallet did not make (a copy of it, or "
                    "an older backup?): finish it where it was started",
                    chain.account.text()));
  chain.synced |= opened;
  if (pending_ && !proof_ && ahead && chain.next > pending_->request.sequence_number) {
    // Was it ours? Then its certificate exists.
    auto proof = co_await quorum_.fetch_proof(chain.account, pending_->request.sequence_number);
    if (!proof) co_return std::unexpected(std::move(proof.error()));
    const auto requests = requests_of(quorum_.network(), *proof);
    ZEF_CHECK(requests);
    if (find_ours(*requests)) {
      if (auto adopted = co_await adopt_certified(std::move(*proof)); !adopted)
        co_return std::unexpected(std::move(adopted.error()));
    } else {
      forget_pending();
    }
  }
  if (chain != chain_) {
    if (storage_) {
      auto saved = co_await storage_->save_chain(chain);
      if (!saved) co_return std::unexpected(as_failure(saved.error()));
    }
    chain_ = std::move(chain);
  }
  co_return std::move(*summary);
}

}  // namespace zef::client
