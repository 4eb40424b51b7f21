// A value shaped like a signed payment order with its batch signature: about 400 bytes in some twenty fields.
#include "codec/bcs.h"

#include <benchmark/benchmark.h>

namespace zef::codec {
namespace {

using Hash = FixedBytes<struct HashTag, 32>;
using Signature = FixedBytes<struct SignatureTag, 64>;

struct Payment {
  std::variant<std::uint8_t, std::vector<std::uint64_t>> recipient;
  std::uint64_t amount = 0;
  Bounded<std::uint8_t, 0, 64> memo;
  static constexpr auto fields = codec::fields<&Payment::recipient, &Payment::amount, &Payment::memo>;
};

struct Order {
  std::uint64_t epoch = 0;
  std::vector<std::uint64_t> account;
  std::uint64_t sequence_number = 0;
  Hash previous;
  Bounded<Payment, 1, 256> payments;
  Hash owner;
  Signature signature;
  Bounded<Hash, 0, 16> path;
  static constexpr auto fields =
      codec::fields<&Order::epoch, &Order::account, &Order::sequence_number, &Order::previous, &Order::payments,
                    &Order::owner, &Order::signature, &Order::path>;
};

Order sample(std::size_t payments) {
  Order order{.account = {7, 3}, .path = Bounded<Hash, 0, 16>(6)};
  order.payments.resize(payments);
  for (auto& payment : order.payments) payment = {std::vector<std::uint64_t>{12}, 5, {1, 2, 3}};
  return order;
}

void encode_order(benchmark::State& state) {
  const Order order = sample(static_cast<std::size_t>(state.range(0)));
  Bytes out;
  for (auto _ : state) {
    out.clear();
    encode_into(out, order);
    benchmark::DoNotOptimize(out.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(out.size()));
}
BENCHMARK(encode_order)->Arg(1)->Arg(256);

void decode_order(benchmark::State& state) {
  const Bytes bytes = encode(sample(static_cast<std::size_t>(state.range(0))));
  for (auto _ : state) benchmark::DoNotOptimize(decode<Order>(bytes));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
}
BENCHMARK(decode_order)->Arg(1)->Arg(256);

}  // namespace
}  // namespace zef::codec
