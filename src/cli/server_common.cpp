#include "cli/server_common.h"

#include <unistd.h>

#include <ctime>
#include <fstream>

#include "base/log.h"
#include "net/asio_transport.h"
#include "store/open_store.h"
#include "store/retrying_store.h"

namespace zef::cli {

void StoreFlags::add_to(CLI::App& app) {
  app.add_option("--store", url,
                 "The validator's object store: file:///absolute/path, s3://..., azure://... or gcs://... "
                 "(docs/object-stores.md)")
      ->required();
  app.add_option("--store-threads", threads, "For disk calls")->check(CLI::Range(1, 64))->capture_default_str();
}

void LogFlags::add_to(CLI::App& app) {
  app.add_option("--log-level", level, "What is logged")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
}

void LogFlags::apply() const {
  if (level == "debug") log::set_level(log::Level::debug);
  if (level == "info") log::set_level(log::Level::info);
  if (level == "warning") log::set_level(log::Level::warning);
  if (level == "error") log::set_level(log::Level::error);
}

Result<std::unique_ptr<net::Transport>> open_internal(net::Loop& loop, const std::filesystem::path& folder,
                                                      const std::string& name) {
  return net::make_tls_transport(
      loop, {.ca = folder / "ca.pem", .certificate = folder / (name + ".pem"), .key = folder / (name + ".key")});
}

Result<std::unique_ptr<ServerStore>> ServerStore::open(net::Loop& loop, Rng& rng, const StoreFlags& flags) {
  store::OpenOptions options;
  options.file.threads = flags.threads;
  auto opened = store::open_store(loop, flags.url, options);
  if (!opened) return std::unexpected(opened.error());
  auto metered = std::make_unique<store::MeteredStore>(std::move(*opened), loop);
  auto made = std::make_unique<ServerStore>();
  made->metered_ = metered.get();
  std::unique_ptr<store::ObjectStore> below = std::move(metered);
  if (store::is_remote_store(flags.url)) {
    auto hedging = std::make_unique<store::HedgingStore>(std::move(below), loop);
    made->hedging_ = hedging.get();
    below = std::move(hedging);
  }
  // Writes are tried until their outcome is known; whoever reads for somebody else's sake must answer in time.
  const store::RetryPolicy reads{.deadline = std::chrono::seconds(30)};
  made->top_ = std::make_unique<store::RetryingStore>(std::move(below), loop, rng,
                                                      store::RetryOptions{.put = {}, .get = reads, .list = reads});
  return made;
}

Duration processor_time() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

std::uint64_t memory_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t size = 0, resident = 0;
  statm >> size >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

StopSignals::StopSignals(net::Loop& loop) : asked_(loop) {
  loop.on_signals({SIGTERM, SIGINT}, [this](int signal) {
    if (!serving_ || asked_.is_set()) ::_exit(serving_ ? 128 + signal : static_cast<int>(ExitCode::ok));
    asked_.set();
  });
}

}  // namespace zef::cli
