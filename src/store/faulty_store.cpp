#include "store/faulty_store.h"

#include "base/check.h"
#include "store/errors.h"

namespace zef::store {

FaultyStore::FaultyStore(StoreRef inner, Executor& executor, Rng& rng, FaultPlan plan)
    : inner_(std::move(inner)), executor_(executor), rng_(rng) {
  set_plan(plan);
}

void FaultyStore::set_plan(FaultPlan plan) {
  ZEF_CHECK(plan.lost_before + plan.lost_after + plan.late + plan.throttled + plan.unavailable <= 1000);
  ZEF_CHECK(plan.delay_min <= plan.delay_max && plan.late_min <= plan.late_max);
  plan_ = plan;
}

FaultyStore::Fault FaultyStore::draw() {
  std::uint64_t point = rng_.below(1000);
  const auto hits = [&point](std::uint32_t chance) {
    if (point < chance) return true;
    point -= chance;
    return false;
  };
  if (hits(plan_.lost_before)) return Fault::lost_before;
  if (hits(plan_.lost_after)) return Fault::lost_after;
  if (hits(plan_.late)) return Fault::late;
  if (hits(plan_.throttled)) return Fault::throttled;
  if (hits(plan_.unavailable)) return Fault::unavailable;
  return Fault::none;
}

Duration FaultyStore::between(Duration from, Duration to) {
  return from + Duration(static_cast<Duration::rep>(rng_.below(static_cast<std::uint64_t>((to - from).count()) + 1)));
}

template <class Start>
Task<void> FaultyStore::apply_late(Executor& executor, Duration delay, Start start) {
  co_await sleep_for(executor, delay);
  (void)co_await start();
}

template <class T, class Start>
Task<StoreResult<T>> FaultyStore::inject(Start start, bool writes) {
  const Fault fault = draw();
  if (const Duration delay = between(plan_.delay_min, plan_.delay_max); delay > Duration::zero())
    co_await sleep_for(executor_, delay);
  if (fail_all_) co_return std::unexpected(*fail_all_);
  if (fault != Fault::none) ++faults_;
  switch (fault) {
    case Fault::none: co_return co_await start();
    case Fault::throttled: co_return store_fail(StoreErrorKind::throttled, "injected: slow down");
    case Fault::unavailable: co_return store_fail(StoreErrorKind::unavailable, "injected: nobody there");
    case Fault::lost_before: break;
    case Fault::lost_after: (void)co_await start(); break;
    case Fault::late:
      if (writes) late_.spawn(apply_late(executor_, between(plan_.late_min, plan_.late_max), std::move(start)));
      break;
  }
  co_return store_fail(StoreErrorKind::ambiguous, "injected: no answer");
}

Task<StoreResult<PutIfAbsent>> FaultyStore::put_if_absent(std::string key, Content bytes) {
  return inject<PutIfAbsent>(
      [inner = &*inner_, key = std::move(key), bytes = std::move(bytes)] { return inner->put_if_absent(key, bytes); },
      true);
}

Task<StoreResult<PutIfMatch>> FaultyStore::put_if_match(std::string key, Content bytes, Tag tag) {
  return inject<PutIfMatch>([inner = &*inner_, key = std::move(key), bytes = std::move(bytes),
                             tag = std::move(tag)] { return inner->put_if_match(key, bytes, tag); },
                            true);
}

Task<StoreResult<std::optional<Object>>> FaultyStore::get(std::string key, std::optional<Range> range) {
  auto outcome = co_await inject<std::optional<Object>>(
      [inner = &*inner_, key = std::move(key), range] { return inner->get(key, range); }, false);
  if (outcome && *outcome && !(*outcome)->bytes.empty() && rng_.below(1000) < plan_.damaged_read) {
    ++faults_;
    Bytes& bytes = (*outcome)->bytes;
    bytes[rng_.below(bytes.size())] ^= static_cast<std::uint8_t>(1U << rng_.below(8));
  }
  co_return outcome;
}

Task<StoreResult<std::monostate>> FaultyStore::del(std::string key) {
  return inject<std::monostate>([inner = &*inner_, key = std::move(key)] { return inner->del(key); }, true);
}

Task<StoreResult<std::vector<std::string>>> FaultyStore::list(std::string prefix, std::string start_after,
                                                              std::size_t limit) {
  return inject<std::vector<std::string>>(
      [inner = &*inner_, prefix = std::move(prefix), start_after = std::move(start_after), limit] {
        return inner->list(prefix, start_after, limit);
      },
      false);
}

Task<StoreResult<std::monostate>> FaultyStore::check_settings() { return inner_->check_settings(); }

}  // namespace zef::store
