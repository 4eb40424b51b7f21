#include "client/verdict.h"

#include <fmt/core.h>

#include <algorithm>

namespace zef::client {
namespace {

bool same_reason(const Refusal& one, const Refusal& other) {
  if (one.index() != other.index()) return false;
  if (const auto* pending = std::get_if<PreviousRequestPending>(&one))
    return *pending == std::get<PreviousRequestPending>(other);
  return true;
}

struct KindOf {
  FailureKind operator()(const Malformed&) const { return FailureKind::invalid; }
  FailureKind operator()(const WrongEpoch&) const { return FailureKind::invalid; }
  FailureKind operator()(const InactiveAccount&) const { return FailureKind::not_found; }
  FailureKind operator()(const AccountClosed&) const { return FailureKind::closed; }
  FailureKind operator()(const InvalidOwner&) const { return FailureKind::not_owner; }
  FailureKind operator()(const InvalidSignature&) const { return FailureKind::invalid; }
  FailureKind operator()(const UnexpectedSequenceNumber&) const { return FailureKind::out_of_date; }
  FailureKind operator()(const UnexpectedPrevious&) const { return FailureKind::out_of_date; }
  FailureKind operator()(const PreviousRequestPending&) const { return FailureKind::other_pending; }
  FailureKind operator()(const InsufficientFunds&) const { return FailureKind::insufficient_funds; }
  FailureKind operator()(const InvalidOperation&) const { return FailureKind::invalid; }
  FailureKind operator()(const InvalidCertificate&) const { return FailureKind::invalid; }
  FailureKind operator()(const MissingOperations&) const { return FailureKind::unavailable; }
  FailureKind operator()(const ConflictingCertificate&) const { return FailureKind::invalid; }
  FailureKind operator()(const NotSupportedYet&) const { return FailureKind::invalid; }
  FailureKind operator()(const NotFound&) const { return FailureKind::not_found; }
  FailureKind operator()(const Overloaded&) const { return FailureKind::unavailable; }
  FailureKind operator()(const Unavailable&) const { return FailureKind::unavailable; }
  FailureKind operator()(const Moved&) const { return FailureKind::unavailable; }
  FailureKind operator()(const InstanceRefused&) const { return FailureKind::other_pending; }
};

}  // namespace

FailureKind kind_of(const Refusal& refusal) { return std::visit(KindOf{}, refusal); }

void Verdict::add(Weight weight, const Refusal& refusal) {
  for (Reason& reason : reasons_)
    if (same_reason(reason.refusal, refusal)) {
      reason.weight += weight;
      return;
    }
  reasons_.push_back({refusal, weight});
}

std::optional<Failure> Verdict::decided() const {
  for (const Reason& reason : reasons_)
    if (reason.weight > network_->committee.faulty_max())
      return Failure{kind_of(reason.refusal), describe(reason.refusal), reason.refusal};
  return std::nullopt;
}

Failure Verdict::without_quorum(std::string_view what) const {
  if (auto failure = decided()) return std::move(*failure);
  std::string message = fmt::format("no quorum of validators {}; try again", what);
  const auto heard = std::ranges::max_element(reasons_, {}, &Reason::weight);
  if (heard != reasons_.end())
    message += fmt::format(" (one said: {})", describe(heard->refusal));
  else if (!last_silence_.empty())
    message += fmt::format(" (last: {})", last_silence_);
  return {FailureKind::unavailable, std::move(message), std::nullopt};
}

}  // namespace zef::client
