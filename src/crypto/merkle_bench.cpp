// A batch of n messages: its tree, all its paths, and the way from one leaf to the root.
#include "crypto/merkle.h"

#include <benchmark/benchmark.h>

#include "crypto/batch_signer.h"

namespace zef::crypto {
namespace {

std::vector<Hash> leaves_of(std::size_t count) {
  std::vector<Hash> leaves(count);
  for (std::size_t i = 0; i < count; ++i) leaves[i].bytes = {static_cast<std::uint8_t>(i), 1, 2, 3};
  return leaves;
}

void build_tree(benchmark::State& state) {
  const auto leaves = leaves_of(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(MerkleTree(leaves).root());
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(build_tree)->Arg(1)->Arg(64)->Arg(1024);

void follow_path(benchmark::State& state) {
  const auto size = static_cast<std::uint32_t>(state.range(0));
  const auto leaves = leaves_of(size);
  const auto path = MerkleTree(leaves).path(size / 2);
  for (auto _ : state) benchmark::DoNotOptimize(root_of(leaves[size / 2], size / 2, size, path));
}
BENCHMARK(follow_path)->Arg(1)->Arg(64)->Arg(1024);

void sign_whole_batch(benchmark::State& state) {
  const auto leaves = leaves_of(static_cast<std::size_t>(state.range(0)));
  const SigningKey key = SigningKey::from_seed(Bytes(32, 7));
  for (auto _ : state) benchmark::DoNotOptimize(sign_batch(key, leaves, as_bytes("prefix")));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(sign_whole_batch)->Arg(1)->Arg(64)->Arg(1024);

}  // namespace
}  // namespace zef::crypto
