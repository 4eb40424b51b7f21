// A Byzantine client with accounts of its own: spends twice and shows each half another story, puts certificates
// together that are none, breaks chains, overdraws, signs for others, sends again what it overheard, and sends garbage.
// It goes on until it is told to stop, faults or not.
//
// Thread rule: the simulation's thread.
#pragma once

#include <memory>
#include <vector>

#include "net/rpc.h"
#include "sim/user.h"
#include "sim/witness.h"

namespace zef::sim {

class Attacker {
 public:
  struct World {
    Schedule& schedule;
    Network& network;
    const protocol::Network& rules;
    const std::vector<net::Address>& validators;
    Workload& workload;      // whom to pay, what is offered
    const Witness& witness;  // what is overheard
    Journal& journal;
  };
  Attacker(World world, SimRng rng);
  Attacker(const Attacker&) = delete;
  Attacker& operator=(const Attacker&) = delete;
  ~Attacker();

  void add_account(const client::ChainState& chain, const KeySeed& seed);
  void start();
  void stop();
  [[nodiscard]] Site site() const { return site_; }

 private:
  struct Purse {
    protocol::Uid account;
    protocol::SequenceNumber next;
    protocol::Hash head;
    KeySeed seed;
  };
  struct Process;
  using Votes = std::vector<std::pair<protocol::ValidatorIndex, protocol::BatchSignature>>;

  Task<void> live(Process& process, std::size_t purse);
  Task<void> spend_twice(Process& process, Purse& purse);
  Task<void> go_on(Process& process, Purse& purse);
  Task<void> break_rules(Process& process, Purse& purse);
  Task<void> look_up(Process& process, Purse& purse);
  // On instances (attacker_instances.cpp).
  struct Seat {
    protocol::Uid account;
    KeySeed delegate;
    protocol::Certificate lock;
  };
  // What conspirators are after.
  enum class Plan {
    chance,
    second_decision,  // one certified and committed in each round
    old_certificate,  // the first one is kept, the second one committed, then the first one is carried
  };
  struct Plot {
    Plan plan = Plan::chance;
    protocol::Uid instance;
    protocol::Proof start;
    std::vector<Seat> seats{};
    std::vector<protocol::Certificate> locks{};       // others' too
    std::vector<protocol::Certificate> precommits{};  // nobody has seen them yet
    std::vector<protocol::Certificate> decided{};     // Commit certificates
  };
  Task<void> meddle(Process& process, Purse& purse);
  Task<void> conspire(Process& process, Purse& one, Purse& other);
  Task<std::optional<protocol::Proof>> start_of(Process& process, protocol::Uid instance);
  Task<bool> lock_in(Process& process, Purse& purse, Plot& plot);
  Task<void> propose(Process& process, Plot& plot, const Seat& seat, protocol::Proposal proposal,
                     std::vector<std::size_t> whom);
  Task<void> commit(Process& process, Plot& plot, protocol::Certificate precommit, std::vector<std::size_t> whom);
  Task<void> end_round(Process& process, Plot& plot, protocol::Round round, std::vector<std::size_t> whom);
  // Sends the message to these; the votes that came back, by the value they are for.
  struct Ballot {
    protocol::Value value;
    Votes votes;
  };
  Task<std::vector<Ballot>> poll(Process& process, protocol::Query query, std::vector<std::size_t> whom);
  [[nodiscard]] std::vector<std::size_t> some(Process& process) const;
  template <class T>
  [[nodiscard]] protocol::BatchSignature sign_with(const T& value, const KeySeed& seed) const;
  Task<void> aim_at(Process& process, protocol::Request& request);
  Task<void> disturb(Process& process);
  // Asks those validators for a vote on the order, and keeps what fits.
  Task<void> gather(Process& process, protocol::RequestOrder order, std::vector<std::size_t> whom, Votes& votes);
  Task<void> ask_one(Process& process, std::size_t validator, std::shared_ptr<const Bytes> query,
                     std::shared_ptr<const protocol::Value> value, Votes& votes, std::size_t& left,
                     std::shared_ptr<Event> all);
  // Shows the certificate to these; whether one of them has executed it.
  Task<bool> show(Process& process, protocol::Certificate certificate, std::vector<std::size_t> whom);
  Task<void> forge(Process& process, const protocol::Request& request, const Votes& votes);
  [[nodiscard]] unsigned __int128 weight_of(const Votes& votes) const;
  [[nodiscard]] protocol::Request make_request(Process& process, const Purse& purse);
  [[nodiscard]] protocol::RequestOrder sign(const protocol::Request& request, const KeySeed& seed) const;
  [[nodiscard]] std::vector<std::size_t> everybody() const;
  [[nodiscard]] static protocol::Value value_of(const protocol::Request& request);
  [[nodiscard]] static protocol::Certificate certificate_of(const protocol::Value& value, const Votes& votes);

  World world_;
  SimRng rng_;
  Site site_;
  std::vector<Purse> purses_;
  std::optional<protocol::PublicKey> victim_owner_;
  std::unique_ptr<Process> process_;
};

}  // namespace zef::sim
