// Fees, and the remote effects that a request causes: functions of the request alone (docs/protocol.md, C3).
#pragma once

#include "protocol/genesis.h"

namespace zef::protocol {

// The payments of one request to one recipient, as one sum. Key: (sender, sequence number, recipient).
struct Credit {
  Uid sender;
  SequenceNumber sequence_number;
  Uid recipient;
  Amount amount;
  friend bool operator==(const Credit&, const Credit&) = default;
  static constexpr auto fields =
      codec::fields<&Credit::sender, &Credit::sequence_number, &Credit::recipient, &Credit::amount>;
};
// Creates the account new_id; its head is the hash of the creating request.
struct Open {
  Uid new_id;
  PublicKey new_owner;
  Amount funding;
  Hash head;
  friend bool operator==(const Open&, const Open&) = default;
  static constexpr auto fields = codec::fields<&Open::new_id, &Open::new_owner, &Open::funding, &Open::head>;
};
// Creates the instance that this request describes.
struct Start {
  Request request;  // its operation is StartInstance
  friend bool operator==(const Start&, const Start&) = default;
  static constexpr auto fields = codec::fields<&Start::request>;
};
// The sum of one validator's fee shares that a shard has collected so far; the highest total counts.
struct FeeTotal {
  Uid reward_account;
  Balance total = 0;
  friend bool operator==(const FeeTotal&, const FeeTotal&) = default;
  static constexpr auto fields = codec::fields<&FeeTotal::reward_account, &FeeTotal::total>;
};
using Effect = std::variant<Credit, Open, Start, FeeTotal>;

// Where an effect is applied: the recipient, the new account or instance, the reward account.
[[nodiscard]] const Uid& target_of(const Effect& effect);

// What an effect carries from shard to shard: amount or funding (0 for Start and FeeTotal).
[[nodiscard]] Amount amount_of(const Effect& effect);

// Numbered in the order of first payment: the index in this list is the effect's ordinal. Payments to Burn cause none.
[[nodiscard]] std::vector<Effect> effects_of(const Request& request, const Hash& request_hash);

// What the account pays, all validators' shares together (a multiple of the committee's size). LockInto is free.
[[nodiscard]] Amount fee_of(const Network& network, const Request& request);

// Sum of all amounts and the funding, fee not included; nothing if it does not fit 64 bits.
[[nodiscard]] std::optional<Amount> amount_spent(const Request& request);
// The part of it that goes to Burn.
[[nodiscard]] Balance amount_burned(const Request& request);

}  // namespace zef::protocol

ZEF_CODEC_DECLARE(zef::protocol::Effect);
