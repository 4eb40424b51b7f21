// One whole validator in a test: workers on one in-memory bucket and an in-memory network, on a deterministic executor.
// Crashing a worker is destroying it; its store calls that were under way still take effect.
#pragma once

#include <map>
#include <memory>

#include "base/testing/manual_executor.h"
#include "base/testing/seeded_rng.h"
#include "net/testing/memory_transport.h"
#include "protocol/testing/fixture.h"
#include "store/memory_store.h"
#include "worker/worker.h"

namespace zef::worker::testing {

class TestValidator {
 public:
  TestValidator(const protocol::testing::TestNetwork& network, std::vector<std::string> names,
                std::size_t validator = 0);

  // Begins a worker of that name; fails the process if it does not start. Replaces (crashes) one that runs.
  Worker& start(const std::string& name);
  [[nodiscard]] Result<void> try_start(const std::string& name);
  void start_all();
  void crash(const std::string& name) { workers_.erase(name); }
  // Takes a running worker out without stopping it: a process that nobody watches any more.
  [[nodiscard]] std::shared_ptr<void> detach(const std::string& name);
  [[nodiscard]] Worker* find(const std::string& name);

  // Asks the worker that owns the account (or the first one), over its client port, and waits for the answer.
  [[nodiscard]] protocol::Answer ask(const protocol::Query& query);
  [[nodiscard]] protocol::Answer ask_worker(const std::string& name, const protocol::Query& query);
  [[nodiscard]] std::optional<protocol::AccountState> account(const protocol::Uid& uid);
  // Lets time pass until no effect waits anywhere (at most two minutes of virtual time); whether that was reached.
  [[nodiscard]] bool settle();
  [[nodiscard]] protocol::Totals totals();

  zef::testing::ManualExecutor& executor() { return executor_; }
  [[nodiscard]] net::testing::MemoryNetwork& transport() { return transport_; }
  [[nodiscard]] const std::shared_ptr<store::MemoryState>& bucket() const { return bucket_; }
  [[nodiscard]] WorkerOptions& options() { return options_; }
  // What workers that start from now on see of the bucket.
  using WrapStore = std::function<std::unique_ptr<store::ObjectStore>(std::unique_ptr<store::ObjectStore>)>;
  void wrap_stores(WrapStore wrap) { wrap_ = std::move(wrap); }
  [[nodiscard]] ledger::MapSnapshot map();

 private:
  struct Running {
    std::unique_ptr<store::ObjectStore> store;
    std::unique_ptr<net::Transport> client_transport;
    std::unique_ptr<net::Transport> internal_transport;
    std::unique_ptr<Worker> worker;
    bool fenced = false;
  };

  const protocol::testing::TestNetwork& network_;
  std::vector<std::string> names_;
  std::size_t validator_;
  zef::testing::ManualExecutor executor_;
  zef::testing::SeededRng rng_{7};
  net::testing::MemoryNetwork transport_{executor_};
  std::shared_ptr<store::MemoryState> bucket_ = std::make_shared<store::MemoryState>();
  WorkerOptions options_;
  WrapStore wrap_;
  std::map<std::string, Running> workers_;
};

}  // namespace zef::worker::testing
