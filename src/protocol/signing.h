// What is hashed and signed: every signed message carries the protocol version, the network and the type's name, so
// that no signature can be replayed on another network or as another type (docs/protocol.md, section 1).
//
//   signed message of a T = "zefchain/1" || NetworkId || "T::" || BCS(value)
#pragma once

#include "codec/bcs.h"
#include "crypto/merkle.h"
#include "crypto/sha256.h"
#include "protocol/certificate.h"

namespace zef::protocol {

// "zefchain/1" || NetworkId || "type_name::", what every signed message of that type starts with.
[[nodiscard]] Bytes signing_prefix(const NetworkId& network, std::string_view type_name);

template <class T>
[[nodiscard]] Bytes signed_message(const NetworkId& network, const T& value) {
  Bytes message = signing_prefix(network, codec::type_name<T>);
  codec::encode_into(message, value);
  return message;
}

// What a batch signature signs, without the root that follows it.
[[nodiscard]] Bytes batch_root_prefix(const NetworkId& network);

// The Merkle leaf of a value in somebody's batch signature.
template <class T>
[[nodiscard]] Hash signing_leaf(const NetworkId& network, const T& value) {
  return crypto::leaf_hash(signed_message(network, value));
}

// What identifies a request: the account's head after it, and `previous` of the next one.
[[nodiscard]] Hash hash_of(const NetworkId& network, const Request& request);

}  // namespace zef::protocol
