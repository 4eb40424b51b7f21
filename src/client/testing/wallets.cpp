#include "client/testing/wallets.h"

namespace zef::client::testing {

crypto::SecretBytes test_passphrase() {
  constexpr std::string_view text = "correct horse";
  crypto::SecretBytes secret(text.size());
  std::ranges::copy(as_bytes(text), secret.data());
  return secret;
}

Person::Person(LocalNetwork& net, std::filesystem::path file, std::uint64_t first, std::uint64_t count)
    : net_(&net), file_(std::move(file)) {
  std::vector<NewAccount> accounts;
  for (std::uint64_t i = first; i < first + count; ++i)
    accounts.push_back(
        {Uid::genesis(i), net.key(i), genesis_chain(net.network.genesis(), net.network.network(), i, true), ""});
  ZEF_CHECK(Wallet::create(file_, net.network.id(), test_passphrase(), std::move(accounts), net.executor.wall_now(),
                           crypto::seal_parameters_min));
  start();
}

void Person::crash() {
  wallet_.reset();
  quorum_.reset();
}

void Person::start() {
  quorum_ = net_->driver();
  auto opened = Wallet::open(file_, net_->executor, net_->network.network());
  ZEF_CHECK(opened);
  wallet_ = std::move(*opened);
  ZEF_CHECK(wallet_->unlock(test_passphrase()));
  wallet_->connect(*quorum_);
}

}  // namespace zef::client::testing
