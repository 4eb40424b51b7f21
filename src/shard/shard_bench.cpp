// What the core of a shard costs, without signatures, worker and log: nanoseconds of each step of a transfer, and the
// memory of an idle account.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include "shard/shard.h"
#include "shard/testing/local_validator.h"

namespace zef::shard {
namespace {

using namespace protocol::testing;
using testing::Certifier;

constexpr std::size_t transfers = 4096;

// Transfers of one account to others, verified; and the account's shard.
struct Prepared {
  TestNetwork net{{.accounts = 64, .balance = 1'000'000'000'000, .fees = test_fees}};
  Certifier certifier{net};
  std::vector<std::vector<std::uint64_t>> genesis = genesis_by_shard(net.genesis());
  ShardId home = shard_of(net.uid(0));
  std::vector<Request> requests;
  std::vector<VerifiedOrder> orders;
  std::vector<VerifiedProof> proofs;

  explicit Prepared(std::size_t count) {
    Chain chain(net, 0);
    for (std::size_t i = 0; i < count; ++i) {
      requests.push_back(chain.next(pay(net.uid(1 + i % 63), 2)));
      orders.push_back(certifier.order(requests.back(), chain.key().public_key()));
      proofs.push_back(certifier.verified(certifier.proof(std::span(&requests.back(), 1))));
    }
  }
  Shard shard(ShardId id) const {
    Shard result(id, net.network());
    result.apply_genesis(net.genesis(), genesis[id.value()]);
    return result;
  }
};

const Prepared& prepared() {
  static const Prepared result(transfers);
  return result;
}

// Request and certificate of one transfer after the other; every acknowledgement comes at once.
void run_transfers(benchmark::State& state, bool look_up, bool handle, bool execute) {
  const Prepared& p = prepared();
  for (auto _ : state) {
    state.PauseTiming();
    Shard shard = p.shard(p.home);
    Shard other = p.shard(p.home);
    state.ResumeTiming();
    for (std::size_t i = 0; i < p.requests.size(); ++i) {
      if (look_up) {
        benchmark::DoNotOptimize(shard.look_up(p.orders[i].order()));
        benchmark::DoNotOptimize(shard.look_up(p.proofs[i].proof()));
      }
      if (handle) benchmark::DoNotOptimize(shard.handle(p.orders[i]));
      if (execute) benchmark::DoNotOptimize(shard.execute(p.proofs[i]));
    }
    state.PauseTiming();
    shard = std::move(other);
    state.ResumeTiming();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * p.requests.size()));
}
void execute_only(benchmark::State& state) { run_transfers(state, false, false, true); }
void handle_and_execute(benchmark::State& state) { run_transfers(state, false, true, true); }
void look_up_handle_and_execute(benchmark::State& state) { run_transfers(state, true, true, true); }
BENCHMARK(execute_only)->Unit(benchmark::kMicrosecond);
BENCHMARK(handle_and_execute)->Unit(benchmark::kMicrosecond);
BENCHMARK(look_up_handle_and_execute)->Unit(benchmark::kMicrosecond);

// The order of an account at the head of its chain: a new vote each time.
void handle_fresh_orders(benchmark::State& state) {
  constexpr std::size_t accounts = 256;
  const TestNetwork net({.accounts = accounts});
  Certifier certifier(net);
  const auto genesis = genesis_by_shard(net.genesis());
  std::vector<VerifiedOrder> orders;
  for (std::uint64_t i = 0; i < accounts; ++i)
    orders.push_back(certifier.order(Chain(net, i).peek(pay(net.uid(0), 2)), net.account_key(i).public_key()));
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<std::uint64_t> all;
    for (std::uint64_t i = 0; i < accounts; ++i) all.push_back(i);
    Shard shard(ShardId(0), net.network());
    shard.apply_genesis(net.genesis(), all);
    state.ResumeTiming();
    for (const VerifiedOrder& order : orders) benchmark::DoNotOptimize(shard.handle(order));
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * accounts));
}
BENCHMARK(handle_fresh_orders)->Unit(benchmark::kMicrosecond);

// Credits derived from their proofs and applied, in batches of `range`.
void derive_and_receive(benchmark::State& state) {
  const auto batch_size = static_cast<std::size_t>(state.range(0));
  static const Prepared p = [] {
    Prepared made(0);
    Chain chain(made.net, 0);
    for (std::size_t i = 0; i < transfers; ++i) made.requests.push_back(chain.next(pay(made.net.uid(1), 2)));
    for (const Request& request : made.requests)
      made.proofs.push_back(made.certifier.verified(made.certifier.proof(std::span(&request, 1))));
    return made;
  }();
  const ShardId to = shard_of(p.net.uid(1));
  std::vector<EffectBatch> batches;
  std::vector<std::vector<VerifiedProof>> proofs;
  for (std::size_t at = 0; at < transfers; at += batch_size) {
    EffectBatch& batch = batches.emplace_back(
        EffectBatch{.source = p.home, .destination = to, .first = at, .effects = {}, .proofs = {}});
    proofs.emplace_back();
    for (std::uint32_t i = 0; i < batch_size; ++i) {
      batch.effects.emplace_back(
          CertifiedEffect{.proof = i, .sequence_number = p.requests[at + i].sequence_number, .ordinal = 0});
      proofs.back().push_back(p.proofs[at + i]);
    }
  }
  for (auto _ : state) {
    state.PauseTiming();
    Shard shard = p.shard(to);
    state.ResumeTiming();
    for (std::size_t i = 0; i < batches.size(); ++i) {
      const auto effects = VerifiedEffects::derive(p.net.network(), batches[i], proofs[i]);
      benchmark::DoNotOptimize(shard.receive(*effects));
    }
    if (shard.mark(p.home) != transfers) state.SkipWithError("effects got lost");
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * transfers));
}
BENCHMARK(derive_and_receive)->Arg(1)->Arg(64)->Unit(benchmark::kMicrosecond);

void replay_transfers(benchmark::State& state) {
  const Prepared& p = prepared();
  std::vector<Record> records;
  for (std::size_t i = 0; i < transfers; ++i) {
    records.emplace_back(VoteMade{p.requests[i]});
    records.emplace_back(Executed{p.proofs[i].proof()});
  }
  for (auto _ : state) {
    state.PauseTiming();
    Shard shard = p.shard(p.home);
    state.ResumeTiming();
    for (const Record& record : records) {
      if (!shard.replay(record)) return state.SkipWithError("the log was refused");
    }
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * transfers));
}
BENCHMARK(replay_transfers)->Unit(benchmark::kMicrosecond);

// A million accounts in all shards, tables included.
void memory_of_idle_accounts(benchmark::State& state) {
  constexpr std::uint64_t accounts = 1'000'000;
  const TestNetwork net;
  Genesis genesis = net.genesis();
  genesis.accounts.resize(accounts, genesis.accounts[0]);
  const auto by_shard = genesis_by_shard(genesis);
  for (auto _ : state) {
    const std::size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    std::vector<Shard> shards;
    shards.reserve(shard_count);
    for (std::uint16_t id = 0; id < shard_count; ++id) {
      shards.emplace_back(ShardId(id), net.network());
      shards.back().apply_genesis(genesis, by_shard[id]);
    }
    const std::size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
    state.counters["bytes_per_account"] = static_cast<double>(after - before) / static_cast<double>(accounts);
  }
}
BENCHMARK(memory_of_idle_accounts)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
}  // namespace zef::shard
