// Frames per second over loopback, both ends on one loop (one core does the work of two processes): coalesced, one at a
// time, and whole RPC calls, plain and with TLS. 400 bytes is about a transfer request.
#include <benchmark/benchmark.h>

#include <memory>

#include "net/asio_transport.h"
#include "net/rpc.h"
#include "net/testing/loop_runner.h"

namespace zef::net {
namespace {

constexpr std::size_t frame_bytes = 400;

std::unique_ptr<Transport> make_transport(Loop& loop, bool tls, const std::filesystem::path& folder) {
  if (!tls) return make_tcp_transport(loop);
  ZEF_CHECK(make_internal_ca(folder));
  const auto files = make_node_certificate(folder, "bench");
  ZEF_CHECK(files);
  auto made = make_tls_transport(loop, *files);
  ZEF_CHECK(made);
  return std::move(*made);
}

// Sends `batch` frames in a turn, waits for all of them at the other end. Arguments: batch, tls.
void frames(benchmark::State& state) {
  const testing::TempFolder folder;
  Loop loop;
  const auto transport = make_transport(loop, state.range(1) != 0, folder.path());
  std::unique_ptr<Connection> server, client;
  std::size_t received = 0;
  const auto listener = transport->listen({"127.0.0.1", 0}, {}, [&](std::unique_ptr<Connection> connection) {
    server = std::move(connection);
    Connection::Handlers handlers;
    handlers.on_frame = [&](ByteView) { ++received; };
    server->start(std::move(handlers));
  });
  ZEF_CHECK(listener);
  transport->connect((*listener)->address(), {}, [&](Result<std::unique_ptr<Connection>> result) {
    ZEF_CHECK(result);
    client = std::move(*result);
    client->start({});
  });
  ZEF_CHECK(testing::turn_until(loop, [&] { return server && client; }));
  const auto batch = static_cast<std::size_t>(state.range(0));
  const Bytes frame(frame_bytes, 1);
  for (auto _ : state) {
    received = 0;
    for (std::size_t i = 0; i < batch; ++i) client->send(frame);
    while (received < batch) loop.turn();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(batch));
}
BENCHMARK(frames)->ArgNames({"batch", "tls"})->ArgsProduct({{1, 8, 64, 512}, {0, 1}});

// As many calls as `batch` at a time, each echoed. Arguments: batch, tls.
void rpc_calls(benchmark::State& state) {
  const testing::TempFolder folder;
  Loop loop;
  const auto transport = make_transport(loop, state.range(1) != 0, folder.path());
  RpcServer* answering = nullptr;
  RpcServer::Handlers handlers;
  handlers.on_call = [&](ConnectionId connection, std::uint64_t id, ByteView body) {
    answering->respond(connection, id, body);
  };
  RpcServer server(loop, *transport, std::move(handlers));
  answering = &server;
  const auto address = server.listen({"127.0.0.1", 0});
  ZEF_CHECK(address);
  RpcClient client(loop, *transport, *address);
  const auto batch = static_cast<std::size_t>(state.range(0));
  const Bytes body(frame_bytes, 1);
  for (auto _ : state) {
    std::size_t answered = 0;
    for (std::size_t i = 0; i < batch; ++i) {
      client.call(body, std::chrono::seconds(10), [&](const Result<Bytes>& answer) {
        ZEF_CHECK(answer);
        ++answered;
      });
    }
    while (answered < batch) loop.turn();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(batch));
}
BENCHMARK(rpc_calls)->ArgNames({"batch", "tls"})->ArgsProduct({{1, 64, 512}, {0, 1}});

}  // namespace
}  // namespace zef::net
