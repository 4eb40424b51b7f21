// What the server processes share: their store, and how they are told to stop. Thread rule: the loop's thread.
#pragma once

#include <csignal>
#include <memory>
#include <string>

#include "cli/command.h"
#include "net/loop.h"
#include "net/transport.h"
#include "store/hedging_store.h"
#include "store/metered_store.h"
#include "store/object_store.h"

namespace zef::cli {

struct StoreFlags {
  std::string url;
  std::size_t threads = 4;
  void add_to(CLI::App& app);
};

struct LogFlags {
  std::string level = "info";
  void add_to(CLI::App& app);
  void apply() const;  // to this process
};

// Mutual TLS with the other processes of a validator, by NAME.pem and NAME.key in the folder, which also has ca.pem.
[[nodiscard]] Result<std::unique_ptr<net::Transport>> open_internal(net::Loop& loop,
                                                                    const std::filesystem::path& folder,
                                                                    const std::string& name);

// The store of the URL, metered, with retries; over a network also with hedged reads.
class ServerStore {
 public:
  [[nodiscard]] static Result<std::unique_ptr<ServerStore>> open(net::Loop& loop, Rng& rng, const StoreFlags& flags);
  [[nodiscard]] store::ObjectStore& store() { return *top_; }
  [[nodiscard]] store::ObjectStore& without_retries() { return *metered_; }
  [[nodiscard]] const store::StoreMetrics& metrics() const { return metered_->metrics(); }
  // Zeros if nothing is hedged.
  [[nodiscard]] store::HedgeMetrics hedges() const { return hedging_ ? hedging_->metrics() : store::HedgeMetrics{}; }

 private:
  store::MeteredStore* metered_ = nullptr;
  store::HedgingStore* hedging_ = nullptr;  // over a network only
  std::unique_ptr<store::ObjectStore> top_;
};

// Of this process, so far: time on processors, and memory that is in use.
[[nodiscard]] Duration processor_time();
[[nodiscard]] std::uint64_t memory_bytes();

// The first SIGTERM or SIGINT sets `asked` if the process is `serving`, else ends the process: nothing depends on a
// server that has not begun. The second one ends it in any case.
class StopSignals {
 public:
  explicit StopSignals(net::Loop& loop);
  void serving() { serving_ = true; }
  [[nodiscard]] Event& asked() { return asked_; }

 private:
  Event asked_;
  bool serving_ = false;
};

}  // namespace zef::cli
