// Retries, and the one resolver of ambiguous conditional writes.
//
// Throttled and Unavailable say that nothing happened: wait (exponential back-off with jitter) and try again. Reads,
// lists and deletes are tried again after Ambiguous too: they are idempotent. Conditional writes are not:
//
//   put_if_absent, ambiguous: send the *identical* bytes again until Created; or until Exists, then read and compare:
//     our own bytes mean Created, others mean Exists. Nothing there after Exists, or after Ambiguous, is not final (the
//     first request may still land): send again.
//   put_if_match, ambiguous: read. Our own bytes mean Updated; the old tag still there means send again (both requests
//     carry the same tag, so at most one of them takes effect); another version, or nothing, means Mismatch.
//
// What this stands on, and what callers must keep: equal bytes are ours, because every object that is compared carries
// its writer and a nonce; tags do not come back, for the same reason. What it cannot know: after an ambiguous
// put_if_match our version may have been there for a moment and been replaced by somebody's next one. So a Mismatch
// says "our bytes are not there now", never "they never were"; callers judge what they read by its contents.
//
// With a deadline, the call gives up: with `ambiguous` if a write may have happened or may still happen, else with the
// last error. Without one it goes on until it knows. Denied, Corrupt and Invalid end a call at once.
//
// Budget: each retry takes a token, each success gives a tenth of one back. Without tokens a retry waits for the full
// delay_max, so a store in trouble sees little more than its usual load; no call fails because of the budget.
//
// Thread rule: that of the store inside. Tasks must end, or be dropped, before the wrapper.
#pragma once

#include <cstdint>
#include <optional>

#include "base/executor.h"
#include "store/object_store.h"
#include "store/store_ref.h"

namespace zef::store {

struct RetryPolicy {
  Duration delay_first = std::chrono::milliseconds(20);
  Duration delay_max = std::chrono::seconds(5);
  std::optional<Duration> deadline;  // from the start of the call: no try begins after it; none: for ever
};

struct RetryOptions {
  RetryPolicy put;
  RetryPolicy get;
  RetryPolicy del;
  RetryPolicy list;
  std::uint32_t budget_max = 100;  // tokens, also at the start
};

class RetryingStore final : public ObjectStore {
 public:
  RetryingStore(StoreRef inner, Executor& executor, Rng& rng, RetryOptions options = {});

  Task<StoreResult<PutIfAbsent>> put_if_absent(std::string key, Content bytes) override;
  Task<StoreResult<PutIfMatch>> put_if_match(std::string key, Content bytes, Tag tag) override;
  Task<StoreResult<std::optional<Object>>> get(std::string key, std::optional<Range> range = std::nullopt) override;
  Task<StoreResult<std::monostate>> del(std::string key) override;
  Task<StoreResult<std::vector<std::string>>> list(std::string prefix, std::string start_after,
                                                   std::size_t limit) override;
  Task<StoreResult<std::monostate>> check_settings() override;

  [[nodiscard]] std::uint64_t retries() const { return retries_; }

 private:
  struct Attempts;  // one call's count and start

  // Waits before the next try; false if the deadline would pass.
  Task<bool> pause(const RetryPolicy& policy, Attempts& attempts);
  void succeeded();
  Task<StoreResult<std::optional<Object>>> get_within(std::string key, std::optional<Range> range,
                                                      const RetryPolicy& policy, Attempts& attempts);
  template <class T, class Start>
  Task<StoreResult<T>> repeat(const RetryPolicy& policy, Start start);

  StoreRef inner_;
  Executor& executor_;
  Rng& rng_;
  const RetryOptions options_;
  std::uint64_t budget_tenths_;
  std::uint64_t retries_ = 0;
};

}  // namespace zef::store
