#include "witness.h"

#include <fmt/core.h>

#include "base/parallel.h"
#include "net/rpc_frame.h"
#include "protocol/signing.h"

namespace zef::networks {
namespace {

using namespace std::chrono_literals;
using namespace protocol;

constexpr std::size_t questions_at_once = 32;
constexpr std::size_t problems_max = 50;
constexpr Duration question_time = 5s;
constexpr Duration retry_delay = 50ms;

class WitnessedConnection final : public net::Connection {
 public:
  WitnessedConnection(std::unique_ptr<net::Connection> inner, net::Address from,
                      std::shared_ptr<WitnessedTransport::Saw> saw)
      : inner_(std::move(inner)), from_(std::move(from)), saw_(std::move(saw)) {}

  void start(Handlers handlers) override {
    handlers.on_frame = [from = from_, saw = saw_, next = std::move(handlers.on_frame)](ByteView frame) mutable {
      (*saw)(from, frame);
      if (next) next(frame);
    };
    inner_->start(std::move(handlers));
  }
  void send(ByteView frame) override { inner_->send(frame); }
  [[nodiscard]] std::uint64_t queued_bytes() const override { return inner_->queued_bytes(); }
  void pause_reading() override { inner_->pause_reading(); }
  void resume_reading() override { inner_->resume_reading(); }
  void finish() override { inner_->finish(); }
  [[nodiscard]] const std::string& peer() const override { return inner_->peer(); }

