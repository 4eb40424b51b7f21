#include "protocol/refusal.h"

#include <fmt/format.h>

#include "codec/json.h"

namespace zef::protocol {
namespace {

// What happened, and what to do about it.
struct Describe {
  std::string operator()(const Malformed& r) const { return fmt::format("the message has a wrong form: {}", r.why); }
  std::string operator()(const WrongEpoch& r) const {
    return fmt::format("the request is for another epoch; the network is in epoch {}: make it again for that epoch",
                       r.current.value());
  }
  std::string operator()(const InactiveAccount& r) const {
    return fmt::format(
        "account {} is not open on this validator: check its UID, or show the validator the certificate that opened it",
        r.account.text());
  }
  std::string operator()(const AccountClosed& r) const {
    return fmt::format("the account is closed since operation {} and can do nothing more; use another account",
                       r.next.value() == 0 ? 0 : r.next.value() - 1);
  }
  std::string operator()(const InvalidOwner&) const {
    return "the key that signed does not own this account: sign with the owner's key, or sync to learn who owns it now";
  }
  std::string operator()(const InvalidSignature&) const {
    return "the signature does not fit the request, the key or this network: check which network the wallet is for";
  }
  std::string operator()(const UnexpectedSequenceNumber& r) const {
    return fmt::format("the account's next operation is number {}: sync, then make the request again",
                       r.expected.value());
  }
  std::string operator()(const UnexpectedPrevious& r) const {
    return fmt::format("the request does not continue the account's chain, whose head is {}: sync, then try again",
                       r.head.hex());
  }
  std::string operator()(const PreviousRequestPending& r) const {
    return fmt::format("another request is pending at operation {} of account {}: finish that one first",
                       r.pending.sequence_number.value(), r.pending.account.text());
  }
  std::string operator()(const InsufficientFunds& r) const {
    return fmt::format("the account holds {} and the operation needs {}, its fee included: fund the account first",
                       codec::to_decimal(r.balance), codec::to_decimal(r.needed));
  }
  std::string operator()(const InvalidOperation& r) const {
    return fmt::format("the operation is not allowed: {}", r.why);
  }
  std::string operator()(const InvalidCertificate& r) const {
    return fmt::format("the certificate proves nothing: {}; gather votes again", r.why);
  }
  std::string operator()(const MissingOperations& r) const {
    return fmt::format("the validator lacks earlier operations of this account: send their proofs from number {} on",
                       r.next.value());
  }
  std::string operator()(const ConflictingCertificate& r) const {
    return fmt::format(
        "another request is certified at operation {}: more than the tolerated number of validators are dishonest; "
        "nothing was executed, and both certificates are kept as evidence",
        r.sequence_number.value());
  }
  std::string operator()(const NotSupportedYet& r) const {
    return fmt::format("this version does not support {} yet: wait for a later one", r.what);
  }
  std::string operator()(const NotFound&) const { return "the validator knows nothing under that name: check it"; }
  std::string operator()(const Overloaded& r) const {
    return fmt::format("the validator is busy: try again in {} ms", r.retry_after_ms);
  }
  std::string operator()(const Unavailable& r) const {
    return fmt::format("the validator cannot answer now ({}): try again soon", r.why);
  }
  std::string operator()(const InstanceRefused& r) const {
    std::string text = "the instance says no: " + r.why;
    if (r.retry_after_ms > 0) text += fmt::format("; try again after {} ms", r.retry_after_ms);
    return text;
  }
  std::string operator()(const Moved& r) const {
    return fmt::format("shard {} moved to another worker: try again", r.shard.value());
  }
};

}  // namespace

std::string describe(const Refusal& refusal) { return std::visit(Describe{}, refusal); }

}  // namespace zef::protocol
