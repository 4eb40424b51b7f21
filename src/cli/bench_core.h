// `zef bench core`: what one transfer costs one worker, in this process, on one core.
//
// Bytes in to bytes out: the encoded order and the encoded certificate of every transfer go in, encoded answers come
// out; between them everything a worker does (decode, verify, shard, log to a memory store, sign, deliver effects).
// Every client signs alone; the votes of certificates come in batches of the other validators' ticks. The yardstick,
// one libsodium verification, is measured in the same run, in turns with it, so that a machine whose speed drifts does
// not bend the ratio.
#pragma once

#include "cli/command.h"

namespace zef::cli {

struct CoreBenchOptions {
  std::size_t accounts = 2048;          // each makes `rounds` transfers
  std::size_t rounds = 6;               // the first warms up and is not counted
  std::size_t vote_batch = 64;          // leaves in each batch signature of the other validators
  std::size_t turn = 128;               // messages in one turn of the worker
  std::size_t idle_accounts = 200'000;  // for the memory of an account that does nothing
};

struct CoreBenchResult {
  std::uint64_t transfers = 0;
  double cpu_us_per_transfer = 0;                   // median over rounds
  double libsodium_verify_us = 0;                   // median
  double libsodium_verifications_per_transfer = 0;  // median of the rounds' ratios
  double log_bytes_per_transfer = 0;
  double bytes_per_account = 0;
  std::size_t vote_batch = 0;
};

// Fails if anything was refused, or the supply is not exact in the end.
[[nodiscard]] Result<CoreBenchResult> run_core_bench(const CoreBenchOptions& options);

void add_bench_core_command(Program& program, CLI::App& bench);

}  // namespace zef::cli
