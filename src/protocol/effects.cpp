#include "protocol/effects.h"

#include "base/mutant.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

namespace zef::protocol {
namespace {

using u128 = unsigned __int128;

Amount saturated(u128 sum) {
  return Amount(static_cast<std::uint64_t>(std::min<u128>(sum, std::numeric_limits<std::uint64_t>::max())));
}

// Where the credit to a recipient stands in the list. A table only when there are many: most transfers have one
// payment, and comparing a few identifiers is cheaper than hashing them.
class CreditPlaces {
 public:
  explicit CreditPlaces(std::size_t payments) : use_table_(payments > 16) {}

  // The place of this recipient; a new one if it was not seen before.
  std::size_t place_of(const Uid& recipient) {
    if (use_table_) {
      return table_.try_emplace(&recipient, table_.size()).first->second;
    }
    const auto found = std::ranges::find_if(list_, [&](const Uid* seen) { return *seen == recipient; });
    const auto place = static_cast<std::size_t>(found - list_.begin());
    if (found == list_.end()) list_.push_back(&recipient);
    return place;
  }
  [[nodiscard]] std::size_t count() const { return use_table_ ? table_.size() : list_.size(); }

 private:
  struct HashUid {
    std::size_t operator()(const Uid* uid) const { return std::hash<Uid>{}(*uid); }
  };
  struct EqualUid {
    bool operator()(const Uid* a, const Uid* b) const { return *a == *b; }
  };
  bool use_table_;
  std::vector<const Uid*> list_;
  std::unordered_map<const Uid*, std::size_t, HashUid, EqualUid> table_;
};

std::vector<Effect> credits_of(const Request& request, const Transfer& transfer) {
  std::vector<Effect> effects;
  CreditPlaces places(transfer.payments.size());
  for (const Payment& payment : transfer.payments) {
    const auto* to = std::get_if<Account>(&payment.recipient);
    if (!to) continue;  // Burn is a local effect
    const std::size_t place = places.place_of(to->uid);
    if (place == effects.size()) {
      effects.emplace_back(Credit{request.account, request.sequence_number, to->uid, payment.amount});
    } else {
      // No honest quorum certifies a sum beyond 64 bits (R6); were one certified all the same, it saturates.
      auto& credit = std::get<Credit>(effects[place]);
      if (!mutant("drop_second_payment"))
        credit.amount = saturated(u128(credit.amount.value()) + payment.amount.value());
    }
  }
  return effects;
}

std::size_t count_credits(const Transfer& transfer) {
  if (transfer.payments.size() == 1) return std::holds_alternative<Account>(transfer.payments[0].recipient) ? 1 : 0;
  CreditPlaces places(transfer.payments.size());
  for (const Payment& payment : transfer.payments)
    if (const auto* to = std::get_if<Account>(&payment.recipient)) places.place_of(to->uid);
  return places.count();
}

}  // namespace

const Uid& target_of(const Effect& effect) {
  struct Target {
    const Uid& operator()(const Credit& credit) const { return credit.recipient; }
    const Uid& operator()(const Open& open) const { return open.new_id; }
    const Uid& operator()(const Start& start) const { return std::get<StartInstance>(start.request.operation).new_id; }
    const Uid& operator()(const FeeTotal& total) const { return total.reward_account; }
  };
  return std::visit(Target{}, effect);
}

Amount amount_of(const Effect& effect) {
  if (const auto* credit = std::get_if<Credit>(&effect)) return credit->amount;
  if (const auto* open = std::get_if<Open>(&effect)) return open->funding;
  return Amount(0);
}

std::vector<Effect> effects_of(const Request& request, const Hash& request_hash) {
  if (const auto* transfer = std::get_if<Transfer>(&request.operation)) return credits_of(request, *transfer);
  std::vector<Effect> effects;
  if (const auto* open = std::get_if<OpenAccount>(&request.operation))
    effects.emplace_back(Open{open->new_id, open->new_owner, open->funding, request_hash});
  if (std::holds_alternative<StartInstance>(request.operation)) effects.emplace_back(Start{request});
  return effects;
}

Amount fee_of(const Network& network, const Request& request) {
  if (std::holds_alternative<LockInto>(request.operation)) return Amount(0);  // L2: the derived request pays
  const FeeSchedule& fees = network.fees;
  u128 share = u128(fees.base) + u128(fees.per_byte) * encoded_size(request);
  if (const auto* transfer = std::get_if<Transfer>(&request.operation)) {
    share += u128(fees.per_remote_effect) * count_credits(*transfer);
  } else if (std::holds_alternative<OpenAccount>(request.operation)) {
    share += u128(fees.per_remote_effect) + fees.per_creation;
  } else if (const auto* start = std::get_if<StartInstance>(&request.operation)) {
    share += u128(fees.per_remote_effect) + fees.per_creation;
    share += u128(fees.per_instance_account) * start->accounts.size();
  }
  // check_genesis keeps the fee of every request of legal size below 2^64: it can saturate only for one that R1
  // refuses.
  return saturated(share * network.committee.size());
}

std::optional<Amount> amount_spent(const Request& request) {
  if (const auto* open = std::get_if<OpenAccount>(&request.operation)) return open->funding;
  std::optional<Amount> sum(Amount(0));
  if (const auto* transfer = std::get_if<Transfer>(&request.operation))
    for (const Payment& payment : transfer->payments)
      if (sum) sum = sum->checked_add(payment.amount);
  return sum;
}

Balance amount_burned(const Request& request) {
  Balance burned = 0;
  if (const auto* transfer = std::get_if<Transfer>(&request.operation))
    for (const Payment& payment : transfer->payments)
      if (std::holds_alternative<Burn>(payment.recipient)) burned += payment.amount.value();
  return burned;
}

}  // namespace zef::protocol
