// What a dishonest client can try, and what comes of it: two requests for one sequence number, sent to different
// validators and then to the others; and an order signed by a key that is not the owner's.
//
// Thread rule: the executor's thread. It speaks with each validator directly: the honest driver would never do this.
#pragma once

#include "client/quorum_driver.h"
#include "crypto/keys.h"

namespace zef::cli {

[[nodiscard]] protocol::RequestOrder sign_order(const protocol::Network& network, const crypto::SigningKey& key,
                                                protocol::Request request);

// What all validators said to one order.
struct OrderAnswers {
  std::vector<protocol::Vote> votes;  // valid ones, by validator
  std::size_t refused = 0;
  std::size_t refused_as_pending = 0;  // of those: they voted for another request at this number (R5)
  std::size_t silent = 0;
};
[[nodiscard]] Task<OrderAnswers> ask_everybody(client::QuorumDriver& quorum, protocol::RequestOrder order);

struct DoubleSpend {
  OrderAnswers first;
  OrderAnswers second;
  // Of the first, if its votes make a quorum.
  std::optional<protocol::Certificate> certificate;
  bool second_certified = false;
};
// Sends the first to just a quorum of the validators and the second to the rest, at the same time; then each to those
// that got the other.
[[nodiscard]] Task<DoubleSpend> try_double_spend(client::QuorumDriver& quorum, protocol::RequestOrder first,
                                                 protocol::RequestOrder second);

}  // namespace zef::cli
