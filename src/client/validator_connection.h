// One validator, as a client sees it: typed questions over one connection, and answers that were checked as far as one
// validator's answer can be. Nothing it says is believed for that: see quorum_driver.h.
//
// Thread rule: the executor's thread. The transport, network and caches outlive the connection; destroying it drops the
// questions that were not answered.
#pragma once

#include <memory>
#include <variant>

#include "base/executor.h"
#include "base/task.h"
#include "client/outcome.h"
#include "net/rpc.h"
#include "protocol/messages.h"
#include "protocol/verification.h"

namespace zef::client {

// Why a validator gave nothing to go on: it did not answer (or not sensibly), or it refused.
using Complaint = std::variant<Error, Refusal>;
template <class T>
using Asked = std::expected<T, Complaint>;
[[nodiscard]] std::string describe_complaint(const Complaint& complaint);

struct ConnectionCounters {
  std::uint64_t asked = 0;
  std::uint64_t undecodable = 0;     // answers that are no answers
  std::uint64_t unexpected = 0;      // answers to another question
  std::uint64_t bad_signatures = 0;  // votes, account states
  std::uint64_t wrong_values = 0;    // votes for another value, states of another account, old nonces
};

using Nonce = decltype(AccountState::nonce);

class ValidatorConnection {
 public:
  ValidatorConnection(Executor& executor, net::Transport& transport, const Network& network, RootCaches& caches,
                      ValidatorIndex index, net::Address address, net::RpcClientOptions options = {});

  [[nodiscard]] ValidatorIndex index() const { return index_; }
  [[nodiscard]] std::uint64_t weight() const { return info_->weight; }
  [[nodiscard]] const ValidatorInfo& info() const { return *info_; }
  [[nodiscard]] const net::Address& address() const { return rpc_.address(); }
  [[nodiscard]] bool connected() const { return rpc_.connected(); }
  [[nodiscard]] const ConnectionCounters& counters() const { return counters_; }

  // Any question; a refusal of the validator is an answer here.
  [[nodiscard]] Task<Result<Answer>> ask(Query query, Duration timeout);
  // The same for a question that goes to several validators and was encoded once.
  [[nodiscard]] Task<Result<Answer>> ask_encoded(std::shared_ptr<const Bytes> query, Duration timeout);

  // A vote of this validator for exactly this value. Its signature is not checked yet: see check_vote().
  [[nodiscard]] Task<Asked<Vote>> vote(std::shared_ptr<const Bytes> submit_order, std::shared_ptr<const Value> value,
                                       Duration timeout);
  [[nodiscard]] bool check_vote(const Vote& vote);
  // The state after an execution, signed by this validator and of this account.
  [[nodiscard]] Task<Asked<AccountState>> execute(std::shared_ptr<const Bytes> submit_proof, Uid account,
                                                  Duration timeout);
  // The state now: signed, of this account, and made for this nonce.
  [[nodiscard]] Task<Asked<AccountState>> account(Uid account, Nonce nonce, Duration timeout);
  // Pages as the validator gives them: their certificates are still to be verified.
  [[nodiscard]] Task<Asked<ExecutedPage>> executed(Uid account, SequenceNumber from, std::uint32_t limit,
                                                   Duration timeout);
  [[nodiscard]] Task<Asked<ReceivedPage>> received(Uid account, std::uint64_t from, std::uint32_t limit,
                                                   Duration timeout);
  // Unsigned: for people and checks of the whole network only.
  [[nodiscard]] Task<Asked<NetworkInfo>> network_info(Duration timeout);
  [[nodiscard]] Task<Asked<Totals>> totals(Duration timeout);

 private:
  template <class T>
  Asked<T> expect(Result<Answer> answer);
  Asked<AccountState> check_state(Result<Answer> answer, const Uid& account, const Nonce& nonce);
  std::unexpected<Complaint> misbehaved(std::uint64_t ConnectionCounters::* counter, std::string_view what);

  const Network* network_;
  RootCaches* caches_;
  ValidatorIndex index_;
  const ValidatorInfo* info_;
  net::RpcClient rpc_;
  ConnectionCounters counters_;
};

}  // namespace zef::client
