// Honest clients: the real quorum and account drivers, with a storage that survives crashes. A user has several
// accounts and works on all of them at once: pays, pays many at once, opens, rotates, closes, hands certificates to
// others, proposes swaps and settlements and takes part in those of others. Whatever happens to it, it finishes what it
// signed, and never signs two requests for one number.
//
// Thread rule: the simulation's thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "client/account_driver.h"
#include "client/instance_driver.h"
#include "sim/journal.h"
#include "sim/network.h"

namespace zef::sim {

using KeySeed = std::array<std::uint8_t, 32>;

// What users share: how much is still to be done, whom they can pay, certificates on their way by hand.
struct Workload {
  std::uint64_t operations_left = 0;
  std::uint64_t done = 0;
  std::uint64_t poor = 0;  // not begun for want of funds
  std::vector<protocol::Uid> book;
  std::vector<protocol::Proof> mail;
  struct Offer {
    protocol::Uid instance;
    protocol::StartInstance terms;
  };
  std::vector<Offer> offers;
  // Participants agree before they start an instance: who is invited says at which number its account stands, and holds
  // still for a while.
  struct Invitation {
    MonotonicTime until;
    std::optional<protocol::SequenceNumber> answer;
  };
  std::map<protocol::Uid, Invitation> invitations;
  std::vector<protocol::Uid> strangers;  // accounts of attackers that can be invited like others
  // Nothing: it is not invited, or has said it already.
  Invitation* invitation(const protocol::Uid& account, MonotonicTime now) {
    const auto found = invitations.find(account);
    if (found == invitations.end() || found->second.until < now || found->second.answer) return nullptr;
    return &found->second;
  }
  [[nodiscard]] bool offered(const protocol::Uid& account, protocol::SequenceNumber at) const;
  std::size_t accounts_max = 0;  // in the book; beyond, nobody opens one
  // Bound to an operation until it is done or given back.
  bool take() {
    if (operations_left == 0) return false;
    --operations_left;
    return true;
  }
  void give_back() { ++operations_left; }
};

// Survives the crashes of its user.
struct Disk {
  struct Saved {
    client::ChainState chain;
    std::optional<protocol::RequestOrder> pending;
    std::optional<protocol::Proof> proof;
    std::optional<protocol::Certificate> lock;  // of `pending`, a LockInto
    bool begun = false;                         // `pending` counts as an operation of the workload
  };
  std::map<protocol::Uid, Saved> accounts;
  std::map<protocol::PublicKey, KeySeed> keys;
  // What was signed: an honest owner never signs twice.
  struct Signed {
    protocol::Hash hash;
    bool locks = false;  // an instance decides what is executed in its place
  };
  std::map<std::pair<protocol::Uid, protocol::SequenceNumber>, Signed> signed_requests;
};

class User {
 public:
  struct World {
    Schedule& schedule;
    Network& network;
    const protocol::Network& rules;
    const std::vector<net::Address>& validators;
    Workload& workload;
    Journal& journal;
  };
  User(World world, SimRng rng, std::size_t number);
  User(const User&) = delete;
  User& operator=(const User&) = delete;
  ~User();

  // Before start().
  void add_account(const client::ChainState& chain, const KeySeed& seed);
  void start();
  // The process ends and begins again from its disk after that time.
  void crash(Duration down);
  // Nothing is pending and it has stopped taking operations.
  [[nodiscard]] bool idle() const;
  [[nodiscard]] std::string state() const;  // for people: what it waits for
  [[nodiscard]] Site site() const { return site_; }
  [[nodiscard]] const Disk& disk() const { return disk_; }
  void jump_clock(Duration by);

 private:
  struct Process;
  class Storage;

  Task<void> live(Process& process, protocol::Uid uid);
  Task<bool> finish(Process& process, client::AccountDriver& driver);
  Task<void> operate(Process& process, client::AccountDriver& driver);
  Task<client::Outcome<void>> run_one(Process& process, client::AccountDriver& driver);
  Task<void> read_mail(Process& process);
  Task<client::Outcome<void>> propose(Process& process, client::AccountDriver& driver);
  Task<std::vector<protocol::Participant>> invite(Process& process, const protocol::Uid& proposer);
  Task<void> follow_invitation(Process& process, client::AccountDriver& driver);
  Task<void> consider_offers(Process& process, client::AccountDriver& driver);
  Task<bool> get_out(Process& process, client::AccountDriver& driver, std::size_t attempts);
  void receive_account(Process& process, const client::InstanceView& view, std::size_t place);
  void settle(Process& process, client::AccountDriver& driver, const client::Outcome<void>& outcome);
  void adopt_children(Process& process);
  void begin(Process& process, const protocol::Uid& uid);
  [[nodiscard]] KeySeed new_key(Process& process);
  [[nodiscard]] protocol::Address recipient(Process& process);

  World world_;
  SimRng rng_;
  std::size_t number_;
  Site site_;
  SimExecutor& machine_;
  Disk disk_;
  std::unique_ptr<Process> process_;
};

}  // namespace zef::sim
