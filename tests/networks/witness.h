// Listens to everything that validators answer to this process, and holds them to it, whatever crashes (I5):
//   - a vote is for ever: no other vote for the same account and number, and it is still pending until that number is
//     executed;
//   - an execution that was acknowledged is for ever: the account never stands before it, and its head is what it was;
//   - all validators that executed an account's operations have the same head after them (I1).
//
// Thread rule: the loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/task.h"
#include "client/quorum_driver.h"
#include "net/transport.h"
#include "protocol/messages.h"

namespace zef::networks {

class Witness {
 public:
  struct Figures {
    std::uint64_t votes_checked = 0;
    std::uint64_t executions_checked = 0;
    std::uint64_t second_votes = 0;
    std::uint64_t lost = 0;  // votes and executions
  };

  explicit Witness(const protocol::Network& network);

  // The payload of a frame that the validator sent.
  void saw(std::size_t validator, ByteView payload);
  // Asks every validator about every account that it promised something for. False: somebody did not answer in time.
  [[nodiscard]] Task<bool> check(client::QuorumDriver& quorum, Duration limit);

  // What the validator has acknowledged of the account: its next number.
  [[nodiscard]] protocol::SequenceNumber acknowledged(std::size_t validator, const protocol::Uid& account) const;

  [[nodiscard]] const Figures& figures() const { return figures_; }
  [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }

 private:
  using Uid = protocol::Uid;
  struct Promise {
    std::map<std::uint64_t, protocol::Hash> votes;  // by number: hash of the request
    protocol::SequenceNumber next;                  // acknowledged
    protocol::Hash head;
  };
  struct Question {
    std::size_t validator;
    Uid account;
  };

  void saw_vote(std::size_t validator, const protocol::Vote& vote);
  void saw_state(std::size_t validator, const protocol::AccountState& state);
  Task<void> check_one(client::QuorumDriver& quorum, Question question, MonotonicTime give_up, bool& all_answered);
  void compare(const Question& question, const Promise& before, const protocol::AccountState& now);
  void problem(std::string what);
  void lost(std::string what);

  const protocol::Network* network_;
  std::vector<std::map<Uid, Promise>> promises_;                  // of each validator
  std::map<Uid, std::map<std::uint64_t, protocol::Hash>> heads_;  // by `next`
  Figures figures_;
  std::vector<std::string> problems_;
};

// Connections of another transport, each frame of which is shown before it is handed on.
class WitnessedTransport final : public net::Transport {
 public:
  using Saw = std::function<void(const net::Address& from, ByteView payload)>;
  WitnessedTransport(net::Transport& inner, Saw saw) : inner_(inner), saw_(std::make_shared<Saw>(std::move(saw))) {}

  Result<std::unique_ptr<net::Listener>> listen(
      const net::Address& address, const net::Limits& limits,
      std::function<void(std::unique_ptr<net::Connection>)> on_accept) override;
  void connect(const net::Address& address, const net::Limits& limits,
               std::move_only_function<void(Result<std::unique_ptr<net::Connection>>)> done) override;

 private:
  net::Transport& inner_;
  std::shared_ptr<Saw> saw_;
};

}  // namespace zef::networks
