#include "protocol/operations.h"

namespace zef::protocol {
namespace {

std::size_t length_bytes(std::size_t length) {
  std::size_t bytes = 1;
  for (; length >= 0x80; length >>= 7) ++bytes;
  return bytes;
}

std::size_t size_of(const Uid& uid) { return 1 + 8 * uid.depth(); }  // a depth of at most 32 takes one length byte

std::size_t size_of(const Payment& payment) {
  const auto* account = std::get_if<Account>(&payment.recipient);
  return 1 + (account ? size_of(account->uid) : 0) + 8 + length_bytes(payment.memo.size()) + payment.memo.size();
}
std::size_t size_of(const Transfer& transfer) {
  std::size_t size = length_bytes(transfer.payments.size());
  for (const Payment& payment : transfer.payments) size += size_of(payment);
  return size;
}
std::size_t size_of(const OpenAccount& open) { return size_of(open.new_id) + PublicKey::size + 8; }
std::size_t size_of(const ChangeOwner&) { return PublicKey::size; }
std::size_t size_of(const CloseAccount&) { return 0; }
std::size_t size_of(const Skip&) { return 0; }
std::size_t size_of(const StartInstance& start) {
  std::size_t size = size_of(start.new_id) + 1 + length_bytes(start.accounts.size());
  for (const Participant& participant : start.accounts) size += size_of(participant.account) + 8;
  if (const auto* payments = std::get_if<AtomicPayments>(&start.functionality)) {
    size += length_bytes(payments->legs.size());
    for (const Leg& leg : payments->legs) size += size_of(leg.from) + size_of(leg.recipient) + 8;
  }
  return size;
}
std::size_t size_of(const LockInto& lock) { return size_of(lock.instance) + PublicKey::size; }

}  // namespace

std::size_t encoded_size(const Request& request) {
  return 8 + size_of(request.account) + 8 + Hash::size + 1 +
         std::visit([](const auto& operation) { return size_of(operation); }, request.operation);
}

}  // namespace zef::protocol
