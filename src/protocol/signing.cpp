#include "protocol/signing.h"

namespace zef::protocol {

Bytes signing_prefix(const NetworkId& network, std::string_view type_name) {
  constexpr std::string_view version = "zefchain/1";
  constexpr std::size_t room_for_value = 256;  // most values fit without growing the message again
  Bytes prefix;
  prefix.reserve(version.size() + NetworkId::size + type_name.size() + 2 + room_for_value);
  append(prefix, as_bytes(version));
  append(prefix, network.view());
  append(prefix, as_bytes(type_name));
  append(prefix, as_bytes("::"));
  return prefix;
}

Bytes batch_root_prefix(const NetworkId& network) { return signing_prefix(network, "BatchRoot"); }

Hash hash_of(const NetworkId& network, const Request& request) {
  return crypto::sha256(signed_message(network, request));
}

}  // namespace zef::protocol
