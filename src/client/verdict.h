// Adds up what validators say no with, by weight: what more than f weight agrees on is true for at least one honest
// validator, and no single one can end an operation. Values only.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "client/outcome.h"
#include "protocol/genesis.h"
#include "protocol/signing.h"

namespace zef::client {

using Weight = unsigned __int128;

// What a refusal means for the operation, once it is believed.
[[nodiscard]] FailureKind kind_of(const Refusal& refusal);

class Verdict {
 public:
  explicit Verdict(const Network& network) : network_(&network) {}

  // A validator's last word. Refusals count as the same when their kind is the same; of PreviousRequestPending, only
  // when they name the same request.
  void add(Weight weight, const Refusal& refusal);
  // A validator that gave nothing to go on until the end.
  void add_silent(std::string why) { last_silence_ = std::move(why); }

  // What more than f weight says, if anything.
  [[nodiscard]] std::optional<Failure> decided() const;
  // The failure when nobody is left to ask: what is decided, or that there is no quorum, with a reason that was heard.
  [[nodiscard]] Failure without_quorum(std::string_view what) const;

 private:
  struct Reason {
    Refusal refusal;
    Weight weight = 0;
  };
  const Network* network_;
  std::vector<Reason> reasons_;
  std::string last_silence_;
};

}  // namespace zef::client
