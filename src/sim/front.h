// The face of a Byzantine validator: it stands at the validator's address, holds its key, and answers what it likes:
// with the truth of the real validator behind it, with votes for everything, for something else, with broken
// signatures, with what was true long ago, with inventions, or not at all. It keeps to no side and never stops.
//
// Thread rule: the simulation's thread.
#pragma once

#include <map>
#include <memory>

#include "net/rpc.h"
#include "sim/journal.h"
#include "sim/validator.h"

namespace zef::sim {

class Front {
 public:
  // All outlive it.
  Front(Schedule& schedule, Network& network, SimRng rng, const protocol::Network& rules, const Validator& validator,
        Journal& journal);
  Front(const Front&) = delete;
  Front& operator=(const Front&) = delete;
  ~Front();

  // Nothing but lies from now on, or everything as it comes.
  void set_honest_chance(std::uint64_t millionths) { honest_chance_ = millionths; }

 private:
  void on_query(net::ConnectionId connection, std::uint64_t id, ByteView body);
  void forward(net::ConnectionId connection, std::uint64_t id, ByteView body, bool broken);
  // An answer of its own, where it has one for this question.
  std::optional<protocol::Answer> lie(const protocol::Query& query);
  std::optional<protocol::Answer> lie_to(const protocol::SubmitOrder& query);
  std::optional<protocol::Answer> lie_to(const protocol::SubmitProof& query);
  std::optional<protocol::Answer> lie_to(const protocol::QueryAccount& query);
  std::optional<protocol::Answer> lie_to(const protocol::QueryExecuted& query);
  std::optional<protocol::Answer> lie_to(const protocol::QueryReceived& query);
  std::optional<protocol::Answer> lie_to(const protocol::SubmitProposal& query);
  std::optional<protocol::Answer> lie_to(const protocol::SubmitInstanceCertificate& query);
  std::optional<protocol::Answer> lie_to(const protocol::AskTimeout& query);
  template <class Other>
  std::optional<protocol::Answer> lie_to(const Other&) {
    return std::nullopt;
  }
  template <class T>
  [[nodiscard]] protocol::BatchSignature sign(const T& value) const;
  [[nodiscard]] protocol::Answer vote(protocol::Value value);
  [[nodiscard]] protocol::Answer state(protocol::AccountState state);

  SimRng rng_;
  const protocol::Network& rules_;
  const Validator& validator_;
  Journal& journal_;
  SimExecutor& process_;
  std::unique_ptr<net::Transport> transport_;
  std::unique_ptr<net::RpcClient> inner_;
  std::unique_ptr<net::RpcServer> server_;
  std::uint64_t honest_chance_ = 400'000;
  std::map<protocol::Uid, Bytes> old_answers_;
};

}  // namespace zef::sim
