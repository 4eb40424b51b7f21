#include "sim/witness.h"

#include "net/rpc.h"
#include "protocol/messages.h"
#include "protocol/signing.h"

namespace zef::sim {

using namespace protocol;

namespace {

std::uint64_t request_id_of(ByteView frame) {
  std::uint64_t id = 0;
  for (std::size_t i = 0; i < net::request_id_bytes; ++i) id |= static_cast<std::uint64_t>(frame[i]) << (8 * i);
  return id;
}

// The account that an order or proof is about.
const Uid* account_of(const Query& query) {
  if (const auto* order = std::get_if<SubmitOrder>(&query)) return &order->order.request.account;
  if (const auto* proof = std::get_if<SubmitProof>(&query)) return &proof->proof.account;
  return nullptr;
}

}  // namespace

void Witness::watch(const std::string& host, std::size_t validator, const Chronicle& chronicle) {
  watched_.emplace(host, Watched{validator, &chronicle});
}

void Witness::sent(const Sent& sent) {
  if (sent.frame.size() <= net::request_id_bytes) return;
  const auto found = watched_.find(sent.listening.host);
  if (found == watched_.end()) return;
  const std::uint64_t id = request_id_of(sent.frame);
  const ByteView body = sent.frame.subspan(net::request_id_bytes);
  if (sent.to_listener) {
    if (body[0] > 1) return hears(found->second, body);  // SubmitOrder and SubmitProof are the first kinds of Query
    const auto query = std::make_shared<const Bytes>(to_bytes(body));
    asked_[sent.connection][id] = query;
    if (overheard_.size() < overheard_max)
      overheard_.push_back(query);
    else
      overheard_[(id * 0x9e3779b97f4a7c15U + sent.connection) >> 55] = query;
    return;
  }
  std::shared_ptr<const Bytes> query;
  if (const auto connection = asked_.find(sent.connection); connection != asked_.end())
    if (auto node = connection->second.extract(id)) query = std::move(node.mapped());
  answered(found->second, body, query);
}

void Witness::hears(const Watched& watched, ByteView body) {
  const auto query = codec::decode<Query>(body);
  if (!query) return;
  const auto hear = [&](const auto& message) {
    if constexpr (requires { InstanceMessage(message); })
      heard_.try_emplace({watched.validator, instance_of(InstanceMessage(message))}, journal_.now());
  };
  std::visit(hear, *query);
}

void Witness::answered(const Watched& watched, ByteView body, const std::shared_ptr<const Bytes>& query) {
  const auto answer = codec::decode<Answer>(body);
  if (!answer)
    return journal_.violation("I5", fmt::format("validator {}", watched.validator),
                              "a worker's answer does not decode");
  if (const auto* voted = std::get_if<protocol::Voted>(&*answer)) return check_vote(watched, voted->vote, query);
  if (const auto* state = std::get_if<SignedAccountState>(&*answer)) return check_state(watched, state->state);
  if (const auto* refused = std::get_if<Refused>(&*answer)) return check_refusal(watched, refused->why, query);
}

void Witness::not_durable(const Watched& watched, const Uid& account, std::string_view what) {
  journal_.violation("I5", account.text(),
                     fmt::format("validator {} lets {} about account {} leave before it is durable", watched.validator,
                                 what, account.text()));
}

void Witness::check_vote(const Watched& watched, const Vote& vote, const std::shared_ptr<const Bytes>& query) {
  const Request* request = nullptr;
  if (const auto* confirm = std::get_if<Confirm>(&vote.value.kind)) request = &confirm->request;
  if (const auto* lock = std::get_if<Lock>(&vote.value.kind)) request = &lock->request;
  if (!request) {
    if (const auto* timeout = std::get_if<Timeout>(&vote.value.kind)) check_timeout(watched, *timeout);
    if (const auto* pre = std::get_if<PreCommit>(&vote.value.kind)) {
      const auto [known, added] = precommits_.try_emplace(
          {watched.validator, pre->proposal.instance, pre->proposal.round}, pre->proposal.decision);
      if (!added && known->second != pre->proposal.decision)
        journal_.violation("votes", pre->proposal.instance.text(),
                           fmt::format("validator {} votes for both decisions of instance {} in round {}",
                                       watched.validator, pre->proposal.instance.text(), pre->proposal.round.value()));
      const auto* instance = watched.chronicle->instance(pre->proposal.instance);
      if (!instance || instance->round < pre->proposal.round)
        not_durable(watched, pre->proposal.instance, "a PreCommit vote");
    }
    if (const auto* commit = std::get_if<Commit>(&vote.value.kind)) {
      const auto* instance = watched.chronicle->instance(commit->proposal.instance);
      if (!instance || !instance->lock) not_durable(watched, commit->proposal.instance, "a Commit vote");
    }
    return;
  }
  const Hash hash = hash_of(rules_.id, *request);
  journal_.event("validator {} votes for {} of account {}", watched.validator, request->sequence_number.value(),
                 request->account.text());
  const auto [known, added] =
      votes_[watched.validator].try_emplace(Place{request->account, request->sequence_number}, hash);
  if (!added && known->second != hash)
    journal_.violation("votes", request->account.text(),
                       fmt::format("validator {} votes for two requests of account {} at number {}", watched.validator,
                                   request->account.text(), request->sequence_number.value()));
  const Hash* durable = watched.chronicle->vote_at(request->account, request->sequence_number);
  if (!durable || *durable != hash) not_durable(watched, request->account, "a vote");
  if (added && query) voted_.push_back({watched.validator, query, request->account, request->sequence_number, hash});
}

// L5: round 0 ends 1 s after the first message about the instance, at the earliest.
void Witness::check_timeout(const Watched& watched, const Timeout& timeout) {
  if (timeout.round != Round(0)) return;
  const auto* instance = watched.chronicle->instance(timeout.instance);
  if (instance && instance->round > Round(0)) return;  // over, by a certificate
  const auto heard = heard_.find({watched.validator, timeout.instance});
  if (heard != heard_.end() && journal_.now() - heard->second >= std::chrono::seconds(1)) return;
  journal_.violation("L5", timeout.instance.text(),
                     fmt::format("validator {} votes for the end of round 0 of instance {} before its time",
                                 watched.validator, timeout.instance.text()));
}

void Witness::check_state(const Watched& watched, const AccountState& state) {
  journal_.event("validator {} says next is {} for account {}", watched.validator, state.next.value(),
                 state.account.text());
  if (state.next.value() > 0) {
    const Hash* durable = watched.chronicle->executed_at(state.account, SequenceNumber(state.next.value() - 1));
    if (!durable || *durable != state.head) not_durable(watched, state.account, "an account's state");
  }
  if (state.pending) {
    const Hash* durable = watched.chronicle->vote_at(state.account, state.next);
    if (!durable || *durable != *state.pending) not_durable(watched, state.account, "a pending vote");
  }
}

void Witness::check_refusal(const Watched& watched, const Refusal& refusal, const std::shared_ptr<const Bytes>& query) {
  if (const auto* pending = std::get_if<PreviousRequestPending>(&refusal)) {
    const Hash* durable = watched.chronicle->vote_at(pending->pending.account, pending->pending.sequence_number);
    if (!durable) not_durable(watched, pending->pending.account, "a pending request");
    return;
  }
  std::optional<SequenceNumber> next;
  if (const auto* number = std::get_if<UnexpectedSequenceNumber>(&refusal)) next = number->expected;
  if (const auto* missing = std::get_if<MissingOperations>(&refusal)) next = missing->next;
  if (const auto* closed = std::get_if<AccountClosed>(&refusal)) next = closed->next;
  if (!next || !query) return;
  const auto asked = codec::decode<Query>(*query);
  const Uid* account = asked ? account_of(*asked) : nullptr;
  if (account && watched.chronicle->next_of(*account) < next->value())
    not_durable(watched, *account, "a refusal that knows the account's next number");
}

void Witness::judge_again(const Voted& voted, ByteView body) {
  const auto answer = codec::decode<Answer>(body);
  const auto wrong = [&](std::string what) {
    journal_.violation("I5", voted.account.text(),
                       fmt::format("validator {} voted for request {} of account {} and, asked again, {}",
                                   voted.validator, voted.at.value(), voted.account.text(), what));
  };
  if (!answer) return wrong("answers nonsense");
  if (const auto* again = std::get_if<protocol::Voted>(&*answer)) {
    const auto& kind = again->vote.value.kind;
    const Request* request = nullptr;
    if (const auto* confirm = std::get_if<Confirm>(&kind)) request = &confirm->request;
    if (const auto* lock = std::get_if<Lock>(&kind)) request = &lock->request;
    if (!request || hash_of(rules_.id, *request) != voted.request) wrong("votes for another one");
    return;
  }
  const auto* refused = std::get_if<Refused>(&*answer);
  if (!refused) return wrong("answers something else");
  const auto is = [&]<class... T>(std::variant<T...>*) { return (std::holds_alternative<T>(refused->why) || ...); };
  // The house is busy, or the account has moved on: then its number is used.
  if (is(static_cast<std::variant<Overloaded, Unavailable, Moved>*>(nullptr))) return;
  if (is(static_cast<std::variant<UnexpectedSequenceNumber, AccountClosed, InvalidOwner>*>(nullptr))) {
    for (const auto& [host, watched] : watched_)
      if (watched.validator == voted.validator && watched.chronicle->next_of(voted.account) > voted.at.value()) return;
  }
  wrong("says: " + describe(refused->why));
}

}  // namespace zef::sim
