#include "equivocator.h"

#include <fmt/core.h>

#include <array>
#include <set>

#include "base/parallel.h"
#include "cli/demo_double_spend.h"
#include "crypto/batch_signer.h"
#include "protocol/instance_rules.h"
#include "protocol/signing.h"

namespace zef::networks {
namespace {

using namespace std::chrono_literals;
using namespace protocol;

constexpr Duration question_time = 10s;
constexpr Duration poll_period = 20ms;

}  // namespace

Equivocator::Equivocator(Rig& rig, std::uint64_t account)
    : rig_(rig), account_(Uid::genesis(account)), key_(rig.network->account_key(account)), driver_(*rig.quorum) {}

Task<bool> Equivocator::join(Uid instance) {
  instance_ = std::move(instance);
  const auto summary = co_await rig_.quorum->query_account(account_);
  auto start = co_await driver_.start_proof(instance_);
  if (!summary || !start) {
    problems_.push_back("the dishonest one learns nothing: " +
                        (summary ? start.error().message : summary.error().message));
    co_return false;
  }
  RequestOrder order = cli::sign_order(
      rig_.network->network(), key_,
      {current_epoch, account_, summary->next, summary->head, LockInto{instance_, delegate_.public_key()}});
  order.proof = std::move(*start);
  auto lock = co_await driver_.lock(std::move(order));
  if (!lock) {
    problems_.push_back("the dishonest one cannot lock: " + lock.error().message);
    co_return false;
  }
  const auto shown = co_await driver_.show_locks(instance_, {std::move(*lock)});
  if (!shown) problems_.push_back("the dishonest one cannot show its lock: " + shown.error().message);
  co_return shown.has_value();
}

SubmitProposal Equivocator::proposal(Round round, Decision decision) const {
  SubmitProposal message;
  message.proposal = {current_epoch, instance_, round, decision};
  message.delegate = delegate_.public_key();
  const NetworkId& network = rig_.network->network().id;
  const std::array<Hash, 1> leaves{signing_leaf(network, message.proposal)};
  message.signature = crypto::sign_batch(delegate_, leaves, batch_root_prefix(network)).front();
  for (std::size_t place = 0; place < view_->locks.size(); ++place)
    if (std::holds_alternative<Confirmed>(decision) || view_->terms.accounts[place].account == account_)
      message.locks.push_back(view_->locks[place].value());
  message.carried = view_->precommit;
  message.start = view_->start;
  return message;
}

Task<void> Equivocator::propose_to(std::size_t validator, Round round, std::size_t& votes) {
  const Decision decision = validator % 2 == 0 ? Decision(Confirmed{}) : Decision(Aborted{});
  const auto answer = co_await rig_.quorum->validator(validator).ask(Query(proposal(round, decision)), question_time);
  votes += answer && std::holds_alternative<Voted>(*answer) ? 1 : 0;
}

Task<std::size_t> Equivocator::propose_both(Round round) {
  std::size_t votes = 0;
  auto view = co_await driver_.query(instance_);
  if (!view || !view->all_locked()) {
    problems_.push_back("the dishonest one does not see all locks");
    co_return votes;
  }
  view_ = std::move(*view);
  co_await in_parallel(rig_.loop, rig_.quorum->size(), rig_.quorum->size(),
                       [&](std::size_t i) { return propose_to(i, round, votes); });
  ++rounds_;
  votes_ += votes;
  co_return votes;
}

Task<void> Equivocator::go_on() {
  std::set<Round> done{Round(0)};
  while (true) {
    const auto view = co_await driver_.query(instance_);
    if (view && view->decided) co_return;
    const Round round = view ? view->round(rig_.network->network()) : Round(0);
    const bool turn = view && view->terms.accounts[leader_of(view->terms, round)].account == account_;
    if (turn && done.insert(round).second) co_await propose_both(round);
    co_await sleep_for(rig_.loop, poll_period);
  }
}

}  // namespace zef::networks
