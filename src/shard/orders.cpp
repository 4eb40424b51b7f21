// Rules R: from a request to a vote. Checks in the order of docs/protocol.md, section 4; the first that fails is the
// answer.
#include "base/mutant.h"
#include "shard/state.h"

namespace zef::shard {

namespace {

// What a vote for the request says (R7).
Value value_of(const Request& request) {
  if (std::holds_alternative<LockInto>(request.operation)) return Value{Lock{request}};
  return Value{Confirm{request}};
}

// R5: the vote made before, or the same value to be signed again if the signature was lost in a restart. Never another
// value: the request is the pending one.
std::variant<VoteToSign, Vote> repeated_vote(const Pending& pending) {
  if (pending.vote) return *pending.vote;
  return VoteToSign{value_of(pending.request)};
}

}  // namespace

Ruled<const AccountRecord*> Shard::State::check_order(const RequestOrder& order) const {
  const Request& request = order.request;
  if (auto ok = check_shape(request); !ok) return refuse(std::move(ok.error()));  // R1
  if (order.proof && !std::holds_alternative<LockInto>(request.operation))        // R1: nothing would check or keep it
    return refuse(Malformed{"only an order that locks an account carries a proof"});

  const AccountRecord* account = find(request.account);  // R2
  if (account != nullptr && account->closed) return refuse(AccountClosed{account->next, account->head});
  if (account == nullptr || !account->owner) return refuse(InactiveAccount{request.account});

  const AccountFacts facts = account->facts();
  if (auto ok = check_owner(facts, order); !ok) return refuse(std::move(ok.error()));             // R3
  if (auto ok = check_position(facts, request); !ok) return refuse(std::move(ok.error()));        // R4
  if (account->pending && account->pending->request != request && !mutant("skip_pending_check"))  // R5
    return refuse(PreviousRequestPending{account->pending->request});
  return account;
}

std::optional<std::variant<Refusal, VoteToSign, Vote>> Shard::look_up(const RequestOrder& order) const {
  using Early = std::variant<Refusal, VoteToSign, Vote>;
  const auto account = state_->check_order(order);
  if (!account) return Early(account.error());
  if (!(*account)->pending || mutant("skip_pending_check")) return std::nullopt;
  return std::visit([]<class V>(V&& vote) { return Early(std::forward<V>(vote)); },
                    repeated_vote(*(*account)->pending));
}

bool Shard::affordable(const RequestOrder& order) const {
  const auto* lock = std::get_if<LockInto>(&order.request.operation);
  const AccountRecord* account = state_->find(order.request.account);
  if (lock == nullptr || account == nullptr || !order.proof) return true;
  return check_lock(*state_->network, account->facts(), order.request, find_start(*order.proof, lock->instance))
      .has_value();
}

Outcome Shard::handle(const VerifiedOrder& order) {
  const Request& request = order.request();
  auto checked = state_->check_order(order.order());
  if (!checked) return {.answer = std::move(checked.error())};
  const AccountRecord& account = **checked;

  Outcome outcome;
  if (account.pending && !mutant("skip_pending_check")) {  // R5
    std::visit([&]<class V>(V&& vote) { outcome.answer = std::forward<V>(vote); }, repeated_vote(*account.pending));
    return outcome;
  }
  if (auto ok = check_operation(*state_->network, account.facts(), request); !ok)  // R6
    return {.answer = std::move(ok.error())};
  if (const auto* lock = std::get_if<LockInto>(&request.operation)) {  // L2; the proof counts last
    const Request* claimed = order.order().proof ? find_start(*order.order().proof, lock->instance) : nullptr;
    if (auto ok = check_lock(*state_->network, account.facts(), request, claimed); !ok)
      return {.answer = std::move(ok.error())};
    // Funds that came between looking up and now: the proof was left aside, as it seemed of no use.
    if (order.start() == nullptr) return {.answer = Refusal(Overloaded{1})};
  }

  // Nothing below can fail. The vote leaves only once its record is durable (R7).
  state_->apply_vote(*state_->find(request.account), request, order.request_hash());
  outcome.answer = VoteToSign{value_of(request)};
  outcome.records.emplace_back(VoteMade{request});
  return outcome;
}

void Shard::attach_signature(const Uid& uid, SequenceNumber at, const Vote& vote) {
  AccountRecord* account = state_->find(uid);
  if (account == nullptr || !account->pending || account->next != at) return;
  const Request& request = account->pending->request;
  const auto* confirm = std::get_if<Confirm>(&vote.value.kind);
  const auto* lock = std::get_if<Lock>(&vote.value.kind);
  const bool locks = std::holds_alternative<LockInto>(request.operation);
  const bool same =
      locks ? lock != nullptr && lock->request == request : confirm != nullptr && confirm->request == request;
  if (!same) return;
  account->pending->vote = vote;
}

void Shard::State::apply_vote(AccountRecord& account, const Request& request, const Hash& hash) {
  touch(request.account, account);
  account.pending = std::make_unique<Pending>(Pending{request, hash, std::nullopt});
}

}  // namespace zef::shard
