#include "protocol/messages.h"

namespace zef::protocol {

const Uid& instance_of(const InstanceMessage& message) {
  struct Instance {
    const Uid& operator()(const SubmitProposal& it) const { return it.proposal.instance; }
    const Uid& operator()(const SubmitInstanceCertificate& it) const { return it.instance; }
    const Uid& operator()(const AskTimeout& it) const { return it.instance; }
    const Uid& operator()(const ShowLocks& it) const { return it.instance; }
  };
  return std::visit(Instance{}, message);
}

const std::optional<Proof>& start_of(const InstanceMessage& message) {
  return std::visit([](const auto& it) -> const std::optional<Proof>& { return it.start; }, message);
}

void add_to(Totals& sum, const Totals& more) {
  sum.accounts += more.accounts;
  sum.balances += more.balances;
  sum.burned += more.burned;
  sum.caused += more.caused;
  sum.received += more.received;
  sum.fees += more.fees;
  sum.fees_credited += more.fees_credited;
  sum.executed += more.executed;
  sum.effects_waiting += more.effects_waiting;
  sum.conflicts += more.conflicts;
}

}  // namespace zef::protocol
