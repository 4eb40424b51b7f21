#include "shard/state.h"

#include <algorithm>
#include <cstring>

#include "crypto/sha256.h"
#include "shard/received.h"

namespace zef::shard {

namespace {

// What the rules call the key of a credit (docs/protocol.md, C3).
struct ReceivedKey {
  const Uid& sender;
  SequenceNumber sequence_number;
  const Uid& recipient;
  void encode(codec::Writer& writer) const {
    codec::write(writer, sender);
    codec::write(writer, sequence_number);
    codec::write(writer, recipient);
  }
};

template <class Map>
std::vector<typename Map::const_pointer> sorted(const Map& map) {
  std::vector<typename Map::const_pointer> entries;
  entries.reserve(map.size());
  for (const auto& entry : map) entries.push_back(&entry);
  std::ranges::sort(entries, {}, [](const auto* entry) -> const auto& { return entry->first; });
  return entries;
}

// Of an account, what I3 compares.
void write_comparable(codec::Writer& writer, const AccountRecord& account) {
  codec::write(writer, account.owner);
  codec::write(writer, account.closed);
  codec::write(writer, account.balance);
  codec::write(writer, account.next);
  codec::write(writer, account.head);
  codec::write(writer, account.received);
}

}  // namespace

Fingerprint fingerprint_of(const Hash& request_hash) {
  Fingerprint result;
  std::memcpy(result.bytes.data(), request_hash.bytes.data(), Fingerprint::size);
  return result;
}

void ReceivedSet::add(const ReceivedEntry& entry) {
  const Hash hash =
      crypto::sha256(codec::encode(ReceivedKey{entry.credit.sender, entry.credit.sequence_number, entry.recipient}));
  unsigned __int128 carry = 0;
  for (std::size_t i = 0; i < sum.size(); ++i) {
    std::uint64_t word;
    std::memcpy(&word, hash.bytes.data() + i * sizeof word, sizeof word);
    carry += static_cast<unsigned __int128>(sum[i]) + word;
    sum[i] = static_cast<std::uint64_t>(carry);
    carry >>= 64;
  }
  ++count;
}

void ReceivedSet::encode(codec::Writer& writer) const {
  for (const std::uint64_t word : sum) writer.fixed(word);
  writer.fixed(count);
}

ReceivedSet ReceivedSet::decode(codec::Reader& reader) {
  ReceivedSet result;
  for (std::uint64_t& word : result.sum) word = reader.fixed<std::uint64_t>();
  result.count = reader.fixed<std::uint64_t>();
  return result;
}

void Shard::State::touch(const Uid& uid, AccountRecord& account) {
  changes.any = true;
  if (std::exchange(account.changed, true)) return;
  changes.accounts.emplace_back(uid, account.executed.size());
}

void Shard::State::touch(InstanceRecord& instance) {
  changes.any = true;
  if (std::exchange(instance.changed, true)) return;
  changes.instances.push_back(instance.terms().new_id);
}

const AccountRecord* Shard::State::find(const Uid& uid) const {
  const auto found = accounts.find(uid);
  return found == accounts.end() ? nullptr : &found->second;
}

AccountRecord* Shard::State::find(const Uid& uid) {
  const auto found = accounts.find(uid);
  return found == accounts.end() ? nullptr : &found->second;
}

AccountRecord& Shard::State::find_or_add(const Uid& uid) {
  const auto [found, added] = accounts.try_emplace(uid);
  if (added) ++totals.accounts;
  return found->second;
}

AccountState Shard::State::account_state(const Uid& uid, const AccountRecord& account) const {
  AccountState result;
  result.account = uid;
  result.owner = account.owner;
  result.balance = account.balance;
  result.next = account.next;
  result.head = account.head;
  result.closed = account.closed;
  if (account.pending) result.pending = account.pending->hash;
  result.received = account.received.count;
  return result;
}

void Shard::State::add_genesis_account(const Uid& uid, const GenesisAccount& genesis) {
  AccountRecord& account = find_or_add(uid);
  account.owner = genesis.owner;
  account.balance = genesis.balance.value();
  std::memcpy(account.head.bytes.data(), network->id.bytes.data(), Hash::size);
  totals.balances += account.balance;
}

Hash Shard::digest() const {
  const State& state = *state_;
  Bytes bytes;
  codec::Writer writer(bytes);
  codec::write(writer, state.id);
  codec::write(writer, state.network->id);
  codec::write(writer, totals());
  codec::write(writer, state.fees_queued);

  writer.fixed(std::uint64_t{state.accounts.size()});
  for (const auto* entry : sorted(state.accounts)) {
    const AccountRecord& account = entry->second;
    codec::write(writer, entry->first);
    write_comparable(writer, account);
    codec::write(writer, account.pending != nullptr);
    if (account.pending) codec::write(writer, account.pending->request);
    codec::write(writer, account.executed);
  }
  writer.fixed(std::uint64_t{state.instances.size()});
  for (const auto* entry : sorted(state.instances)) {
    codec::write(writer, entry->first);
    codec::write(writer, entry->second.state());
    codec::write(writer, entry->second.conflicted);
  }
  const auto outboxes = state.outboxes.all();
  writer.fixed(std::uint64_t{outboxes.size()});
  for (const auto& [destination, outbox] : outboxes) {
    codec::write(writer, destination);
    writer.fixed(outbox->first());
    writer.fixed(outbox->end());
    for (std::uint64_t index = outbox->first(); index < outbox->end(); ++index) {
      const WaitingEffect& waiting = outbox->at(index);
      codec::write(writer, waiting.effect);
      if (waiting.proof) codec::write(writer, *waiting.proof);
    }
  }
  writer.fixed(std::uint64_t{state.marks.size()});
  for (const auto* entry : sorted(state.marks)) {
    codec::write(writer, entry->first);
    writer.fixed(entry->second);
  }
  writer.fixed(std::uint64_t{state.fee_totals.size()});
  for (const auto& [key, total] : state.fee_totals) {
    codec::write(writer, key);
    codec::write(writer, total);
  }
  writer.fixed(std::uint64_t{state.conflicts.size()});
  for (const auto& position : state.conflicts) codec::write(writer, position);
  return crypto::sha256(bytes);
}

std::optional<Hash> Shard::account_digest(const Uid& uid) const {
  const AccountRecord* account = state_->find(uid);
  if (account == nullptr) return std::nullopt;
  Bytes bytes;
  codec::Writer writer(bytes);
  write_comparable(writer, *account);
  return crypto::sha256(bytes);
}

}  // namespace zef::shard
