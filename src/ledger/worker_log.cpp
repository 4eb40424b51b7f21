#include "ledger/worker_log.h"

#include <fmt/core.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/mutant.h"
#include "ledger/segment.h"
#include "store/errors.h"

namespace zef::ledger {
namespace {

constexpr Duration retry_first = std::chrono::milliseconds(20);
constexpr Duration retry_max = std::chrono::seconds(5);
// Reads of a slot that decodes to nothing at all: the store may have damaged the answer on its way.
constexpr int damaged_reads_max = 3;
// Confirmed segments whose place is still known, beyond those that on_confirmed has not told about yet.
constexpr std::size_t places_kept = 1024;
constexpr std::size_t record_overhead_max = 2 + 8 + 5 + 4;

// Records that wait for a slot. Its payload grows in place, so that sending costs no copy but the last.
struct Pending {
  Bytes payload;
  std::uint32_t count = 0;
  MonotonicTime since;  // of the first record
};

// A frozen slot on its way, or arrived before an earlier one has.
struct Flight {
  Slot slot = 0;
  RecordNumber first = 0;
  RecordNumber end = 0;
  std::size_t payload_bytes = 0;
  bool in_store = false;
};

struct ConfirmedSegment {
  RecordNumber first;
  RecordNumber end;
  Slot slot;
};

std::string who_took_it(const std::string& key, ByteView bytes) {
  const auto decoded = decode_slot(bytes);
  if (!decoded) return fmt::format("{} holds bytes that are not ours: {}", key, decoded.error().message);
  if (const auto* seal = std::get_if<Seal>(&*decoded))
    return fmt::format("this worker was taken over: worker {} has put a SEAL at {}", seal->rescuer.hex(), key);
  return fmt::format("{} holds a segment that this process did not write", key);
}

// An even rate with bursts (a token bucket kept as one time, when the bucket would be full again).
class FlushRate {
 public:
  FlushRate(double per_second, std::size_t burst)
      : interval_(per_second > 0 ? Duration(static_cast<Duration::rep>(1e9 / per_second)) : Duration::zero()),
        tolerance_(interval_ * static_cast<Duration::rep>(burst - 1)) {}

  [[nodiscard]] MonotonicTime next_allowed() const { return full_again_ - tolerance_; }
  void take(MonotonicTime now) { full_again_ = std::max(full_again_, now) + interval_; }

 private:
  Duration interval_;
  Duration tolerance_;
  MonotonicTime full_again_{};
};

}  // namespace

struct WorkerLog::State {
  State(Executor& executor_in, store::ObjectStore& store_in, const WorkerId& worker_in, const Options& options_in)
      : executor(executor_in),
        store(store_in),
        worker(worker_in),
        options(options_in),
        rate(options_in.flushes_per_second_max, options_in.flush_burst),
        progress(executor_in) {
    ZEF_CHECK(options.in_flight_max > 0 && options.in_flight_max <= slots_in_flight_max && options.flush_burst > 0);
    ZEF_CHECK(options.segment_bytes_max + record_overhead_max <= payload_bytes_max);
  }
  ~State() {
    executor.cancel(timer);
    progress.set();  // who drains learns that there is nothing to wait for
  }

  void append(const LogRecord& record);
  void wake();
  void flush();
  void arm_timer();
  [[nodiscard]] bool due(const Pending& pending) const;
  void send_front();
  static Task<void> put_slot(State& state, Slot slot, store::Content bytes);
  static Task<bool> settle_exists(State& state, std::string key, const store::Content& bytes, int& damaged_reads);
  void slot_is_in_store(Slot slot);
  void fence(std::string why);
  void tell_confirmed();
  void tell_trouble(Slot slot, const store::StoreError& error);
  template <class... Args>
  void call_later(std::move_only_function<void(Args...)> State::* callback, std::type_identity_t<Args>... args);

  Executor& executor;
  store::ObjectStore& store;
  const WorkerId worker;
  const Options options;

