#include "balancer/balancer.h"

#include <algorithm>
#include <set>

#include "base/log.h"

namespace zef::balancer {
namespace {

using namespace protocol;

constexpr std::uint32_t retry_after_ms = 100;

Bytes refusal(Refusal why) { return codec::encode(Answer(Refused{std::move(why)})); }

}  // namespace

struct Balancer::State {
  State(Executor& e, Rng& r, store::ObjectStore& store, net::Transport& t, Options o)
      : executor(e),
        rng(r),
        transport(t),
        options(std::move(o)),
        directory(e, store, options.directory),
        server(e, t,
               {.on_call = [this](net::ConnectionId c, std::uint64_t id, ByteView body) { on_call(c, id, body); },
                .on_batch_end = {},
                .on_opened = {},
                .on_closed = {},
                .refusal_body = [](const Error& why) { return refusal_of_connection(why); }},
               options.server) {
    directory.on_change([this] { forget_gone_workers(); });
  }

  Executor& executor;
  Rng& rng;
  net::Transport& transport;
  Options options;
  ledger::Directory directory;
  net::RpcServer server;
  std::map<std::string, std::unique_ptr<net::RpcClient>> workers;  // by client address
  std::size_t held_bytes = 0;
  std::map<std::string, std::uint64_t> answers_before;  // of workers, when they were last looked at
  Metrics metrics;
  TaskScope scope;

  static Bytes refusal_of_connection(const Error& why) {
    if (why.kind == ErrorKind::unavailable) return refusal(Overloaded{retry_after_ms});
    return refusal(Malformed{why.message});
  }

  void on_call(net::ConnectionId connection, std::uint64_t request_id, ByteView body) {
    ++metrics.queries;
    const auto route = route_of(body);
    if (!route || held_bytes + body.size() > options.held_bytes_max) {
      ++metrics.refused;
      return server.respond(
          connection, request_id,
          route ? refusal(Overloaded{retry_after_ms}) : refusal(Malformed{std::string(to_string(route.error()))}));
    }
    if (const auto* shard = std::get_if<ToShard>(&*route)) {
      // The usual case, without a coroutine: one try. Whatever goes wrong goes on in retry().
      if (net::RpcClient* worker = worker_of(shard->shard)) {
        held_bytes += body.size();
        worker->call(
            body, options.answer_time_max,
            [this, connection, request_id, route = *route, kept = to_bytes(body)](Result<Bytes> answer) mutable {
              held_bytes -= kept.size();
              if (answer && !asks_for_another_try(*answer)) return server.respond(connection, request_id, *answer);
              directory.refresh_soon();
              scope.spawn(retry(connection, request_id, route, std::move(kept)));
            });
        return;
      }
    }
    scope.spawn(retry(connection, request_id, *route, to_bytes(body)));
  }

  Task<> retry(net::ConnectionId connection, std::uint64_t request_id, Route route, Bytes body) {
    held_bytes += body.size();
    const MonotonicTime give_up = executor.now() + options.hold_time_max;
    Duration delay = options.retry_delay_min;
    std::optional<Bytes> answer;
    while (true) {
      answer = co_await try_once(route, body);
      if (answer || executor.now() + delay >= give_up) break;
      ++metrics.retried;
      directory.refresh_soon();
      const auto half = static_cast<std::uint64_t>(delay.count() / 2);
      co_await sleep_for(executor, Duration(half + rng.below(half + 1)));
      delay = std::min(delay * 2, options.retry_delay_max);
    }
    held_bytes -= body.size();
    if (!answer) {
      ++metrics.given_up;
      answer = refusal(Unavailable{"no worker serves this account now; try again"});
    }
    server.respond(connection, request_id, *answer);
  }

