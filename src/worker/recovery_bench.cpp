// How long a worker takes to begin: it takes over one of four workers' shards of a validator, on the file store, after
// a crash. By the accounts of the whole validator, the transfers in the log, and how many of them the last checkpoint
// covers (-1: there is none). Counters: records replayed, bytes of the checkpoint, and the longest that taking it held
// up a turn of the event loop.
#include <benchmark/benchmark.h>

#include "base/log.h"
#include "base/testing/seeded_rng.h"
#include "base/testing/temp_folder.h"
#include "net/asio_transport.h"
#include "net/loop.h"
#include "protocol/testing/fixture.h"
#include "store/file_store.h"
#include "worker/worker.h"

namespace zef::worker {
namespace {

using namespace protocol;
using protocol::testing::pay;
using protocol::testing::TestNetwork;

template <class T>
Task<> keep(Task<T> task, std::optional<T>& result) {
  result.emplace(co_await std::move(task));
}

template <class T>
T run(net::Loop& loop, Task<T> task) {
  TaskScope scope;
  std::optional<T> result;
  scope.spawn(keep(std::move(task), result));
  while (!result) loop.turn();
  return std::move(*result);
}

ledger::WorkerId random_worker(Rng& rng) {
  ledger::WorkerId id;
  rng.fill(id.bytes);
  return id;
}

// A worker's parts, fed with the records of made-up transfers between its accounts: replay asks for no signatures.
class Past {
 public:
  Past(net::Loop& loop, store::ObjectStore& store, Rng& rng, const TestNetwork& net, const Genesis& genesis)
      : loop_(loop),
        network_(genesis),
        id_(random_worker(rng)),
        votes_(net.proof({}).certificate.votes),
        log_(loop, store, id_, {}),
        checkpointer_({loop, store, rng, id_, shards_, log_, [this] { return note(), true; }}, {}) {
    auto owned = run(loop, ledger::begin_worker(loop, store, rng, {id_, "w0", "a:1", "a:2"}));
    ZEF_CHECK(owned.has_value());
    const auto indexes = shard::genesis_by_shard(genesis);
    for (const ledger::OwnedShard& one : *owned) {
      auto& added = shards_.add(one.shard, OwnedShard{shard::Shard(one.shard, network_), one.entry.epoch});
      added.shard.apply_genesis(genesis, indexes[one.shard.value()]);
      for (const std::uint64_t index : indexes[one.shard.value()]) accounts_.push_back(Uid::genesis(index));
    }
    ZEF_CHECK(accounts_.size() >= 2);
  }

  void transfer(std::size_t i) {
    const Uid& from = accounts_[i * 7919 % accounts_.size()];
    const Uid& to = accounts_[(i * 7919 + 1) % accounts_.size()];
    const auto state = shards_.find(shard_of(from))->shard.account(from);
    Proof proof{.account = from, .earlier = {}, .certificate = {}, .lock = {}};
    const Request request{.epoch = current_epoch,
                          .account = from,
                          .sequence_number = state->next,
                          .previous = state->head,
                          .operation = pay(to, 1)};
    proof.certificate = {.value = Value{Confirm{request}}, .votes = votes_};
    const Hash hash = hash_of(network_.id, request);
    const std::uint64_t index = sent_[{shard_of(from), shard_of(to)}]++;
    take(from, shard::VoteMade{request});
    take(from, shard::Executed{std::move(proof)});
    take(to, shard::EffectsReceived{shard_of(from), index, effects_of(request, hash)});
    take(from, shard::EffectsAcknowledged{shard_of(to), index + 1});
    if (log_.backlog_bytes() > 8U << 20) drain();
  }
  void drain() {
    ZEF_CHECK(run(loop_, log_.drain()).has_value());
    note();
  }
  Checkpointer::Metrics save() {
    drain();
    ZEF_CHECK(run(loop_, checkpointer_.save_all()).has_value());
    return checkpointer_.metrics();
  }

 private:
  void take(const Uid& account, shard::Record record) {
    const ShardId id = shard_of(account);
    OwnedShard& owned = *shards_.find(id);
    ZEF_CHECK(owned.shard.replay(record).has_value());
    log_.append({.shard = id, .shard_epoch = owned.epoch, .body = codec::encode(record)});
    notes_.emplace_back(id, std::move(record));
  }
  void note() {
    for (; !notes_.empty() && noted_ < log_.confirmed(); ++noted_) {
      const auto place = log_.place_of(noted_);
      const auto& [shard, record] = notes_.front();
      shards_.find(shard)->history.note({id_, place.slot, place.index}, record);
      notes_.pop_front();
    }
  }

  net::Loop& loop_;
  Network network_;
  ledger::WorkerId id_;
  decltype(Certificate::votes) votes_;
  ShardTable shards_;
  std::vector<Uid> accounts_;
  std::map<std::pair<ShardId, ShardId>, std::uint64_t> sent_;
  std::deque<std::pair<ShardId, shard::Record>> notes_;
  ledger::RecordNumber noted_ = 0;
  ledger::WorkerLog log_;
  Checkpointer checkpointer_;
};

void begin(benchmark::State& state) {
  log::set_level(log::Level::error);
  const auto accounts = static_cast<std::size_t>(state.range(0));
  const auto transfers = static_cast<std::size_t>(state.range(1));
  const TestNetwork net({.accounts = 1, .balance = 1'000'000'000});
  Genesis genesis = net.genesis();
  genesis.accounts.assign(accounts, genesis.accounts.front());
  const zef::testing::TempFolder folder;
  net::Loop loop;
  zef::testing::SeededRng rng(1);
  const auto store = store::make_file_store(loop, folder.path().string()).value();
  const ledger::StoreIdentity identity{network_id_of(genesis), ValidatorIndex(0)};
  ZEF_CHECK(run(loop, ledger::initialise_store(*store, rng, identity, {"w0", "w1", "w2", "w3"})).has_value());

  Checkpointer::Metrics saved;
  {
    Past past(loop, *store, rng, net, genesis);
    if (state.range(2) == 0) saved = past.save();
    for (std::size_t i = 0; i < transfers; ++i) {
      past.transfer(i);
      if (static_cast<std::int64_t>(i + 1) == state.range(2)) saved = past.save();
    }
    past.drain();
  }
  for (auto _ : state) {
    const auto clients = net::make_tcp_transport(loop);
    const auto internal = net::make_tcp_transport(loop);
    WorkerOptions options;
    options.name = "w0";
    options.client_address = options.internal_address = {"127.0.0.1", 0};
    Worker worker({loop, rng, *store, *clients, *internal}, genesis, net.validator_key(0), options);
    const MonotonicTime began = loop.now();
    const auto started = run(loop, worker.start());
    state.SetIterationTime(std::chrono::duration<double>(loop.now() - began).count());
    if (!started) return state.SkipWithError(started.error().message.c_str());
    state.counters["replayed"] = static_cast<double>(worker.replayed_records());
  }
  state.counters["checkpoint_MB"] = static_cast<double>(saved.bytes) / 1e6;
  state.counters["turn_max_ms"] = std::chrono::duration<double, std::milli>(saved.turn_max).count();
}
BENCHMARK(begin)
    ->ArgNames({"accounts", "transfers", "saved"})
    ->Args({10'000, 0, -1})
    ->Args({10'000, 20'000, -1})
    ->Args({10'000, 100'000, -1})
    ->Args({10'000, 100'000, 100'000})
    ->Args({10'000, 100'000, 80'000})
    ->Args({1'000'000, 0, -1})
    ->Args({1'000'000, 100'000, -1})
    ->Args({1'000'000, 100'000, 80'000})
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace zef::worker
