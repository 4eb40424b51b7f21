// The lease: an object in the store that says which process acts as the controller. It only spares double work: safety
// is in the compare-and-set of the map's entries, and two holders at once are harmless.
//
// The holder writes it again and again, with a higher counter. Others watch: a lease that stands still for `expires` on
// the observer's own monotonic clock is free; no time is written down or compared between machines. A holder whose
// writes do not get through stops to believe in its lease before anybody else can have it, if clocks run at about one
// speed.
//
// Thread rule: one executor. Tasks end, or are dropped, before the lease.
#pragma once

#include <optional>
#include <string>

#include "base/executor.h"
#include "base/result.h"
#include "base/task.h"
#include "codec/fields.h"
#include "ledger/ids.h"
#include "store/object_store.h"

namespace zef::controller {

struct LeaseObject {
  std::uint32_t version = 1;
  FixedBytes<struct HolderIdTag, 16> holder{};   // random, of one process's life; zeros: given up
  std::string name{};                            // of the process, for people
  std::uint64_t counter = 0;                     // one more with every write
  FixedBytes<struct LeaseNonceTag, 16> nonce{};  // of the last write: equal bytes are the same write
  friend bool operator==(const LeaseObject&, const LeaseObject&) = default;
  static constexpr auto fields = codec::fields<&LeaseObject::version, &LeaseObject::holder, &LeaseObject::name,
                                               &LeaseObject::counter, &LeaseObject::nonce>;
};

struct LeaseOptions {
  std::string name;  // "w0 at 10.0.0.7"
  Duration expires = std::chrono::seconds(5);
  Duration margin = std::chrono::seconds(2);  // the holder stops believing this much earlier
};

// Whose the lease was last; empty: nobody's. For operators. Errors: unavailable, corrupt.
[[nodiscard]] Task<Result<std::string>> read_lease_holder(store::ObjectStore& store);

class Lease {
 public:
  Lease(Executor& executor, Rng& rng, store::ObjectStore& store, LeaseOptions options);
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  // Writes the lease again if it is ours, takes it if it is free, else watches. Every second or so; one at a time. An
  // error of the store changes nothing but time passing.
  Task<void> tick();
  // Gives the lease up, so that the next process need not wait.
  Task<void> give_up();

  [[nodiscard]] bool held() const;
  [[nodiscard]] const std::string& holder_name() const { return seen_.name; }  // whoever holds it, as last seen

 private:
  Task<void> write(std::optional<store::Tag> over, LeaseObject object);
  void observe(const LeaseObject& object);

  Executor& executor_;
  Rng& rng_;
  store::ObjectStore& store_;
  const LeaseOptions options_;
  const decltype(LeaseObject::holder) me_;
  LeaseObject seen_;                               // as last read or written
  std::optional<MonotonicTime> changed_;           // when it was first seen so
  std::optional<MonotonicTime> held_since_write_;  // when the last write that got through was begun
};

}  // namespace zef::controller