  std::deque<Pending> pending;  // all but the last are full
  std::deque<Flight> flights;   // consecutive slots; the first is not in the store, or there is none
  Slot next_slot = 0;
  RecordNumber next_frozen = 0;  // first record that no slot holds yet
  crypto::Hash previous;
  RecordNumber appended = 0;
  RecordNumber confirmed = 0;
  std::size_t backlog = 0;
  bool fenced = false;
  Error fenced_by;
  Metrics metrics;

  FlushRate rate;
  bool flush_posted = false;
  TimerId timer = TimerId::none;

  std::deque<ConfirmedSegment> places;
  bool confirmed_posted = false;
  RecordNumber told = 0;
  std::move_only_function<void(RecordNumber)> on_confirmed;
  std::move_only_function<void(Error)> on_fenced;
  std::move_only_function<void(const Error&)> on_trouble;
  Event progress;  // set and reset at once: wakes those who drain

  std::shared_ptr<bool> alive = std::make_shared<bool>(true);  // expires with the log, for callbacks that come later
  TaskScope scope;                                             // last: its tasks use all of the above
};

void WorkerLog::State::append(const LogRecord& record) {
  const std::size_t size = record.body.size() + record_overhead_max;
  ZEF_CHECK(size <= payload_bytes_max);
  if (pending.empty() || (pending.back().count > 0 && pending.back().payload.size() + size > options.segment_bytes_max))
    pending.push_back({.payload = {}, .count = 0, .since = executor.now()});
  Pending& back = pending.back();
  const std::size_t before = back.payload.size();
  append_stored_record(back.payload, record.shard, record.shard_epoch, record.body);
  ++back.count;
  backlog += back.payload.size() - before;
  wake();
}

bool WorkerLog::State::due(const Pending& front) const {
  return flights.empty() || pending.size() > 1 || front.payload.size() >= options.flush_bytes ||
         executor.now() >= front.since + options.flush_delay;
}

// Called whenever the answer to "may the first pending records go?" may have become yes. The flush itself waits for the
// end of the turn, so that the records of a turn share a slot.
void WorkerLog::State::wake() {
  if (fenced || flush_posted || pending.empty() || flights.size() >= options.in_flight_max) return;
  if (!due(pending.front())) {
    arm_timer();
    return;
  }
  flush_posted = true;
  executor.at_turn_end([this, still = std::weak_ptr<bool>(alive)] {
    if (still.expired()) return;
    flush_posted = false;
    flush();
  });
}

void WorkerLog::State::flush() {
  while (!fenced && !pending.empty() && flights.size() < options.in_flight_max && due(pending.front()) &&
         rate.next_allowed() <= executor.now()) {
    rate.take(executor.now());
    send_front();
  }
  arm_timer();
}

// One timer, for when the first pending records become due and the flush rate allows it. With all slots in flight there
// is none: the next that arrives wakes us.
void WorkerLog::State::arm_timer() {
  if (fenced || flush_posted || pending.empty() || flights.size() >= options.in_flight_max) return;
  if (timer != TimerId::none) return;  // it looks again when it fires, and may be early
  const MonotonicTime now = executor.now();
  const MonotonicTime when_due = due(pending.front()) ? now : pending.front().since + options.flush_delay;
  timer = executor.after(std::max(when_due, rate.next_allowed()) - now, [this] {
    timer = TimerId::none;
    flush();
  });
}

// Freezes the front of the pending records as the next slot, and sends it.
void WorkerLog::State::send_front() {
  Pending front = std::move(pending.front());
  pending.pop_front();
  const SegmentHeader header{worker, next_slot, next_frozen, front.count, previous};
  store::Content bytes = store::content(encode_segment(header, front.payload));
  previous = segment_hash(*bytes);
  flights.push_back({.slot = next_slot,
                     .first = next_frozen,
                     .end = next_frozen + front.count,
                     .payload_bytes = front.payload.size()});
  ++next_slot;
  next_frozen += front.count;
  ++metrics.segments;
  metrics.records += front.count;
  metrics.bytes += front.payload.size();
  metrics.bytes_compressed += bytes->size();
  scope.spawn(put_slot(*this, flights.back().slot, std::move(bytes)));
}

// For a mutant: another choice of records under the number of a slot that was sent already.
store::Content batched_again(const store::Content& bytes) {
  auto segment = std::get<Segment>(*decode_slot(*bytes));
  if (segment.records.size() < 2) return bytes;
  segment.records.pop_back();
  --segment.header.record_count;
  return store::content(encode_segment(segment));
}

// Sends the same bytes again until they are known to be in the store (rule 1), or until somebody else's are (rule 4).
// An earlier try whose answer was lost may land at any time; as all tries carry the same bytes, that is success.
Task<void> WorkerLog::State::put_slot(State& state, Slot slot, store::Content bytes) {
  const std::string key = slot_key(state.worker, slot);
  Duration delay = retry_first;
  int damaged_reads = 0;
  for (;;) {
    const auto outcome = co_await state.store.put_if_absent(key, bytes);
    if (state.fenced) co_return;
    bool done = false;
    if (!outcome) {
      state.tell_trouble(slot, outcome.error());
    } else if (std::holds_alternative<store::Created>(*outcome)) {
      done = true;
    } else {
      done = co_await settle_exists(state, key, bytes, damaged_reads);
      if (state.fenced) co_return;
    }
    if (!done && mutant("rebatch_slot")) bytes = batched_again(bytes);
    if (done) {
      state.slot_is_in_store(slot);
      co_return;
    }
    co_await sleep_for(state.executor, delay);
    if (state.fenced) co_return;
    delay = std::min(delay * 2, retry_max);
  }
}

// The slot is taken. Whether by our own bytes; fences the log if by others; false with no fence: not known yet.
Task<bool> WorkerLog::State::settle_exists(State& state, std::string key, const store::Content& bytes,
                                           int& damaged_reads) {
  const auto found = co_await state.store.get(key);
  if (state.fenced) co_return false;
  if (!found) {
    if (found.error().kind == store::StoreErrorKind::corrupt || found.error().kind == store::StoreErrorKind::denied)
      log::warning("ledger", "reading back {}: {}", key, found.error().message);
    co_return false;
  }
  // Nothing there although it "exists": an answer of an older or a later moment. Sending again settles it.
  if (!*found) co_return false;
  if ((*found)->bytes == *bytes || mutant("foreign_slot_is_ours")) co_return true;
  if (!decode_slot((*found)->bytes) && ++damaged_reads < damaged_reads_max) co_return false;
  state.fence(who_took_it(key, (*found)->bytes));
  co_return false;
}

// Rule 3: confirmed moves only over a prefix of slots that are all in the store.
void WorkerLog::State::slot_is_in_store(Slot slot) {
  if (mutant("confirm_out_of_order")) {
    if (flights.empty() || slot < flights.front().slot) return;
    for (Flight& flight : flights) flight.in_store |= flight.slot <= slot;
  }
  ZEF_CHECK(!fenced && !flights.empty() && slot >= flights.front().slot && slot <= flights.back().slot);
  flights[slot - flights.front().slot].in_store = true;
  while (!flights.empty() && flights.front().in_store) {
    const Flight& front = flights.front();
    ZEF_CHECK(front.first == confirmed);
    confirmed = front.end;
    backlog -= front.payload_bytes;
    places.push_back({front.first, front.end, front.slot});
    flights.pop_front();
    tell_confirmed();
  }
  wake();
}

void WorkerLog::State::fence(std::string why) {
  ZEF_CHECK(!fenced);
  fenced = true;
  fenced_by = {ErrorKind::fenced, std::move(why)};
  log::error("ledger", "worker {}: {}", worker.hex(), fenced_by.message);
  executor.cancel(std::exchange(timer, TimerId::none));
  pending.clear();
  call_later(&State::on_fenced, fenced_by);
  progress.set();
  progress.reset();
}

void WorkerLog::State::tell_confirmed() {
  progress.set();
  progress.reset();
  if (std::exchange(confirmed_posted, true)) return;
  executor.post([this, still = std::weak_ptr<bool>(alive)] {
    if (still.expired() || fenced) return;
    confirmed_posted = false;
    while (places.size() > places_kept && places.front().end <= told) places.pop_front();
    told = confirmed;
    if (!on_confirmed) return;
    auto callback = std::move(on_confirmed);  // it may destroy the log
    callback(told);
    if (!still.expired()) on_confirmed = std::move(callback);
  });
}

// Of the first slot only: the others fail for the same reason, and nothing is confirmed before this one is.
void WorkerLog::State::tell_trouble(Slot slot, const store::StoreError& error) {
  const bool refuses = error.kind == store::StoreErrorKind::denied || error.kind == store::StoreErrorKind::invalid ||
                       error.kind == store::StoreErrorKind::corrupt;
  if (!refuses || flights.empty() || slot != flights.front().slot) return;
  call_later(&State::on_trouble, store::to_error(error));
}

// Callbacks run from the executor, never inside one of the log's own tasks, so that they may destroy the log.
template <class... Args>
void WorkerLog::State::call_later(std::move_only_function<void(Args...)> State::* which,
                                  std::type_identity_t<Args>... args) {
  executor.post([this, which, still = std::weak_ptr<bool>(alive),
                 ... kept = std::decay_t<std::type_identity_t<Args>>(args)]() mutable {
    if (still.expired() || !(this->*which)) return;
    auto callback = std::move(this->*which);
    callback(std::move(kept)...);
    if (!still.expired()) this->*which = std::move(callback);
  });
}

WorkerLog::WorkerLog(Executor& executor, store::ObjectStore& store, const WorkerId& worker, const Options& options)
    : state_(std::make_unique<State>(executor, store, worker, options)) {}
WorkerLog::~WorkerLog() = default;

void WorkerLog::on_confirmed(std::move_only_function<void(RecordNumber)> callback) {
  state_->on_confirmed = std::move(callback);
}
void WorkerLog::on_fenced(std::move_only_function<void(Error)> callback) { state_->on_fenced = std::move(callback); }
void WorkerLog::on_trouble(std::move_only_function<void(const Error&)> callback) {
  state_->on_trouble = std::move(callback);
}

RecordNumber WorkerLog::append(LogRecord record) {
  const RecordNumber number = state_->appended++;
  if (!state_->fenced) state_->append(record);  // a fenced log takes nothing in; its owner is about to stop
  return number;
}

RecordNumber WorkerLog::confirmed() const { return state_->confirmed; }
RecordNumber WorkerLog::appended() const { return state_->appended; }
std::size_t WorkerLog::backlog_bytes() const { return state_->backlog; }
Duration WorkerLog::waiting() const {
  if (state_->pending.empty()) return Duration::zero();
  return state_->executor.now() - state_->pending.front().since;
}
Duration WorkerLog::flush_interval() const {
  const double rate = state_->options.flushes_per_second_max;
  const Duration between = rate > 0 ? Duration(static_cast<Duration::rep>(1e9 / rate)) : Duration::zero();
  return std::max(state_->options.flush_delay, between);
}
Slot WorkerLog::slots_confirmed() const { return state_->next_slot - state_->flights.size(); }
WorkerLog::Metrics WorkerLog::metrics() const { return state_->metrics; }

WorkerLog::Place WorkerLog::place_of(RecordNumber record) const {
  const auto& places = state_->places;
  const auto after = std::ranges::upper_bound(places, record, {}, &ConfirmedSegment::first);
  ZEF_CHECK(after != places.begin());
  const ConfirmedSegment& segment = *std::prev(after);
  ZEF_CHECK(record < segment.end && segment.slot <= std::numeric_limits<std::uint32_t>::max());
  return {static_cast<std::uint32_t>(segment.slot), static_cast<std::uint32_t>(record - segment.first)};
}

Task<Result<void>> WorkerLog::drain() {
  State& state = *state_;
  const std::weak_ptr<bool> still = state.alive;
  const RecordNumber target = state.appended;
  for (;;) {
    if (state.fenced) co_return std::unexpected(state.fenced_by);
    if (state.confirmed >= target) co_return Result<void>{};
    co_await state.progress.wait();
    if (still.expired()) co_return fail(ErrorKind::cancelled, "the log was closed before all records were durable");
  }
}

}  // namespace zef::ledger
