#include "protocol/testing/agreement.h"

namespace zef::protocol::testing {

Agreement::Agreement(const TestNetwork& net, Chain& starter, std::vector<Chain*> participants,
                     Functionality functionality, std::uint64_t delegates, Certify certify)
    : net_(&net), certify_(std::move(certify)), participants_(std::move(participants)) {
  if (!certify_) certify_ = [this](const Value& value) { return net_->certificate(value); };
  std::vector<Participant> accounts;
  for (const Chain* chain : participants_) {
    const std::uint64_t moves = chain == &starter ? 1 : 0;
    accounts.push_back({chain->account(), SequenceNumber(chain->sequence_number().value() + moves)});
  }
  const Uid uid = starter.account().child(starter.sequence_number());
  start_ = starter.next(start_instance(uid, std::move(accounts), std::move(functionality)));
  for (std::size_t place = 0; place < participants_.size(); ++place) {
    delegates_.push_back(test_key(delegates + place));
    owners_.push_back(&participants_[place]->key());
    locks_.push_back(participants_[place]->peek(lock_into(uid, delegate(place).public_key())));
  }
}

Proof Agreement::start_proof() const {
  return {.account = start_.account, .earlier = {}, .certificate = certify_(Value{Confirm{start_}}), .lock = {}};
}

RequestOrder Agreement::lock_order(std::size_t place) const {
  RequestOrder order = net_->order(lock_request(place), *owners_.at(place));
  order.proof = start_proof();
  return order;
}

Certificate Agreement::lock(std::size_t place) const { return certify_(Value{Lock{lock_request(place)}}); }

std::vector<Certificate> Agreement::all_locks() const {
  std::vector<Certificate> locks;
  for (std::size_t place = 0; place < size(); ++place) locks.push_back(lock(place));
  return locks;
}

Request Agreement::derived(std::size_t place, const Decision& decision) const {
  if (std::holds_alternative<Aborted>(decision)) return aborted_request(lock_request(place));
  return std::get<Commit>(commit(Round(0), decision).kind).requests.at(place);
}

Proof Agreement::proof(std::size_t place, const Decision& decision, std::span<const Request> earlier,
                       Round round) const {
  Proof proof{.account = lock_request(place).account,
              .earlier = {},
              .certificate = certify_(commit(round, decision)),
              .lock = {}};
  proof.earlier.assign(earlier.begin(), earlier.end());
  if (std::holds_alternative<Aborted>(decision)) proof.lock = lock(place);
  return proof;
}

Proof Agreement::proof_by_lock(std::size_t place, std::span<const Request> earlier) const {
  Proof proof{.account = lock_request(place).account, .earlier = {}, .certificate = lock(place), .lock = {}};
  proof.earlier.assign(earlier.begin(), earlier.end());
  return proof;
}

void Agreement::execute(const Decision& decision) {
  const bool swapped =
      std::holds_alternative<Confirmed>(decision) && std::holds_alternative<AtomicSwap>(terms().functionality);
  for (std::size_t place = 0; place < size(); ++place) {
    participants_[place]->advance(derived(place, decision));
    if (swapped) participants_[place]->set_key(delegate((place + 1) % size()));
  }
}

Proposal Agreement::proposal(Round round, const Decision& decision) const {
  return {.epoch = current_epoch, .instance = uid(), .round = round, .decision = decision};
}

namespace {

template <class Kind>
Value agreement(const Agreement& instance, Round round, const Decision& decision) {
  Kind kind{.epoch = current_epoch, .proposal = instance.proposal(round, decision), .requests = {}};
  if (std::holds_alternative<Confirmed>(decision)) {
    std::vector<const Request*> locks;
    for (std::size_t place = 0; place < instance.size(); ++place) locks.push_back(&instance.lock_request(place));
    for (Request& request : confirmed_requests(instance.terms(), locks)) kind.requests.push_back(std::move(request));
  }
  return Value{std::move(kind)};
}

}  // namespace

Value Agreement::precommit(Round round, const Decision& decision) const {
  return agreement<PreCommit>(*this, round, decision);
}
Value Agreement::commit(Round round, const Decision& decision) const {
  return agreement<Commit>(*this, round, decision);
}
Value Agreement::timeout(Round round) const { return Value{Timeout{current_epoch, uid(), round}}; }

SubmitProposal Agreement::propose(Round round, const Decision& decision, std::size_t place,
                                  std::optional<Certificate> carried) const {
  const Proposal proposed = proposal(round, decision);
  SubmitProposal message{.proposal = proposed,
                         .delegate = delegate(place).public_key(),
                         .signature = net_->sign(proposed, delegate(place)),
                         .locks = {},
                         .carried = std::move(carried),
                         .start = {}};
  if (std::holds_alternative<Aborted>(decision)) {
    message.locks.push_back(lock(place));
  } else {
    for (Certificate& certificate : all_locks()) message.locks.push_back(std::move(certificate));
  }
  return message;
}

SubmitInstanceCertificate Agreement::show(const Value& value) const {
  return {.instance = uid(), .certificate = certify_(value), .start = {}};
}

AskTimeout Agreement::ask_timeout(Round round, std::size_t place) const {
  return {.instance = uid(),
          .round = round,
          .delegate = delegate(place).public_key(),
          .signature = net_->sign(AskedTimeout{current_epoch, uid(), round}, delegate(place)),
          .lock = lock(place),
          .start = {}};
}

ShowLocks Agreement::show_locks(const std::vector<std::size_t>& places) const {
  ShowLocks message{.instance = uid(), .locks = {}, .start = {}};
  for (const std::size_t place : places) message.locks.push_back(lock(place));
  return message;
}

InstanceMessage Agreement::with_start(InstanceMessage message) const {
  std::visit([&](auto& kind) { kind.start = start_proof(); }, message);
  return message;
}

Operation start_instance(const Uid& new_id, std::vector<Participant> accounts, Functionality functionality) {
  StartInstance start{.new_id = new_id, .functionality = std::move(functionality), .accounts = {}};
  start.accounts.assign(accounts.begin(), accounts.end());
  return start;
}

Operation lock_into(const Uid& instance, const PublicKey& delegate) { return LockInto{instance, delegate}; }

AtomicPayments payments(const std::vector<Leg>& legs) {
  AtomicPayments result;
  result.legs.assign(legs.begin(), legs.end());
  return result;
}

VerifiedInstanceMessage verified(const TestNetwork& net, InstanceMessage message) {
  RootCaches caches = test_caches();
  VerificationBatch batch(net.network(), caches);
  const std::size_t place = batch.add(std::move(message));
  batch.run();
  auto result = batch.take_instance_message(place);
  ZEF_CHECK(result.has_value());
  return std::move(*result);
}

}  // namespace zef::protocol::testing
