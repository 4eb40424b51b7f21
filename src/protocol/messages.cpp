#include "protocol/messages.h"

namespace zef::protocol {

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
