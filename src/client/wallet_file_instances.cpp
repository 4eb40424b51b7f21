// Protocol instances in the wallet's file: everything that is needed to go on after a crash at any step is in it before
// the network hears of that step.
#include "client/wallet_file.h"
#include "client/wallet_rows.h"

namespace zef::client {

Result<void> WalletFile::keep_start(const Request& start) {
  auto insert = database_->prepare(
      "INSERT INTO instances (instance, proposed, at_ms) VALUES (?,1,?) ON CONFLICT (instance) DO UPDATE SET proposed "
      "= "
      "1");
  if (!insert) return std::unexpected(insert.error());
  return insert->bind(std::get<StartInstance>(start.operation).new_id.text()).bind(now_ms()).run();
}

Result<void> WalletFile::keep_start_proof(const Uid& instance, const Proof& proof) {
  auto update = database_->prepare("UPDATE instances SET start = ? WHERE instance = ? AND start IS NULL");
  if (!update) return std::unexpected(update.error());
  return update->bind(codec::encode(proof)).bind(instance.text()).run();
}

// The order carries the proof of the start; the delegate's secret key is in `keys` already.
Result<void> WalletFile::keep_lock(const RequestOrder& order) {
  const auto& lock = std::get<LockInto>(order.request.operation);
  ZEF_CHECK(order.proof);
  const std::string instance = lock.instance.text();
  {
    auto insert = database_->prepare(
        "INSERT INTO instances (instance, proposed, at_ms) VALUES (?,0,?) ON CONFLICT (instance) DO NOTHING");
    if (!insert) return std::unexpected(insert.error());
    if (auto done = insert->bind(instance).bind(now_ms()).run(); !done) return done;
  }
  if (auto kept = keep_start_proof(lock.instance, *order.proof); !kept) return kept;
  auto insert = database_->prepare("INSERT INTO locks (instance, uid, number, delegate, settled) VALUES (?,?,?,?,0)");
  if (!insert) return std::unexpected(insert.error());
  insert->bind(instance).bind(order.request.account.text()).bind(order.request.sequence_number.value());
  return insert->bind(lock.delegate.view()).run();
}

Task<Result<void>> WalletFile::save_lock(Certificate certificate) {
  return write([this, certificate = std::move(certificate)]() -> Result<void> {
    const Request& request = std::get<Lock>(certificate.value.kind).request;
    auto update = database_->prepare("UPDATE locks SET certificate = ? WHERE instance = ? AND uid = ?");
    if (!update) return std::unexpected(update.error());
    update->bind(codec::encode(certificate)).bind(std::get<LockInto>(request.operation).instance.text());
    return update->bind(request.account.text()).run();
  });
}

Task<Result<void>> WalletFile::save_decided(Uid instance, Certificate commit) {
  return write([this, instance = std::move(instance), commit = std::move(commit)]() -> Result<void> {
    auto update = database_->prepare("UPDATE instances SET decided = ? WHERE instance = ? AND decided IS NULL");
    if (!update) return std::unexpected(update.error());
    return update->bind(codec::encode(commit)).bind(instance.text()).run();
  });
}

Task<Result<void>> WalletFile::save_settled(Uid instance, Uid account) {
  return write([this, instance = std::move(instance), account = std::move(account)]() -> Result<void> {
    auto update = database_->prepare("UPDATE locks SET settled = 1 WHERE instance = ? AND uid = ?");
    if (!update) return std::unexpected(update.error());
    return update->bind(instance.text()).bind(account.text()).run();
  });
}

Result<std::vector<StoredLock>> WalletFile::locks_of(const Uid& instance) {
  auto select = database_->prepare(
      "SELECT uid, number, delegate, certificate, settled FROM locks WHERE instance = ? ORDER BY uid");
  if (!select) return std::unexpected(select.error());
  select->bind(instance.text());
  std::vector<StoredLock> locks;
  while (true) {
    const auto row = select->step();
    if (!row) return std::unexpected(row.error());
    if (!*row) return locks;
    const auto uid = Uid::parse(select->text(0));
    const auto delegate = PublicKey::from(select->bytes(2));
    if (!uid || !delegate || select->integer(1) < 0) return std::unexpected(damaged("a lock"));
    StoredLock lock{.account = *uid,
                    .number = SequenceNumber(static_cast<std::uint64_t>(select->integer(1))),
                    .delegate = *delegate,
                    .certificate = std::nullopt,
                    .settled = select->integer(4) != 0};
    if (!select->is_null(3)) {
      auto certificate = decoded<Certificate>(select->bytes(3), "a lock's certificate");
      if (!certificate) return std::unexpected(certificate.error());
      lock.certificate = std::move(*certificate);
    }
    locks.push_back(std::move(lock));
  }
}

namespace {

constexpr std::string_view columns = "instance, start, proposed, decided, at_ms";

Result<StoredInstance> read_instance(const Statement& row) {
  const auto uid = Uid::parse(row.text(0));
  if (!uid) return std::unexpected(damaged("an instance"));
  StoredInstance stored{.instance = *uid,
                        .start = std::nullopt,
                        .proposed = row.integer(2) != 0,
                        .decided = std::nullopt,
                        .locks = {},
                        .at_ms = static_cast<std::uint64_t>(row.integer(4))};
  if (!row.is_null(1)) {
    auto start = decoded<Proof>(row.bytes(1), "the start of an instance");
    if (!start) return std::unexpected(start.error());
    stored.start = std::move(*start);
  }
  if (!row.is_null(3)) {
    auto decided = decoded<Certificate>(row.bytes(3), "a decision");
    if (!decided) return std::unexpected(decided.error());
    stored.decided = std::move(*decided);
  }
  return stored;
}

}  // namespace

Result<std::vector<StoredInstance>> WalletFile::instances() {
  std::vector<StoredInstance> instances;
  {
    auto select = database_->prepare(fmt::format("SELECT {} FROM instances ORDER BY at_ms DESC, rowid DESC", columns));
    if (!select) return std::unexpected(select.error());
    while (true) {
      const auto row = select->step();
      if (!row) return std::unexpected(row.error());
      if (!*row) break;
      auto one = read_instance(*select);
      if (!one) return std::unexpected(one.error());
      instances.push_back(std::move(*one));
    }
  }
  for (StoredInstance& one : instances) {
    auto locks = locks_of(one.instance);
    if (!locks) return std::unexpected(locks.error());
    one.locks = std::move(*locks);
  }
  return instances;
}

Result<std::optional<StoredInstance>> WalletFile::instance(const Uid& uid) {
  std::optional<StoredInstance> stored;
  {
    auto select = database_->prepare(fmt::format("SELECT {} FROM instances WHERE instance = ?", columns));
    if (!select) return std::unexpected(select.error());
    const auto row = select->bind(uid.text()).step();
    if (!row) return std::unexpected(row.error());
    if (!*row) return std::nullopt;
    auto one = read_instance(*select);
    if (!one) return std::unexpected(one.error());
    stored = std::move(*one);
  }
  auto locks = locks_of(uid);
  if (!locks) return std::unexpected(locks.error());
  stored->locks = std::move(*locks);
  return stored;
}

}  // namespace zef::client
