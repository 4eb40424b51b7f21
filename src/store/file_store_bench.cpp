// What a durable write, a compare-and-set and a read cost on the folder of TMPDIR: the floor under the worker's log.

#include "store/file_store.h"

#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include "base/check.h"
#include "base/testing/manual_executor.h"
#include "base/testing/temp_folder.h"

namespace zef::store {
namespace {

struct Setup {
  testing::TempFolder folder;
  testing::ManualExecutor executor;
  std::unique_ptr<ObjectStore> store;

  explicit Setup(bool fsync) {
    FileOptions options;
    options.fsync = fsync;
    store = std::move(*make_file_store(executor, folder / "bucket", options));
  }
};

Task<void> create(ObjectStore& store, std::string key, Content bytes, int& done) {
  const auto outcome = co_await store.put_if_absent(std::move(key), std::move(bytes));
  ZEF_CHECK(outcome.has_value());
  ++done;
}

// Arguments: bytes of an object, writes in flight, fsync.
void put_if_absent(benchmark::State& state) {
  Setup setup(state.range(2) != 0);
  const Content bytes = content(Bytes(static_cast<std::size_t>(state.range(0)), 7));
  const int in_flight = static_cast<int>(state.range(1));
  std::uint64_t slot = 0;
  for (auto _ : state) {
    int done = 0;
    TaskScope scope;
    for (int i = 0; i < in_flight; ++i) scope.spawn(create(*setup.store, fmt::format("log/{}", slot++), bytes, done));
    setup.executor.run_while_not([&] { return done == in_flight; });
  }
  state.SetItemsProcessed(state.iterations() * in_flight);
}
BENCHMARK(put_if_absent)->ArgsProduct({{4096, 1 << 20}, {1, 8}, {0, 1}})->UseRealTime()->Unit(benchmark::kMicrosecond);

void put_if_match(benchmark::State& state) {
  Setup setup(true);
  Bytes bytes(1024, 7);
  auto created = setup.executor.run_until(setup.store->put_if_absent("head", content(bytes)));
  Tag tag = std::get<Created>(*created).tag;
  std::uint64_t version = 0;
  for (auto _ : state) {
    const std::string text = fmt::format("{}", ++version);
    std::copy(text.begin(), text.end(), bytes.begin());
    auto outcome = setup.executor.run_until(setup.store->put_if_match("head", content(bytes), tag));
    tag = std::get<Updated>(*outcome).tag;
  }
}
BENCHMARK(put_if_match)->UseRealTime()->Unit(benchmark::kMicrosecond);

void get(benchmark::State& state) {
  Setup setup(true);
  const Content bytes = content(Bytes(static_cast<std::size_t>(state.range(0)), 7));
  ZEF_CHECK(setup.executor.run_until(setup.store->put_if_absent("object", bytes)).has_value());
  for (auto _ : state) benchmark::DoNotOptimize(setup.executor.run_until(setup.store->get("object")));
}
BENCHMARK(get)->Arg(4096)->Arg(1 << 20)->UseRealTime()->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace zef::store
