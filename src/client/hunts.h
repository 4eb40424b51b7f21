// State that the tasks of one query share with the task that waits for them. Inside of the quorum driver.
#pragma once

#include "client/quorum_impl.h"

namespace zef::client {

// One page of proofs from whoever has it first.
struct PageHunt {
  explicit PageHunt(Executor& executor) : changed(executor) {}
  Uid account;
  SequenceNumber from;
  SequenceNumber to;
  std::uint32_t limit = 0;
  std::vector<Proof> proofs;
  std::size_t running = 0;
  Event changed;  // a page is there, or a validator had none
};

// Signed states of one account.
struct StateHunt {
  explicit StateHunt(Executor& executor) : done(executor) {}
  Uid account;
  std::vector<std::pair<ValidatorIndex, AccountState>> states;
  Weight weight = 0;          // of all answers
  Weight unknown_weight = 0;  // of those that do not know the account
  std::string last_silence;
  std::size_t running = 0;
  std::size_t reached = 0;
  bool enough = false;
  Event done;
};

}  // namespace zef::client
