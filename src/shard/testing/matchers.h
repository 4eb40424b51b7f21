// Short questions to an Outcome, for assertions.
#pragma once

#include "shard/shard.h"

namespace zef::shard::testing {

// The refusal of that kind, or nullptr.
template <class T>
const T* refusal(const Outcome& outcome) {
  const auto* refused = std::get_if<Refusal>(&outcome.answer);
  return refused ? std::get_if<T>(refused) : nullptr;
}
inline bool refused(const Outcome& outcome, const Refusal& expected) {
  const auto* refusal = std::get_if<Refusal>(&outcome.answer);
  return refusal != nullptr && *refusal == expected && outcome.records.empty();
}
// A new vote, with its record.
inline bool voted(const Outcome& outcome) {
  return std::holds_alternative<VoteToSign>(outcome.answer) && outcome.records.size() == 1 &&
         std::holds_alternative<VoteMade>(outcome.records[0]);
}
// Something new was executed, with its record.
inline bool executed(const Outcome& outcome) {
  return std::holds_alternative<AccountState>(outcome.answer) && outcome.records.size() == 1 &&
         std::holds_alternative<Executed>(outcome.records[0]);
}
// All of it had been executed before.
inline bool already_done(const Outcome& outcome) {
  return std::holds_alternative<AccountState>(outcome.answer) && outcome.records.empty();
}
// C5: evidence was kept.
inline bool conflict(const Outcome& outcome, SequenceNumber at) {
  const auto* conflicting = refusal<ConflictingCertificate>(outcome);
  return conflicting != nullptr && conflicting->sequence_number == at && outcome.records.size() == 1 &&
         std::holds_alternative<ConflictSeen>(outcome.records[0]);
}

// A vote to sign for that value.
inline bool votes_for(const Outcome& outcome, const Value& value) {
  const auto* vote = std::get_if<VoteToSign>(&outcome.answer);
  return vote != nullptr && vote->value == value;
}
// An instance's no, for a reason that says so.
inline bool instance_refused(const Outcome& outcome, std::string_view why) {
  const auto* refused = refusal<InstanceRefused>(outcome);
  return refused != nullptr && refused->why.find(why) != std::string::npos;
}

}  // namespace zef::shard::testing
