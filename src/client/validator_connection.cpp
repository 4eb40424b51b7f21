#include "client/validator_connection.h"

#include "base/mutant.h"

#include <fmt/core.h>

namespace zef::client {
namespace {

std::shared_ptr<const Bytes> encode_query(const Query& query) {
  return std::make_shared<const Bytes>(codec::encode(query));
}

// The server refuses the connection itself with an Answer under request id 0.
Error explain_refusal(ByteView body) {
  const auto answer = codec::decode<Answer>(body);
  if (answer)
    if (const auto* refused = std::get_if<Refused>(&*answer))
      return {ErrorKind::unavailable, "the validator refused the connection: " + describe(refused->why)};
  return {ErrorKind::unavailable, "the validator refused the connection"};
}

}  // namespace

std::string describe_complaint(const Complaint& complaint) {
  if (const auto* error = std::get_if<Error>(&complaint)) return error->message;
  return describe(std::get<Refusal>(complaint));
}

ValidatorConnection::ValidatorConnection(Executor& executor, net::Transport& transport, const Network& network,
                                         RootCaches& caches, ValidatorIndex index, net::Address address,
                                         net::RpcClientOptions options)
    : network_(&network),
      caches_(&caches),
      index_(index),
      info_(network.committee.find(index)),
      rpc_(executor, transport, std::move(address), [&] {
        if (!options.explain_refusal) options.explain_refusal = explain_refusal;
        return std::move(options);
      }()) {
  ZEF_CHECK(info_ != nullptr);
}

Task<Result<Answer>> ValidatorConnection::ask(Query query, Duration timeout) {
  co_return co_await ask_encoded(encode_query(query), timeout);
}

Task<Result<Answer>> ValidatorConnection::ask_encoded(std::shared_ptr<const Bytes> query, Duration timeout) {
  ++counters_.asked;
  auto body = co_await from_callback<Result<Bytes>>(
      [this, query = std::move(query), timeout](auto done) { rpc_.call(*query, timeout, std::move(done)); });
  if (!body) co_return std::unexpected(std::move(body.error()));
  auto answer = codec::decode<Answer>(*body);
  if (!answer) {
    ++counters_.undecodable;
    co_return fail(ErrorKind::unavailable,
                   fmt::format("{} gave an answer that is none: {}", info_->name, codec::to_string(answer.error())));
  }
  co_return std::move(*answer);
}

std::unexpected<Complaint> ValidatorConnection::misbehaved(std::uint64_t ConnectionCounters::* counter,
                                                           std::string_view what) {
  ++(counters_.*counter);
  return std::unexpected<Complaint>(Error{ErrorKind::corrupt, fmt::format("{} {}", info_->name, what)});
}

template <class T>
Asked<T> ValidatorConnection::expect(Result<Answer> answer) {
  if (!answer) return std::unexpected<Complaint>(std::move(answer.error()));
  if (auto* refused = std::get_if<Refused>(&*answer)) return std::unexpected<Complaint>(std::move(refused->why));
  if (auto* wanted = std::get_if<T>(&*answer)) return std::move(*wanted);
  return misbehaved(&ConnectionCounters::unexpected, "answered another question");
}

Task<Asked<Vote>> ValidatorConnection::vote(std::shared_ptr<const Bytes> submit_order,
                                            std::shared_ptr<const Value> value, Duration timeout) {
  auto voted = expect<Voted>(co_await ask_encoded(std::move(submit_order), timeout));
  if (!voted) co_return std::unexpected(std::move(voted.error()));
  if (voted->vote.validator != index_)
    co_return misbehaved(&ConnectionCounters::wrong_values, "showed the vote of another validator");
  if (voted->vote.value != *value && !mutant("vote_for_other_value"))
    co_return misbehaved(&ConnectionCounters::wrong_values, "voted for another value");
  co_return std::move(voted->vote);
}

bool ValidatorConnection::check_vote(const Vote& vote) {
  if (verify_vote(*network_, *caches_, vote)) return true;
  ++counters_.bad_signatures;
  return false;
}

Asked<AccountState> ValidatorConnection::check_state(Result<Answer> answer, const Uid& account, const Nonce& nonce) {
  auto signed_state = expect<SignedAccountState>(std::move(answer));
  if (!signed_state) return std::unexpected(std::move(signed_state.error()));
  if (signed_state->validator != index_ || signed_state->state.account != account || signed_state->state.nonce != nonce)
    return misbehaved(&ConnectionCounters::wrong_values, "showed the state of another account, validator or time");
  if (!verify_signed(*network_, caches_->validators, info_->public_key, signed_state->state, signed_state->signature))
    return misbehaved(&ConnectionCounters::bad_signatures, "signed a state wrongly");
  return std::move(signed_state->state);
}

Task<Asked<AccountState>> ValidatorConnection::execute(std::shared_ptr<const Bytes> submit_proof, Uid account,
                                                       Duration timeout) {
  co_return check_state(co_await ask_encoded(std::move(submit_proof), timeout), account, Nonce{});
}

Task<Asked<AccountState>> ValidatorConnection::account(Uid account, Nonce nonce, Duration timeout) {
  auto query = encode_query(QueryAccount{account, nonce});
  co_return check_state(co_await ask_encoded(std::move(query), timeout), account, nonce);
}

Task<Asked<ExecutedPage>> ValidatorConnection::executed(Uid account, SequenceNumber from, std::uint32_t limit,
                                                        Duration timeout) {
  auto query = encode_query(QueryExecuted{std::move(account), from, limit});
  co_return expect<ExecutedPage>(co_await ask_encoded(std::move(query), timeout));
}

Task<Asked<ReceivedPage>> ValidatorConnection::received(Uid account, std::uint64_t from, std::uint32_t limit,
                                                        Duration timeout) {
  auto query = encode_query(QueryReceived{std::move(account), from, limit});
  auto page = expect<ReceivedPage>(co_await ask_encoded(std::move(query), timeout));
  if (page && (page->next != from + page->credits.size() || (!page->credits.empty() && page->next > page->total)))
    co_return misbehaved(&ConnectionCounters::unexpected, "gave a page with a wrong end");
  co_return page;
}

Task<Asked<NetworkInfo>> ValidatorConnection::network_info(Duration timeout) {
  co_return expect<NetworkInfo>(co_await ask_encoded(encode_query(QueryNetwork{}), timeout));
}

Task<Asked<Totals>> ValidatorConnection::totals(Duration timeout) {
  co_return expect<Totals>(co_await ask_encoded(encode_query(QueryTotals{}), timeout));
}

}  // namespace zef::client