 private:
  std::unique_ptr<net::Connection> inner_;
  net::Address from_;
  std::shared_ptr<WitnessedTransport::Saw> saw_;
};

// The request that a vote of this version is about.
const Request* request_in(const Value& value) {
  if (const auto* confirm = std::get_if<Confirm>(&value.kind)) return &confirm->request;
  if (const auto* lock = std::get_if<Lock>(&value.kind)) return &lock->request;
  return nullptr;
}

}  // namespace

Result<std::unique_ptr<net::Listener>> WitnessedTransport::listen(
    const net::Address& address, const net::Limits& limits,
    std::function<void(std::unique_ptr<net::Connection>)> on_accept) {
  return inner_.listen(address, limits, std::move(on_accept));
}

void WitnessedTransport::connect(const net::Address& address, const net::Limits& limits,
                                 std::move_only_function<void(Result<std::unique_ptr<net::Connection>>)> done) {
  inner_.connect(address, limits,
                 [address, saw = saw_, done = std::move(done)](Result<std::unique_ptr<net::Connection>> made) mutable {
                   if (!made) return done(std::unexpected(std::move(made.error())));
                   done(std::make_unique<WitnessedConnection>(std::move(*made), address, saw));
                 });
}

Witness::Witness(const Network& network) : network_(&network), promises_(network.committee.size()) {}

void Witness::problem(std::string what) {
  if (problems_.size() < problems_max) problems_.push_back(std::move(what));
}
void Witness::lost(std::string what) {
  ++figures_.lost;
  problem(std::move(what));
}

// ---- listening -----------------------------------------------------------------------------------------------------

void Witness::saw(std::size_t validator, ByteView payload) {
  const auto frame = net::read_rpc_frame(payload);
  if (!frame) return problem(fmt::format("validator {} sent a frame that is none", validator));
  const auto answer = codec::decode<Answer>(frame->body);
  if (!answer) return problem(fmt::format("validator {} sent an answer that is none", validator));
  if (const auto* voted = std::get_if<Voted>(&*answer)) saw_vote(validator, voted->vote);
  if (const auto* state = std::get_if<SignedAccountState>(&*answer)) saw_state(validator, state->state);
}

void Witness::saw_vote(std::size_t validator, const Vote& vote) {
  const Request* request = request_in(vote.value);
  if (request == nullptr || vote.validator.value() != validator)
    return problem(fmt::format("validator {} answered with a vote of validator {}", validator, vote.validator.value()));
  const Hash hash = hash_of(network_->id, *request);
  auto& votes = promises_[validator][request->account].votes;
  const auto [known, is_new] = votes.emplace(request->sequence_number.value(), hash);
  ++figures_.votes_checked;
  if (is_new || known->second == hash) return;
  ++figures_.second_votes;
  problem(fmt::format("validator {} voted twice for account {}, number {}", validator, request->account.text(),
                      request->sequence_number.value()));
}

void Witness::saw_state(std::size_t validator, const AccountState& state) {
  Promise& promise = promises_[validator][state.account];
  if (state.next > promise.next) {
    promise.next = state.next;
    promise.head = state.head;
  }
  if (state.next.value() == 0) return;
  const auto [known, is_new] = heads_[state.account].emplace(state.next.value(), state.head);
  if (!is_new && known->second != state.head)
    problem(fmt::format("validator {} has another head than others for account {} after operation {}", validator,
                        state.account.text(), state.next.value() - 1));
}

SequenceNumber Witness::acknowledged(std::size_t validator, const Uid& account) const {
  const auto found = promises_[validator].find(account);
  return found == promises_[validator].end() ? SequenceNumber(0) : found->second.next;
}

// ---- checking ------------------------------------------------------------------------------------------------------

Task<bool> Witness::check(client::QuorumDriver& quorum, Duration limit) {
  std::vector<Question> questions;
  for (std::size_t validator = 0; validator < promises_.size(); ++validator)
    for (const auto& [account, promise] : promises_[validator]) questions.push_back({validator, account});
  bool all_answered = true;
  const MonotonicTime give_up = quorum.executor().now() + limit;
  co_await in_parallel(quorum.executor(), questions.size(), questions_at_once,
                       [&](std::size_t i) { return check_one(quorum, questions[i], give_up, all_answered); });
  co_return all_answered;
}

Task<void> Witness::check_one(client::QuorumDriver& quorum, Question question, MonotonicTime give_up,
                              bool& all_answered) {
  while (true) {
    // What was promised before the question left must stand in the answer; more may be promised meanwhile.
    const Promise before = promises_[question.validator][question.account];
    client::Nonce nonce;
    quorum.rng().fill(nonce.bytes);
    auto state = co_await quorum.validator(question.validator).account(question.account, nonce, question_time);
    if (state) {
      compare(question, before, *state);
      co_return;
    }
    const auto* refusal = std::get_if<Refusal>(&state.error());
    if (refusal != nullptr &&
        (std::holds_alternative<NotFound>(*refusal) || std::holds_alternative<InactiveAccount>(*refusal))) {
      lost(fmt::format("validator {} has forgotten account {}", question.validator, question.account.text()));
      co_return;
    }
    if (quorum.executor().now() >= give_up) {
      all_answered = false;
      problem(fmt::format("validator {} does not answer about account {}: {}", question.validator,
                          question.account.text(), client::describe_complaint(state.error())));
      co_return;
    }
    co_await sleep_for(quorum.executor(), retry_delay);
  }
}

void Witness::compare(const Question& question, const Promise& before, const AccountState& now) {
  ++figures_.executions_checked;
  if (now.next < before.next)
    return lost(fmt::format("validator {} acknowledged operation {} of account {} and now stands at {}",
                            question.validator, before.next.value() - 1, question.account.text(), now.next.value()));
  if (before.next.value() > 0 && now.next == before.next && now.head != before.head)
    return lost(fmt::format("validator {} has another head for account {} at {} than before", question.validator,
                            question.account.text(), now.next.value()));
  const auto vote = before.votes.find(now.next.value());
  if (vote != before.votes.end()) {
    ++figures_.votes_checked;
    if (now.pending != vote->second)
      lost(fmt::format("validator {} voted for account {}, number {}, and now shows {} as pending", question.validator,
                       question.account.text(), now.next.value(), now.pending ? "another request" : "nothing"));
  }
}

}  // namespace zef::networks
