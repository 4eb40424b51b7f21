#include "sim/chronicle.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "crypto/root_cache.h"
#include "protocol/verification.h"

namespace zef::sim {

using namespace protocol;
using shard::EffectsReceived;
using shard::Executed;
using shard::InstanceChanged;
using shard::VoteMade;

void Chronicle::created(const std::string& key, ByteView bytes) {
  // workers/<hex id>/log/<16 hex digits>
  constexpr std::string_view begin = "workers/";
  if (!key.starts_with(begin)) return;
  const std::size_t end = key.find("/log/");
  if (end == std::string::npos) return;
  const std::string worker = key.substr(begin.size(), end - begin.size());
  std::uint64_t slot = 0;
  const std::string digits = key.substr(end + 5);
  std::from_chars(digits.data(), digits.data() + digits.size(), slot, 16);
  auto decoded = ledger::decode_slot(bytes);
  if (!decoded)
    return journal_.violation("I5", name_, fmt::format("{} does not decode: {}", key, decoded.error().message));

  Log& log = logs_[worker];
  log.early.emplace(slot, std::move(*decoded));
  for (auto next = log.early.find(log.next_slot); next != log.early.end() && !log.sealed;
       next = log.early.find(log.next_slot)) {
    const auto taken = std::move(next->second);
    log.early.erase(next);
    ++log.next_slot;
    if (std::holds_alternative<ledger::Seal>(taken)) {
      log.sealed = true;
    } else {
      for (const ledger::LogRecord& record : std::get<ledger::Segment>(taken).records) take(worker, record);
    }
  }
}

// docs/storage.md: an epoch has one owner, and ends with its hand-over.
void Chronicle::check_writer(const std::string& worker, const ledger::LogRecord& record, const Epoch& epoch) {
  const auto at = [&] {
    return fmt::format("{}: shard {}, epoch {}", name_, record.shard.value(), record.shard_epoch);
  };
  if (epoch.worker != worker) journal_.violation("one owner", name_, fmt::format("{}: two workers log records", at()));
  if (epoch.handed_off) journal_.violation("one owner", name_, fmt::format("{}: a record after the hand-over", at()));
}

void Chronicle::take(const std::string& worker, const ledger::LogRecord& stored) {
  auto record = codec::decode<shard::Record>(stored.body);
  if (!record) return journal_.violation("I5", name_, "a record of the log does not decode");
  Epoch& epoch = records_[stored.shard.value()][stored.shard_epoch];
  if (epoch.worker.empty()) epoch.worker = worker;
  check_writer(worker, stored, epoch);
  epoch.handed_off = std::holds_alternative<shard::HandedOff>(*record);
  std::visit([&](const auto& what) { take(stored.shard, what); }, *record);
  epoch.records.push_back(std::move(*record));
}

void Chronicle::take(ShardId /*shard*/, const VoteMade& record) {
  const Hash hash = hash_of(rules_.id, record.request);
  const auto [known, added] = votes_.try_emplace(Place{record.request.account, record.request.sequence_number}, hash);
  if (!added && known->second != hash)
    journal_.violation("votes", record.request.account.text(),
                       fmt::format("{} logs votes for two requests of account {} at number {}", name_,
                                   record.request.account.text(), record.request.sequence_number.value()));
}

// C1, counted by itself: every signer once.
bool Chronicle::has_quorum(const Certificate& certificate) const {
  std::set<ValidatorIndex> signers;
  unsigned __int128 weight = 0;
  for (const auto& [index, signature] : certificate.votes) {
    const ValidatorInfo* validator = rules_.committee.find(index);
    if (validator && signers.insert(index).second) weight += validator->weight;
  }
  return weight >= rules_.committee.quorum();
}

void Chronicle::take(ShardId /*shard*/, const Executed& record) {
  if (!has_quorum(record.proof.certificate) || (record.proof.lock && !has_quorum(*record.proof.lock)))
    journal_.violation(
        "C1", record.proof.account.text(),
        fmt::format("{} executes a request of account {} without a quorum", name_, record.proof.account.text()));
  const auto requests = requests_of(rules_, record.proof);
  if (!requests) return journal_.violation("I1", record.proof.account.text(), name_ + " executes what is no proof");
  std::vector<Hash>& chain = executed_[record.proof.account];
  for (const auto& item : *requests) {
    const std::uint64_t at = item.request->sequence_number.value();
    if (at < chain.size()) {
      if (chain[at] != item.hash)
        journal_.violation("I1", record.proof.account.text(),
                           fmt::format("{} executes a second request of account {} at number {}", name_,
                                       record.proof.account.text(), at));
      continue;
    }
    if (at > chain.size())
      return journal_.violation("I1", record.proof.account.text(),
                                fmt::format("{} executes request {} of account {} before {}", name_, at,
                                            record.proof.account.text(), chain.size()));
    chain.push_back(item.hash);
    if (on_executed_) on_executed_(*item.request, item.hash);
  }
}

void Chronicle::take(ShardId shard, const EffectsReceived& record) {
  std::uint64_t& due = mark(record.source, shard);
  if (record.first != due)
    journal_.violation("I4", name_,
                       fmt::format("{}: shard {} applies effects of shard {} from {} on, {} were due", name_,
                                   shard.value(), record.source.value(), record.first, due));
  due = record.first + record.effects.size();
  for (const Effect& effect : record.effects) {
    const auto* credit = std::get_if<Credit>(&effect);
    if (credit && !executed_at(credit->sender, credit->sequence_number))
      journal_.violation(
          "I5", credit->sender.text(),
          fmt::format("{}: account {} is credited for request {} of account {}, which is not durable", name_,
                      credit->recipient.text(), credit->sequence_number.value(), credit->sender.text()));
    if (!credit) continue;
    std::vector<Uid>& credited = received_[{credit->sender, credit->sequence_number}];
    if (std::ranges::count(credited, credit->recipient) > 0)
      journal_.violation("I4", credit->recipient.text(),
                         fmt::format("{}: account {} is credited twice for request {} of account {}", name_,
                                     credit->recipient.text(), credit->sequence_number.value(), credit->sender.text()));
    credited.push_back(credit->recipient);
  }
}

void Chronicle::take(ShardId shard, const shard::EffectsAcknowledged& record) {
  if (mark(shard, record.destination) < record.up_to)
    journal_.violation("I4", name_,
                       fmt::format("{}: shard {} forgets effects for shard {} up to {}, which has not got them durably",
                                   name_, shard.value(), record.destination.value(), record.up_to));
}

void Chronicle::take(ShardId /*shard*/, const InstanceChanged& record) {
  if (record.voted) {
    const auto [known, added] = precommits_.try_emplace({record.instance, record.round}, *record.voted);
    if (!added && known->second != *record.voted)
      journal_.violation("votes", record.instance.text(),
                         fmt::format("{} votes for both decisions of instance {} in round {}", name_,
                                     record.instance.text(), record.round.value()));
  }
  InstanceChanged& known = instances_[record.instance];
  const auto round_of = [](const Certificate& lock) { return std::get<PreCommit>(lock.value.kind).proposal.round; };
  if (record.lock && known.lock && round_of(*record.lock) < round_of(*known.lock))
    journal_.violation("L4", record.instance.text(),
                       fmt::format("{} lets a lock of instance {} go for an older one", name_, record.instance.text()));
  const std::optional<Certificate>& lock_now = record.lock ? record.lock : known.lock;
  const bool votes_now = record.voted && (record.round != known.round || known.voted != record.voted);
  if (votes_now && lock_now && std::get<PreCommit>(lock_now->value.kind).proposal.decision != *record.voted)
    journal_.violation(
        "L4", record.instance.text(),
        fmt::format("{} votes in instance {} against what it is locked on", name_, record.instance.text()));
  if (record.decided && on_decided_)
    on_decided_(record.instance, std::get<Commit>(record.decided->value.kind).proposal.decision);
  if (record.round < known.round)
    journal_.violation("votes", record.instance.text(), fmt::format("{}: a round falls", name_));
  auto lock = record.lock ? record.lock : known.lock;
  auto decided = record.decided ? record.decided : known.decided;
  known = record;
  known.lock = std::move(lock);
  known.decided = std::move(decided);
}

const Hash* Chronicle::vote_at(const Uid& account, SequenceNumber at) const {
  const auto found = votes_.find({account, at});
  return found == votes_.end() ? nullptr : &found->second;
}

const Hash* Chronicle::executed_at(const Uid& account, SequenceNumber at) const {
  const auto found = executed_.find(account);
  return found == executed_.end() || at.value() >= found->second.size() ? nullptr : &found->second[at.value()];
}

std::uint64_t Chronicle::next_of(const Uid& account) const {
  const auto found = executed_.find(account);
  return found == executed_.end() ? 0 : found->second.size();
}

const InstanceChanged* Chronicle::instance(const Uid& uid) const {
  const auto found = instances_.find(uid);
  return found == instances_.end() ? nullptr : &found->second;
}

Chronicle::Rebuilt Chronicle::rebuild() const {
  Rebuilt rebuilt;
  const auto genesis_accounts = shard::genesis_by_shard(genesis_);
  for (std::uint16_t number = 0; number < shard_count; ++number) {
    const ShardId id(number);
    const auto& records = records_[number];
    if (records.empty() && genesis_accounts[number].empty()) continue;
    shard::Shard shard(id, rules_);
    shard.apply_genesis(genesis_, genesis_accounts[number]);
    for (const auto& [number_of_epoch, epoch] : records)
      for (const shard::Record& record : epoch.records) {
        const auto replayed = shard.replay(record);
        if (!replayed)
          journal_.violation("I5", name_,
                             fmt::format("{}: shard {} does not replay: {}", name_, number, replayed.error().message));
      }
    add_to(rebuilt.totals, shard.totals());
    for (const Uid& uid : shard.accounts()) {
      rebuilt.accounts.emplace(uid, *shard.account_digest(uid));
      rebuilt.states.emplace(uid, *shard.account(uid));
    }
    for (const Uid& uid : shard.instances())
      if (auto state = shard.instance(uid); state && state->decided)
        rebuilt.decisions.emplace(uid, std::move(*state->decided));
  }
  return rebuilt;
}

}  // namespace zef::sim
