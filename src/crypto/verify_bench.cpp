// Verification and signing of messages of 150 bytes, alone and many at once.
#include "crypto/verify.h"

#include <benchmark/benchmark.h>

#include "crypto/keys.h"
#include "crypto/root_cache.h"

namespace zef::crypto {
namespace {

void sign_one(benchmark::State& state) {
  const SigningKey key = SigningKey::from_seed(Bytes(32, 1));
  const Bytes message(150, 2);
  for (auto _ : state) benchmark::DoNotOptimize(key.sign(message));
}
BENCHMARK(sign_one);

void verify_batch(benchmark::State& state) {
  const Bytes message(150, 2);
  std::vector<SignedItem> items;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    const SigningKey key = SigningKey::from_seed(Bytes(32, static_cast<std::uint8_t>(i)));
    items.push_back({key.public_key(), message, key.sign(message)});
  }
  for (auto _ : state) benchmark::DoNotOptimize(verify_many(items));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(verify_batch)->Arg(1)->Arg(64);

void check_key(benchmark::State& state) {
  const PublicKey key = SigningKey::from_seed(Bytes(32, 1)).public_key();
  for (auto _ : state) benchmark::DoNotOptimize(is_usable(key));
}
BENCHMARK(check_key);

void make_and_drop_key(benchmark::State& state) {
  const Bytes seed(32, 1);
  for (auto _ : state) benchmark::DoNotOptimize(SigningKey::from_seed(seed));
}
BENCHMARK(make_and_drop_key);

void find_verified_root(benchmark::State& state) {
  RootCache cache(static_cast<std::size_t>(state.range(0)));
  std::vector<Signature> signatures(cache.capacity());
  for (std::size_t i = 0; i < signatures.size(); ++i) {
    std::uint64_t scattered = i * 0x9e3779b97f4a7c15;
    std::memcpy(signatures[i].bytes.data(), &scattered, sizeof scattered);
    cache.insert({}, {}, signatures[i]);
  }
  std::size_t next = 0;
  for (auto _ : state) {
    next = (next + 7919) % signatures.size();
    benchmark::DoNotOptimize(cache.contains({}, {}, signatures[next]));
  }
}
BENCHMARK(find_verified_root)->Arg(1024)->Arg(65536);

}  // namespace
}  // namespace zef::crypto
