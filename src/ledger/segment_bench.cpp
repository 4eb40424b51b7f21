// Bytes of records in, bytes of a slot out, and back. Random bodies are the worst case: signatures and hashes do not
// compress, and the attempt is paid for.
#include "ledger/segment.h"

#include <benchmark/benchmark.h>

#include "base/testing/seeded_rng.h"
#include "ledger/crc32c.h"

namespace zef::ledger {
namespace {

constexpr std::size_t record_size = 700;  // about what one operation logs

Bytes record_body(std::uint64_t seed) {
  Bytes body(record_size);
  testing::SeededRng(seed).fill(body);
  return body;
}

Segment segment_of(std::size_t records) {
  Segment segment;
  for (std::size_t i = 0; i < records; ++i)
    segment.records.push_back({protocol::ShardId(static_cast<std::uint16_t>(i % 1024)), 1, record_body(i)});
  segment.header.record_count = static_cast<std::uint32_t>(records);
  return segment;
}

void append_record(benchmark::State& state) {
  const Bytes body = record_body(1);
  Bytes payload;
  for (auto _ : state) {
    if (payload.size() > (1U << 20)) payload.clear();
    append_stored_record(payload, protocol::ShardId(1), 1, body);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(record_size));
}
BENCHMARK(append_record);

void encode(benchmark::State& state) {
  const Segment segment = segment_of(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(encode_segment(segment));
  state.SetBytesProcessed(state.iterations() * state.range(0) * static_cast<std::int64_t>(record_size));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(encode)->Arg(1)->Arg(64)->Arg(1024);

void decode(benchmark::State& state) {
  const Bytes bytes = encode_segment(segment_of(static_cast<std::size_t>(state.range(0))));
  for (auto _ : state) benchmark::DoNotOptimize(decode_slot(bytes));
  state.SetBytesProcessed(state.iterations() * state.range(0) * static_cast<std::int64_t>(record_size));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(decode)->Arg(1)->Arg(64)->Arg(1024);

void crc32c_of_a_record(benchmark::State& state) {
  const Bytes body = record_body(1);
  for (auto _ : state) benchmark::DoNotOptimize(crc32c(body));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(record_size));
}
BENCHMARK(crc32c_of_a_record);

}  // namespace
}  // namespace zef::ledger
