// SHA-256 of messages as long as ours. 150 bytes is a typical signed message, 65 a Merkle node.
#include "crypto/sha256.h"

#include <benchmark/benchmark.h>
#include <openssl/evp.h>

namespace zef::crypto {
namespace {

void hash_message(benchmark::State& state) {
  const Bytes message(static_cast<std::size_t>(state.range(0)), 0x5a);
  for (auto _ : state) benchmark::DoNotOptimize(sha256(message));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(hash_message)->Arg(65)->Arg(150)->Arg(1024)->Arg(65536);

// What sha256.cpp would cost through EVP with a fetched algorithm and a reused context.
void hash_message_by_evp(benchmark::State& state) {
  const Bytes message(static_cast<std::size_t>(state.range(0)), 0x5a);
  EVP_MD* algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  EVP_DigestInit_ex2(context, algorithm, nullptr);
  Hash hash;
  for (auto _ : state) {
    EVP_DigestInit_ex2(context, nullptr, nullptr);
    EVP_DigestUpdate(context, message.data(), message.size());
    EVP_DigestFinal_ex(context, hash.bytes.data(), nullptr);
    benchmark::DoNotOptimize(hash);
  }
  EVP_MD_CTX_free(context);
  EVP_MD_free(algorithm);
}
BENCHMARK(hash_message_by_evp)->Arg(65)->Arg(150);

}  // namespace
}  // namespace zef::crypto
