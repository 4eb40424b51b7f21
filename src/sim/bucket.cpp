#include "sim/bucket.h"

#include <utility>

#include "store/errors.h"

namespace zef::sim {

using store::Content;
using store::Object;
using store::PutIfAbsent;
using store::PutIfMatch;
using store::Range;
using store::StoreErrorKind;
using store::StoreResult;
using store::Tag;

Bucket::Fault Bucket::draw(bool writes) {
  std::uint64_t point = rng_.pick(1'000'000);
  const auto hits = [&point](std::uint64_t chance) {
    if (point < chance) return true;
    point -= chance;
    return false;
  };
  Fault fault = Fault::none;
  if (hits(weather_.lost_before))
    fault = Fault::lost_before;
  else if (hits(weather_.lost_after))
    fault = Fault::lost_after;
  else if (hits(weather_.late))
    fault = writes ? Fault::late : Fault::lost_before;
  else if (hits(weather_.throttled))
    fault = Fault::throttled;
  else if (hits(weather_.unavailable))
    fault = Fault::unavailable;
  if (fault != Fault::none) ++faults_;
  return fault;
}

class BucketStore final : public store::ObjectStore {
 public:
  BucketStore(Bucket& bucket, SimExecutor& process) : bucket_(bucket), process_(process) {}

  Task<StoreResult<PutIfAbsent>> put_if_absent(std::string key, Content bytes) override {
    return call<PutIfAbsent>(
        [bucket = &bucket_, key = std::move(key), bytes = std::move(bytes)] {
          auto outcome = bucket->state_->put_if_absent(key, bytes);
          if (outcome && std::holds_alternative<store::Created>(*outcome) && bucket->on_created_)
            bucket->on_created_(key, *bytes);
          return outcome;
        },
        true);
  }
  Task<StoreResult<PutIfMatch>> put_if_match(std::string key, Content bytes, Tag tag) override {
    return call<PutIfMatch>([bucket = &bucket_, key = std::move(key), bytes = std::move(bytes),
                             tag = std::move(tag)] { return bucket->state_->put_if_match(key, bytes, tag); },
                            true);
  }
  Task<StoreResult<std::optional<Object>>> get(std::string key, std::optional<Range> range) override {
    return call<std::optional<Object>>(
        [bucket = &bucket_, key = std::move(key), range] { return bucket->state_->get(key, range); }, false);
  }
  Task<StoreResult<std::monostate>> del(std::string key) override {
    return call<std::monostate>([bucket = &bucket_, key = std::move(key)] { return bucket->state_->del(key); }, true);
  }
  Task<StoreResult<std::vector<std::string>>> list(std::string prefix, std::string start_after,
                                                   std::size_t limit) override {
    return call<std::vector<std::string>>(
        [bucket = &bucket_, prefix = std::move(prefix), start_after = std::move(start_after), limit] {
          return bucket->state_->list(prefix, start_after, limit);
        },
        false);
  }

 private:
  template <class T, class Act>
  Task<StoreResult<T>> call(Act act, bool writes) {
    co_return co_await from_callback<StoreResult<T>>([this, &act, writes](auto done) {
      const Bucket::Fault fault = bucket_.draw(writes);
      const BucketWeather& weather = bucket_.weather_;
      const Duration there = bucket_.rng_.between(weather.delay_min, weather.delay_max) / 2;
      const Duration back = bucket_.rng_.between(weather.delay_min, weather.delay_max) / 2;
      const Duration late = bucket_.rng_.between(weather.late_min, weather.late_max);
      const auto reply = [process = &process_, back](auto call_back, StoreResult<T> outcome) {
        process->after(back, [call_back = std::move(call_back), outcome = std::move(outcome)]() mutable {
          call_back(std::move(outcome));
        });
      };
      using Done = decltype(done);
      const auto arrive = [act, fault, reply](Done call_back) {
        const auto error = [&](StoreErrorKind kind, const char* what) {
          reply(std::move(call_back), store::store_fail(kind, what));
        };
        switch (fault) {
          case Bucket::Fault::none: return reply(std::move(call_back), act());
          case Bucket::Fault::throttled: return error(StoreErrorKind::throttled, "simulated: slow down");
          case Bucket::Fault::unavailable: return error(StoreErrorKind::unavailable, "simulated: nobody there");
          case Bucket::Fault::lost_after: (void)act(); break;
          case Bucket::Fault::lost_before:
          case Bucket::Fault::late: break;
        }
        error(StoreErrorKind::ambiguous, "simulated: no answer");
      };
      if (fault == Bucket::Fault::late) bucket_.machine_.after(there + late, [act] { (void)act(); });
      bucket_.machine_.after(there, [arrive, done = std::move(done)]() mutable { arrive(std::move(done)); });
    });
  }

  Bucket& bucket_;
  SimExecutor& process_;
};

std::unique_ptr<store::ObjectStore> Bucket::open(SimExecutor& process) {
  return std::make_unique<BucketStore>(*this, process);
}

}  // namespace zef::sim
