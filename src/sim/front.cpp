#include "sim/front.h"

#include "crypto/batch_signer.h"
#include "protocol/messages.h"
#include "protocol/signing.h"

namespace zef::sim {

using namespace protocol;

Front::Front(Schedule& schedule, Network& network, SimRng rng, const protocol::Network& rules,
             const Validator& validator, Journal& journal)
    : rng_(rng),
      rules_(rules),
      validator_(validator),
      journal_(journal),
      process_(schedule.make_process()),
      transport_(network.transport(process_, validator.sites().back())),
      inner_(std::make_unique<net::RpcClient>(process_, *transport_, validator.inner_address())) {
  net::RpcServer::Handlers handlers;
  handlers.on_call = [this](net::ConnectionId connection, std::uint64_t id, ByteView body) {
    on_query(connection, id, body);
  };
  server_ = std::make_unique<net::RpcServer>(process_, *transport_, std::move(handlers));
  ZEF_CHECK(server_->listen(validator.address()));
}
Front::~Front() { process_.kill(); }

void Front::on_query(net::ConnectionId connection, std::uint64_t id, ByteView body) {
  if (rng_.chance(honest_chance_)) return forward(connection, id, body, false);
  if (rng_.chance(150'000)) return server_->forget(connection);  // silence
  if (rng_.chance(100'000)) return forward(connection, id, body, true);
  if (const auto query = codec::decode<Query>(body)) {
    if (const auto answer = lie(*query)) {
      journal_.count("lies");
      return server_->respond(connection, id, codec::encode(*answer));
    }
  }
  forward(connection, id, body, false);
}

void Front::forward(net::ConnectionId connection, std::uint64_t id, ByteView body, bool broken) {
  inner_->call(body, std::chrono::seconds(20), [this, connection, id, broken](Result<Bytes> answer) {
    if (!answer) return server_->forget(connection);
    if (broken && !answer->empty())
      (*answer)[rng_.pick(answer->size())] ^= static_cast<std::uint8_t>(1U << rng_.pick(8));
    server_->respond(connection, id, *answer);
  });
}

std::optional<Answer> Front::lie(const Query& query) {
  return std::visit([this](const auto& what) { return lie_to(what); }, query);
}

template <class T>
BatchSignature Front::sign(const T& value) const {
  const Hash leaf = signing_leaf(rules_.id, value);
  return crypto::sign_batch(validator_.key(), std::span(&leaf, 1), batch_root_prefix(rules_.id)).front();
}

Answer Front::vote(Value value) {
  const ValidatorIndex index(static_cast<std::uint16_t>(validator_.index()));
  BatchSignature signature = sign(value);
  if (rng_.chance(50'000)) signature.signature.bytes[rng_.pick(64)] ^= 1;
  return Voted{Vote{std::move(value), index, std::move(signature)}};
}

Answer Front::state(AccountState state) {
  const ValidatorIndex index(static_cast<std::uint16_t>(validator_.index()));
  BatchSignature signature = sign(state);
  return SignedAccountState{std::move(state), index, std::move(signature)};
}

// A vote for whatever is asked, twice and three times over; sometimes for another value, or a refusal out of thin air.
std::optional<Answer> Front::lie_to(const SubmitOrder& query) {
  Request request = query.order.request;
  if (rng_.chance(80'000)) {
    Request other = request;
    other.operation = Skip{};
    if (rng_.chance(500'000)) return Refused{PreviousRequestPending{std::move(other)}};
    request = std::move(other);
  } else if (rng_.chance(60'000)) {
    return Refused{InsufficientFunds{0, 1}};
  } else if (rng_.chance(60'000)) {
    return Refused{UnexpectedSequenceNumber{SequenceNumber(rng_.pick(1000))}};
  }
  const bool lock = std::holds_alternative<LockInto>(request.operation) != rng_.chance(30'000);
  return vote(lock ? Value{Lock{std::move(request)}} : Value{Confirm{std::move(request)}});
}

// As if it had executed it; the real one behind hears of it or not.
std::optional<Answer> Front::lie_to(const SubmitProof& query) {
  if (rng_.chance(300'000)) return Refused{MissingOperations{SequenceNumber(rng_.pick(3))}};
  const auto* confirm = std::get_if<Confirm>(&query.proof.certificate.value.kind);
  if (!confirm) return std::nullopt;
  AccountState made;
  made.account = query.proof.account;
  made.balance = 1'000'000;
  made.next = SequenceNumber(confirm->request.sequence_number.value() + 1);
  made.head = hash_of(rules_.id, confirm->request);
  return state(std::move(made));
}

std::optional<Answer> Front::lie_to(const QueryAccount& query) {
  AccountState made;
  made.account = query.account;
  made.nonce = query.nonce;
  made.balance = static_cast<Balance>(rng_.pick(2'000'000));
  made.next = SequenceNumber(rng_.chance(300'000) ? rng_.pick(1U << 20) : rng_.pick(4));
  rng_.fill(made.head.bytes);
  made.closed = rng_.chance(100'000);
  if (rng_.chance(300'000)) {
    made.pending.emplace();
    rng_.fill(made.pending->bytes);
  }
  made.received = rng_.pick(5);
  return state(std::move(made));
}

std::optional<Answer> Front::lie_to(const QueryExecuted& query) {
  ExecutedPage page;
  if (rng_.chance(300'000)) page.more_from = query.from;  // an endless list
  return page;
}

std::optional<Answer> Front::lie_to(const QueryReceived& query) {
  ReceivedPage page;
  page.next = query.from;
  page.total = query.from + rng_.pick(3);
  for (std::uint64_t i = query.from; i < page.total; ++i) {
    page.credits.push_back({Uid::genesis(rng_.pick(rules_.genesis_accounts)), SequenceNumber(rng_.pick(1000)),
                            Amount(rng_.pick(100'000))});
    ++page.next;
  }
  return page;
}

// Both decisions, in every round, for everybody.
std::optional<Answer> Front::lie_to(const SubmitProposal& query) {
  PreCommit value;
  value.epoch = query.proposal.epoch;
  value.proposal = query.proposal;
  return vote(Value{std::move(value)});
}
std::optional<Answer> Front::lie_to(const SubmitInstanceCertificate& query) {
  const auto* pre = std::get_if<PreCommit>(&query.certificate.value.kind);
  if (!pre) return std::nullopt;
  Commit value;
  value.epoch = pre->epoch;
  value.proposal = pre->proposal;
  value.requests = pre->requests;
  return vote(Value{std::move(value)});
}
std::optional<Answer> Front::lie_to(const AskTimeout& query) {
  return vote(Value{Timeout{current_epoch, query.instance, query.round}});
}

}  // namespace zef::sim
