#include "load.h"

#include <fmt/core.h>

#include "base/parallel.h"
#include "protocol/signing.h"

namespace zef::networks {
namespace {

using namespace std::chrono_literals;
using namespace protocol;
using client::AccountDriver;
using client::FailureKind;

constexpr Duration pause = 30ms;          // between two operations of a user: people think
constexpr Duration blocked_after = 600s;  // an operation that is not finished by then
constexpr Duration retry_delay = 50ms;
constexpr std::size_t accounts_of_a_user_max = 4;
constexpr std::uint64_t child_funding = 10'000'000;
constexpr std::uint64_t amount_max = 1000;
constexpr std::size_t payments_at_once = 32;

}  // namespace

Load::Load(Rig& rig, cli::DemoBook& book, std::size_t users, std::uint64_t seed)
    : rig_(rig), book_(book), rng_(seed), all_stopped_(rig.loop) {
  const cli::LocalNetwork& network = *rig.network;
  for (std::size_t i = 0; i < users; ++i) {
    auto user = std::make_unique<User>();
    user->index = i;
    user->accounts.push_back(std::make_unique<AccountDriver>(
        *rig.quorum, client::genesis_chain(network.genesis(), network.network(), i), network.account_key(i)));
    known_.push_back(Uid::genesis(i));
    users_.push_back(std::move(user));
  }
}

void Load::start() {
  stopping_ = false;
  all_stopped_.reset();
  living_ = users_.size();
  for (auto& user : users_) scope_.spawn(live(*user));
}

Task<void> Load::stop() {
  stopping_ = true;
  co_await all_stopped_.wait();
}

std::vector<client::ChainState> Load::chains() const {
  std::vector<client::ChainState> chains;
  for (const auto& user : users_)
    for (const auto& account : user->accounts) chains.push_back(account->chain());
  return chains;
}

Task<void> Load::live(User& user) {
  while (!stopping_) {
    co_await act(user);
    co_await sleep_for(rig_.loop, pause);
  }
  if (--living_ == 0) all_stopped_.set();
}

Task<void> Load::act(User& user) {
  const std::uint64_t dice = rng_.below(100);
  AccountDriver& account = *user.accounts[rng_.below(user.accounts.size())];
  if (dice < 3 && user.accounts.size() < accounts_of_a_user_max)
    co_await open_child(user);
  else if (dice < 8)
    co_await settle(account, co_await account.rotate(crypto::SigningKey::generate()));
  else
    co_await pay(account);
}

Uid Load::anybody_but(const Uid& account) {
  while (true) {
    const Uid& somebody = known_[rng_.below(known_.size())];
    if (somebody != account) return somebody;
  }
}

Task<void> Load::pay(AccountDriver& account) {
  std::vector<Payment> payments;
  for (std::uint64_t i = 1 + rng_.below(3); i > 0; --i)
    payments.push_back({Account{anybody_but(account.uid())}, Amount(1 + rng_.below(amount_max)), {}});
  const std::size_t count = payments.size();
  auto outcome = co_await account.transfer(std::move(payments));
  if (co_await settle(account, std::move(outcome))) payments_ += count;
}

Task<void> Load::open_child(User& user) {
  AccountDriver& parent = *user.accounts.front();
  auto key = crypto::SigningKey::generate();
  const PublicKey owner = key.public_key();
  const SequenceNumber at = parent.chain().next;
  if (!co_await settle(parent, co_await parent.open(owner, Amount(child_funding)))) co_return;
  // The chain begins with the request that created it: the parent's head now, as nobody else uses the parent.
  client::ChainState chain{.account = parent.uid().child(at),
                           .owner = owner,
                           .next = SequenceNumber(0),
                           .head = parent.chain().head,
                           .balance = static_cast<Balance>(child_funding),
                           .closed = false,
                           .synced = true};
  known_.push_back(chain.account);
  user.accounts.push_back(std::make_unique<AccountDriver>(*rig_.quorum, std::move(chain), std::move(key)));
}

void Load::enter(const Request& request) {
  book_.enter(request);
  ++operations_;
}

Task<bool> Load::settle(AccountDriver& account, client::Outcome<client::Completed> outcome) {
  if (outcome) {
    enter(outcome->request);
    co_return true;
  }
  ++interrupted_;
  client::Failure why = std::move(outcome.error());
  if (!account.pending()) {  // nothing was signed
    if (why.kind != FailureKind::unavailable && why.kind != FailureKind::not_found &&
        why.kind != FailureKind::insufficient_funds)
      problems_.push_back(
          fmt::format("account {} refused before anything was signed: {}", account.uid().text(), why.message));
    co_return false;
  }
  const Request request = account.pending()->request;
  const MonotonicTime give_up = rig_.loop.now() + blocked_after;
  while (true) {
    // not_found: a child whose creation has not arrived everywhere, because processes are down.
    const bool passes = why.kind == FailureKind::unavailable || why.kind == FailureKind::not_found;
    if (!passes || rig_.loop.now() >= give_up) {
      problems_.push_back(fmt::format("account {} is blocked at {}: {}", account.uid().text(),
                                      request.sequence_number.value(), why.message));
      co_return false;
    }
    co_await sleep_for(rig_.loop, retry_delay);
    auto finished = co_await account.finish_pending();
    if (finished) break;
    why = std::move(finished.error());
  }
  enter(request);
  co_return true;
}

Task<void> Load::pay_nth(std::size_t index) {
  std::vector<AccountDriver*> all;
  for (const auto& user : users_)
    for (const auto& account : user->accounts) all.push_back(account.get());
  AccountDriver& account = *all[index];
  const std::uint64_t before = account.chain().next.value();
  const MonotonicTime give_up = rig_.loop.now() + blocked_after;
  while (account.chain().next.value() == before) {
    co_await pay(account);
    if (account.chain().next.value() > before) break;
    if (!problems_.empty() || rig_.loop.now() >= give_up) {
      problems_.push_back(fmt::format("account {} cannot pay any more", account.uid().text()));
      break;
    }
    co_await sleep_for(rig_.loop, retry_delay);
  }
}

Task<void> Load::pay_once_each() {
  std::size_t count = 0;
  for (const auto& user : users_) count += user->accounts.size();
  co_await in_parallel(rig_.loop, count, payments_at_once, [this](std::size_t i) { return pay_nth(i); });
}

}  // namespace zef::networks
