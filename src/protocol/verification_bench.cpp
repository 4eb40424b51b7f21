// What checking costs for each message, in a turn of 256 of them. libsodium_verify is the measure to compare with: an
// order should cost little more than one, a certificate of three votes little more than three divided by the size of
// the validators' batches.
#include <benchmark/benchmark.h>

#include "protocol/testing/fixture.h"

namespace zef::protocol {
namespace {

using namespace testing;

constexpr std::size_t turn = 256;

std::vector<Request> requests_of_one_turn(const TestNetwork& net) {
  Chain chain(net, 0);
  std::vector<Request> requests;
  for (std::size_t i = 0; i < turn; ++i) requests.push_back(chain.next(pay(net.uid(1), 10)));
  return requests;
}

void libsodium_verify(benchmark::State& state) {
  const auto key = test_key(1);
  const Bytes message(128, 0x5a);
  const Signature signature = key.sign(message);
  for (auto _ : state) benchmark::DoNotOptimize(crypto::verify(key.public_key(), message, signature));
}
BENCHMARK(libsodium_verify)->Unit(benchmark::kMicrosecond);

// Reports time for one message; making the caches and copying the messages is not counted.
template <class Message>
void verify_turns(benchmark::State& state, const TestNetwork& net, const std::vector<Message>& messages, bool known) {
  RootCaches warm = test_caches(4096);
  for (auto _ : state) {
    state.PauseTiming();
    RootCaches fresh = test_caches(4096);
    RootCaches& caches = known ? warm : fresh;
    std::vector<Message> copies = messages;
    state.ResumeTiming();
    VerificationBatch batch(net.network(), caches);
    for (Message& message : copies) batch.add(std::move(message));
    batch.run();
    for (std::size_t i = 0; i < copies.size(); ++i) {
      if constexpr (std::same_as<Message, RequestOrder>) {
        auto result = batch.take_order(i);
        ZEF_CHECK(result.has_value());
      } else {
        auto result = batch.take_proof(i);
        ZEF_CHECK(result.has_value());
      }
    }
  }
  const auto items = static_cast<double>(state.iterations()) * static_cast<double>(messages.size());
  state.counters["per_item"] = benchmark::Counter(items, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void verify_orders(benchmark::State& state) {
  const TestNetwork net;
  std::vector<RequestOrder> orders;
  for (const Request& request : requests_of_one_turn(net)) orders.push_back(net.order(request, net.account_key(0)));
  verify_turns(state, net, orders, false);
}
BENCHMARK(verify_orders)->Unit(benchmark::kMicrosecond);

void verify_orders_of_client_batches(benchmark::State& state) {
  const TestNetwork net;
  verify_turns(state, net, net.orders(requests_of_one_turn(net), net.account_key(0)), false);
}
BENCHMARK(verify_orders_of_client_batches)->Unit(benchmark::kMicrosecond);

void verify_certificates(benchmark::State& state) {
  const TestNetwork net;
  const auto proofs = net.proofs(requests_of_one_turn(net), static_cast<std::size_t>(state.range(0)));
  verify_turns(state, net, proofs, false);
}
BENCHMARK(verify_certificates)->ArgName("votes_in_a_batch")->Arg(1)->Arg(8)->Arg(64)->Unit(benchmark::kMicrosecond);

void verify_known_certificates(benchmark::State& state) {
  const TestNetwork net;
  verify_turns(state, net, net.proofs(requests_of_one_turn(net), 64), true);
}
BENCHMARK(verify_known_certificates)->Unit(benchmark::kMicrosecond);

void hash_request(benchmark::State& state) {
  const TestNetwork net;
  const Request request = Chain(net, 0).next(pay(net.uid(1), 10));
  for (auto _ : state) benchmark::DoNotOptimize(hash_of(net.id(), request));
}
BENCHMARK(hash_request)->Unit(benchmark::kMicrosecond);

void count_the_fee(benchmark::State& state) {
  const TestNetwork net({.fees = test_fees});
  const Request request = Chain(net, 0).next(pay(net.uid(1), 10));
  for (auto _ : state) benchmark::DoNotOptimize(fee_of(net.network(), request));
}
BENCHMARK(count_the_fee)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace zef::protocol
