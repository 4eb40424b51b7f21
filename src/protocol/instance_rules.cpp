#include "protocol/instance_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "protocol/effects.h"
#include "protocol/request_rules.h"

namespace zef::protocol {
namespace {

std::unexpected<Refusal> bad(std::string why) { return refuse(InvalidOperation{std::move(why)}); }

Ruled<> check_legs(const Network& network, const StartInstance& instance, const AtomicPayments& payments) {
  std::vector<std::optional<Amount>> sums(instance.accounts.size(), Amount(0));
  for (const Leg& leg : payments.legs) {
    const auto from = std::ranges::find(instance.accounts, leg.from, &Participant::account);
    if (from == instance.accounts.end())
      return bad(fmt::format("a leg from {}, which is not among the accounts", leg.from.text()));
    if (auto ok = check_credit(network, leg.recipient, leg.amount); !ok) return ok;
    std::optional<Amount>& sum = sums[static_cast<std::size_t>(from - instance.accounts.begin())];
    if (sum) sum = sum->checked_add(leg.amount);
    if (!sum) return bad(fmt::format("the legs from {} overflow", leg.from.text()));
  }
  return {};
}

Request derived(const Request& lock, Operation operation) {
  return {.epoch = lock.epoch,
          .account = lock.account,
          .sequence_number = lock.sequence_number,
          .previous = lock.previous,
          .operation = std::move(operation)};
}

Operation operation_on_confirm(const StartInstance& instance, const Uid& account, const PublicKey& next_delegate) {
  const auto* payments = std::get_if<AtomicPayments>(&instance.functionality);
  if (payments == nullptr) return ChangeOwner{next_delegate};
  Transfer transfer;
  for (const Leg& leg : payments->legs)
    if (leg.from == account) transfer.payments.push_back({Account{leg.recipient}, leg.amount, {}});
  if (transfer.payments.empty()) return Skip{};
  return transfer;
}

Balance cost_of(const Network& network, const Request& request) {
  // check_start: the amounts of one account fit 64 bits.
  return Balance{amount_spent(request).value_or(Amount(0)).value()} + fee_of(network, request).value();
}

}  // namespace

Ruled<> check_start(const Network& network, const Request& request) {
  const StartInstance& instance = started_by(request);
  if (auto ok = check_child(request, instance.new_id); !ok) return ok;
  std::set<Uid> distinct;
  for (const Participant& participant : instance.accounts) {
    if (!distinct.insert(participant.account).second)
      return bad(fmt::format("account {} takes part twice", participant.account.text()));
    if (participant.sequence_number > sequence_number_last)
      return bad(fmt::format("the last sequence number is {}", sequence_number_last.value()));
  }
  if (const auto* payments = std::get_if<AtomicPayments>(&instance.functionality))
    return check_legs(network, instance, *payments);
  return {};
}

std::optional<std::size_t> place_of_lock(const StartInstance& instance, const Request& lock) {
  const auto* into = std::get_if<LockInto>(&lock.operation);
  if (into == nullptr || into->instance != instance.new_id) return std::nullopt;
  for (std::size_t i = 0; i < instance.accounts.size(); ++i) {
    if (instance.accounts[i].account == lock.account && instance.accounts[i].sequence_number == lock.sequence_number)
      return i;
  }
  return std::nullopt;
}

Balance cost_of_lock(const Network& network, const StartInstance& instance, const Request& lock, std::size_t place) {
  // The key of the next account's delegate does not matter: all keys are equally long.
  const Request confirmed =
      derived(lock, operation_on_confirm(instance, instance.accounts[place].account, PublicKey{}));
  return std::max(cost_of(network, confirmed), cost_of(network, aborted_request(lock)));
}

std::vector<Request> confirmed_requests(const StartInstance& instance, const std::vector<const Request*>& locks) {
  ZEF_CHECK(locks.size() == instance.accounts.size());
  std::vector<Request> requests;
  requests.reserve(locks.size());
  for (std::size_t i = 0; i < locks.size(); ++i) {
    const Request& next = *locks[(i + 1) % locks.size()];
    requests.push_back(derived(*locks[i], operation_on_confirm(instance, instance.accounts[i].account,
                                                               std::get<LockInto>(next.operation).delegate)));
  }
  return requests;
}

Request aborted_request(const Request& lock) { return derived(lock, Skip{}); }

std::size_t leader_of(const StartInstance& instance, Round round) { return round.value() % instance.accounts.size(); }

const Request* find_start(const Proof& proof, const Uid& instance) {
  const auto starts = [&](const Request& request) {
    const auto* start = std::get_if<StartInstance>(&request.operation);
    return start != nullptr && start->new_id == instance && check_child(request, instance).has_value();  // I2
  };
  for (const Request& request : proof.earlier)
    if (starts(request)) return &request;
  const auto* confirm = std::get_if<Confirm>(&proof.certificate.value.kind);
  return confirm != nullptr && starts(confirm->request) ? &confirm->request : nullptr;
}

}  // namespace zef::protocol
