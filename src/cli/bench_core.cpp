#include "cli/bench_core.h"

#include <fmt/format.h>
#include <malloc.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <memory>

#include "crypto/batch_signer.h"
#include "crypto/keys.h"
#include "net/loop.h"
#include "net/system_rng.h"
#include "protocol/signing.h"
#include "store/memory_store.h"
#include "worker/tick.h"

namespace zef::cli {
namespace {

using namespace protocol;

constexpr std::size_t validators = 4;
constexpr std::uint64_t initial_balance = 1'000'000'000;

double thread_cpu_us() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

double median(std::vector<double> values) {
  ZEF_CHECK(!values.empty());
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// The transfers of one round, as bytes: each account pays another one.
struct Round {
  std::vector<Bytes> orders;
  std::vector<Bytes> proofs;
};

// All keys and chains: the clients, and the other validators.
class Outside {
 public:
  explicit Outside(const CoreBenchOptions& options) : options_(options) {
    genesis_.network_name = "bench";
    for (std::size_t i = 0; i < validators; ++i) {
      validator_keys_.push_back(crypto::SigningKey::generate());
      genesis_.validators.push_back({.name = "validator-" + std::to_string(i),
                                     .public_key = validator_keys_.back().public_key(),
                                     .weight = 1,
                                     .reward_account = Uid::genesis(i)});
    }
    genesis_.fees = {.base = 10, .per_byte = 1, .per_remote_effect = 10, .per_creation = 100, .min_credit = Amount(1)};
    for (std::size_t i = 0; i < options.accounts; ++i) {
      account_keys_.push_back(crypto::SigningKey::generate());
      genesis_.accounts.push_back({account_keys_.back().public_key(), Amount(initial_balance)});
    }
    network_.emplace(genesis_);
    prefix_ = batch_root_prefix(network_->id);
    heads_.assign(options.accounts, *Hash::from(network_->id.view()));
  }

  [[nodiscard]] const Genesis& genesis() const { return genesis_; }
  [[nodiscard]] const Network& network() const { return *network_; }
  [[nodiscard]] const crypto::SigningKey& worker_key() const { return validator_keys_.front(); }

  Round next_round() {
    Round round;
    std::vector<Request> requests;
    std::vector<Hash> leaves;
    for (std::size_t i = 0; i < options_.accounts; ++i) {
      const std::uint64_t other = (i * 7919 + number_ + 1) % options_.accounts;
      Transfer transfer;
      transfer.payments.push_back({.recipient = Account{Uid::genesis(other)}, .amount = Amount(1), .memo = {}});
      Request request{.epoch = current_epoch,
                      .account = Uid::genesis(i),
                      .sequence_number = SequenceNumber(number_),
                      .previous = heads_[i],
                      .operation = std::move(transfer)};
      heads_[i] = hash_of(network_->id, request);
      const Hash leaf = signing_leaf(network_->id, request);
      RequestOrder order{.request = request,
                         .owner = account_keys_[i].public_key(),
                         .signature = crypto::sign_batch(account_keys_[i], std::span(&leaf, 1), prefix_).front(),
                         .proof = {}};
      round.orders.push_back(codec::encode(Query(SubmitOrder{std::move(order)})));
      leaves.push_back(signing_leaf(network_->id, Value{Confirm{request}}));
      requests.push_back(std::move(request));
    }
    // The quorum is made of the three others: none of their batches is one that the worker signed itself.
    std::vector<std::vector<crypto::BatchSignature>> votes(validators);
    for (std::size_t v = 1; v < validators; ++v)
      for (std::size_t at = 0; at < leaves.size(); at += options_.vote_batch) {
        const auto batch = std::span(leaves).subspan(at, std::min(options_.vote_batch, leaves.size() - at));
        for (auto& signature : crypto::sign_batch(validator_keys_[v], batch, prefix_))
          votes[v].push_back(std::move(signature));
      }
    for (std::size_t i = 0; i < requests.size(); ++i) {
      Proof proof;
      proof.account = requests[i].account;
      proof.certificate.value = Value{Confirm{std::move(requests[i])}};
      for (std::size_t v = 1; v < validators; ++v)
        proof.certificate.votes.emplace_back(ValidatorIndex(static_cast<std::uint16_t>(v)), std::move(votes[v][i]));
      round.proofs.push_back(codec::encode(Query(SubmitProof{std::move(proof)})));
    }
    ++number_;
    return round;
  }

 private:
  CoreBenchOptions options_;
  std::deque<crypto::SigningKey> validator_keys_;
  std::deque<crypto::SigningKey> account_keys_;
  Genesis genesis_;
  std::optional<Network> network_;
  Bytes prefix_;
  std::vector<Hash> heads_;
  std::uint64_t number_ = 0;
};

// A worker without sockets: the tick, a log on a memory store, and its own deliveries.
class Inside {
 public:
  explicit Inside(const Outside& outside)
      : store_(store::make_memory_store(loop_)),
        caches_{crypto::RootCache(1U << 16), crypto::RootCache(1U << 14)},
        log_(loop_, *store_, id(), {}),
        tick_({.network = outside.network(),
               .validator = ValidatorIndex(0),
               .key = outside.worker_key(),
               .caches = caches_,
               .shards = shards_,
               .log = log_,
               .releases = releases_}) {
    const auto accounts = shard::genesis_by_shard(outside.genesis());
    for (std::size_t i = 0; i < shard_count; ++i) {
      const ShardId shard(static_cast<std::uint16_t>(i));
      shards_.add(shard, {shard::Shard(shard, outside.network()), 1})
          .shard.apply_genesis(outside.genesis(), accounts[i]);
    }
    log_.on_confirmed([this](ledger::RecordNumber) { release(); });
  }

  // One turn: these frames come in; whatever is durable leaves.
  void turn(std::span<const Bytes> frames) {
    for (const Bytes& frame : frames) {
      auto query = codec::decode<Query>(frame);
      ZEF_CHECK(query);
      tick_.add(worker::Caller{}, std::move(*query));
    }
    run_tick();
  }
  // Until everything is answered and every effect has arrived.
  void finish() {
    while (!tick_.empty() || releases_.size() > 0 || waiting() > 0) run_tick();
  }
  [[nodiscard]] Totals totals() const {
    Totals sum;
    shards_.for_each([&](ShardId, const worker::OwnedShard& owned) { add_to(sum, owned.shard.totals()); });
    return sum;
  }
  [[nodiscard]] std::uint64_t answers() const { return answers_; }
  [[nodiscard]] const worker::Tick::Metrics& metrics() const { return tick_.metrics(); }
  [[nodiscard]] std::uint64_t log_bytes() const { return log_.metrics().bytes_compressed; }

 private:
  static ledger::WorkerId id() {
    ledger::WorkerId id;
    net::SystemRng rng;
    rng.fill(id.bytes);
    return id;
  }
  [[nodiscard]] std::uint64_t waiting() const { return totals().effects_waiting; }
  void run_tick() {
    if (!tick_.empty()) tick_.run(loop_.now());
    release();
    while (loop_.turn(Duration::zero())) {
    }
  }
  void release() {
    releases_.release(log_.confirmed(), [this](worker::Release item) {
      if (auto* answer = std::get_if<worker::ClientAnswer>(&item)) {
        ++answers_;
        answered_bytes_ += answer->body.size();
      } else if (auto* out = std::get_if<worker::EffectsOut>(&item)) {
        tick_.add_own(*out);
      }
    });
  }

  net::Loop loop_;
  std::unique_ptr<store::ObjectStore> store_;
  RootCaches caches_;
  worker::ShardTable shards_;
  worker::ReleaseQueue releases_;
  ledger::WorkerLog log_;
  worker::Tick tick_;
  std::uint64_t answers_ = 0;
  std::uint64_t answered_bytes_ = 0;
};

// CPU microseconds of one verification by libsodium of a message like a batch root.
double libsodium_verify_us() {
  constexpr std::size_t count = 256;
  const crypto::SigningKey key = crypto::SigningKey::generate();
  std::vector<Bytes> messages;
  std::vector<crypto::Signature> signatures;
  for (std::size_t i = 0; i < count; ++i) {
    messages.push_back(Bytes(85, static_cast<std::uint8_t>(i)));
    signatures.push_back(key.sign(messages.back()));
  }
  const double begin = thread_cpu_us();
  for (std::size_t i = 0; i < count; ++i) ZEF_CHECK(crypto::verify(key.public_key(), messages[i], signatures[i]));
  return (thread_cpu_us() - begin) / count;
}

// Bytes of memory that an account takes which only exists: shards with that many, against the same shards empty.
double bytes_per_idle_account(const Outside& outside, std::size_t count) {
  Genesis many = outside.genesis();
  many.accounts.assign(count, many.accounts.front());
  const auto by_shard = shard::genesis_by_shard(many);
  const auto used = [] {
    const struct mallinfo2 info = mallinfo2();
    return static_cast<double>(info.uordblks + info.hblkhd);
  };
  worker::ShardTable shards;
  for (std::size_t i = 0; i < shard_count; ++i) {
    const ShardId shard(static_cast<std::uint16_t>(i));
    shards.add(shard, {shard::Shard(shard, outside.network()), 1});
  }
  const double before = used();
  shards.for_each(
      [&](ShardId shard, worker::OwnedShard& owned) { owned.shard.apply_genesis(many, by_shard[shard.value()]); });
  return (used() - before) / static_cast<double>(count);
}

}  // namespace

Result<CoreBenchResult> run_core_bench(const CoreBenchOptions& options) {
  Outside outside(options);
  Inside inside(outside);
  std::vector<double> costs;
  std::vector<double> yardsticks;
  std::vector<double> ratios;
  const std::size_t half = std::max<std::size_t>(options.turn / 2, 1);
  for (std::size_t r = 0; r < options.rounds; ++r) {
    const Round round = outside.next_round();
    const double yardstick_before = libsodium_verify_us();
    const double begin = thread_cpu_us();
    for (std::size_t at = 0; at < round.orders.size(); at += half) {
      const std::size_t count = std::min(half, round.orders.size() - at);
      // The orders of this part, and their certificates a turn later, as clients send them.
      inside.turn(std::span(round.orders).subspan(at, count));
      inside.turn(std::span(round.proofs).subspan(at, count));
    }
    inside.finish();
    const double cost = (thread_cpu_us() - begin) / static_cast<double>(options.accounts);
    const double yardstick = (yardstick_before + libsodium_verify_us()) / 2;
    if (r == 0 && options.rounds > 1) continue;
    costs.push_back(cost);
    yardsticks.push_back(yardstick);
    ratios.push_back(cost / yardstick);
  }
  const Totals totals = inside.totals();
  const auto expected = options.accounts * options.rounds;
  if (totals.executed != expected || inside.metrics().refusals != 0 || inside.answers() != 2 * expected)
    return fail(ErrorKind::corrupt, fmt::format("{} of {} transfers were executed, {} messages were refused",
                                                totals.executed, expected, inside.metrics().refusals));
  if (totals.balances + (totals.caused - totals.received) + (totals.fees - totals.fees_credited) + totals.burned !=
      supply_of(outside.genesis()))
    return fail(ErrorKind::corrupt, "the supply is not exact after the run");
  return CoreBenchResult{
      .transfers = expected,
      .cpu_us_per_transfer = median(costs),
      .libsodium_verify_us = median(yardsticks),
      .libsodium_verifications_per_transfer = median(ratios),
      .log_bytes_per_transfer = static_cast<double>(inside.log_bytes()) / static_cast<double>(expected),
      .bytes_per_account = bytes_per_idle_account(outside, options.idle_accounts),
      .vote_batch = options.vote_batch};
}

namespace {

codec::Json as_json(const CoreBenchResult& result) {
  const auto rounded = [](double value) { return std::round(value * 100) / 100; };
  return {{"transfers", result.transfers},
          {"vote_batch", result.vote_batch},
          {"cpu_us_per_transfer", rounded(result.cpu_us_per_transfer)},
          {"libsodium_verify_us", rounded(result.libsodium_verify_us)},
          {"libsodium_verifications_per_transfer", rounded(result.libsodium_verifications_per_transfer)},
          {"log_bytes_per_transfer", rounded(result.log_bytes_per_transfer)},
          {"bytes_per_account", rounded(result.bytes_per_account)}};
}

struct Flags {
  CoreBenchOptions options;
  std::vector<std::size_t> vote_batches{64, 1};
  bool json = false;
};

Result<ExitCode> bench_core(Flags flags) {
  codec::Json runs = codec::Json::array();
  Table table({{"votes in batches of", true},
               {"CPU us per transfer", true},
               {"one libsodium verification, us", true},
               {"libsodium verifications per transfer", true},
               {"log bytes per transfer", true},
               {"bytes per idle account", true}});
  for (const std::size_t batch : flags.vote_batches) {
    flags.options.vote_batch = batch;
    const auto result = run_core_bench(flags.options);
    if (!result) return std::unexpected(result.error());
    runs.push_back(as_json(*result));
    table.add({std::to_string(batch), fmt::format("{:.1f}", result->cpu_us_per_transfer),
               fmt::format("{:.1f}", result->libsodium_verify_us),
               fmt::format("{:.2f}", result->libsodium_verifications_per_transfer),
               fmt::format("{:.0f}", result->log_bytes_per_transfer),
               fmt::format("{:.0f}", result->bytes_per_account)});
  }
  if (!flags.json) {
    print_out(table.text());
    return ExitCode::ok;
  }
  // The first batch size stands at the top level; all of them in "runs".
  codec::Json json = runs.front();
  json["runs"] = runs;
  print_json(json);
  return ExitCode::ok;
}

}  // namespace

void add_bench_core_command(Program& program, CLI::App& bench) {
  const auto flags = std::make_shared<Flags>();
  CLI::App& app =
      add_command(program, bench, "core", "cost of one transfer in one worker, in this process, on one core",
                  [flags] { return bench_core(*flags); });
  app.add_option("--accounts", flags->options.accounts, "accounts that transfer, each once a round")
      ->check(CLI::Range(16, 1'000'000));
  app.add_option("--rounds", flags->options.rounds, "rounds; the first is not counted")->check(CLI::Range(2, 1000));
  app.add_option("--turn", flags->options.turn, "messages in one turn of the worker")->check(CLI::Range(2, 65536));
  app.add_option("--vote-batches", flags->vote_batches, "votes under one signature of another validator")
      ->check(CLI::Range(1, 65536));
  app.add_option("--idle-accounts", flags->options.idle_accounts, "accounts made to measure their memory")
      ->check(CLI::Range(1000, 100'000'000));
  add_json_flag(app, flags->json);
}

}  // namespace zef::cli
