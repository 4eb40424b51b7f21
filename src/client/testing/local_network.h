// A whole network in one process for tests of this and higher rooms: validators that run the real rules over the shard
// room, reached over memory connections, and that can be told to misbehave. No log, no worker: what they hold is in
// memory. Deterministic on a ManualExecutor.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "base/testing/manual_executor.h"
#include "base/testing/seeded_rng.h"
#include "client/account_driver.h"
#include "client/quorum_driver.h"
#include "net/testing/memory_transport.h"
#include "protocol/testing/fixture.h"
#include "shard/shard.h"

namespace zef::client::testing {

using protocol::testing::TestNetwork;
using protocol::testing::TestNetworkOptions;

enum class Fault {
  none,
  silent,           // takes every question, answers none
  garbage,          // answers with bytes that are no answer
  wrong_value,      // votes for another value than asked
  bad_signature,    // votes and states with a signature of somebody else
  other_validator,  // shows the votes of another index
  old_states,       // signs the state of the beginning, with the nonce asked for
  poor,             // refuses every order for lack of funds
  busy,             // Overloaded, for ever
  inventing,        // boasts: credits that nobody sent, a chain that goes on for ever, rounds that nobody reached
  forgetful,        // lists no credits and no history
  obliging,         // votes for whatever is proposed to an instance, twice if asked
  secretive,        // shows nothing of an instance but its start
};

class TestValidator {
 public:
  TestValidator(Executor& executor, net::Transport& transport, const TestNetwork& network, std::size_t index);

  [[nodiscard]] const net::Address& address() const { return address_; }
  void set_fault(Fault fault) { fault_ = fault; }
  // Effects stay in the outboxes until told otherwise.
  void hold_effects(bool hold);

  [[nodiscard]] std::optional<AccountState> account(const Uid& uid);
  [[nodiscard]] Totals totals() const;
  // Of what I3 compares, over all accounts that it has heard of.
  [[nodiscard]] std::map<Uid, Hash> digests();
  // Every value that it signed a vote for, by account and sequence number: at most one each, whatever happens.
  [[nodiscard]] const std::map<std::pair<Uid, SequenceNumber>, std::set<Hash>>& voted() const { return voted_; }
  // The requests whose orders it was shown, likewise: what an owner has signed.
  [[nodiscard]] const std::map<std::pair<Uid, SequenceNumber>, std::set<Hash>>& seen_orders() const { return seen_; }
  [[nodiscard]] std::uint64_t answered() const { return answered_; }
  [[nodiscard]] std::optional<InstanceState> instance(const Uid& uid);
  // Every decision that a vote of it was for, by instance and round of the PreCommit: at most one each.
  [[nodiscard]] const std::map<std::pair<Uid, Round>, std::set<std::size_t>>& precommitted() const {
    return precommitted_;
  }

  // What it says, as a call would.
  [[nodiscard]] std::optional<Answer> answer(const Query& query);

 private:
  Answer on(const SubmitOrder& query);
  Answer on(const SubmitProof& query);
  Answer on(const QueryAccount& query);
  Answer on(const QueryExecuted& query);
  Answer on(const QueryReceived& query);
  Answer on(const QueryNetwork& query);
  Answer on(const QueryTotals& query);
  Answer on(const QueryInstance& query);
  Answer on(const SubmitProposal& message) { return on_instance(message); }
  Answer on(const SubmitInstanceCertificate& message) { return on_instance(message); }
  Answer on(const AskTimeout& message) { return on_instance(message); }
  Answer on(const ShowLocks& message) { return on_instance(message); }
  Answer on_instance(InstanceMessage message);

  shard::Shard& shard_of_account(const Uid& uid) { return shard_at(shard_of(uid)); }
  shard::Shard& shard_at(ShardId id);
  void took(const std::vector<shard::Record>& records);
  void deliver_effects();
  [[nodiscard]] Answer signed_state(AccountState state);
  [[nodiscard]] Vote make_vote(const Value& value);

  Executor& executor_;
  const TestNetwork* network_;
  std::size_t index_;
  Fault fault_ = Fault::none;
  bool hold_ = false;
  RootCaches caches_;
  std::vector<std::vector<std::uint64_t>> genesis_;
  std::map<ShardId, shard::Shard> shards_;
  std::map<Uid, std::map<SequenceNumber, std::shared_ptr<const Proof>>> executed_;  // by every request they vouch for
  std::map<Uid, std::vector<ReceivedCredit>> received_;
  std::map<std::pair<Uid, SequenceNumber>, std::set<Hash>> voted_;
  std::map<std::pair<Uid, SequenceNumber>, std::set<Hash>> seen_;
  std::map<std::pair<Uid, Round>, std::set<std::size_t>> precommitted_;
  std::uint64_t answered_ = 0;
  std::unique_ptr<net::RpcServer> server_;
  net::Address address_;
};

class LocalNetwork {
 public:
  explicit LocalNetwork(const TestNetworkOptions& options = {});

  [[nodiscard]] TestValidator& operator[](std::size_t index) { return *validators[index]; }
  [[nodiscard]] std::vector<net::Address> addresses() const;
  [[nodiscard]] std::unique_ptr<QuorumDriver> driver(DriverOptions options = {});
  // Cuts its connections and lets none in, or lets them in again.
  void set_away(std::size_t index, bool away);

  template <class T>
  T run(Task<T> task) {
    return executor.run_until(std::move(task));
  }
  // An account of the genesis with its own key, that nobody has used.
  [[nodiscard]] std::unique_ptr<AccountDriver> account(QuorumDriver& quorum, std::size_t index,
                                                       AccountStorage* storage = nullptr);
  // A copy of a key of the genesis.
  [[nodiscard]] crypto::SigningKey key(std::size_t account) const;

  TestNetwork network;
  zef::testing::ManualExecutor executor;
  zef::testing::SeededRng rng{7};
  net::testing::MemoryNetwork wires{executor};
  std::unique_ptr<net::Transport> transport = wires.transport();
  std::vector<std::unique_ptr<TestValidator>> validators;
};

[[nodiscard]] std::vector<Payment> to(const Uid& recipient, std::uint64_t amount);

}  // namespace zef::client::testing
