// The checkers. While a network runs: what each validator's workers hold together is the genesis supply (I4), nothing
// is certified twice (I1), no UID is created twice (I2), votes that were seen are said again after every restart (I5).
// At the end, when faults have stopped: all honest validators are brought up to date by an honest client, must be equal
// account by account (I3), in memory and in what their logs say, and must hold the supply to the last unit.
//
// Thread rule: the simulation's thread.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "client/quorum_driver.h"
#include "sim/chronicle.h"
#include "sim/validator.h"
#include "sim/witness.h"

namespace zef::sim {

class Judge {
 public:
  struct World {
    Schedule& schedule;
    Network& network;
    const protocol::Genesis& genesis;
    const protocol::Network& rules;
    const std::vector<std::unique_ptr<Validator>>& validators;
    const std::vector<net::Address>& addresses;
    const std::vector<bool>& byzantine;
    bool beyond_f;  // nothing holds between validators
    // What the honest owner of an account has signed at that number: nothing if the account has none.
    std::function<std::optional<bool>(const protocol::Request&, const protocol::Hash&)> is_signed;
    Journal& journal;
  };
  Judge(World world, SimRng rng);
  Judge(const Judge&) = delete;
  Judge& operator=(const Judge&) = delete;
  ~Judge();

  // Before the validators start.
  void start();
  [[nodiscard]] Witness& witness() { return witness_; }
  [[nodiscard]] const Chronicle& chronicle(std::size_t validator) const { return *chronicles_[validator]; }
  // Runs the schedule until all honest validators agree, or says why they do not.
  void finish(const std::vector<protocol::Uid>& accounts);

 private:
  void executed(std::size_t validator, const protocol::Request& request, const protocol::Hash& hash);
  void account_for(const protocol::Request& request);
  void weigh();  // I4, again and again
  void ask_again(std::size_t validator, std::size_t most);
  [[nodiscard]] bool honest(std::size_t validator) const { return !world_.byzantine[validator]; }
  [[nodiscard]] bool all_quiet() const;
  bool wait_until_quiet(Duration limit);
  [[nodiscard]] bool all_equal(const std::vector<protocol::Uid>& accounts) const;
  Task<void> bring_up(const std::vector<protocol::Uid>& accounts, std::size_t& at, std::size_t& left);
  Task<void> compare_answers(std::vector<protocol::Uid> accounts, bool& done);
  void compare_logs();
  void compare_with_books(std::size_t validator);

  World world_;
  SimRng rng_;
  SimExecutor& process_;
  std::unique_ptr<net::Transport> transport_;
  client::QuorumDriver quorum_;
  std::vector<std::unique_ptr<net::RpcClient>> clients_;
  Witness witness_;
  std::vector<std::unique_ptr<Chronicle>> chronicles_;
  std::vector<Chronicle::Rebuilt> rebuilt_;
  std::unordered_map<Place, protocol::Hash, PlaceHash> certified_;
  std::map<protocol::Uid, protocol::Hash> created_;
  std::map<protocol::Uid, protocol::Decision> decisions_;
  // What the requests that honest validators have executed make of the genesis, counted here by itself: payments are
  // added up one by one.
  std::unordered_set<Place, PlaceHash> accounted_;
  std::map<protocol::Uid, protocol::Balance> books_;
  std::set<protocol::Uid> closed_;
  protocol::Balance burned_ = 0;
  protocol::Balance fees_ = 0;
  std::uint64_t weighed_ = 0;
  std::uint64_t asked_again_ = 0;
  TaskScope scope_;
};

}  // namespace zef::sim