  // An answer to pass on, or nothing: try again.
  Task<std::optional<Bytes>> try_once(Route route, const Bytes& body) {
    if (std::holds_alternative<ToAllWorkers>(route)) co_return co_await sum_of_totals(body);
    net::RpcClient* worker = nullptr;
    if (const auto* shard = std::get_if<ToShard>(&route)) {
      worker = worker_of(shard->shard);
    } else if (directory.known()) {
      for (std::size_t i = 0; i < shard_count && !worker; ++i)
        worker = worker_of(ShardId(static_cast<std::uint16_t>(i)));
    }
    if (!worker) co_return std::nullopt;
    auto answer = co_await worker->call(body, options.answer_time_max);
    if (!answer || asks_for_another_try(*answer)) co_return std::nullopt;
    co_return std::move(*answer);
  }

  Task<std::optional<Bytes>> sum_of_totals(const Bytes& body) {
    if (!directory.known()) co_return std::nullopt;
    std::set<std::string> addresses;
    const ledger::WorkerHead* last = nullptr;  // neighbours mostly have one owner: no look-up by address for each shard
    for (std::size_t i = 0; i < shard_count; ++i) {
      const ShardId shard(static_cast<std::uint16_t>(i));
      const ledger::WorkerHead* owner = directory.owner_of(shard);
      if (!owner) co_return std::nullopt;
      if (owner == std::exchange(last, owner)) continue;
      if (!worker_of(shard)) co_return std::nullopt;
      addresses.insert(owner->client_address);
    }
    Totals sum;
    for (const std::string& address : addresses) {
      const auto found = workers.find(address);
      if (found == workers.end()) co_return std::nullopt;
      const auto answer = co_await found->second->call(body, options.answer_time_max);
      if (!answer) co_return std::nullopt;
      const auto decoded = codec::decode<Answer>(*answer);
      const auto* totals = decoded ? std::get_if<Totals>(&*decoded) : nullptr;
      if (!totals) co_return std::nullopt;
      add_to(sum, *totals);
    }
    co_return codec::encode(Answer(sum));
  }

  // A worker that stands still keeps its connections. Whoever has taken its shards over stands in the map.
  Task<> watch_for_silence() {
    for (;;) {
      co_await sleep_for(executor, options.silence_max);
      std::map<std::string, std::uint64_t> answers;
      for (const auto& [address, client] : workers) {
        if (client->outstanding() == 0) continue;
        answers[address] = client->answers();
        const auto before = answers_before.find(address);
        if (before != answers_before.end() && before->second == client->answers()) directory.refresh_soon();
      }
      answers_before = std::move(answers);
    }
  }

  net::RpcClient* worker_of(ShardId shard) {
    const ledger::WorkerHead* owner = directory.owner_of(shard);
    if (!owner) return nullptr;
    auto& client = workers[owner->client_address];
    if (!client) {
      const auto address = net::parse_address(owner->client_address);
      if (!address) {
        log::error("balancer", "the map names a worker at '{}', which is no address", owner->client_address);
        workers.erase(owner->client_address);
        return nullptr;
      }
      client = std::make_unique<net::RpcClient>(executor, transport, *address);
    }
    return client.get();
  }

  // Workers that the map no longer names, or that were sealed, answer nothing that counts any more, and perhaps nothing
  // at all: what waits for them is asked of the new owners at once.
  void forget_gone_workers() {
    std::erase_if(workers, [&](const auto& entry) {
      const bool serves = std::ranges::any_of(directory.snapshot().workers, [&](const ledger::WorkerHead& head) {
        return head.client_address == entry.first && std::holds_alternative<ledger::Active>(head.state);
      });
      if (serves) return false;
      if (entry.second->outstanding() == 0) return true;
      entry.second->abandon({ErrorKind::unavailable, "its shards have other owners"});
      return false;
    });
  }
};

Balancer::Balancer(Executor& executor, Rng& rng, store::ObjectStore& store, net::Transport& transport, Options options)
    : state_(std::make_unique<State>(executor, rng, store, transport, std::move(options))) {}
Balancer::~Balancer() = default;

Result<net::Address> Balancer::start() {
  auto address = state_->server.listen(state_->options.address);
  if (address) {
    state_->directory.start();
    state_->scope.spawn(state_->watch_for_silence());
  }
  return address;
}
void Balancer::drain(Callback done) { state_->server.drain(std::move(done)); }
Balancer::Metrics Balancer::metrics() const { return state_->metrics; }

}  // namespace zef::balancer
