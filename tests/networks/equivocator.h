// A dishonest participant of protocol instances: it locks its account as everybody does, and then proposes both
// decisions in every round in which it may propose: one to some validators, the other to the rest.
//
// Thread rule: the loop's thread. It speaks with each validator directly: the honest driver would never do this.
#pragma once

#include "client/instance_driver.h"
#include "rig.h"

namespace zef::networks {

class Equivocator {
 public:
  // Owns a genesis account of a network without a wallet.
  Equivocator(Rig& rig, std::uint64_t account);

  // Locks the account and shows the lock; whether that went well.
  [[nodiscard]] Task<bool> join(protocol::Uid instance);
  // Once, in this round; how many votes both proposals got.
  [[nodiscard]] Task<std::size_t> propose_both(protocol::Round round);
  // In every round that gives it a turn, until the instance is decided.
  [[nodiscard]] Task<void> go_on();

  [[nodiscard]] std::uint64_t rounds() const { return rounds_; }  // in which it proposed
  [[nodiscard]] std::uint64_t votes() const { return votes_; }
  [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }

 private:
  Task<void> propose_to(std::size_t validator, protocol::Round round, std::size_t& votes);
  [[nodiscard]] protocol::SubmitProposal proposal(protocol::Round round, protocol::Decision decision) const;

  Rig& rig_;
  protocol::Uid account_;
  crypto::SigningKey key_;
  crypto::SigningKey delegate_ = crypto::SigningKey::generate();
  client::InstanceDriver driver_;
  protocol::Uid instance_;
  std::optional<client::InstanceView> view_;
  std::uint64_t rounds_ = 0;
  std::uint64_t votes_ = 0;
  std::vector<std::string> problems_;
};

}  // namespace zef::networks
