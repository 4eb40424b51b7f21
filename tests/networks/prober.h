// A dishonest user, whose accounts have no other: it gets votes for one order, and when processes have died it asks the
// same validators to vote for another order with the same number. They must refuse and name the first (R5), and give
// the first vote again when asked for it.
//
// Thread rule: the loop's thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/testing/seeded_rng.h"
#include "cli/demo_steps.h"
#include "client/account_driver.h"
#include "rig.h"

namespace zef::networks {

class Prober {
 public:
  // Owns the genesis accounts `first` to `first + count` - 1 of a network without a wallet.
  Prober(Rig& rig, cli::DemoBook& book, std::uint64_t first, std::size_t count, std::uint64_t seed);

  // New orders of these accounts (numbered from 0), each sent to some validators, one at least.
  [[nodiscard]] Task<void> collect_votes(std::size_t from, std::size_t to);
  // Asks everybody who voted for the other order, then for the first again.
  [[nodiscard]] Task<void> ask_for_second_votes(std::size_t from, std::size_t to);
  // Gets the first orders certified and executed, so that the accounts have new numbers.
  [[nodiscard]] Task<void> finish();

  [[nodiscard]] std::size_t size() const { return probes_.size(); }
  [[nodiscard]] std::uint64_t refusals() const { return refusals_; }  // of second orders
  [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }

 private:
  struct Probe {
    crypto::SigningKey key;
    client::ChainState chain;
    std::optional<protocol::RequestOrder> first;
    std::optional<protocol::RequestOrder> second;
    std::optional<protocol::Certificate> last;  // of the operation before
    std::vector<std::size_t> asked;             // validators
    std::vector<std::size_t> voted;
  };

  Task<void> collect(Probe& probe, std::size_t validator);
  // Whether the validator lags by what it has not acknowledged, as one may that was not among the quorum.
  [[nodiscard]] bool lags(const Probe& probe, std::size_t validator, const protocol::Answer& answer) const;
  Task<void> ask_again(Probe& probe, std::size_t validator);
  Task<void> finish_one(Probe& probe);
  // The answer to an order, asked for until there is one that means something.
  Task<std::optional<protocol::Answer>> insist(protocol::RequestOrder order, std::size_t validator);
  void problem(const Probe& probe, std::size_t validator, std::string_view what, const protocol::Answer& answer);

  Rig& rig_;
  cli::DemoBook& book_;
  zef::testing::SeededRng rng_;
  std::vector<Probe> probes_;
  std::uint64_t refusals_ = 0;
  std::vector<std::string> problems_;
};

}  // namespace zef::networks
