// The log's own cost for each record, over a memory store: everything but the store.
#include "ledger/worker_log.h"

#include <benchmark/benchmark.h>

#include "base/testing/manual_executor.h"
#include "base/testing/seeded_rng.h"
#include "store/memory_store.h"

namespace zef::ledger {
namespace {

// One turn: so many records appended, flushed and confirmed.
void turn(benchmark::State& state) {
  testing::ManualExecutor executor;
  auto memory = std::make_shared<store::MemoryState>();
  const auto store = store::make_memory_store(executor, memory);
  WorkerLog log(executor, *store, WorkerId{}, {});
  testing::SeededRng rng(1);
  std::vector<Bytes> bodies(static_cast<std::size_t>(state.range(0)), Bytes(700));
  for (Bytes& body : bodies) rng.fill(body);  // the worst case: nothing to compress
  Slot deleted = 0;
  for (auto _ : state) {
    for (const Bytes& body : bodies) log.append({protocol::ShardId(1), 1, body});
    executor.run_until_idle();
    for (; deleted < log.slots_confirmed(); ++deleted) (void)memory->del(slot_key(WorkerId{}, deleted));
  }
  if (log.confirmed() != log.appended()) state.SkipWithError("not all records were confirmed");
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(turn)->Arg(1)->Arg(16)->Arg(256);

}  // namespace
}  // namespace zef::ledger
