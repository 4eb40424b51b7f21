#include "controller/lease.h"

#include <utility>
#include <variant>

#include "base/log.h"
#include "codec/bcs.h"
#include "ledger/objects.h"

namespace zef::controller {
namespace {

constexpr const char* key = "controller/lease";

}  // namespace

Task<Result<std::string>> read_lease_holder(store::ObjectStore& store) {
  const auto got = co_await store.get(key);
  if (!got) co_return ledger::store_error(key, got.error());
  if (!*got) co_return std::string();
  auto object = codec::decode<LeaseObject>((*got)->bytes);
  if (!object) co_return ledger::corrupt_object(key, "does not decode");
  co_return std::move(object->name);
}

Lease::Lease(Executor& executor, Rng& rng, store::ObjectStore& store, LeaseOptions options)
    : executor_(executor),
      rng_(rng),
      store_(store),
      options_(std::move(options)),
      me_(ledger::random_id<decltype(LeaseObject::holder)>(rng)) {}

bool Lease::held() const {
  return held_since_write_ && executor_.now() - *held_since_write_ < options_.expires - options_.margin;
}

void Lease::observe(const LeaseObject& object) {
  if (changed_ && object == seen_) return;
  if (object.holder != seen_.holder)
    log::info("controller", "the lease is {}", object.name.empty() ? "free" : "of " + object.name);
  seen_ = object;
  changed_ = executor_.now();
}

// Over the version that was read, or where nothing was. An answer that says nothing is judged by the next reading.
Task<void> Lease::write(std::optional<store::Tag> over, LeaseObject object) {
  const MonotonicTime begun = executor_.now();
  object.nonce = ledger::random_id<decltype(object.nonce)>(rng_);
  auto bytes = store::content(codec::encode(object));
  bool written = false;
  if (over) {
    const auto put = co_await store_.put_if_match(key, std::move(bytes), std::move(*over));
    written = put && std::holds_alternative<store::Updated>(*put);
  } else {
    const auto put = co_await store_.put_if_absent(key, std::move(bytes));
    written = put && std::holds_alternative<store::Created>(*put);
  }
  if (!written) co_return;
  observe(object);
  if (object.holder == me_)
    held_since_write_ = begun;
  else
    held_since_write_.reset();
}

Task<void> Lease::tick() {
  auto got = co_await store_.get(key);
  if (!got) co_return;
  const LeaseObject mine{.holder = me_, .name = options_.name, .counter = seen_.counter + 1};
  if (!*got) {
    co_await write(std::nullopt, mine);
    co_return;
  }
  // What cannot be read is nobody's lease.
  const LeaseObject found = codec::decode<LeaseObject>((*got)->bytes).value_or(LeaseObject{});
  observe(found);
  const bool ours = found.holder == me_;
  if (!ours) held_since_write_.reset();
  const bool given_up = found.holder == decltype(found.holder){};
  const bool stands_still = executor_.now() - *changed_ >= options_.expires;
  if (!ours && !given_up && !stands_still) co_return;
  LeaseObject next = mine;
  next.counter = found.counter + 1;
  co_await write(std::move((*got)->tag), std::move(next));
}

Task<void> Lease::give_up() {
  if (!held_since_write_) co_return;
  held_since_write_.reset();
  auto got = co_await store_.get(key);
  if (!got || !*got) co_return;
  const auto found = codec::decode<LeaseObject>((*got)->bytes);
  if (!found || found->holder != me_) co_return;
  co_await write(std::move((*got)->tag), {.counter = found->counter + 1});
}

}  // namespace zef::controller
