// The inside of an InstanceDriver, for its own files only: instance_driver.cpp (what is public, questions to all),
// instance_rounds.cpp (the way to a decision).
//
// A question to all validators is a root task for each of them; they share an Asking with whoever waits, which may
// leave first. What their answers contain is verified only by absorb().
#pragma once

#include "client/instance_driver.h"
#include "client/quorum_impl.h"
#include "protocol/instance_rules.h"

namespace zef::client {

// One message to all validators, and what came back so far.
struct Asking {
  explicit Asking(Executor& executor) : changed(executor) {}
  std::shared_ptr<const Bytes> query;
  std::shared_ptr<const Bytes> with_start;  // for those that do not know the instance; nullptr: there is no such form
  std::optional<Value> wanted;              // votes are asked for
  MonotonicTime deadline;

  std::map<ValidatorIndex, BatchSignature> votes;  // valid ones for `wanted`
  Weight vote_weight = 0;
  Weight answered = 0;  // with anything but "try again"
  std::vector<std::pair<ValidatorIndex, InstanceState>> states;
  std::vector<ValidatorIndex> ignorant;  // do not know the instance
  Duration retry_after = Duration::zero();
  std::string last_complaint;
  std::size_t running = 0;
  bool closed = false;  // nobody waits, and nothing is to be tried again
  Event changed;
};

// One call of drive().
struct Drive {
  InstanceView view;
  std::vector<Delegate> delegates;
  Wish wish = Wish::confirm;
  MonotonicTime deadline;
  Duration grace;  // how long to wait for more answers than a quorum's
  Weight answered = 0;
  std::optional<Round> brought_along;  // the last turn ended this round for those that were behind the others
  std::string missing;                 // why there is no decision yet
};

struct InstanceDriver::Impl {
  explicit Impl(QuorumDriver& quorum_in);

  // ---- instance_driver.cpp
  Task<Outcome<Proof>> start_proof(Uid instance);
  Task<Outcome<InstanceView>> query(Uid instance);
  Task<Outcome<void>> show_locks(Uid instance, std::vector<Certificate> locks);
  Task<std::size_t> execute_all(InstanceView decided, Duration time);
  // Sends to all; `start` goes along where the instance is not known.
  template <class Message>
  std::shared_ptr<Asking> ask_all(Message message, const Proof& start, std::optional<Value> wanted,
                                  MonotonicTime deadline);
  std::shared_ptr<Asking> ask_all(QueryInstance question, MonotonicTime deadline);
  void spawn_all(const std::shared_ptr<Asking>& asking);
  Task<void> ask_one(std::shared_ptr<Asking> asking, ValidatorConnection& validator);
  void take_answer(Asking& asking, ValidatorConnection& validator, Answer answer);
  // Until a quorum voted, everybody answered, `grace` has passed since a quorum answered, or time is over.
  Task<void> gather(std::shared_ptr<Asking> asking, Duration grace);
  // What certificates in the answers prove goes into the view; what they tell besides, into its positions.
  void absorb(InstanceView& view, const Asking& asking);
  void absorb(InstanceView& view, ValidatorIndex index, const InstanceState& state);
  void absorb_locks(InstanceView& view, const std::vector<Certificate>& locks);
  [[nodiscard]] Certificate certificate_of(const Asking& asking) const;
  template <class T>
  [[nodiscard]] BatchSignature sign(const crypto::SigningKey& key, const T& value) const;
  [[nodiscard]] InstanceView empty_view(const Uid& instance, const Proof& start) const;

  // ---- instance_rounds.cpp
  Task<Outcome<InstanceView>> drive(Uid instance, std::vector<Delegate> delegates, std::vector<Certificate> locks,
                                    Wish wish, Duration time);
  Task<void> look(std::shared_ptr<Drive> drive);
  // One step towards a decision; how long to wait before the next look.
  Task<Duration> step(std::shared_ptr<Drive> drive);
  // Takes the highest PreCommit certificate to all, if a quorum may still vote for it; whether that decided.
  Task<bool> try_commit(std::shared_ptr<Drive> drive);
  // Whether a quorum voted: the certificate is in the view then.
  Task<bool> propose(std::shared_ptr<Drive> drive, Round round, Decision decision, const Delegate& proposer);
  // Zero: the round is over everywhere that was reached; else how long to wait.
  Task<Duration> end_round(std::shared_ptr<Drive> drive, Round round);
  Task<void> spread_decision(std::shared_ptr<Drive> drive);
  [[nodiscard]] std::optional<Decision> choose(const Drive& drive, Round round) const;
  [[nodiscard]] const Delegate* proposer_of(const Drive& drive, Round round) const;
  [[nodiscard]] bool only_waits(Drive& drive, Round round) const;
  [[nodiscard]] Weight voted(const InstanceView& view, Round round, const Decision& decision) const;
  [[nodiscard]] Round reached_by(const InstanceView& view, Weight weight) const;
  [[nodiscard]] Weight quorum_weight() const { return network.committee.quorum(); }
  [[nodiscard]] Duration until(MonotonicTime deadline) const {
    return std::max(deadline - executor.now(), Duration::zero());
  }
  [[nodiscard]] bool past(MonotonicTime deadline) const { return executor.now() >= deadline; }

  QuorumDriver& quorum;
  Executor& executor;
  const Network& network;
  RootCaches caches;
  std::map<Uid, Proof> starts;  // proven ones; a few
  TaskScope scope;              // last
};

[[nodiscard]] inline const PreCommit& precommit_of(const Certificate& certificate) {
  return std::get<PreCommit>(certificate.value.kind);
}
[[nodiscard]] inline const Commit& commit_of(const Certificate& certificate) {
  return std::get<Commit>(certificate.value.kind);
}
[[nodiscard]] inline const Request& locked_request(const Certificate& certificate) {
  return std::get<Lock>(certificate.value.kind).request;
}

template <class Message>
std::shared_ptr<Asking> InstanceDriver::Impl::ask_all(Message message, const Proof& start, std::optional<Value> wanted,
                                                      MonotonicTime deadline) {
  auto asking = std::make_shared<Asking>(executor);
  asking->query = std::make_shared<const Bytes>(codec::encode(Query(message)));
  message.start = start;
  asking->with_start = std::make_shared<const Bytes>(codec::encode(Query(std::move(message))));
  asking->wanted = std::move(wanted);
  asking->deadline = deadline;
  spawn_all(asking);
  return asking;
}

}  // namespace zef::client
