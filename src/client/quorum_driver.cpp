#include "client/quorum_driver.h"

#include "client/quorum_impl.h"

namespace zef::client {

QuorumDriver::Impl::Impl(Executor& executor_in, Rng& rng_in, net::Transport& transport, const Network& network_in,
                         const std::vector<net::Address>& addresses, DriverOptions options_in)
    : executor(executor_in),
      rng(rng_in),
      network(network_in),
      options(std::move(options_in)),
      caches{crypto::RootCache(options.root_cache_entries), crypto::RootCache(4)},
      behind(network.committee.size()),
      quiet(executor) {
  ZEF_CHECK(addresses.size() == network.committee.size());
  for (std::size_t i = 0; i < addresses.size(); ++i)
    validators.push_back(std::make_unique<ValidatorConnection>(executor, transport, network, caches,
                                                               ValidatorIndex(static_cast<std::uint16_t>(i)),
                                                               addresses[i], options.rpc));
}

QuorumDriver::QuorumDriver(Executor& executor, Rng& rng, net::Transport& transport, const Network& network,
                           const std::vector<net::Address>& addresses, DriverOptions options)
    : impl_(std::make_unique<Impl>(executor, rng, transport, network, addresses, std::move(options))) {}
QuorumDriver::~QuorumDriver() = default;

void QuorumDriver::set_proof_source(ProofSource* source) { impl_->source = source; }
Executor& QuorumDriver::executor() const { return impl_->executor; }
Rng& QuorumDriver::rng() const { return impl_->rng; }
const Network& QuorumDriver::network() const { return impl_->network; }
const DriverOptions& QuorumDriver::options() const { return impl_->options; }
const DriverCounters& QuorumDriver::counters() const { return impl_->counters; }
std::size_t QuorumDriver::size() const { return impl_->validators.size(); }
ValidatorConnection& QuorumDriver::validator(std::size_t index) { return *impl_->validators.at(index); }

Task<Outcome<Certificate>> QuorumDriver::submit(RequestOrder order) { return impl_->submit(std::move(order)); }
Task<Outcome<ExecutionSummary>> QuorumDriver::execute(Proof proof) {
  return impl_->execute(std::make_shared<const Proof>(std::move(proof)));
}
Task<Outcome<ExecutionSummary>> QuorumDriver::execute(Certificate certificate) {
  const auto* confirm = std::get_if<Confirm>(&certificate.value.kind);
  ZEF_CHECK(confirm);
  Uid account = confirm->request.account;
  return execute(Proof{std::move(account), {}, std::move(certificate), std::nullopt});
}
Task<Outcome<AccountSummary>> QuorumDriver::query_account(Uid account) {
  return impl_->query_account(std::move(account));
}
Task<Outcome<std::vector<Proof>>> QuorumDriver::fetch_executed(Uid account, SequenceNumber from, SequenceNumber to) {
  return impl_->fetch_executed(std::move(account), from, to);
}
Task<Outcome<Proof>> QuorumDriver::fetch_proof(Uid account, SequenceNumber at) {
  return impl_->fetch_proof(std::move(account), at);
}
Task<Outcome<CertifiedCredit>> QuorumDriver::certify_credit(Uid recipient, ReceivedCredit credit) {
  return impl_->certify_credit(std::move(recipient), std::move(credit));
}
Task<Outcome<std::size_t>> QuorumDriver::bring_up_to_date(Uid account) {
  return impl_->bring_up_to_date(std::move(account));
}
Task<bool> QuorumDriver::finish_background(Duration limit) { return impl_->finish_background(limit); }
std::size_t QuorumDriver::background_accounts() const {
  std::size_t count = 0;
  for (const auto& waiting : impl_->behind) count += waiting.proofs.size() + waiting.in_work;
  return count;
}

}  // namespace zef::client
