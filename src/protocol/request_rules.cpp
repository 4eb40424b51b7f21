#include "protocol/request_rules.h"

#include <fmt/format.h>

#include "base/mutant.h"
#include "crypto/verify.h"

namespace zef::protocol {
namespace {

// Shape of what decoders keep already: a request may also come from our own process.
Ruled<> check_bounds(const Request& request) {
  if (const auto* transfer = std::get_if<Transfer>(&request.operation)) {
    if (!transfer->payments.in_bounds()) return refuse(Malformed{"a transfer has 1 to 256 payments"});
    for (const Payment& payment : transfer->payments)
      if (!payment.memo.in_bounds()) return refuse(Malformed{"a memo has at most 64 bytes"});
  }
  if (const auto* start = std::get_if<StartInstance>(&request.operation)) {
    if (!start->accounts.in_bounds()) return refuse(Malformed{"an instance has 2 to 16 accounts"});
    const auto* payments = std::get_if<AtomicPayments>(&start->functionality);
    if (payments && !payments->legs.in_bounds()) return refuse(Malformed{"an instance has 1 to 256 legs"});
  }
  return {};
}

// R6: amount + fee <= balance, in 128 bits.
Ruled<> check_funds(const Network& network, const AccountFacts& account, const Request& request) {
  Balance needed = fee_of(network, request).value();
  if (const auto* transfer = std::get_if<Transfer>(&request.operation)) {
    for (const Payment& payment : transfer->payments) needed += payment.amount.value();
  } else if (const auto* open = std::get_if<OpenAccount>(&request.operation)) {
    needed += open->funding.value();
  }
  if (needed > account.balance) return refuse(InsufficientFunds{.balance = account.balance, .needed = needed});
  return {};
}

Ruled<> check_payment(const Network& network, const Payment& payment) {
  if (const auto* to = std::get_if<Account>(&payment.recipient)) return check_credit(network, to->uid, payment.amount);
  // Burning is not held to the least amount: it leaves nothing behind.
  if (payment.amount == Amount(0)) return refuse(InvalidOperation{"a payment of nothing"});
  return {};
}

Ruled<> check_new_key(const PublicKey& key) {
  if (!crypto::is_usable(key)) return refuse(InvalidOperation{"the new key is not a usable Ed25519 key"});
  return {};
}

// Whether new_id is the account's child made by this very request, without building it.
bool is_child(const Request& request, const Uid& new_id) {
  const auto& parent = request.account.parts();
  const auto& child = new_id.parts();
  return child.size() == parent.size() + 1 && child.back() == request.sequence_number.value() &&
         std::equal(parent.begin(), parent.end(), child.begin());
}

Ruled<> check_open(const Network& network, const Request& request, const OpenAccount& open) {
  if (open.funding != Amount(0) && open.funding < network.fees.min_credit)
    return refuse(InvalidOperation{fmt::format("a funding of {} is below the least amount {}", open.funding.value(),
                                               network.fees.min_credit.value())});
  if (auto ok = check_child(request, open.new_id); !ok) return ok;
  return check_new_key(open.new_owner);
}

}  // namespace

Ruled<> check_shape(const Request& request) {
  if (encoded_size(request) > request_bytes_max)
    return refuse(Malformed{fmt::format("a request has at most {} bytes", request_bytes_max)});
  if (request.sequence_number > sequence_number_last)
    return refuse(Malformed{fmt::format("the last sequence number is {}", sequence_number_last.value())});
  if (auto ok = check_bounds(request); !ok) return ok;
  if (request.epoch != current_epoch) return refuse(WrongEpoch{.current = current_epoch});
  return {};
}

Ruled<> check_owner(const AccountFacts& account, const RequestOrder& order) {
  if (!account.owner) return refuse(InactiveAccount{.account = order.request.account});  // R2
  if (*account.owner != order.owner && !mutant("skip_owner_check")) return refuse(InvalidOwner{});
  return {};
}

Ruled<> check_position(const AccountFacts& account, const Request& request) {
  if (request.sequence_number != account.next) return refuse(UnexpectedSequenceNumber{.expected = account.next});
  if (request.previous != account.head && !mutant("ignore_previous"))
    return refuse(UnexpectedPrevious{.head = account.head});
  return {};
}

Ruled<> check_operation(const Network& network, const AccountFacts& account, const Request& request) {
  if (const auto* lock = std::get_if<LockInto>(&request.operation)) return check_new_key(lock->delegate);
  if (auto ok = check_funds(network, account, request); !ok && !mutant("skip_funds_check")) return ok;
  if (const auto* transfer = std::get_if<Transfer>(&request.operation)) {
    for (const Payment& payment : transfer->payments)
      if (auto ok = check_payment(network, payment); !ok) return ok;
  }
  if (const auto* open = std::get_if<OpenAccount>(&request.operation)) return check_open(network, request, *open);
  if (std::holds_alternative<StartInstance>(request.operation)) return check_start(network, request);
  if (const auto* change = std::get_if<ChangeOwner>(&request.operation)) return check_new_key(change->new_owner);
  return {};
}

Ruled<> check_lock(const Network& network, const AccountFacts& account, const Request& request, const Request* start) {
  if (start == nullptr)
    return refuse(InvalidOperation{"a lock needs the proof of the request that started the instance"});
  const auto place = place_of_lock(started_by(*start), request);
  if (!place)
    return refuse(InvalidOperation{fmt::format("the instance does not name account {} at sequence number {}",
                                               request.account.text(), request.sequence_number.value())});
  const Balance needed = cost_of_lock(network, started_by(*start), request, *place);
  if (needed > account.balance) return refuse(InsufficientFunds{.balance = account.balance, .needed = needed});
  return {};
}

Ruled<> check_credit(const Network& network, const Uid& recipient, Amount amount) {
  if (mutant("zero_payments")) return {};
  if (amount == Amount(0)) return refuse(InvalidOperation{"a payment of nothing"});
  if (amount < network.fees.min_credit)
    return refuse(InvalidOperation{
        fmt::format("a payment of {} is below the least amount {}", amount.value(), network.fees.min_credit.value())});
  if (recipient.depth() == 1 && recipient.parts()[0] >= network.genesis_accounts)
    return refuse(InvalidOperation{fmt::format("recipient {} can never exist", recipient.text())});
  return {};
}

Ruled<> check_child(const Request& request, const Uid& new_id) {
  if (request.account.depth() == Uid::depth_max)
    return refuse(InvalidOperation{fmt::format("an account of depth {} cannot have children", Uid::depth_max)});
  if (!is_child(request, new_id) && !mutant("uid_unchecked"))
    return refuse(InvalidOperation{fmt::format("what this request creates must be {}, not {}",
                                               request.account.child(request.sequence_number).text(), new_id.text())});
  return {};
}

}  // namespace zef::protocol
