// Stands between workers and balancers and hears everything that leaves a worker. Whatever a worker says must be
// durable at that moment (output commit), each validator votes for one request per account and number, and what was
// said once is remembered: after every restart and at the end it must be said again (I5).
//
// Thread rule: the simulation's thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/chronicle.h"
#include "sim/network.h"

namespace zef::sim {

class Witness {
 public:
  Witness(const protocol::Network& rules, Journal& journal) : rules_(rules), journal_(journal) {}

  // Answers from this address are the validator's.
  void watch(const std::string& host, std::size_t validator, const Chronicle& chronicle);
  void sent(const Sent& sent);

  // An order that a validator has voted for, as it was sent.
  struct Voted {
    std::size_t validator;
    std::shared_ptr<const Bytes> query;  // BCS(Query)
    protocol::Uid account;
    protocol::SequenceNumber at;
    protocol::Hash request;
  };
  [[nodiscard]] const std::vector<Voted>& voted() const { return voted_; }
  // Queries of anybody, for who wants to send them again.
  [[nodiscard]] const std::vector<std::shared_ptr<const Bytes>>& overheard() const { return overheard_; }
  // The answer to a `voted` query that was asked again.
  void judge_again(const Voted& voted, ByteView answer);

 private:
  struct Watched {
    std::size_t validator;
    const Chronicle* chronicle;
  };
  void hears(const Watched& watched, ByteView body);
  void answered(const Watched& watched, ByteView body, const std::shared_ptr<const Bytes>& query);
  void check_vote(const Watched& watched, const protocol::Vote& vote, const std::shared_ptr<const Bytes>& query);
  void check_timeout(const Watched& watched, const protocol::Timeout& timeout);
  void check_state(const Watched& watched, const protocol::AccountState& state);
  void check_refusal(const Watched& watched, const protocol::Refusal& refusal,
                     const std::shared_ptr<const Bytes>& query);
  void not_durable(const Watched& watched, const protocol::Uid& account, std::string_view what);

  const protocol::Network& rules_;
  Journal& journal_;
  std::map<std::string, Watched> watched_;
  std::unordered_map<std::uint64_t, std::unordered_map<std::uint64_t, std::shared_ptr<const Bytes>>> asked_;
  std::vector<Voted> voted_;
  // When a validator heard of an instance for the first time, at the earliest.
  std::map<std::pair<std::size_t, protocol::Uid>, MonotonicTime> heard_;
  std::vector<std::shared_ptr<const Bytes>> overheard_;
  std::map<std::size_t, std::unordered_map<Place, protocol::Hash, PlaceHash>> votes_;  // by validator
  std::map<std::tuple<std::size_t, protocol::Uid, protocol::Round>, protocol::Decision> precommits_;
  static constexpr std::size_t overheard_max = 512;
};

}  // namespace zef::sim
