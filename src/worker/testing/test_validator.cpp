#include "worker/testing/test_validator.h"

namespace zef::worker::testing {

using namespace protocol;

TestValidator::TestValidator(const protocol::testing::TestNetwork& network, std::vector<std::string> names,
                             std::size_t validator)
    : network_(network), names_(std::move(names)), validator_(validator) {
  options_.fee_period = std::chrono::seconds(1);
  options_.directory.period = std::chrono::seconds(1);
  auto store = store::make_memory_store(executor_, bucket_);
  const ledger::StoreIdentity identity{network_.id(), ValidatorIndex(static_cast<std::uint16_t>(validator_))};
  const auto made = executor_.run_until(ledger::initialise_store(*store, rng_, identity, names_));
  ZEF_CHECK(made);
}

Result<void> TestValidator::try_start(const std::string& name) {
  crash(name);
  Running& running = workers_[name];
  running.store = store::make_memory_store(executor_, bucket_);
  if (wrap_) running.store = wrap_(std::move(running.store));
  running.client_transport = transport_.transport();
  running.internal_transport = transport_.transport();
  WorkerOptions options = options_;
  options.name = name;
  options.client_address = {"127.0.0.1", 0};
  options.internal_address = {"127.0.0.1", 0};
  running.worker = std::make_unique<Worker>(
      Worker::World{executor_, rng_, *running.store, *running.client_transport, *running.internal_transport},
      network_.genesis(), network_.validator_key(validator_), options);
  running.worker->on_fatal([&running](Error) { running.fenced = true; });
  auto started = executor_.run_until(running.worker->start());
  if (!started) workers_.erase(name);
  return started;
}

Worker& TestValidator::start(const std::string& name) {
  const auto started = try_start(name);
  ZEF_CHECK(started);
  return *workers_.at(name).worker;
}

void TestValidator::start_all() {
  for (const std::string& name : names_) start(name);
}

std::shared_ptr<void> TestValidator::detach(const std::string& name) {
  auto kept = std::make_shared<Running>(std::move(workers_.at(name)));
  kept->worker->on_fatal([](Error) {});
  workers_.erase(name);
  return kept;
}

Worker* TestValidator::find(const std::string& name) {
  const auto found = workers_.find(name);
  return found == workers_.end() ? nullptr : found->second.worker.get();
}

Answer TestValidator::ask_worker(const std::string& name, const Query& query) {
  const auto transport = transport_.transport();
  net::RpcClient client(executor_, *transport, workers_.at(name).worker->client_address());
  const auto bytes = executor_.run_until(client.call(codec::encode(query), std::chrono::seconds(60)));
  ZEF_CHECK(bytes);
  auto answer = codec::decode<Answer>(*bytes);
  ZEF_CHECK(answer);
  return std::move(*answer);
}

Answer TestValidator::ask(const Query& query) {
  std::optional<Answer> answer;
  for (const auto& [name, running] : workers_) {
    answer = ask_worker(name, query);
    const auto* refused = std::get_if<Refused>(&*answer);
    if (!refused || !std::holds_alternative<Moved>(refused->why)) return std::move(*answer);
  }
  ZEF_CHECK(answer);
  return std::move(*answer);
}

ledger::MapSnapshot TestValidator::map() {
  const auto store = store::make_memory_store(executor_, bucket_);
  auto read = executor_.run_until(ledger::read_map(executor_, *store));
  ZEF_CHECK(read);
  return std::move(*read);
}

std::optional<AccountState> TestValidator::account(const Uid& uid) {
  auto answer = ask(QueryAccount{uid, {}});
  if (auto* state = std::get_if<SignedAccountState>(&answer)) return state->state;
  return std::nullopt;
}

Totals TestValidator::totals() {
  Totals sum;
  for (auto& [name, running] : workers_) add_to(sum, running.worker->totals());
  return sum;
}

bool TestValidator::settle() {
  for (int step = 0; step < 240; ++step) {
    const Totals now = totals();
    if (now.effects_waiting == 0 && now.fees == now.fees_credited) return true;
    executor_.advance(std::chrono::milliseconds(500));
  }
  return false;
}

}  // namespace zef::worker::testing
