#include "worker/history_reader.h"

#include <algorithm>

#include "base/log.h"
#include "protocol/verification.h"

namespace zef::worker {
namespace {

using namespace protocol;

// Segments that one page may read: a small question must not make a worker read and check hundreds of them.
constexpr std::size_t page_segments_max = 32;

// Whether a page may read on at this place.
class SegmentCount {
 public:
  bool allows(const History::Place& place) {
    if (last_ && last_->log == place.log && last_->slot == place.slot) return true;
    last_ = place;
    return ++count_ <= page_segments_max;
  }

 private:
  std::optional<History::Place> last_;
  std::size_t count_ = 0;
};

Answer not_now(const Error& error) {
  log::warning("worker", "a page of history could not be read: {}", error.message);
  return Refused{Unavailable{"the history cannot be read from the store now; try again"}};
}

Task<Result<shard::Record>> read_record(ledger::SegmentCache& segments, ledger::ReadPlace place) {
  auto body = co_await segments.record_body(place);
  if (!body) co_return std::unexpected(body.error());
  auto record = codec::decode<shard::Record>(*body);
  if (!record) co_return fail(ErrorKind::corrupt, "a record of the log does not decode");
  co_return std::move(*record);
}

}  // namespace

Task<Answer> read_executed(const History& history, ledger::SegmentCache& segments, QueryExecuted query) {
  ExecutedPage page;
  std::size_t bytes = 0;
  SegmentCount segment_count;
  const std::size_t limit = std::clamp<std::size_t>(query.limit, 1, page_entries_max);
  const auto entries = history.executed(query.account, query.from, limit + 1);
  std::vector<ledger::ReadPlace> places;
  for (const History::Executed& entry : entries) places.push_back(history.where(entry.place));
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const History::Executed& entry = entries[i];
    if (page.proofs.size() == limit || bytes >= page_bytes_max || !segment_count.allows(entry.place)) {
      page.more_from = entry.first;
      break;
    }
    auto record = co_await read_record(segments, places[i]);
    if (!record) co_return not_now(record.error());
    auto* executed = std::get_if<shard::Executed>(&*record);
    if (!executed) co_return not_now(Error{ErrorKind::corrupt, "a record of the log is not what the history says"});
    bytes += codec::encode(executed->proof).size();
    page.proofs.push_back(std::move(executed->proof));
  }
  // One certificate for each chain of requests, not one for each request: who lacks them reads and checks far less.
  page.proofs = merge_proofs(std::move(page.proofs), page_bytes_max);
  co_return page;
}

Task<Answer> read_received(const History& history, ledger::SegmentCache& segments, QueryReceived query) {
  ReceivedPage page{.credits = {}, .next = query.from, .total = history.received_count(query.account)};
  const std::size_t limit = std::clamp<std::size_t>(query.limit, 1, page_entries_max);
  SegmentCount segment_count;
  const auto entries = history.received(query.account, query.from, limit);
  std::vector<ledger::ReadPlace> places;
  for (const History::Place& entry : entries) places.push_back(history.where(entry));
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const History::Place& place = entries[i];
    if (!segment_count.allows(place)) break;
    auto record = co_await read_record(segments, places[i]);
    if (!record) co_return not_now(record.error());
    const auto* received = std::get_if<shard::EffectsReceived>(&*record);
    if (!received || place.effect >= received->effects.size())
      co_return not_now(Error{ErrorKind::corrupt, "a record of the log is not what the history says"});
    const Effect& effect = received->effects[place.effect];
    if (const auto* credit = std::get_if<Credit>(&effect)) {
      page.credits.push_back({credit->sender, credit->sequence_number, credit->amount});
    } else if (const auto* open = std::get_if<Open>(&effect)) {
      page.credits.push_back({*open->new_id.parent(), SequenceNumber(open->new_id.parts().back()), open->funding});
    }
  }
  page.next = query.from + page.credits.size();
  co_return page;
}

}  // namespace zef::worker
